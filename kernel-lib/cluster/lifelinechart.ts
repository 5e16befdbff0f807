/** Owns the chart of how pods end: one time axis, one lane an actor, states as bars and moments as marks. */
import { second, type Time } from "../sim/clock";
import { type Chart, drawn, frame } from "./chart";
import type { Actor, Lifeline, LifeMoment, LifeSpan, PodLife } from "./lifeline/lifeline";
import { secondsSince } from "./lifeline/objects";
import { actorName, actorOrder, endedPods, fewPods, shortName, zeroOf } from "./lifeline/show";
import { grey } from "./palette";
import type { VegaLiteSpec } from "./svg";
import type { TrafficReport } from "./traffic/report";
import { answeredText, failedText, trafficPanels, type Window } from "./trafficcharts";

export interface LifelineChartOptions {
  readonly title?: string;
  /** What became of a client's requests meanwhile, on the same axis. */
  readonly traffic?: TrafficReport;
  /** Which pods, by name: those that ended, at most four, unless given. */
  readonly pods?: readonly string[];
  /** The first and the last second that is shown; seconds count from the first deletion (of these pods, if named). */
  readonly from?: number;
  readonly to?: number;
}

/** What states there are: each with its colour, and what stands in a bar of it in black or white. */
const groups = [
  { group: "in service", colour: "#0072B2", text: "#ffffff" },
  { group: "ending", colour: "#E69F00", text: "#000000" },
  { group: "a hook runs", colour: "#CC79A7", text: "#000000" },
  { group: "not ready", colour: "#888888", text: "#000000" },
] as const;

type Group = (typeof groups)[number]["group"];

/** What moments there are, with their colours and shapes. */
const kinds = [
  { what: "deletion", colour: "#009E73", shape: "square", kinds: ["API"] },
  { what: "signal", colour: "#D55E00", shape: "triangle-down", kinds: ["signal"] },
  { what: "hook cut off or failed", colour: "#CC79A7", shape: "diamond", kinds: ["hook"] },
  { what: "probe", colour: "#56B4E9", shape: "triangle-up", kinds: ["probe"] },
  { what: "container ends", colour: "#D55E00", shape: "cross", kinds: ["container"] },
  { what: "health check", colour: "#56B4E9", shape: "circle", kinds: ["proxy"] },
] as const;

type Kind = (typeof kinds)[number];

/** Of pods that answered a client, in the order in which they first did: none of them stands for a state. */
const answererColours = ["#009E73", "#56B4E9", "#A6761D", "#F0E442"];

const width = 400;

/**
 * Who was in which state when, one panel a pod, and the client's requests below; what was recorded by
 * `cluster.lifeline()`.
 * @throws Error if a pod is named that is none of the record, or there is nothing to draw
 */
export async function lifeline(record: Lifeline, options: LifelineChartOptions = {}): Promise<Chart> {
  const { traffic } = options;
  const pods = chosenPods(record, options.pods);
  const zero = zeroOf(options.pods ? { ...record, pods } : record);
  const window = windowOf(record, pods, zero.at, options);
  const names = pods.map(({ pod }) => shortName(pod)).join(", ");
  const title = options.title ?? `How ${pods.length === 1 ? `pod ${names} ends` : `${pods.length} pods end`}`;
  const left = record.pods.length - pods.length;
  const more = left > 0 ? ` · ${left} more ${left === 1 ? "pod" : "pods"} in the record` : "";
  const told = pods.flatMap((life) => toldOf(life, zero.at));
  const used = usedKinds(pods, window);
  const axis = `seconds ${zero.what}`;
  const panels = pods.map((life, at) => podPanel(life, window, used, at === pods.length - 1 && !traffic ? axis : null));
  const client = traffic ? [clientPanels(traffic, trafficPanels(traffic, window, axis, answererColours))] : [];
  const heard = traffic ? ` Client: ${failedText(traffic)}, ${answeredText(traffic)}.` : "";
  const head = frame(title, `bars: states, by actor · marks: moments${more}`, `${title}. ${told.join("; ")}.${heard}`);
  const spec = {
    ...head,
    vconcat: [{ vconcat: panels, spacing: 10 }, ...client],
    spacing: 10,
    // The client's kinds of failure are no kinds of moments.
    resolve: { scale: { color: "independent", shape: "independent", fill: "independent" } },
  };
  const lines = [...told, ...(traffic ? [`client: ${failedText(traffic)}, ${answeredText(traffic)}`] : [])];
  return drawn(spec, [title, ...lines.map((line) => `  ${line}`)].join("\n"));
}

function chosenPods(record: Lifeline, names: readonly string[] | undefined): readonly PodLife[] {
  const pods = names
    ? names.map((name) => {
        const found = record.pods.find(({ pod }) => pod === name || shortName(pod) === name);
        if (!found) throw new Error(`lifeline: ${JSON.stringify(name)} is no pod of this record`);
        return found;
      })
    : endedPods(record).slice(0, fewPods);
  if (pods.length === 0) throw new Error("lifeline: there is no pod to draw");
  return pods;
}

/** All of the record that is of interest: a little before the first thing that happened, a little after the last one. */
function windowOf(record: Lifeline, pods: readonly PodLife[], zero: Time, options: LifelineChartOptions): Window {
  const times = pods.flatMap(({ spans, moments }) => [
    ...moments.map(({ at }) => at),
    ...spans.flatMap(({ from, to }) => (to === undefined ? [from] : [from, to])),
  ]);
  const begins = Math.max(record.began, Math.min(...times, zero));
  const ends = Math.max(...times, zero + second);
  const some = Math.max(second / 2, (ends - begins) * 0.04);
  const first = Math.min(zero, ...pods.flatMap(({ deleted }) => deleted ?? []));
  const from = options.from === undefined ? Math.max(record.began, first - some) : zero + options.from * second;
  const to = options.to === undefined ? ends + some : zero + options.to * second;
  if (!(to > from)) throw new Error(`lifeline: from ${options.from} to ${options.to} is no span of time`);
  return { zero, from, to, width };
}

/** One lane for all hooks of a pod's containers. */
function laneOf(actor: Actor): string {
  return actorName(actor.startsWith("kubelet/") ? "kubelet" : actor);
}

/** Signals have a lane of their own, for their names stand beside their marks. */
function laneOfMoment({ actor, kind }: LifeMoment): string {
  return kind === "signal" ? "signals" : laneOf(actor);
}

function groupOf({ actor, state }: LifeSpan): Group {
  if (actor.startsWith("kubelet/")) return "a hook runs";
  if (state === "Terminating" || /serving, terminating|\(terminating\)/.test(state)) return "ending";
  return /^(Running|True|running|ready|sends)/.test(state) ? "in service" : "not ready";
}

/** What happened to one pod, in words. */
function toldOf({ pod, spans, moments }: PodLife, zero: Time): readonly string[] {
  const name = shortName(pod);
  const signals = moments.filter(({ kind }) => kind === "signal" || kind === "API");
  const happened = signals.map(({ at, what }) => `${secondsSince(zero, at)} s ${what}`);
  const lasting = spans
    .filter(({ to, actor }) => to !== undefined && /^(endpoint|kube-proxy|kubelet)/.test(actor))
    .map(
      ({ actor, state, from, to = from }) =>
        `${laneOf(actor)} ${state} ${secondsSince(zero, from)}–${secondsSince(zero, to)} s`,
    );
  return [`${name}: ${happened.join(", ") || "nothing happened"}`, ...lasting.map((text) => `${name}: ${text}`)];
}

function podPanel(life: PodLife, window: Window, used: readonly Kind[], axis: string | null): VegaLiteSpec {
  const { zero, from, to } = window;
  const actors = [...new Set([...life.spans, ...life.moments].map(({ actor }) => actor))].sort(actorOrder);
  const signals = shownOf(life, window).some(({ kind }) => kind === "signal") ? ["signals"] : [];
  const lanes = [...new Set(actors.flatMap((actor) => [laneOf(actor), ...(actor === "kubelet" ? signals : [])]))];
  const seconds = (at: Time): number => secondsSince(zero, Math.min(to, Math.max(from, at)));
  const bars = life.spans
    .filter((span) => span.from < to && (span.to ?? to) > from)
    .map((span) => {
      const [begin, end] = [seconds(span.from), seconds(span.to ?? to)];
      const group = groupOf(span);
      const room = ((end - begin) * second * width) / (to - from);
      const label = room > span.state.length * 5.4 + 12 ? span.state : "";
      return { lane: laneOf(span.actor), state: span.state, group, begin, end, label };
    });
  const domain = [secondsSince(zero, from), secondsSince(zero, to)];
  const ticks = axis === null ? { labels: false, ticks: false } : { tickCount: 8 };
  const x = {
    ...{ field: "begin", type: "quantitative", title: axis },
    ...{ scale: { domain, nice: false, clamp: true }, axis: { grid: true, ...ticks } },
  };
  const y = {
    field: "lane",
    type: "nominal",
    sort: lanes,
    scale: { domain: lanes },
    title: null,
    axis: { labelLimit: 300 },
  };
  return {
    title: {
      text: `${shortName(life.pod)}${life.node ? ` on ${life.node}` : ""}`,
      anchor: "start",
      color: grey,
      fontSize: 11,
    },
    width,
    height: { step: 17 },
    layer: [...barLayers(bars, x, y), ...momentLayers(life, window, used, x, y)],
  };
}

function barLayers(bars: readonly object[], x: VegaLiteSpec, y: VegaLiteSpec): readonly VegaLiteSpec[] {
  // At another side than that of the moments: side by side the two would be wider than a notebook.
  const legend = { title: null, orient: "top", labelColor: grey, labelLimit: 300, columns: 4 };
  const domain = groups.map(({ group }) => group);
  return [
    {
      data: { values: bars },
      mark: { type: "bar", height: 12, opacity: 0.95 },
      encoding: {
        ...{ x, y, x2: { field: "end" } },
        color: {
          field: "group",
          type: "nominal",
          scale: { domain, range: groups.map(({ colour }) => colour) },
          legend,
        },
        tooltip: [
          { field: "lane", title: "who" },
          { field: "state", title: "state" },
          { field: "begin", type: "quantitative", title: "from s" },
          { field: "end", type: "quantitative", title: "to s" },
        ],
      },
    },
    ...groups.map(({ group, text }) => ({
      data: { values: bars.filter((bar) => (bar as { group: Group }).group === group) },
      mark: { type: "text", align: "left", baseline: "middle", dx: 8, fontSize: 10, color: text },
      encoding: { x, y, text: { field: "label" } },
    })),
  ];
}

/** Those that no bar shows: what a hook began and ended is seen by its bar. */
function isDrawn({ kind, what }: LifeMoment): boolean {
  if (kind === "API") return !what.startsWith("phase ");
  if (kind === "hook") return !/ (begun|ended)$/.test(what);
  if (kind === "probe") return what.includes("(counts as");
  return kind !== "container" || what.startsWith("ended");
}

/** The moments of a pod that the chart shows. */
function shownOf({ moments }: PodLife, { from, to }: Window): readonly LifeMoment[] {
  return moments.filter((moment) => moment.at >= from && moment.at <= to && isDrawn(moment));
}

/** Which kinds of moments some pods have: one legend for all. */
function usedKinds(pods: readonly PodLife[], window: Window): readonly Kind[] {
  const found = new Set<string>(pods.flatMap((life) => shownOf(life, window).map(({ kind }) => kind)));
  return kinds.filter((each) => each.kinds.some((kind) => found.has(kind)));
}

function momentLayers(
  life: PodLife,
  window: Window,
  used: readonly Kind[],
  x: VegaLiteSpec,
  y: VegaLiteSpec,
): readonly VegaLiteSpec[] {
  const { zero, from, to } = window;
  const shown = shownOf(life, window);
  const order = (kind: string): number => kinds.findIndex((each) => (each.kinds as readonly string[]).includes(kind));
  // At one moment the deletion lies below what it brings about: a hook that fails at once is seen.
  const below = [...shown].sort((one, other) => order(one.kind) - order(other.kind));
  const values = below.map((moment) => {
    const { kind, what } = moment;
    const lane = laneOfMoment(moment);
    return { lane, begin: secondsSince(zero, moment.at), mark: kinds[order(kind)]?.what ?? kind, what };
  });
  if (values.length === 0) return [];
  const domain = used.map(({ what }) => what);
  const legend = { title: null, orient: "bottom", labelColor: grey, labelLimit: 300, columns: 3 };
  const signals = values.filter(({ mark }) => mark === "signal");
  const middle = (from + to) / 2;
  const side = (align: "left" | "right"): VegaLiteSpec => ({
    data: { values: signals.filter(({ begin }) => (zero + begin * second > middle ? "right" : "left") === align) },
    mark: { type: "text", align, baseline: "middle", dx: align === "left" ? 8 : -8, fontSize: 10, color: grey },
    encoding: { x, y, text: { field: "what" } },
  });
  return [
    {
      data: { values },
      mark: { type: "point", filled: true, size: 60, opacity: 1, stroke: "#ffffff", strokeWidth: 0.7 },
      encoding: {
        ...{ x, y },
        // Without this, Vega-Lite draws them in the reversed order of the legend.
        order: { value: null },
        shape: { field: "mark", type: "nominal", scale: { domain, range: used.map(({ shape }) => shape) }, legend },
        fill: { field: "mark", type: "nominal", scale: { domain, range: used.map(({ colour }) => colour) }, legend },
        tooltip: [
          { field: "lane", title: "who" },
          { field: "what", title: "what" },
          { field: "begin", type: "quantitative", title: "at s" },
        ],
      },
    },
    side("left"),
    side("right"),
  ];
}

/** The client's panels under one heading. */
function clientPanels(report: TrafficReport, panels: readonly VegaLiteSpec[]): VegaLiteSpec {
  const text = `client: ${failedText(report)}`;
  const offset = report.marks.length > 0 ? 16 : 6;
  const [first, ...rest] = panels;
  const title = { text, anchor: "start", color: grey, fontSize: 11, offset };
  return { vconcat: [{ ...first, title }, ...rest], spacing: 4 };
}
