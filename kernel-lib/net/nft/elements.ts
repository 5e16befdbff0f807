/** Owns the elements of a set or map: found by key at once, or by interval; some leave after a time. */
import type { Time } from "../../sim/clock";
import { type Key, type Keyed, keyMaker } from "./keys";
import { type Element, isRange, type Part } from "./ruleset";
import { compareSwapped, compareValues, type DataTypeName, type Value } from "./types";

/** An element in its place. */
export interface Held {
  element: Element;
  /** When it leaves; undefined: never. */
  until: Time | undefined;
}

/** How many elements a dynamic set may have where nobody says (net/netfilter/nft_set_hash.c). */
export const dynamicLimit = 65535;

const none: readonly Held[] = [];

/** The elements; keys are of these types, one a part. */
export class Elements {
  readonly #types: readonly DataTypeName[];
  readonly #keyed: Keyed;
  /** Made for the first element: most sets of clients stay empty. */
  #found: Map<Key, Held> | undefined;
  /** Elements with a range in their key, by the first part's beginning once sorted. */
  #ranges: readonly Held[] = none;
  #sorted = true;

  constructor(types: readonly DataTypeName[]) {
    this.#types = types;
    this.#keyed = keyMaker(types);
  }

  get size(): number {
    return (this.#found?.size ?? 0) + this.#ranges.length;
  }

  /** The element for these values, unless its time is over. */
  find(values: readonly Value[], now: Time): Held | undefined {
    const held = this.#found?.get(this.#keyed(values)) ?? (this.#ranges.length > 0 ? this.#within(values) : undefined);
    return held !== undefined && (held.until === undefined || held.until > now) ? held : undefined;
  }

  /** The element with just this key. */
  exact(key: readonly Part[], now: Time): Held | undefined {
    if (!key.some(isRange)) return this.#alive(this.#found?.get(this.#keyed(key as readonly Value[])), now);
    return this.#alive(
      this.#ranges.find(({ element }) => sameKey(element.key, key)),
      now,
    );
  }

  /** Puts an element in, in place of one with the same key. */
  set(element: Element, until: Time | undefined): Held {
    const held: Held = { element, until };
    if (!element.key.some(isRange)) {
      this.#found ??= new Map();
      this.#found.set(this.#keyed(element.key as readonly Value[]), held);
    } else {
      this.#ranges = [...this.#ranges.filter((other) => !sameKey(other.element.key, element.key)), held];
      this.#sorted = false;
    }
    return held;
  }

  delete(key: readonly Part[]): boolean {
    if (!key.some(isRange)) return this.#found?.delete(this.#keyed(key as readonly Value[])) ?? false;
    const before = this.#ranges.length;
    this.#ranges = this.#ranges.filter(({ element }) => !sameKey(element.key, key));
    return this.#ranges.length < before;
  }

  clear(): void {
    this.#found = undefined;
    this.#ranges = none;
  }

  /** Takes out what has had its time. */
  sweep(now: Time): void {
    for (const [key, { until }] of this.#found ?? []) {
      if (until !== undefined && until <= now) this.#found?.delete(key);
    }
    this.#ranges = this.#ranges.filter(({ until }) => until === undefined || until > now);
  }

  /** A range with which this key has values in common; other than itself. */
  overlapping(key: readonly Part[]): Held | undefined {
    return [...this.all()].find(({ element }) => element.key.every((part, at) => overlap(part, key[at] as Part)));
  }

  /** All that are there, and those whose time is over but that nobody has missed yet. */
  *all(): IterableIterator<Held> {
    if (this.#found) yield* this.#found.values();
    yield* this.#ranges;
  }

  /** All that are there, in the order in which nft lists them. */
  list(now: Time): readonly Held[] {
    const all = [...this.all()].filter(({ until }) => until === undefined || until > now);
    const begins = new Map(all.map((held) => [held, held.element.key.map(lowest)]));
    const of = (held: Held): readonly Value[] => begins.get(held) ?? [];
    if (this.#types.length > 1) return all.sort((one, other) => compareSwapped(this.#types, of(one), of(other)));
    return all.sort((one, other) => compareValues(of(one)[0] ?? 0, of(other)[0] ?? 0));
  }

  #alive(held: Held | undefined, now: Time): Held | undefined {
    return held !== undefined && (held.until === undefined || held.until > now) ? held : undefined;
  }

  /** By halves where the key is one value (the kernel's tree), one by one where it is a concatenation. */
  #within(values: readonly Value[]): Held | undefined {
    if (this.#types.length > 1) {
      return this.#ranges.find(({ element }) => element.key.every((part, at) => holds(part, values[at] as Value)));
    }
    if (!this.#sorted) {
      this.#ranges = [...this.#ranges].sort((one, other) =>
        compareValues(lowest(firstOf(one)), lowest(firstOf(other))),
      );
      this.#sorted = true;
    }
    const value = values[0] as Value;
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lowest(firstOf(this.#ranges[middle] as Held)) <= value) low = middle + 1;
      else high = middle;
    }
    const candidate = this.#ranges[low - 1];
    return candidate && holds(firstOf(candidate), value) ? candidate : undefined;
  }
}

function firstOf({ element }: Held): Part {
  return element.key[0] as Part;
}

/** A part's least value. */
export function lowest(part: Part): Value {
  return isRange(part) ? part.from : part;
}

/** A part's greatest value. */
export function highest(part: Part): Value {
  return isRange(part) ? part.to : part;
}

/** Whether a value is the part, or lies in it. A name that ends in `*` stands for all that begin so. */
export function holds(part: Part, value: Value): boolean {
  if (isRange(part)) return typeof part.from === typeof value && part.from <= value && value <= part.to;
  if (typeof part === "string" && part.endsWith("*")) return String(value).startsWith(part.slice(0, -1));
  return part === value;
}

function overlap(one: Part, other: Part): boolean {
  return lowest(one) <= highest(other) && lowest(other) <= highest(one);
}

/** Whether two keys are the same, ranges too. */
export function sameKey(one: readonly Part[], other: readonly Part[]): boolean {
  return one.length === other.length && one.every((part, at) => samePart(part, other[at] as Part));
}

function samePart(one: Part, other: Part): boolean {
  if (!isRange(one) || !isRange(other)) return one === other;
  return one.from === other.from && one.to === other.to;
}
