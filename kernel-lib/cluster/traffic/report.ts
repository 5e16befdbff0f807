/** Owns what is said of traffic when it is over: counts by kind, by pod and by phase, latencies, and every failure with its time. */
import type { Time } from "../../sim/clock";
import type { FailureKind, TrafficOutcome } from "./outcome";

/** Times within which so many of the answered requests were answered, in microseconds; none were: undefined. */
export interface Latency {
  readonly p50: Time;
  readonly p90: Time;
  readonly p99: Time;
  readonly max: Time;
}

/** How many requests there were, and what became of them. */
export interface TrafficCounts {
  readonly requests: number;
  readonly ok: number;
  readonly failed: number;
  /** How many needed more than one try, whatever became of them. */
  readonly retried: number;
  /** Failures by kind; kinds that did not come up are left out. */
  readonly byKind: Readonly<Partial<Record<FailureKind, number>>>;
  /** Answered requests by pod, in the order in which pods first answered. */
  readonly byPod: Readonly<Record<string, number>>;
  readonly latency: Latency | undefined;
}

/** A moment that was named while traffic went on. */
export interface TrafficMark {
  readonly name: string;
  readonly at: Time;
}

/** The requests that began between two marks. */
export interface TrafficPhase extends TrafficCounts {
  readonly name: string;
  readonly from: Time;
  readonly to: Time;
}

/** Every request of one client, and what they come to; shows itself as a table. */
export interface TrafficReport extends TrafficCounts {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly rate: number;
  /** When it began, and when the last answer or failure was there. */
  readonly began: Time;
  readonly ended: Time;
  /** In the order in which they began. */
  readonly outcomes: readonly TrafficOutcome[];
  /** Those that failed for good, in the same order. */
  readonly failures: readonly TrafficOutcome[];
  /** Tries that failed, whether or not another one was answered, by kind. */
  readonly failedTries: Readonly<Partial<Record<FailureKind, number>>>;
  readonly marks: readonly TrafficMark[];
  /** None unless something was marked; the first one, up to the first mark, is `before`. */
  readonly phases: readonly TrafficPhase[];
  /** The colour of each of `byPod` in this cluster's pictures. */
  readonly colours: Readonly<Record<string, string>>;
}
