/** Owns virtual time: what happens next, and in which order. */

/** A moment or a span of virtual time, in whole microseconds. */
export type Time = number;

export const microsecond: Time = 1;
export const millisecond: Time = 1_000;
export const second: Time = 1_000_000;
export const minute: Time = 60 * second;
export const hour: Time = 60 * minute;

/** Foreground work is waited for by `settle`; background work (heartbeats, expiries, an application's own sleeps) is not. */
export type TimerKind = "foreground" | "background";

/** Something that will happen, unless it is cancelled. */
export interface Timer {
  readonly at: Time;
  cancel(): void;
}

/** One thing that will happen; without `run` it has happened or was cancelled. */
class Event implements Timer {
  constructor(
    readonly clock: Clock,
    readonly at: Time,
    readonly order: number,
    readonly kind: TimerKind,
    public run: (() => void) | undefined,
  ) {}

  cancel(): void {
    if (!this.run) return;
    this.run = undefined;
    this.clock.cancelled(this);
  }
}

/** How many events one `settle` runs before it gives up: a cluster that never rests is a mistake of ours. */
const settleLimit = 50_000_000;

/**
 * A heap of events by time, and by the order in which they were set where the time is the same.
 * Events run to completion, one after another; an event may set further ones.
 */
export class Clock {
  #now: Time;
  #order = 0;
  #foreground = 0;
  #dead = 0;
  readonly #heap: Event[] = [];

  /** @param start the first moment, microseconds since 1970-01-01T00:00:00Z */
  constructor(start: Time = 0) {
    this.#now = start;
  }

  /** The present moment, microseconds since 1970-01-01T00:00:00Z. */
  get now(): Time {
    return this.#now;
  }

  /** Runs `run` once, `delay` microseconds from now (0: after everything that is already due now). */
  after(delay: Time, run: () => void, kind: TimerKind = "foreground"): Timer {
    if (!(delay >= 0)) throw new RangeError(`a delay cannot be ${delay}`);
    const event = new Event(this, this.#now + Math.round(delay), this.#order++, kind, run);
    if (kind === "foreground") this.#foreground++;
    this.#push(event);
    return event;
  }

  /** Runs `run` every `period` microseconds, in the background, until it is cancelled. */
  every(period: Time, run: () => void): Timer {
    if (!(period > 0)) throw new RangeError(`a period cannot be ${period}`);
    let timer: Timer;
    const again = (): void => {
      timer = this.after(period, again, "background");
      run();
    };
    timer = this.after(period, again, "background");
    return {
      get at() {
        return timer.at;
      },
      cancel: () => timer.cancel(),
    };
  }

  /** When the next event is due; undefined if nothing waits. */
  next(): Time | undefined {
    this.#dropCancelled();
    return this.#heap[0]?.at;
  }

  /** Runs the next event of either kind and moves to its time; false if nothing waits. */
  step(): boolean {
    this.#dropCancelled();
    const event = this.#pop();
    if (!event?.run) return false;
    this.#now = event.at;
    const run = event.run;
    event.run = undefined;
    if (event.kind === "foreground") this.#foreground--;
    run();
    return true;
  }

  /** True when no foreground event waits. */
  get settled(): boolean {
    return this.#foreground === 0;
  }

  /** Lets time pass until nothing in the foreground waits. Background events that are due on the way run too. */
  settle(): void {
    for (let events = 0; !this.settled; events++) {
      if (events >= settleLimit) throw new Error(`the simulation did not come to rest within ${settleLimit} events`);
      this.step();
    }
  }

  /** Lets exactly `duration` microseconds pass, running all that is due on the way. */
  advance(duration: Time): void {
    const end = this.#now + duration;
    for (let next = this.next(); next !== undefined && next <= end; next = this.next()) this.step();
    this.#now = end;
  }

  /**
   * Does now what was put off at an earlier moment: for `run` the present is `then`. It must set nothing that would have
   * been due before now.
   */
  recall(then: Time, run: () => void): void {
    const { now } = this;
    if (then > now) throw new RangeError("what is recalled must lie in the past");
    this.#now = then;
    try {
      run();
    } finally {
      this.#now = now;
    }
  }

  /** Told by an event that it was cancelled; when most of the heap is such, they are thrown out. */
  cancelled(event: Event): void {
    if (event.kind === "foreground") this.#foreground--;
    if (++this.#dead < 1_000 || this.#dead * 2 < this.#heap.length) return;
    const alive = this.#heap.filter(({ run }) => run !== undefined).sort((one, other) => (before(one, other) ? -1 : 1));
    this.#heap.length = 0;
    for (const one of alive) this.#heap.push(one);
    this.#dead = 0;
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && this.#heap[0]?.run === undefined) {
      this.#pop();
      this.#dead--;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!before(event, heap[above] as Event)) break;
      heap[at] = heap[above] as Event;
      at = above;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && before(heap[below + 1] as Event, heap[below] as Event)) below++;
      if (!before(heap[below] as Event, last)) break;
      heap[at] = heap[below] as Event;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function before(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
