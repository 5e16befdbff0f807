/** Owns the charts of load: how requests spread over the pods, and in which order the pods were picked. */
import { bars } from "./bars";
import { type Chart, drawn, frame } from "./chart";
import { type Load, labelOf, probabilityOf } from "./load";
import { grey } from "./palette";
import type { VegaLiteSpec } from "./svg";
import { timeline } from "./timeline";

export interface DistributionOptions {
  readonly title?: string;
}

export interface OrderOptions {
  readonly title?: string;
  /** How many of the first requests are shown; 60 unless given. */
  readonly first?: number;
}

/** The charts by name. */
export const chart = { bars, distribution, order, timeline };

/** Bars of requests by pod, with a rule where the probabilities of the rules put each. */
export async function distribution(load: Load, options: DistributionOptions = {}): Promise<Chart> {
  const requests = load.outcomes.length;
  const values = Object.entries(load.byPod).map(([pod, count]) => {
    return { pod, requests: count, expected: Number((probabilityOf(load.expected, pod) * requests).toFixed(3)) };
  });
  const pods = values.length === 1 ? "1 pod" : `${values.length} pods`;
  const title = options.title ?? `${requests.toLocaleString("en-US")} requests over ${pods}`;
  const told = values.map(({ pod, requests: count, expected }) => `${pod} ${count} (expected ${expected.toFixed(1)})`);
  const y = { field: "pod", type: "nominal", sort: null, title: null };
  const spec = {
    ...frame(
      title,
      "bars: observed · grey rule: what the rules' probabilities predict",
      `${title}: ${told.join(", ")}.`,
    ),
    width: 400,
    height: { step: 36 },
    data: { values },
    encoding: { y },
    layer: [
      {
        mark: { type: "bar", tooltip: true, height: 22 },
        encoding: { x: { field: "requests", type: "quantitative", title: "requests" }, color: colour(load) },
      },
      {
        mark: { type: "tick", color: grey, opacity: 1, thickness: 3, size: 32, tooltip: true },
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
  return drawn(spec, [title, ...told.map((line) => `  ${line}`)].join("\n"));
}

/** One mark a request, in the order in which they were made, each in the lane of the pod that answered. */
export async function order(load: Load, options: OrderOptions = {}): Promise<Chart> {
  const picks = load.outcomes.slice(0, options.first ?? 60).map((outcome, at) => {
    return { request: at + 1, pod: outcome.result === "answered" ? labelOf(outcome.name ?? "") : outcome.result };
  });
  const title = options.title ?? `Who answered: the first ${picks.length} requests in order`;
  const letters = Object.keys(load.byPod).map((pod, at) => [pod, String.fromCharCode(65 + at)] as const);
  const sequence = picks.map(({ pod }) => letters.find(([name]) => name === pod)?.[1] ?? "?").join("");
  const legend = letters.map(([pod, letter]) => `${letter} = ${pod}`).join(", ");
  const spec = {
    ...frame(title, "one mark a request, from left to right", `${title}: ${sequence}, where ${legend}.`),
    width: 420,
    height: { step: 24 },
    data: { values: picks },
    mark: { type: "tick", opacity: 1, thickness: 5, size: 18, tooltip: true },
    encoding: {
      x: {
        field: "request",
        type: "quantitative",
        title: "request number",
        scale: { domain: [0, picks.length + 1], nice: false },
      },
      y: { field: "pod", type: "nominal", sort: Object.keys(load.byPod), title: null },
      color: colour(load),
    },
  };
  return drawn(spec, `${title}\n  ${sequence}\n  ${legend}`);
}

function colour({ colours }: Load): VegaLiteSpec {
  return {
    field: "pod",
    type: "nominal",
    scale: { domain: Object.keys(colours), range: Object.values(colours) },
    legend: null,
  };
}
