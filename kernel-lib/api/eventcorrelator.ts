/**
 * Owns what becomes of too many events: many of one kind are put together into one, and whoever tells too much of one object
 * is not heard (client-go tools/record/events_cache.go).
 */
import { minute, type Time } from "../sim/clock";
import type { Key } from "./meta";

/** What the correlator looks at. */
export interface Told {
  readonly uid: string;
  readonly component: string;
  readonly host: string;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

/** EventSourceObjectSpamFilter: so many at once, and then one in so long. */
const burst = 25;
const refill: Time = 5 * minute;
/** EventAggregator: the tenth message of one reason, none longer than this after the one before. */
const similar = 10;
const apart: Time = 10 * minute;
/** A pod that just starts tells no more than this; who tells more is looked at closely. */
const usual = 6;

/** Similar events: of one source, object, type and reason. */
interface Similar {
  messages: Set<string>;
  last: Time;
  /** The one into which they are put together. */
  event: Key | undefined;
}

/** What was told but not heard of one event. */
interface Missed {
  readonly first: Time;
  count: number;
}

/** Some of what is kept is thrown away when it is more than this (maxLruCacheEntries). */
const most = 4_096;

export class Correlator {
  /**
   * When the bucket of a source and an object will be full again, by component and uid: a bucket of tokens that is filled
   * steadily needs no more than this one number.
   */
  readonly #full = new Map<string, Map<string, Time>>();
  readonly #similar = new Map<string, Similar>();
  readonly #missed = new Map<string, Missed>();
  /** Of which objects there is or was any of these. */
  readonly #missedOf = new Set<string>();

  /** The similar events to which this one belongs, if there are so many that they are put together. */
  similarTo(told: Told, now: Time): { event: Key | undefined } | undefined {
    if (!this.#isWatched(told, now)) return undefined;
    const key = keyOf(told);
    let found = this.#similar.get(key);
    if (!found || now - found.last > apart) {
      found = { messages: new Set(), last: now, event: found?.event };
      bound(this.#similar);
      this.#similar.set(key, found);
    }
    found.messages.add(told.message);
    found.last = now;
    if (found.messages.size < similar) return undefined;
    // Which one goes is the same to the count.
    for (const message of found.messages) {
      found.messages.delete(message);
      break;
    }
    return found;
  }

  /** Nothing of a pod's quiet start is kept: there may be 150,000 of them. */
  #isWatched({ component, uid, type }: Told, now: Time): boolean {
    if (component !== "kubelet" || type === "Warning") return component !== "default-scheduler";
    return (this.#full.get(component)?.get(uid) ?? 0) - now > usual * refill;
  }

  /** Whether an event is written; the scheduler writes by the newer API, which filters nothing. */
  accepts({ component, uid }: Told, now: Time): boolean {
    if (component === "default-scheduler") return true;
    let full = this.#full.get(component);
    if (!full) {
      full = new Map();
      this.#full.set(component, full);
    }
    const next = Math.max(full.get(uid) ?? 0, now) + refill;
    if (next - now > burst * refill) return false;
    full.set(uid, next);
    return true;
  }

  /** An event was told and not written; its count goes on. */
  miss(told: Told, now: Time): void {
    const key = `${keyOf(told)} ${told.message}`;
    const known = this.#missed.get(key);
    if (known) known.count++;
    else {
      bound(this.#missed);
      this.#missed.set(key, { first: now, count: 1 });
      this.#missedOf.add(told.uid);
    }
  }

  /** What was missed of it until now; it is counted once. */
  caughtUp(told: Told): { readonly first: Time; readonly count: number } | undefined {
    if (!this.#missedOf.has(told.uid)) return undefined;
    const key = `${keyOf(told)} ${told.message}`;
    const found = this.#missed.get(key);
    if (found) this.#missed.delete(key);
    if (this.#missed.size === 0) this.#missedOf.clear();
    return found;
  }

  /** Nobody has told anything of an object for long. */
  forget(component: string, uid: string, now: Time): void {
    const full = this.#full.get(component);
    if ((full?.get(uid) ?? now) < now) full?.delete(uid);
  }
}

function keyOf({ component, host, uid, type, reason }: Told): string {
  return `${component} ${host} ${uid} ${type} ${reason}`;
}

function bound(map: Map<string, unknown>): void {
  if (map.size < most) return;
  for (const [key] of map) {
    map.delete(key);
    if (map.size < most) return;
  }
}

/** The words before the newest of those that are put together. */
export function combined(message: string): string {
  return `(combined from similar events): ${message}`;
}
