/** Owns one probe of one container: when it is done, and when what it finds counts (pkg/kubelet/prober/worker.go). */
import { millisecond, minute, second, type Time, type Timer } from "../../sim/clock";
import type { ProbeKind } from "../lifeevents";
import type { ProbeSpec } from "./action";
import type { Asking, Outcome } from "./ask";

/** What a worker has of its container. */
export interface ProbeOwner {
  readonly now: Time;
  after(delay: Time, run: () => void, kind: "foreground" | "background"): Timer;
  /** Does the probe once. */
  ask(probe: ProbeSpec, told: (outcome: Outcome) => void): Asking;
  /** How one probe went; `counts`: what the worker says has changed by it. */
  heard(kind: ProbeKind, outcome: Outcome, counts: boolean): void;
  /** What the worker says has changed. */
  changed(kind: ProbeKind): void;
}

/** What is said of a container that has just begun. */
const initially: { readonly [K in ProbeKind]: boolean } = { startup: false, readiness: false, liveness: true };

/** `settle` waits for a first success no longer than this: readiness from the first probe on, startup until it has failed. */
const patience = { readiness: minute, startup: 5 * minute } as const;

/**
 * Its ticks keep their rhythm through all starts of the container, from when the kubelet took the pod on. A tick at which
 * nothing is to be asked costs nothing: it is passed over when the next one is set.
 */
export class ProbeWorker {
  readonly kind: ProbeKind;
  readonly #owner: ProbeOwner;
  readonly #spec: ProbeSpec;
  readonly #period: Time;
  /** What it says of the container. */
  good: boolean;
  /** A tick lies here, and every period from here. */
  #anchor: Time;
  /** The first tick that has not been used. */
  #next: Time;
  #last: boolean | undefined;
  /** How many times in a row. */
  #run = 0;
  /** It waits for a new start of the container. */
  #onHold = true;
  /** From when on it may ask; undefined: nothing runs. */
  #earliest: Time | undefined;
  #waitedUntil: Time = 0;
  #timer: Timer | undefined;
  #guard: Timer | undefined;
  #asking: Asking | undefined;
  #triggered = false;

  constructor(kind: ProbeKind, spec: ProbeSpec, owner: ProbeOwner) {
    this.kind = kind;
    this.#spec = spec;
    this.#owner = owner;
    this.#period = (spec.periodSeconds ?? 10) * second;
    this.good = initially[kind];
    this.#anchor = owner.now;
    this.#next = owner.now;
  }

  /**
   * A new start of the container.
   * @param waited whether `settle` waits for a first success
   */
  begin(started: Time, waited: boolean): void {
    this.good = initially[this.kind];
    this.#onHold = false;
    const delay = (this.#spec.initialDelaySeconds ?? 0) * second;
    // The status says whole seconds.
    this.#earliest = Math.floor(started / second) * second + delay;
    this.#waitedUntil = 0;
    if (waited) this.wait();
  }

  /** `settle` waits for its first success, for a while. */
  wait(): void {
    const { failureThreshold = 3 } = this.#spec;
    const from = Math.max(this.#owner.now, this.#earliest ?? 0);
    const startup = Math.min((failureThreshold + 1) * this.#period, patience.startup);
    const span = { liveness: 0, readiness: patience.readiness, startup }[this.kind];
    this.#waitedUntil = from + span;
  }

  /** From now on, at its ticks. */
  resume(): void {
    if (this.#asking || this.#onHold || this.#earliest === undefined) return;
    const from = Math.max(this.#owner.now, this.#earliest, this.#next);
    const at = this.#anchor + Math.ceil((from - this.#anchor) / this.#period) * this.#period;
    this.#next = at;
    this.#timer?.cancel();
    this.#timer = this.#owner.after(
      at - this.#owner.now,
      () => this.#tick(),
      this.#isWaited ? "foreground" : "background",
    );
  }

  /** Asks at once, and its ticks count from now on: the kubelet wants to know. */
  trigger(): void {
    if (this.#asking) {
      this.#triggered = true;
      return;
    }
    const { now } = this.#owner;
    if (now < this.#anchor) {
      this.resume();
      return;
    }
    this.#anchor = now;
    this.#next = now + this.#period;
    if (this.#onHold || this.#earliest === undefined) return;
    if (now < this.#earliest) this.resume();
    else this.#ask();
  }

  /** Its kubelet was started again: not all probes of a node are to come at once. @param share of its period, 0 to 1 */
  delay(share: number): void {
    this.#anchor = this.#owner.now + Math.round(share * this.#period);
    this.#next = this.#anchor;
  }

  /** The container runs no more. */
  stop(): void {
    this.#earliest = undefined;
    this.#triggered = false;
    this.#timer?.cancel();
    this.#guard?.cancel();
    this.#asking?.cancel();
    this.#asking = undefined;
  }

  get #isWaited(): boolean {
    return !this.good && this.#owner.now < this.#waitedUntil;
  }

  #tick(): void {
    this.#next = this.#owner.now + this.#period;
    this.#ask();
  }

  #ask(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#isWaited) {
      // A little longer than the probe itself may take.
      const limit = (this.#spec.timeoutSeconds ?? 1) * second + millisecond;
      this.#guard = this.#owner.after(limit, () => {}, "foreground");
    }
    this.#asking = this.#owner.ask(this.#spec, (outcome) => this.#hear(outcome));
  }

  #hear(outcome: Outcome): void {
    this.#guard?.cancel();
    this.#asking = undefined;
    const changed = outcome.result !== "error" && this.#count(outcome.result !== "failure");
    this.#owner.heard(this.kind, outcome, changed);
    if (changed) this.#owner.changed(this.kind);
    // What happened since may have asked already, or stopped it.
    if (this.#asking || this.#earliest === undefined) return;
    if (this.#triggered) {
      this.#triggered = false;
      this.trigger();
    } else if (this.#owner.now < this.#next || this.#onHold) this.resume();
    else {
      // A tick that came meanwhile is not lost, but only one.
      const { now } = this.#owner;
      this.#next = this.#anchor + (Math.floor((now - this.#anchor) / this.#period) + 1) * this.#period;
      this.#ask();
    }
  }

  /** Whether a result changes what the worker says. */
  #count(good: boolean): boolean {
    if (this.#last === good) this.#run++;
    else {
      this.#last = good;
      this.#run = 1;
    }
    const { successThreshold = 1, failureThreshold = 3 } = this.#spec;
    if (this.#run < (good ? successThreshold : failureThreshold)) return false;
    const wasGood = this.good;
    this.good = good;
    if (this.kind !== "readiness" && (!good || this.kind === "startup")) {
      this.#onHold = true;
      this.#run = 0;
      return true;
    }
    return wasGood !== good;
  }
}
