/** Owns the charts of load: how requests spread over the pods, and in which order the pods were picked. */
import { displayable, type MimeBundle } from "./display";
import { type Load, labelOf, probabilityOf } from "./load";
import { grey } from "./palette";
import { svgOf, type VegaLiteSpec } from "./svg";

/** A chart: a spec that shows itself, with an SVG beside it and its message in words. */
export interface Chart {
  readonly spec: VegaLiteSpec;
  /** What the chart says, for those who do not see it. */
  readonly text: string;
}

export interface DistributionOptions {
  readonly title?: string;
}

export interface OrderOptions {
  readonly title?: string;
  /** How many of the first requests are shown; 60 unless given. */
  readonly first?: number;
}

/** The charts by name. */
export const chart = { distribution, order };

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

/** What all charts share: words, a page of any colour, and a width that a notebook has. */
function frame(title: string, subtitle: string, description: string): VegaLiteSpec {
  const axis = {
    labelColor: grey,
    titleColor: grey,
    domainColor: grey,
    tickColor: grey,
    gridColor: grey,
    gridOpacity: 0.25,
  };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    description,
    title: { text: title, subtitle, anchor: "start", color: grey, subtitleColor: grey, offset: 10 },
    background: "transparent",
    config: { axis: { ...axis, labelLimit: 220 }, view: { stroke: null } },
  };
}

function colour({ colours }: Load): VegaLiteSpec {
  return {
    field: "pod",
    type: "nominal",
    scale: { domain: Object.keys(colours), range: Object.values(colours) },
    legend: null,
  };
}

async function drawn(spec: VegaLiteSpec, text: string): Promise<Chart> {
  const svg = await svgOf(spec);
  const bundle: MimeBundle = { "application/vnd.vegalite.v5+json": spec, "image/svg+xml": svg, "text/plain": text };
  return displayable(
    { spec, text },
    () => bundle,
    () => text,
  );
}
