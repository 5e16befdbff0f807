/** Owns the charts of load: how requests spread over the pods, and in which order the pods were picked. */
import { bars } from "./bars";
import { type Chart, drawn, frame } from "./chart";
import { chiSquareText } from "./chisquare";
import { growth } from "./growth";
import { lifeline } from "./lifelinechart";
import { type Load, labelOf, probabilityOf } from "./load";
import { grey } from "./palette";
import type { VegaLiteSpec } from "./svg";
import { timeline } from "./timeline";
import { failures, traffic } from "./trafficcharts";

export interface DistributionOptions {
  readonly title?: string;
}

export interface OrderOptions {
  readonly title?: string;
  /** How many of the first requests are shown; 60 unless given. */
  readonly first?: number;
}

/** The charts by name. */
export const chart = { bars, distribution, failures, growth, lifeline, order, timeline, traffic };

/** Loads to be seen side by side, by what tells them apart: `{ iptables, nftables, ipvs }`. */
export type LoadsByName = Readonly<Record<string, Load>>;

/** Bars of requests by pod, with a rule where the probabilities of the rules put each; one panel a load. */
export async function distribution(loads: Load | LoadsByName, options: DistributionOptions = {}): Promise<Chart> {
  const panels = panelsOf(loads);
  const labels = labelsOf(panels);
  const [first] = panels;
  if (!first) throw new Error("distribution: there is no load to draw");
  const told = panels.map(({ name, load }) => toldOf(name, load));
  const pods = labels.length === 1 ? "1 pod" : `${labels.length} pods`;
  const title = options.title ?? `${first.load.outcomes.length.toLocaleString("en-US")} requests over ${pods}`;
  const head = frame(
    title,
    "bars: observed · grey rule: what the rules' probabilities predict",
    `${title}: ${told.flat().join(", ")}.`,
  );
  const text = [title, ...told.flatMap((lines) => lines.map((line) => `  ${line}`))].join("\n");
  if (panels.length === 1) return drawn({ ...head, ...podBars(first.load, labels, 400, 36, true) }, text);
  const spacing = 26;
  const width = Math.floor((460 - spacing * (panels.length - 1)) / panels.length);
  const hconcat = panels.map(({ name, load }, at) => {
    const test = load.chiSquare && chiSquareText(load.chiSquare).split(" with ")[0];
    const chance = load.chiSquare && `p ${pText(load.chiSquare.p)}`;
    const subtitle = [test, chance].filter(Boolean).join(", ");
    const words = { text: name, subtitle, anchor: "start", color: grey, subtitleColor: grey, fontSize: 11 };
    return { title: words, ...podBars(load, labels, width, 26, at === 0) };
  });
  return drawn({ ...head, hconcat, bounds: "flush", spacing }, text);
}

function panelsOf(loads: Load | LoadsByName): readonly { readonly name: string; readonly load: Load }[] {
  if (isLoad(loads)) return [{ name: "", load: loads }];
  // A pod has one colour in all panels, also where a load knows nothing of it.
  const colours = Object.assign({}, ...Object.values(loads).map((load) => load.colours)) as Load["colours"];
  return Object.entries(loads).map(([name, load]) => ({ name, load: { ...load, colours } }));
}

/** Of one load as it has them; of several by name, for each has its own order. */
function labelsOf(panels: readonly { readonly load: Load }[]): readonly string[] {
  const labels = [...new Set(panels.flatMap(({ load }) => Object.keys(load.byPod)))];
  return panels.length > 1 ? labels.sort() : labels;
}

function isLoad(loads: Load | LoadsByName): loads is Load {
  return Array.isArray((loads as Load).outcomes);
}

function toldOf(name: string, load: Load): readonly string[] {
  const of = name === "" ? "" : `${name}: `;
  const counts = Object.entries(load.byPod).map(([pod, count]) => {
    const expected = probabilityOf(load.expected, pod) * load.outcomes.length;
    return `${of}${pod} ${count} (expected ${expected.toFixed(1)})`;
  });
  return load.chiSquare ? [...counts, `${of}${chiSquareText(load.chiSquare)}`] : counts;
}

function pText(p: number): string {
  return p < 0.0001 ? "< 0.0001" : p > 0.9999 ? "> 0.9999" : p.toPrecision(2);
}

/** One panel. @param leads it has the names of the pods */
function podBars(load: Load, labels: readonly string[], width: number, step: number, leads: boolean): VegaLiteSpec {
  const total = load.outcomes.length;
  const values = labels.map((pod) => {
    const expected = Number((probabilityOf(load.expected, pod) * total).toFixed(3));
    return { pod, requests: load.byPod[pod] ?? 0, expected };
  });
  const y = { field: "pod", type: "nominal", sort: null, title: null, ...(!leads && { axis: null }) };
  const ticks = leads && width > 300 ? {} : { axis: { tickCount: 3, format: "~s" } };
  // Room behind the longest bar for its number.
  const most = Math.max(1, ...values.map(({ requests, expected }) => Math.max(requests, expected)));
  const scale = width > 300 ? {} : { scale: { domain: [0, most * 1.35], nice: false } };
  return {
    width,
    height: { step },
    data: { values },
    encoding: { y },
    layer: [
      {
        mark: { type: "bar", tooltip: true, height: step * 0.61 },
        encoding: {
          x: { field: "requests", type: "quantitative", title: "requests", ...ticks, ...scale },
          color: colour(load, labels),
        },
      },
      {
        mark: { type: "tick", color: grey, opacity: 1, thickness: 3, size: step - 4, tooltip: true },
        encoding: { x: { field: "expected", type: "quantitative" } },
      },
      {
        mark: { type: "text", align: "left", baseline: "middle", dx: 8, color: grey },
        encoding: {
          x: { field: "furthest", type: "quantitative" },
          text: { field: "requests", type: "quantitative", format: "," },
        },
        transform: [{ calculate: "max(datum.requests, datum.expected)", as: "furthest" }],
      },
    ],
  };
}

/** One mark a request, in the order in which they were made, each in the lane of the pod that answered; one strip a load. */
export async function order(loads: Load | LoadsByName, options: OrderOptions = {}): Promise<Chart> {
  const panels = panelsOf(loads);
  const [first] = panels;
  if (!first) throw new Error("order: there is no load to draw");
  const labels = labelsOf(panels);
  const letters = labels.map((pod, at) => [pod, String.fromCharCode(65 + at)] as const);
  const strips = panels.map(({ name, load }) => {
    const picks = load.outcomes.slice(0, options.first ?? 60).map((outcome, at) => {
      return { request: at + 1, pod: outcome.result === "answered" ? labelOf(outcome.name ?? "") : outcome.result };
    });
    const sequence = picks.map(({ pod }) => letters.find(([label]) => label === pod)?.[1] ?? "?").join("");
    return { name, load, picks, sequence };
  });
  const count = Math.max(...strips.map(({ picks }) => picks.length));
  const title = options.title ?? `Who answered: the first ${count} requests in order`;
  const legend = letters.map(([pod, letter]) => `${letter} = ${pod}`).join(", ");
  const told = strips.map(({ name, sequence }) => (name === "" ? sequence : `${name}: ${sequence}`));
  const head = frame(title, "one mark a request, from left to right", `${title}: ${told.join("; ")}, where ${legend}.`);
  const text = [title, ...told.map((line) => `  ${line}`), `  ${legend}`].join("\n");
  if (panels.length === 1)
    return drawn({ ...head, ...strip(first.load, strips[0]?.picks ?? [], labels, count, 24) }, text);
  const vconcat = strips.map(({ name, load, picks }, at) => ({
    title: { text: name, anchor: "start", color: grey, fontSize: 11 },
    ...strip(load, picks, labels, count, 18, at === strips.length - 1),
  }));
  return drawn({ ...head, vconcat, spacing: 8 }, text);
}

/** @param count how many the longest strip shows @param last the axis is under it */
function strip(
  load: Load,
  picks: readonly object[],
  labels: readonly string[],
  count: number,
  step: number,
  last = true,
): VegaLiteSpec {
  return {
    width: 420,
    height: { step },
    data: { values: picks },
    mark: { type: "tick", opacity: 1, thickness: 5, size: step * 0.75, tooltip: true },
    encoding: {
      x: {
        field: "request",
        type: "quantitative",
        title: last ? "request number" : null,
        scale: { domain: [0, count + 1], nice: false },
      },
      y: { field: "pod", type: "nominal", sort: labels, title: null },
      color: colour(load, labels),
    },
  };
}

/** One scale for all panels. */
function colour({ colours }: Load, labels: readonly string[]): VegaLiteSpec {
  return {
    field: "pod",
    type: "nominal",
    scale: { domain: labels, range: labels.map((label) => colours[label] ?? grey) },
    legend: null,
  };
}
