/** Owns chance: streams of random numbers that a seed and a name decide. */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** The letters of names that Kubernetes generates (k8s.io/apimachinery pkg/util/rand: no vowels, no look-alikes). */
const safeLetters = "bcdfghjklmnpqrstvwxz2456789";

/**
 * One stream of random numbers. Each actor forks its own by name, so that a new actor moves nobody else's dice.
 */
export class Random {
  readonly #generator;
  readonly #seed: number;

  /** @param seed any integer; the same seed gives the same stream */
  constructor(seed: number) {
    this.#seed = seed;
    this.#generator = xoroshiro128plus(seed);
  }

  /** The stream of this seed and `name`: the same however much of this one has been used. */
  fork(name: string): Random {
    return new Random(hash(`${this.#seed}/${name}`));
  }

  /** A number from 0 (inclusive) to 1 (exclusive). */
  float(): number {
    return uniformFloat64(this.#generator);
  }

  /** A whole number from `low` to `high`, both inclusive. */
  integer(low: number, high: number): number {
    return uniformInt(this.#generator, low, high);
  }

  /** An index into `weights`, each as likely as its share of their sum. */
  choose(weights: readonly number[]): number {
    let sum = 0;
    for (const weight of weights) sum += weight;
    let rest = this.float() * sum;
    for (let index = 0; index < weights.length; index++) {
      rest -= weights[index] ?? 0;
      if (rest < 0) return index;
    }
    return weights.length - 1;
  }

  /** The suffix of a generated name, as Kubernetes makes them (`my-nginx-7vzhx`). */
  suffix(length = 5): string {
    let text = "";
    for (let i = 0; i < length; i++) text += safeLetters[this.integer(0, safeLetters.length - 1)];
    return text;
  }
}

/** So many hexadecimal digits, each drawn by itself. */
export function hexDigits(random: Random, length: number): string {
  const codes = new Array<number>(length);
  // Filled in the order of the text: 0-9 are from 48 on, a-f from 97.
  for (let at = 0; at < length; at++) {
    const digit = random.integer(0, 15);
    codes[at] = digit < 10 ? 48 + digit : 87 + digit;
  }
  return String.fromCharCode(...codes);
}

/** FNV-1a, 32 bits: spreads a name over the seeds. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value ^= text.charCodeAt(i);
    value = Math.imul(value, 0x01000193);
  }
  return value | 0;
}
