/** Owns RSA keys: making them from a seed, reading and writing them as PEM (RFC 8017, RFC 5958, RFC 7468). */
import { sha256 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import forge from "node-forge";
import { hexDigits, type Random } from "../../sim/random";

/** A private key, and the public one in it. */
export class PrivateKey {
  readonly #key: forge.PrivateKey;

  private constructor(key: forge.PrivateKey) {
    this.#key = key;
  }

  static of(key: forge.PrivateKey): PrivateKey {
    return new PrivateKey(key);
  }

  /** The library's own. */
  get inside(): forge.PrivateKey {
    return this.#key;
  }

  get bits(): number {
    return this.#key.n.bitLength();
  }

  /** Hexadecimal, lower case. */
  get modulus(): string {
    return this.#key.n.toString(16);
  }

  /** As `openssl` writes it today: PKCS #8. */
  get pem(): string {
    const wrapped = forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(this.#key));
    return unix(forge.pki.privateKeyInfoToPem(wrapped));
  }

  /** As it was written before: PKCS #1 (`openssl rsa -traditional`). */
  get traditionalPem(): string {
    return unix(forge.pki.privateKeyToPem(this.#key));
  }

  get publicPem(): string {
    return unix(forge.pki.publicKeyToPem(forge.pki.setRsaPublicKey(this.#key.n, this.#key.e)));
  }
}

/** Lines of a PEM end as those of any other file here. */
export function unix(text: string): string {
  return text.replaceAll("\r\n", "\n");
}

/** The first private key of a PEM; undefined if there is none, or none that is RSA's and not encrypted. */
export function readPrivateKey(text: string): PrivateKey | undefined {
  try {
    const found = forge.pem.decode(text).find(({ type }) => type === "PRIVATE KEY" || type === "RSA PRIVATE KEY");
    return found && PrivateKey.of(forge.pki.privateKeyFromAsn1(forge.asn1.fromDer(found.body)));
  } catch {
    return undefined;
  }
}

/** Keys that have been made: a chapter that is run again draws the same seeds, and need not search again. */
const made = new Map<string, PrivateKey>();
const madeLimit = 64;

/**
 * A new RSA key with the exponent 65537. The same draw from the same stream gives the same key.
 * @param bits of the modulus, a multiple of 16 (2048)
 */
export function generateKey(random: Random, bits: number): PrivateKey {
  const seed = `${bits} ${hexDigits(random, 64)}`;
  const known = made.get(seed);
  if (known) return known;
  const octets = hashed(seed);
  let key: PrivateKey | undefined;
  while (!key) {
    const [p, q] = [findPrime(bits / 2, octets), findPrime(bits / 2, octets)];
    key = p === q ? undefined : keyOf(p > q ? p : q, p > q ? q : p);
  }
  if (made.size >= madeLimit) made.clear();
  made.set(seed, key);
  return key;
}

const exponent = 65_537n;

function keyOf(p: bigint, q: bigint): PrivateKey | undefined {
  const d = inverse(exponent, (p - 1n) * (q - 1n));
  if (d === undefined) return undefined;
  const parts = [p * q, exponent, d, p, q, d % (p - 1n), d % (q - 1n), inverse(q, p) ?? 0n];
  return PrivateKey.of(
    forge.pki.setRsaPrivateKey(...parts.map((part) => new forge.jsbn.BigInteger(part.toString(16), 16))),
  );
}

/** A function that gives so many octets, in hexadecimal: SHA-256 of the seed and a counter. */
function hashed(seed: string): (octets: number) => string {
  let count = 0;
  return (octets) => {
    let text = "";
    while (text.length < 2 * octets) text += bytesToHex(sha256(`${seed} ${count++}`));
    return text.slice(0, 2 * octets);
  };
}

const smallPrimes = sieve(8192);

function sieve(limit: number): readonly number[] {
  const composite = new Uint8Array(limit);
  const primes: number[] = [];
  for (let at = 2; at < limit; at++) {
    if (composite[at]) continue;
    primes.push(at);
    for (let multiple = at * at; multiple < limit; multiple += at) composite[multiple] = 1;
  }
  return primes;
}

/** How many odd numbers are looked at from one starting point. */
const window = 4096;

/**
 * A prime with its two highest bits set, so that two of them make a modulus of full length. Numbers with small divisors are
 * sifted out first, as they are nearly all; what is left is tested. (node-forge's own search needs many times as long.)
 */
function findPrime(bits: number, octets: (count: number) => string): bigint {
  for (;;) {
    const start = BigInt(`0x${octets(bits / 8)}`) | (3n << BigInt(bits - 2)) | 1n;
    const divisible = new Uint8Array(window);
    for (const prime of smallPrimes.slice(1)) {
      let first = (prime - Number(start % BigInt(prime))) % prime;
      if (first % 2 === 1) first += prime;
      for (let at = first / 2; at < window; at += prime) divisible[at] = 1;
    }
    for (let at = 0; at < window; at++) {
      const candidate = start + BigInt(2 * at);
      if (divisible[at] || candidate % exponent === 1n || candidate >> BigInt(bits) !== 0n) continue;
      if (isPrime(candidate)) return candidate;
    }
  }
}

/** Miller and Rabin's test (FIPS 186-5, B.3.1); for numbers that nobody chose, so few bases are plenty. */
function isPrime(candidate: bigint): boolean {
  let odd = candidate - 1n;
  let twos = 0;
  while (odd % 2n === 0n) {
    odd /= 2n;
    twos++;
  }
  return [2n, 3n, 5n, 7n].every((base) => {
    let power = modularPower(base, odd, candidate);
    if (power === 1n || power === candidate - 1n) return true;
    for (let round = 1; round < twos; round++) {
      power = (power * power) % candidate;
      if (power === candidate - 1n) return true;
    }
    return false;
  });
}

function modularPower(base: bigint, power: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (const bit of power.toString(2)) {
    result = (result * result) % modulus;
    if (bit === "1") result = (result * base) % modulus;
  }
  return result;
}

/** Undefined if they have a common divisor. */
function inverse(value: bigint, modulus: bigint): bigint | undefined {
  let [rest, next] = [modulus, value % modulus];
  let [factor, nextFactor] = [0n, 1n];
  while (next !== 0n) {
    const quotient = rest / next;
    [rest, next] = [next, rest - quotient * next];
    [factor, nextFactor] = [nextFactor, factor - quotient * nextFactor];
  }
  return rest === 1n ? ((factor % modulus) + modulus) % modulus : undefined;
}
