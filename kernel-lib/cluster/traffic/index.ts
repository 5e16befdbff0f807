/** Owns the door of traffic: an open-loop client that runs along in virtual time while commands run. */
export type { KeepAlive, RetryOn, TrafficOptions } from "./options";
export type { FailureKind, TrafficOutcome, TrafficTry } from "./outcome";
export type { Latency, TrafficCounts, TrafficMark, TrafficPhase, TrafficReport } from "./report";
export { startTraffic, type Traffic, type TrafficGround } from "./traffic";
