/** Owns a table keyed by who talks to whom: connections and sockets are found in it for every packet. */
import type { Ip } from "./address";

/** The key: two ends, and a protocol where it matters. */
export interface Ends {
  readonly source: Ip;
  readonly sourcePort: number;
  readonly target: Ip;
  readonly targetPort: number;
  readonly protocol?: string;
}

interface Slot<Value> {
  readonly ends: Ends;
  readonly value: Value;
  readonly hash: number;
  /** The next of its bucket. */
  next: Slot<Value> | undefined;
  /** Its neighbours in the row of all, in the order in which they were added. */
  earlier: Slot<Value> | undefined;
  later: Slot<Value> | undefined;
}

/** A power of two. */
const fewest = 16;

/**
 * A hash table with chains. Keys of text would have to be built anew for each packet, which costs more than all else
 * that is done with it.
 */
export class TupleTable<Value> {
  #buckets: (Slot<Value> | undefined)[] = new Array(fewest).fill(undefined);
  #oldest: Slot<Value> | undefined;
  #newest: Slot<Value> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get({ source, sourcePort, target, targetPort, protocol }: Ends): Value | undefined {
    return this.find(source, sourcePort, target, targetPort, protocol);
  }

  /** The same for who has no key at hand. */
  find(source: Ip, sourcePort: number, target: Ip, targetPort: number, protocol?: string): Value | undefined {
    const key = hash(source, sourcePort, target, targetPort);
    for (let slot = this.#buckets[key & (this.#buckets.length - 1)]; slot; slot = slot.next) {
      if (slot.hash !== key) continue;
      const { ends } = slot;
      if (
        ends.sourcePort === sourcePort &&
        ends.targetPort === targetPort &&
        ends.source === source &&
        ends.target === target &&
        ends.protocol === protocol
      )
        return slot.value;
    }
    return undefined;
  }

  /** Adds a value; what had this key before is replaced. */
  set(ends: Ends, value: Value): void {
    this.delete(ends);
    this.add(ends, value);
  }

  /** Adds a value whose key is known to be free. */
  add(ends: Ends, value: Value): void {
    if (this.#size >= this.#buckets.length) this.#grow();
    const key = hash(ends.source, ends.sourcePort, ends.target, ends.targetPort);
    const at = key & (this.#buckets.length - 1);
    const slot = { ends, value, hash: key, next: this.#buckets[at], earlier: undefined, later: undefined };
    this.#buckets[at] = slot;
    this.#append(slot);
    this.#size++;
  }

  delete(ends: Ends): boolean {
    const key = hash(ends.source, ends.sourcePort, ends.target, ends.targetPort);
    const at = key & (this.#buckets.length - 1);
    let before: Slot<Value> | undefined;
    let slot = this.#buckets[at];
    while (slot && !(slot.hash === key && same(slot.ends, ends))) {
      before = slot;
      slot = slot.next;
    }
    if (!slot) return false;
    if (before) before.next = slot.next;
    else this.#buckets[at] = slot.next;
    this.#unlink(slot);
    this.#size--;
    return true;
  }

  /** The value that has stood longest, which goes to the end of the row now. */
  turn(): Value | undefined {
    const slot = this.#oldest;
    if (!slot) return undefined;
    this.#unlink(slot);
    this.#append(slot);
    return slot.value;
  }

  clear(): void {
    this.#buckets = new Array(fewest).fill(undefined);
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#size = 0;
  }

  /** All values, in the order in which they were added; while they are read nothing may be added or taken away. */
  *values(): Generator<Value> {
    for (let slot = this.#oldest; slot; slot = slot.later) yield slot.value;
  }

  #append(slot: Slot<Value>): void {
    slot.earlier = this.#newest;
    if (this.#newest) this.#newest.later = slot;
    else this.#oldest = slot;
    this.#newest = slot;
  }

  #unlink(slot: Slot<Value>): void {
    const { earlier, later } = slot;
    if (earlier) earlier.later = later;
    else this.#oldest = later;
    if (later) later.earlier = earlier;
    else this.#newest = earlier;
    slot.earlier = undefined;
    slot.later = undefined;
  }

  #grow(): void {
    const buckets: (Slot<Value> | undefined)[] = new Array(this.#buckets.length * 2).fill(undefined);
    for (let slot = this.#oldest; slot; slot = slot.later) {
      const at = slot.hash & (buckets.length - 1);
      slot.next = buckets[at];
      buckets[at] = slot;
    }
    this.#buckets = buckets;
  }
}

export function same(one: Ends, other: Ends): boolean {
  return (
    one.sourcePort === other.sourcePort &&
    one.targetPort === other.targetPort &&
    one.source === other.source &&
    one.target === other.target &&
    one.protocol === other.protocol
  );
}

function hash(source: Ip, sourcePort: number, target: Ip, targetPort: number): number {
  let value = Math.imul(low(source) ^ (sourcePort << 15), 0x9e3779b1);
  value = Math.imul(value ^ (value >>> 15) ^ low(target), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13) ^ targetPort, 0xc2b2ae35);
  return (value ^ (value >>> 16)) & 0x3fffffff;
}

function low(ip: Ip): number {
  return typeof ip === "number" ? ip | 0 : Number(BigInt.asIntN(32, ip ^ (ip >> 64n)));
}
