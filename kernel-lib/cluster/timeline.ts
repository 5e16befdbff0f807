/** Owns a trace as a timeline: one lane a place, time from left to right, a mark for whatever happened. */
import { type Chart, drawn, frame } from "./chart";
import { ink, shorten } from "./drawing";
import { grey } from "./palette";
import type { VegaLiteSpec } from "./svg";
import type { Step, Trace } from "./trace";

export interface TimelineOptions {
  readonly title?: string;
}

/** What marks there are, from the top of a lane to its bottom: each with its colour and shape. */
const marks = [
  { what: "comes in", colour: ink.path, shape: "triangle-right", kinds: ["receive"] },
  { what: "NAT", colour: ink.nat, shape: "diamond", kinds: ["nat"] },
  { what: "tunnel", colour: ink.tunnel, shape: "square", kinds: ["encapsulate", "decapsulate"] },
  { what: "goes out", colour: "#56b4e9", shape: "triangle-right", kinds: ["send", "transmit"] },
  { what: "arrives", colour: grey, shape: "circle", kinds: ["deliver", "consume"] },
  { what: "ends here", colour: ink.bad, shape: "cross", kinds: ["drop", "reject"] },
] as const;

interface Point {
  readonly time: number;
  readonly place: string;
  readonly mark: (typeof marks)[number]["what"];
  readonly way: string;
  readonly packet: string;
  readonly happened: string;
  readonly order: number;
}

/** The way out and the answer's way over time, each as a line through its marks; tooltips say what happened. */
export async function timeline(trace: Trace, options: TimelineOptions = {}): Promise<Chart> {
  const title = options.title ?? `${trace.from} → ${trace.to} over time`;
  const points = trace.steps.flatMap(pointOf);
  const places = [...new Set(points.map(({ place }) => place))];
  const used = marks.filter(({ what }) => points.some(({ mark }) => mark === what));
  const told = placesInWords(points);
  const spec = {
    ...frame(
      title,
      "one lane a place · the darker line goes out, the lighter one comes back",
      `${title}: ${told.join("; ")}.`,
    ),
    width: 440,
    height: { step: 11 },
    data: { values: points },
    encoding: {
      x: {
        field: "time",
        type: "quantitative",
        title: "µs since the packet was sent",
        scale: { nice: false, padding: 14 },
        axis: { tickCount: 8 },
      },
      y: { field: "place", type: "nominal", sort: places, title: null, axis: { grid: true, labelLimit: 180 } },
      yOffset: { field: "mark", type: "nominal", sort: used.map(({ what }) => what) },
    },
    layer: [...(["out", "back"] as const).map(lineOf), pointsOf(used)],
  };
  return drawn(spec, [title, ...told.map((line) => `  ${line}`)].join("\n"));
}

function pointOf(step: Step, order: number): readonly Point[] {
  const found = marks.find(({ kinds }) => (kinds as readonly string[]).includes(step.kind));
  if (!found) return [];
  const { time, where, way, packet, what } = step;
  const place = shorten(where.replace(/^.*\//, ""), 150, 10);
  return [{ time, place, mark: found.what, way, packet, happened: what, order }];
}

/** Each stay of a packet at a place: `0–5 µs pod curl`. */
function placesInWords(points: readonly Point[]): readonly string[] {
  const stays: { place: string; way: string; from: number; to: number; marks: string[] }[] = [];
  for (const { place, way, time, mark } of points) {
    const last = stays.at(-1);
    if (last?.place === place && last.way === way) {
      last.to = time;
      last.marks.push(mark);
    } else stays.push({ place, way, from: time, to: time, marks: [mark] });
  }
  return stays.map(({ place, from, to, marks: met }) => {
    const span = from === to ? `${from} µs` : `${from}–${to} µs`;
    return `${span} ${place}: ${[...new Set(met)].join(", ")}`;
  });
}

function lineOf(way: "out" | "back"): VegaLiteSpec {
  return {
    transform: [{ filter: { field: "way", equal: way } }],
    mark: { type: "line", color: grey, strokeWidth: 1.5, opacity: way === "out" ? 0.9 : 0.4 },
    encoding: { order: { field: "order", type: "quantitative" } },
  };
}

function pointsOf(used: readonly (typeof marks)[number][]): VegaLiteSpec {
  const names = used.map(({ what }) => what);
  const legend = { title: null, orient: "bottom", labelColor: grey, columns: 6 };
  return {
    mark: { type: "point", filled: true, size: 70, opacity: 1 },
    encoding: {
      color: {
        field: "mark",
        type: "nominal",
        scale: { domain: names, range: used.map(({ colour }) => colour) },
        legend,
      },
      shape: {
        field: "mark",
        type: "nominal",
        scale: { domain: names, range: used.map(({ shape }) => shape) },
        legend,
      },
      tooltip: [
        { field: "time", type: "quantitative", title: "µs" },
        { field: "place", title: "at" },
        { field: "happened", title: "what" },
        { field: "packet", title: "packet" },
      ],
    },
  };
}
