/** Owns the chart of growth: how much something costs as there is more of something else, on axes that count in powers. */
import { type Chart, drawn, frame } from "./chart";
import { grey, palette } from "./palette";
import type { VegaLiteSpec } from "./svg";

/** One curve: `[how many there are, what it costs]`, ascending. */
export interface GrowthCurve {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

/** One panel: what is counted, with its unit, and the curves. */
export interface GrowthPanel {
  readonly title: string;
  /** The title of its axis, with the unit: `rules tested for a packet`. */
  readonly axis: string;
  readonly curves: readonly GrowthCurve[];
  /** `log` (default) shows what grows in proportion as a straight line; zeros need `linear`. */
  readonly scale?: "log" | "linear";
}

export interface GrowthOptions {
  /** What there is more and more of: `Services`. */
  readonly of: string;
  readonly subtitle?: string;
  /** What is to be seen, for those who do not see it; made of the points unless given. */
  readonly description?: string;
}

/** They say the same as the colours. */
const shapes = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"];

/** For all panels together: what a notebook has beside their axes and the names of curves. */
const room = 420;

/**
 * Curves over a logarithmic axis, one panel beside the other: rules tested in one, a real kernel's microseconds in the
 * next. A curve has one colour and one shape of marks in all panels, and its name at its end.
 * @throws Error if there is nothing to draw, or a point that such an axis has not
 */
export async function growth(title: string, panels: readonly GrowthPanel[], options: GrowthOptions): Promise<Chart> {
  if (panels.every(({ curves }) => curves.length === 0)) throw new Error("growth: there is no curve to draw");
  for (const panel of panels) check(panel);
  const names = [...new Set(panels.flatMap(({ curves }) => curves.map(({ name }) => name)))];
  if (names.length > palette.length) throw new Error(`growth: more than ${palette.length} curves cannot be told apart`);
  const told = panels.flatMap((panel) =>
    panel.curves.map(({ name, points }) => {
      const values = points.map(([x, y]) => `${short(y)} at ${x.toLocaleString("en-US")}`);
      return `${panel.title}, ${name}: ${values.join(", ")}`;
    }),
  );
  const description = options.description ?? `${title}. By number of ${options.of}: ${told.join("; ")}.`;
  const spec = {
    ...frame(title, options.subtitle ?? "", description),
    hconcat: panels.map((panel) => panelSpec(panel, names, options.of, Math.round(room / panels.length))),
    spacing: 24,
  };
  return drawn(spec, [title, ...told.map((line) => `  ${line}`)].join("\n"));
}

const panelHeight = 220;

function check({ title, curves, scale = "log" }: GrowthPanel): void {
  for (const { name, points } of curves) {
    if (points.length === 0) throw new Error(`growth: ${title}, ${name} has no point`);
    for (const [x, y] of points) {
      if (!(x > 0) || !(y >= 0) || (scale === "log" && y === 0)) {
        throw new Error(`growth: ${title}, ${name}: [${x}, ${y}] has no place on a logarithmic axis`);
      }
    }
  }
}

function panelSpec(
  { title, axis, curves, scale = "log" }: GrowthPanel,
  names: readonly string[],
  of: string,
  width: number,
): VegaLiteSpec {
  const values = curves.flatMap(({ name, points }) => points.map(([x, y]) => ({ curve: name, x, y })));
  const legend = { title: null, orient: "bottom", labelColor: grey, columns: 3, symbolSize: 70 };
  const colour = { field: "curve", type: "nominal", scale: { domain: names, range: palette.slice(0, names.length) } };
  const shape = { field: "curve", type: "nominal", scale: { domain: names, range: shapes.slice(0, names.length) } };
  const most = Math.max(...values.map(({ x }) => x));
  const x = {
    field: "x",
    type: "quantitative",
    title: of,
    // Room behind the last point for its value.
    scale: { type: "log", domain: [Math.min(...values.map((value) => value.x)), most * 2.5], nice: false },
    axis: { format: "~s", tickCount: 4, grid: false },
  };
  const powers = powersAround(values.map((value) => value.y));
  const last = curves.map(({ name, points }) => ({
    curve: name,
    x: points.at(-1)?.[0] ?? 1,
    y: points.at(-1)?.[1] ?? 1,
  }));
  const ends = scale === "log" ? apart(last, powers.length - 1) : last.map((end) => ({ ...end, at: end.y }));
  const y = {
    field: "y",
    type: "quantitative",
    title: axis,
    ...(scale === "log"
      ? { scale: { type: "log", domain: [powers[0], powers.at(-1)] }, axis: { format: "~s", values: powers } }
      : { scale: { type: "linear" }, axis: { format: "~s", tickCount: 5 } }),
  };
  return {
    title: { text: title, anchor: "start", color: grey, fontSize: 11, fontWeight: "normal" },
    width,
    height: panelHeight,
    data: { values },
    encoding: { x, y, color: { ...colour, legend } },
    layer: [
      { mark: { type: "line", strokeWidth: 1.5 } },
      {
        mark: { type: "point", filled: true, opacity: 1, size: 55, tooltip: true },
        encoding: { shape: { ...shape, legend } },
      },
      {
        data: { values: ends },
        mark: { type: "text", align: "left", baseline: "middle", dx: 7, fontSize: 10 },
        encoding: { y: { ...y, field: "at" }, text: { field: "y", type: "quantitative", format: ",.3~s" } },
      },
    ],
  };
}

/** Numbers behind the ends of curves that lie close together: each stands at least a line's height from the next. */
function apart<End extends { readonly y: number }>(
  ends: readonly End[],
  decades: number,
): readonly (End & { readonly at: number })[] {
  const line = (12 / panelHeight) * decades;
  let above = Number.POSITIVE_INFINITY;
  return [...ends]
    .sort((one, other) => other.y - one.y)
    .map((end) => {
      above = Math.min(Math.log10(end.y), above - line);
      return { ...end, at: 10 ** above };
    });
}

/** The lines of a logarithmic axis: the powers of ten from below the least value to above the greatest. */
function powersAround(values: readonly number[]): readonly number[] {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))));
  return Array.from({ length: last - first + 1 }, (_, at) => 10 ** (first + at));
}

function short(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
}
