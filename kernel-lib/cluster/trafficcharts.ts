/** Owns the charts of traffic: what became of its requests over time, and how several runs compare in what failed. */
import { second, type Time } from "../sim/clock";
import { type Chart, drawn, frame } from "./chart";
import { grey } from "./palette";
import type { VegaLiteSpec } from "./svg";
import { type FailureKind, failureKinds } from "./traffic/outcome";
import type { TrafficReport } from "./traffic/report";

/** Each kind of failure has its colour and its shape, in all charts. */
const looks: Readonly<Record<FailureKind, { readonly colour: string; readonly shape: string }>> = {
  refused: { colour: "#D55E00", shape: "cross" },
  reset: { colour: "#CC79A7", shape: "diamond" },
  closed: { colour: "#E69F00", shape: "square" },
  timeout: { colour: "#56B4E9", shape: "triangle-down" },
  unreachable: { colour: "#009E73", shape: "triangle-up" },
  resolve: { colour: "#A6761D", shape: "triangle-left" },
  malformed: { colour: "#999999", shape: "triangle-right" },
  "5xx": { colour: "#B2182B", shape: "circle" },
};

const answeredColour = "#0072B2";

export interface TrafficChartOptions {
  readonly title?: string;
}

/** The part of time that a chart shows. */
export interface Window {
  /** Where its seconds are counted from. */
  readonly zero: Time;
  readonly from: Time;
  readonly to: Time;
  readonly width: number;
}

/**
 * Answered requests per second as bars, and below them each failed one in the lane of its kind; marks are labelled rules.
 * Seconds are counted from the first mark, or from the beginning where nothing was marked.
 */
export async function traffic(report: TrafficReport, options: TrafficChartOptions = {}): Promise<Chart> {
  const { name, requests, ok, began, marks, rate } = report;
  const zero = marks[0]?.at ?? began;
  const to = Math.max(began + second, ...report.outcomes.map(({ at }) => at));
  const title = options.title ?? `${requests.toLocaleString("en-US")} requests: ${failedText(report)}`;
  const since = marks[0] ? `since ${marks[0].name}` : "since the beginning";
  const told = [
    `${ok} of ${requests} answered, ${Number(rate.toFixed(2))} a second`,
    ...report.phases.map((phase) => `${phase.name}: ${phase.requests} requests, ${failedText(phase)}`),
    ...lastFailures(report, zero),
  ];
  const window = { zero, from: began, to, width: 480 };
  const spec = {
    ...frame(title, `${name}, ${Number(rate.toFixed(2))} a second`, `${title}. ${told.join("; ")}.`),
    vconcat: trafficPanels(report, window, `seconds ${since}`),
    spacing: 4,
  };
  return drawn(spec, [title, ...told.map((line) => `  ${line}`)].join("\n"));
}

/** `no request failed`, `23 failed: refused 19, timeout 4`. */
export function failedText({ failed, byKind }: Pick<TrafficReport, "failed" | "byKind">): string {
  if (failed === 0) return "no request failed";
  return `${failed.toLocaleString("en-US")} failed: ${kindsText(byKind)}`;
}

/** `answered by web-1 35, web-2 665`; of many pods only how many. */
export function answeredText({ byPod }: Pick<TrafficReport, "byPod">): string {
  const pods = Object.entries(byPod);
  if (pods.length > tellableAnswerers) return `answered by ${pods.length} pods`;
  return pods.length === 0 ? "nobody answered" : `answered by ${kindsText(byPod)}`;
}

function kindsText(byKind: Readonly<Record<string, number | undefined>>): string {
  return Object.entries(byKind)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(", ");
}

/** `refused from 2.1 s to 4.0 s`. */
function lastFailures({ failures, byKind }: TrafficReport, zero: Time): readonly string[] {
  return Object.keys(byKind).map((kind) => {
    const times = failures.flatMap(({ result, at }) => (result === kind ? [secondsOf(at, zero)] : []));
    return `${kind} from ${times[0]} s to ${times.at(-1)} s`;
  });
}

function secondsOf(at: Time, zero: Time): number {
  return Math.round((at - zero) / 1_000) / 1_000;
}

/** Widths of bars, in seconds. */
const binWidths = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300, 1_800];

/**
 * The two panels; to be put below one another.
 * @param axis the title of the time axis
 * @param colours of the pods that answered, in their order, where those of the cluster would mean something else
 */
export function trafficPanels(
  report: TrafficReport,
  window: Window,
  axis: string,
  colours: readonly string[] = Object.keys(report.byPod).map((pod) => report.colours[pod] ?? answeredColour),
): readonly VegaLiteSpec[] {
  const kinds = failureKinds.filter((kind) => report.byKind[kind]);
  const { zero, from, to, width } = window;
  const domain = [secondsOf(from, zero), secondsOf(to, zero)];
  const scale = { domain, nice: false, clamp: true };
  const x = { field: "s", type: "quantitative", scale, title: axis, axis: { grid: false, tickCount: 8 } };
  const bare = { ...x, title: null, axis: { grid: false, labels: false, ticks: false } };
  const answered = {
    width,
    height: 84,
    layer: [answeredBars(report, window, bare, colours), ...markRules(report, window, bare)],
  };
  if (kinds.length === 0) {
    const last = { ...answered, layer: [answeredBars(report, window, x, colours), ...markRules(report, window, x)] };
    return [last];
  }
  const values = report.failures.flatMap(({ at, result, pod, message, attempts }) => {
    return at < from || at > to ? [] : [{ s: secondsOf(at, zero), kind: result, pod: pod ?? "", message, attempts }];
  });
  const counts = kinds.map((kind) => ({ kind, label: `${kind} ${report.byKind[kind]}` }));
  const failed = {
    width,
    height: { step: 20 },
    layer: [
      {
        data: { values },
        mark: { type: "point", filled: true, size: 55, opacity: 0.85 },
        encoding: {
          x,
          y: laneAxis(kinds, counts),
          shape: {
            field: "kind",
            type: "nominal",
            scale: { domain: kinds, range: kinds.map((kind) => looks[kind].shape) },
            legend: null,
          },
          fill: {
            field: "kind",
            type: "nominal",
            scale: { domain: kinds, range: kinds.map((kind) => looks[kind].colour) },
            legend: null,
          },
          tooltip: [
            { field: "s", type: "quantitative", title: "s" },
            { field: "kind", title: "failed" },
            { field: "message", title: "curl says" },
            { field: "pod", title: "sent to" },
            { field: "attempts", type: "quantitative", title: "tries" },
          ],
        },
      },
      ...markRules(report, window, x).slice(0, 1),
    ],
  };
  return [answered, failed];
}

/** Lanes with the count of each kind beside its name. */
function laneAxis(kinds: readonly FailureKind[], counts: readonly { kind: string; label: string }[]): VegaLiteSpec {
  const labels = counts.map(({ kind, label }) => `datum.value === '${kind}' ? '${label}'`).join(" : ");
  return {
    field: "kind",
    type: "nominal",
    sort: kinds,
    scale: { domain: kinds },
    title: null,
    axis: { labelExpr: `${labels} : datum.value`, grid: true, labelLimit: 180 },
  };
}

/** Up to so many pods each have their own part of a bar; of more, nobody could follow one. */
const tellableAnswerers = 4;

/** So wide that each bar stands for some requests, and, where it can be, for equally many. */
function binWidth(span: number, rate: number): number {
  const few = binWidths.filter((each) => span / each <= 75);
  const even = (each: number): boolean => Math.abs(each * rate - Math.round(each * rate)) < 1e-9;
  return few.find((each) => each * rate >= 1 && even(each)) ?? few.find((each) => each * rate >= 2) ?? 3_600;
}

/** Answered requests a second, by pod: one bar above the other. */
function answeredBars(
  report: TrafficReport,
  { zero, from, to }: Window,
  x: VegaLiteSpec,
  colours: readonly string[],
): VegaLiteSpec {
  const bin = binWidth((to - from) / second, report.rate);
  const pods = Object.keys(report.byPod);
  const known = report.outcomes.every(({ result, pod }) => result !== "ok" || pod !== undefined);
  const names = known && pods.length <= tellableAnswerers ? pods : ["all pods"];
  const counts = new Map<number, Map<string, number>>();
  for (const { at, result, pod } of report.outcomes) {
    if (at < from || at > to || result !== "ok") continue;
    const start = Math.floor((at - zero) / (bin * second));
    const those = counts.get(start) ?? new Map<string, number>();
    const name = names === pods && pod !== undefined ? pod : (names[0] ?? "");
    those.set(name, (those.get(name) ?? 0) + 1);
    counts.set(start, those);
  }
  const tidy = (value: number): number => Number(value.toFixed(3));
  const values = [...counts].flatMap(([start, those]) => {
    let low = 0;
    return names.flatMap((pod) => {
      const count = those.get(pod) ?? 0;
      const [bottom, top] = [low, low + count];
      low = top;
      const [s, end, answered] = [start * bin, (start + 1) * bin, count / bin].map(tidy);
      return count === 0 ? [] : [{ s, to: end, pod, answered, low: tidy(bottom / bin), high: tidy(top / bin) }];
    });
  });
  const most = Math.max(report.rate, ...values.map(({ high }) => high));
  const y = { field: "low", type: "quantitative", scale: { domain: [0, most], nice: true } };
  const range = names.map((_, at) => (names === pods ? colours[at] : undefined) ?? answeredColour);
  const columns = Math.max(...names.map((name) => name.length)) > 24 ? 1 : 2;
  const text = { titleColor: grey, labelColor: grey, labelLimit: 300 };
  const legend = { title: "requests answered by", orient: "top", columns, ...text };
  return {
    data: { values },
    mark: { type: "rect", opacity: 0.85 },
    encoding: {
      x,
      x2: { field: "to" },
      y: { ...y, title: "answered per s", axis: { tickCount: 3, titleFontSize: 10, format: "~s" } },
      y2: { field: "high" },
      color: {
        ...{ field: "pod", type: "nominal", scale: { domain: names, range } },
        legend: names === pods ? legend : null,
      },
      tooltip: [
        { field: "pod", title: "answered by" },
        { field: "answered", type: "quantitative", title: "per s" },
        { field: "s", type: "quantitative", title: "from s" },
        { field: "to", type: "quantitative", title: "to s" },
      ],
    },
  };
}

/** The marks: a rule each, and its name at the top. */
function markRules(report: TrafficReport, window: Window, x: VegaLiteSpec): readonly VegaLiteSpec[] {
  const values = markLabels(report, window);
  if (values.length === 0) return [];
  return [
    {
      data: { values },
      mark: { type: "rule", color: grey, strokeDash: [4, 3], strokeWidth: 1.5, opacity: 1 },
      encoding: { x },
    },
    ...[...new Set(values.map(({ side }) => side))].map((align) => ({
      data: { values: values.filter(({ side }) => side === align) },
      mark: {
        type: "text",
        align,
        baseline: "bottom",
        dx: align === "left" ? -2 : 2,
        dy: -3,
        color: grey,
        fontSize: 10,
      },
      encoding: { x, y: { value: 0 }, text: { field: "name" } },
    })),
  ];
}

interface MarkLabel {
  readonly s: number;
  readonly name: string;
  /** Where its rule is. */
  readonly side: "left" | "right";
}

/** A name begins at its rule; where it would run into the next one it ends there instead, if there is room. */
function markLabels({ marks }: TrafficReport, { zero, from, to, width }: Window): readonly MarkLabel[] {
  const seen = marks.filter(({ at }) => at >= from && at <= to);
  const pixel = (at: Time): number => ((at - from) / (to - from)) * width;
  const length = (name: string): number => name.length * 5.4 + 6;
  let free = 0;
  return seen.map(({ name, at }, index) => {
    const [here, next] = [pixel(at), seen[index + 1]];
    const collides = next !== undefined && here + length(name) > pixel(next.at);
    const side = collides && here - length(name) >= free ? "right" : "left";
    free = side === "right" ? here : here + length(name);
    return { s: secondsOf(at, zero), name, side };
  });
}

/** Runs to be compared, by what tells them apart: `{ "no preStop": report, … }`. */
export type ReportsByName = Readonly<Record<string, TrafficReport>>;

/**
 * Failed requests of several runs by kind, as bars with their counts: what is lost when one part of a recipe is missing.
 * @throws Error if there is no run
 */
export async function failures(reports: ReportsByName, options: TrafficChartOptions = {}): Promise<Chart> {
  const runs = Object.entries(reports);
  if (runs.length === 0) throw new Error("failures: there is no run to draw");
  const kinds = failureKinds.filter((kind) => runs.some(([, { byKind }]) => byKind[kind]));
  const title = options.title ?? "Failed requests by what is missing";
  const told = runs.map(([name, report]) => {
    return `${name}: ${failedText(report)}, of ${report.requests.toLocaleString("en-US")} requests`;
  });
  const values = runs.flatMap(([run, { byKind }]) => {
    return kinds.flatMap((kind, order) => (byKind[kind] ? [{ run, kind, order, count: byKind[kind] }] : []));
  });
  const totals = runs.map(([run, { failed, byKind }]) => ({
    run,
    failed,
    label: failed === 0 ? "0" : kindsText(byKind),
  }));
  const longest = Math.max(...runs.map(([name]) => name.length));
  const labels = Math.min(240, Math.ceil(longest * 6.6) + 10);
  // Room behind the longest bar for its words.
  const most = Math.max(1, ...totals.map(({ failed }) => failed));
  const words = Math.max(...totals.map(({ label }) => label.length)) * 5.6 + 14;
  const width = 540 - labels;
  const x = {
    field: "count",
    type: "quantitative",
    title: "failed requests",
    scale: { domain: [0, most / Math.max(0.35, 1 - words / width)], nice: false },
    axis: { tickMinStep: 1, tickCount: 5 },
  };
  const y = { field: "run", type: "nominal", sort: null, title: null, scale: { domain: runs.map(([run]) => run) } };
  const legend = { title: null, orient: "bottom", labelColor: grey, columns: 6 };
  const spec = {
    ...frame(
      title,
      `of ${spanText(runs.map(([, { requests }]) => requests))} requests each`,
      `${title}: ${told.join("; ")}.`,
    ),
    width,
    height: { step: 28 },
    layer: [
      {
        data: { values },
        mark: { type: "bar", height: 17, tooltip: true, stroke: grey, strokeWidth: 0.5 },
        encoding: {
          ...{ x, y: { ...y, axis: { labelLimit: Math.ceil(labels * 1.4) } } },
          color: {
            field: "kind",
            type: "nominal",
            scale: { domain: kinds, range: kinds.map((kind) => looks[kind].colour) },
            legend,
          },
          order: { field: "order", type: "quantitative" },
        },
      },
      {
        data: { values: totals },
        mark: { type: "text", align: "left", baseline: "middle", dx: 6, color: grey, fontSize: 11 },
        encoding: { x: { ...x, field: "failed" }, y, text: { field: "label" } },
      },
    ],
  };
  return drawn(spec, [title, ...told.map((line) => `  ${line}`)].join("\n"));
}

/** `3,000`, `2,990 to 3,000`. */
function spanText(numbers: readonly number[]): string {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)].map((each) => each.toLocaleString("en-US"));
  return least === most ? `${least}` : `${least} to ${most}`;
}
