/** Owns what is handed out once: cluster IPs and node ports, with the low band kept for those who ask by name. */
import type { Random } from "../../sim/random";
import { indexesFrom } from "./range";

/**
 * How many addresses at the start of a range of `size` are handed out on their own only when the rest is used up
 * (KEP-3070, pkg/registry/core/service/ipallocator: calculateRangeOffset).
 */
export function staticBand(size: number, least: number, step: number, most: number): number {
  if (size <= least) return 0;
  return Math.min(Math.max(least, Math.floor(size / step)), most);
}

/** Indexes 0 … size−1, each taken at most once. `free` and `take` cost O(1), `next` O(1) as long as there is room. */
export class Allocator {
  readonly #taken = new Set<number>();
  readonly size: number;
  readonly #band: number;
  readonly #random: Random;

  constructor(size: number, band: number, random: Random) {
    this.size = size;
    this.#band = band;
    this.#random = random;
  }

  get free(): number {
    return this.size - this.#taken.size;
  }

  has(index: number): boolean {
    return this.#taken.has(index);
  }

  /** Takes this very one; false if somebody has it, or if there is none such. */
  take(index: number): boolean {
    if (index < 0 || index >= this.size || this.#taken.has(index)) return false;
    this.#taken.add(index);
    return true;
  }

  release(index: number): void {
    this.#taken.delete(index);
  }

  /** Finds a free one: in the upper band first, from a random place on; undefined if all are taken. */
  next(): number | undefined {
    return this.#within(this.#band, this.size) ?? this.#within(0, this.#band);
  }

  #within(low: number, high: number): number | undefined {
    const count = high - low;
    if (count <= 0 || this.#taken.size >= this.size) return undefined;
    for (const index of indexesFrom(low, high, this.#random.integer(0, count - 1))) {
      if (!this.#taken.has(index)) return index;
    }
    return undefined;
  }
}
