/** Owns what is said of traffic when it is over: counts by kind, by pod and by phase, latencies, and every failure with its time. */
import { rfc3339 } from "../../api/time";
import { millisecond, second, type Time } from "../../sim/clock";
import { displayable } from "../display";
import { type Table, tableHtml, tableText } from "../table";
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

const right = { align: "right" } as const;

/** One line a phase and one for all; below it a line a kind of failure. */
function show(report: TrafficReport): TrafficReport {
  const { requests, name, rate, byPod } = report;
  const caption = [
    `${requests.toLocaleString("en-US")} requests ${name}, ${Number(rate.toFixed(2))} a second from ${clockTime(report.began)}`,
    `${Object.keys(byPod).length} pods answered`,
  ].join(" · ");
  const counts = countsTable(report);
  const failed = failuresTable(report);
  const heading = `${report.failed.toLocaleString("en-US")} failed`;
  const below = failed.rows.length > 0 ? [tableText(heading, failed)] : ["No request failed."];
  const text = (): string => [tableText(caption, counts), ...below].join("\n\n");
  const html = [
    tableHtml(caption, counts),
    failed.rows.length > 0 ? tableHtml(heading, failed) : "<p>No request failed.</p>",
  ];
  return displayable(report, () => ({ "text/html": html.join(""), "text/plain": text() }), text);
}

function countsTable(report: TrafficReport): Table {
  const parts: readonly (TrafficCounts & { readonly name: string })[] = [...report.phases, { ...report, name: "all" }];
  const rows = parts.map(({ name, requests, ok, failed, retried, latency }) => [
    name,
    ...[requests, ok, failed, retried].map(String),
    ...[latency?.p50, latency?.p99, latency?.max].map((time) => (time === undefined ? "" : milliseconds(time))),
  ]);
  const titles = ["requests", "ok", "failed", "retried", "p50", "p99", "slowest"];
  return { columns: [{ title: "phase" }, ...titles.map((title) => ({ title, ...right }))], rows };
}

function failuresTable({ failures, byKind: kinds }: TrafficReport): Table {
  const rows = Object.entries(kinds).map(([kind, count]) => {
    const those = failures.filter(({ result }) => result === kind);
    const [first, last] = [those[0], those.at(-1)];
    const pods = new Set(those.flatMap(({ pod }) => pod ?? [])).size;
    const sent = pods === 0 ? "" : pods === 1 ? (first?.pod ?? "1 pod") : `${pods} pods`;
    return [
      kind,
      `${count}`,
      first ? clockTime(first.at) : "",
      last ? clockTime(last.at) : "",
      sent,
      first?.message ?? "",
    ];
  });
  const titles = ["first", "last", "sent to", "what curl says"];
  return { columns: [{ title: "kind" }, { title: "requests", ...right }, ...titles.map((title) => ({ title }))], rows };
}

/** `12:00:03.250` */
function clockTime(time: Time): string {
  return `${rfc3339(time).slice(11, 19)}.${String(Math.floor((time % second) / millisecond)).padStart(3, "0")}`;
}

/** `0.8 ms`, `2000 ms`. */
function milliseconds(time: Time): string {
  return `${time < 100 * millisecond ? (time / millisecond).toFixed(1) : Math.round(time / millisecond)} ms`;
}
