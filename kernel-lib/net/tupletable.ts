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
  next: Slot<Value> | undefined;
}

/**
 * A hash table with chains. Keys of text would have to be built anew for each packet, which costs more than all else
 * that is done with it.
 */
export class TupleTable<Value> {
  readonly #slots = new Map<number, Slot<Value>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(ends: Ends): Value | undefined {
    for (let slot = this.#slots.get(hash(ends)); slot; slot = slot.next) if (same(slot.ends, ends)) return slot.value;
    return undefined;
  }

  /** Adds a value; what had this key before is replaced. */
  set(ends: Ends, value: Value): void {
    this.delete(ends);
    this.add(ends, value);
  }

  /** Adds a value whose key is known to be free. */
  add(ends: Ends, value: Value): void {
    const key = hash(ends);
    this.#slots.set(key, { ends, value, next: this.#slots.get(key) });
    this.#size++;
  }

  delete(ends: Ends): boolean {
    const key = hash(ends);
    const first = this.#slots.get(key);
    let before: Slot<Value> | undefined;
    let slot = first;
    while (slot && !same(slot.ends, ends)) {
      before = slot;
      slot = slot.next;
    }
    if (!slot) return false;
    if (before) before.next = slot.next;
    else if (slot.next) this.#slots.set(key, slot.next);
    else this.#slots.delete(key);
    this.#size--;
    return true;
  }

  /** The value that has stood longest, which goes to the end of the row now. */
  turn(): Value | undefined {
    for (const [key, slot] of this.#slots) {
      this.#slots.delete(key);
      this.#slots.set(key, slot);
      return slot.value;
    }
    return undefined;
  }

  clear(): void {
    this.#slots.clear();
    this.#size = 0;
  }

  *values(): Generator<Value> {
    for (const first of this.#slots.values()) {
      for (let slot: Slot<Value> | undefined = first; slot; slot = slot.next) yield slot.value;
    }
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

function hash(ends: Ends): number {
  let value = Math.imul(low(ends.source) ^ (ends.sourcePort << 15), 0x9e3779b1);
  value = Math.imul(value ^ (value >>> 15) ^ low(ends.target), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13) ^ ends.targetPort, 0xc2b2ae35);
  return (value ^ (value >>> 16)) & 0x3fffffff;
}

function low(ip: Ip): number {
  return typeof ip === "number" ? ip | 0 : Number(BigInt.asIntN(32, ip ^ (ip >> 64n)));
}
