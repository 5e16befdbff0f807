/** Owns the events that wait for their moment: which of them is first, quickly, however many there are. */
import type { Time, Timer, TimerKind } from "./clock";

/** From so many rows on, those that nobody waits in are thrown away. */
const manyRows = 256;

/** Who is told that an event will not happen. */
interface Owner {
  cancelled(event: Event): void;
}

/** One thing that will happen; without `run` it has happened or was cancelled. */
export class Event implements Timer {
  /** The row that it stands in, and its neighbours there. */
  row: Row | undefined = undefined;
  before: Event | undefined = undefined;
  after: Event | undefined = undefined;

  constructor(
    readonly owner: Owner,
    readonly at: Time,
    /** In which order events of one time happen. */
    readonly order: number,
    readonly kind: TimerKind,
    public run: (() => void) | undefined,
  ) {}

  cancel(): void {
    if (!this.run) return;
    this.run = undefined;
    this.owner.cancelled(this);
  }
}

/** Events that were set with the same delay: each is due no earlier than the one before it, so the row is in order. */
interface Row {
  first: Event | undefined;
  last: Event | undefined;
}

/**
 * A heap by time and order, in which of each row only the first stands. Delays are few (a wire's, TIME-WAIT's, a
 * request's timeout) and events with them many: thousands of connections wait out their minute, and an event of the next
 * few microseconds is found among a handful all the same. What is cancelled leaves its row at once.
 */
export class WaitingList {
  readonly #heap: Event[] = [];
  readonly #rows = new Map<Time, Row>();
  #rowLimit = manyRows;
  /** How many of the heap were cancelled. */
  #dead = 0;

  /** @param delay how long from now its moment is; which events share a row */
  add(event: Event, delay: Time): void {
    const row = this.#rows.get(delay) ?? this.#newRow(delay);
    const { last } = row;
    if (!last) row.first = event;
    // Set in the past (`Clock.recall`): it would stand before others of its row, and so stands alone.
    else if (event.at < last.at) {
      this.#push(event);
      return;
    } else {
      last.after = event;
      event.before = last;
    }
    row.last = event;
    event.row = row;
    if (!last) this.#push(event);
  }

  /** Told of an event that was cancelled. One that stands in the heap is taken out when it comes to the top. */
  cancelled(event: Event): void {
    const { row, before, after } = event;
    if (!row || !before) {
      if (++this.#dead >= 1_000 && this.#dead * 2 >= this.#heap.length) this.#clear();
      return;
    }
    before.after = after;
    if (after) after.before = before;
    else row.last = before;
    leave(event);
  }

  /** The next event; undefined if none waits. */
  first(): Event | undefined {
    let event = this.#heap[0];
    while (event && !event.run) {
      this.#dead--;
      this.#takeFirst(event);
      event = this.#heap[0];
    }
    return event;
  }

  /** The same, which waits no longer then. */
  take(): Event | undefined {
    const event = this.first();
    if (event) this.#takeFirst(event);
    return event;
  }

  #newRow(delay: Time): Row {
    if (this.#rows.size >= this.#rowLimit) {
      for (const [other, { first }] of this.#rows) if (!first) this.#rows.delete(other);
      this.#rowLimit = Math.max(manyRows, 2 * this.#rows.size);
    }
    const row: Row = { first: undefined, last: undefined };
    this.#rows.set(delay, row);
    return row;
  }

  /** Takes the top of the heap away; the next of its row takes its place. */
  #takeFirst(event: Event): void {
    const top = nextOfRow(event) ?? this.#heap.pop();
    if (top && top !== event) this.#sink(top);
  }

  /** When most of the heap was cancelled, it is thrown out. */
  #clear(): void {
    const all = this.#heap.splice(0);
    this.#dead = 0;
    for (const event of all) {
      const kept = event.run ? event : nextOfRow(event);
      if (kept) this.#push(kept);
    }
  }

  /** Puts an event at the top, and lets it sink to its place. */
  #sink(event: Event): void {
    const heap = this.#heap;
    const { length } = heap;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= length) break;
      if (below + 1 < length && isBefore(heap[below + 1] as Event, heap[below] as Event)) below++;
      if (!isBefore(heap[below] as Event, event)) break;
      heap[at] = heap[below] as Event;
      at = below;
    }
    heap[at] = event;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(event, heap[above] as Event)) break;
      heap[at] = heap[above] as Event;
      at = above;
    }
    heap[at] = event;
  }
}

/** The first of a row leaves it; gives the one that is first then. */
function nextOfRow(event: Event): Event | undefined {
  const { row, after } = event;
  if (!row) return undefined;
  row.first = after;
  if (after) after.before = undefined;
  else row.last = undefined;
  leave(event);
  return after;
}

function leave(event: Event): void {
  event.row = undefined;
  event.before = undefined;
  event.after = undefined;
}

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
