/** Owns the door of traffic: an open-loop client that runs along in virtual time while commands run. */
export type { KeepAlive, RetryOn, TrafficOptions } from "./options";
export type { FailureKind, TrafficOutcome, TrafficTry } from "./outcome";
export type { Latency, TrafficCounts, TrafficMark, TrafficPhase, TrafficReport } from "./report";

import type { TrafficReport } from "./report";

/** Requests that go on in the background of whatever else happens. */
export interface Traffic {
  readonly name: string;
  /** Names this moment: a phase of that name begins, and ends at the next mark. @throws Error if it is over */
  mark(name: string): void;
  /** Begins no more requests; those under way go on to their end. */
  stop(): void;
  /** Whether every request has its outcome. */
  readonly over: boolean;
  /** What has become of the requests so far. */
  report(): TrafficReport;
  /** Lets time pass until it is over. */
  finished(): Promise<TrafficReport>;
}
