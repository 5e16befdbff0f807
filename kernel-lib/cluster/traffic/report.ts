/** Owns what is said of traffic when it is over: counts by kind, by pod and by phase, latencies, and every failure with its time. */
import { rfc3339 } from "../../api/time";
import { millisecond, second, type Time } from "../../sim/clock";
import { showAsTable } from "../table";
import type { CheckedTraffic } from "./options";
import type { FailureKind, TrafficOutcome } from "./outcome";
import { byKind, countsOf } from "./tally";

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

/** What there is to report of. */
export interface TrafficRun {
  readonly began: Time;
  readonly ended: Time;
  readonly outcomes: readonly TrafficOutcome[];
  readonly marks: readonly TrafficMark[];
}

/** @param colours of pods, in this cluster's pictures */
export function reportOf(
  { name, from, to, rate }: CheckedTraffic,
  run: TrafficRun,
  colours: (pods: readonly string[]) => Readonly<Record<string, string>>,
): TrafficReport {
  const { outcomes } = run;
  const counts = countsOf(outcomes);
  const tries = outcomes.flatMap((outcome) => [...(outcome.before ?? []), outcome]);
  const report: TrafficReport = {
    ...{ name, from, to, rate, ...run, ...counts },
    failures: outcomes.filter(({ result }) => result !== "ok"),
    failedTries: byKind(tries.flatMap(({ result }) => (result === "ok" ? [] : [result]))),
    phases: phasesOf(run),
    colours: colours(Object.keys(counts.byPod)),
  };
  return show(report);
}

/** A request belongs to the phase in which it began. */
function phasesOf({ began, ended, outcomes, marks }: TrafficRun): readonly TrafficPhase[] {
  const first = marks[0];
  if (!first) return [];
  const starts = first.at > began ? [{ name: "before", at: began }, ...marks] : marks;
  return starts.map(({ name, at }, index) => {
    const to = starts[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    const those = outcomes.filter((outcome) => outcome.at >= at && outcome.at < to);
    return { name, from: at, to: Math.min(to, ended), ...countsOf(those) };
  });
}

/** One line for all, one a phase; below them who answered, and the failures by kind with the time of the first and last. */
function show(report: TrafficReport): TrafficReport {
  const parts: readonly (TrafficCounts & { readonly name: string })[] = [...report.phases, { ...report, name: "all" }];
  const kinds = Object.keys(report.byKind) as FailureKind[];
  const number = { align: "right" } as const;
  const columns = [
    { title: "phase" },
    ...["requests", "ok", ...kinds, "retried", "p50", "p99", "slowest"].map((title) => ({ title, ...number })),
  ];
  const rows = parts.map(({ name, requests, ok, byKind: failed, retried, latency }) => [
    name,
    ...[requests, ok, ...kinds.map((kind) => failed[kind] ?? 0), retried].map(String),
    ...[latency?.p50, latency?.p99, latency?.max].map((time) => (time === undefined ? "" : milliseconds(time))),
  ]);
  return showAsTable(report, captionOf(report), { columns, rows });
}

function captionOf({ name, rate, began, ended, requests, byPod, failures }: TrafficReport): string {
  const time = `${Number(((ended - began) / second).toFixed(1))} s from ${clockTime(began)}`;
  const pods = Object.entries(byPod).map(([pod, count]) => `${pod} ${count}`);
  const first = failures[0];
  const last = failures.at(-1);
  return [
    `${requests.toLocaleString("en-US")} requests ${name} · ${Number(rate.toFixed(2))} a second · ${time}`,
    `answered by: ${pods.join(", ") || "nobody"}`,
    first && last
      ? `failed: ${failures.length}, the first at ${clockTime(first.at)}, the last at ${clockTime(last.at)}: ${first.message}`
      : "no request failed",
  ].join("\n");
}

/** `12:00:03.250` */
function clockTime(time: Time): string {
  return `${rfc3339(time).slice(11, 19)}.${String(Math.floor((time % second) / millisecond)).padStart(3, "0")}`;
}

/** `0.8 ms`, `2000 ms`. */
function milliseconds(time: Time): string {
  return `${time < 100 * millisecond ? (time / millisecond).toFixed(1) : Math.round(time / millisecond)} ms`;
}
