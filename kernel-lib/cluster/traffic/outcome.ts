/** Owns what may become of a request of the traffic, in one word and in the words of a real client. */
import type { Time } from "../../sim/clock";

/**
 * How a request failed.
 * `refused`, `reset`, `timeout`, `unreachable`: as connect() and recv() say it; `closed`: the server ended the connection
 * before the whole answer was there; `resolve`: the host's name has no address; `malformed`: the answer is no HTTP;
 * `5xx`: an answer with such a status.
 */
export type FailureKind = "refused" | "reset" | "closed" | "timeout" | "unreachable" | "resolve" | "malformed" | "5xx";

export const failureKinds: readonly FailureKind[] = [
  ...(["refused", "reset", "closed", "timeout", "unreachable", "resolve", "malformed", "5xx"] as const),
];

/** One try of a request: all but the last one have failed. */
export interface TrafficTry {
  readonly at: Time;
  readonly took: Time;
  readonly result: "ok" | FailureKind;
  /** While which part it failed: no connection came about, or there was one. */
  readonly during: "resolve" | "connect" | "exchange";
  /** The connection had been used before. */
  readonly reused: boolean;
  readonly status?: number;
  /** Which pod it went to, `default/web-…`: also one that refused, or never answered. */
  readonly pod?: string;
  /** Where it went, after all translation: `10.244.1.3:80`. */
  readonly endpoint?: string;
  /** What curl would say: `(7) Failed to connect …`. */
  readonly message?: string;
}

/** What became of one request: of its last try, with the time of all. */
export interface TrafficOutcome extends TrafficTry {
  /** From 1, in the order in which requests began. */
  readonly number: number;
  /** How many tries there were. */
  readonly attempts: number;
  /** The tries before the last one; none unless something was tried again. */
  readonly before?: readonly TrafficTry[];
}
