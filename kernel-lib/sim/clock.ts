/** Owns virtual time: what happens next, and in which order. */
import { Event, WaitingList } from "./waiting";

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

/** How many events one `settle` runs before it gives up: a cluster that never rests is a mistake of ours. */
const settleLimit = 50_000_000;

/**
 * Events run by time, and in the order in which they were set where the time is the same; each to completion, one after
 * another. An event may set further ones.
 */
export class Clock {
  #now: Time;
  #order = 0;
  #foreground = 0;
  readonly #waiting = new WaitingList();

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
    const whole = Math.round(delay);
    const event = new Event(this, this.#now + whole, this.#order++, kind, run);
    if (kind === "foreground") this.#foreground++;
    this.#waiting.add(event, whole);
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
    return this.#waiting.first()?.at;
  }

  /** Runs the next event of either kind and moves to its time; false if nothing waits. */
  step(): boolean {
    const event = this.#waiting.take();
    if (!event?.run) return false;
    this.#now = event.at;
    const { run } = event;
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

  /** Told by an event that it was cancelled. */
  cancelled(event: Event): void {
    if (event.kind === "foreground") this.#foreground--;
    this.#waiting.cancelled(event);
  }
}
