/** Owns a small bar chart of plain rows: what was counted, with its unit, for one or more measures side by side. */
import { type Chart, drawn, frame } from "./chart";
import { ink } from "./drawing";
import { grey } from "./palette";
import type { VegaLiteSpec } from "./svg";

/** A row: its name, and what was counted of it. */
export type BarRow = { readonly [field: string]: string | number };

export interface Measure {
  /** Which field of the rows. */
  readonly field: string;
  /** The axis title, with the unit: `octets of headers per packet`. */
  readonly title: string;
}

export interface BarOptions {
  /** The field that names a row; the first of the first row unless given. */
  readonly label?: string;
  /** What is counted; all fields with numbers, under their own names, unless given. */
  readonly measures?: readonly Measure[];
  readonly subtitle?: string;
  /** What is to be seen, for those who do not see it; made of the rows unless given. */
  readonly description?: string;
}

/** Half the width of a notebook for each of two measures, and so on. */
const room = 430;
/** Names have this much beside them; longer ones take it from the bars, up to the second. */
const labels = { usual: 200, most: 290 };

/**
 * Bars from left to right, one a row, one panel a measure: `chart.bars("Hops per design", [{ design: "vxlan", hops: 6 }])`.
 * @throws Error if there is no row, or a row lacks a field
 */
export async function bars(title: string, rows: readonly BarRow[], options: BarOptions = {}): Promise<Chart> {
  const [first] = rows;
  if (!first) throw new Error("bars: there is no row to draw");
  const label = options.label ?? Object.keys(first)[0] ?? "";
  const numbers = Object.keys(first).filter((field) => field !== label && typeof first[field] === "number");
  const measures = options.measures ?? numbers.map((field) => ({ field, title: field }));
  if (measures.length === 0) throw new Error(`bars: no field but ${JSON.stringify(label)} holds a number`);
  for (const row of rows) for (const field of [label, ...measures.map((each) => each.field)]) check(row, field);
  const told = rows.map(
    (row) => `${row[label]}: ${measures.map((each) => `${row[each.field]} ${each.title}`).join(", ")}`,
  );
  const description = options.description ?? `${title}: ${told.join("; ")}.`;
  const longest = Math.max(...rows.map((row) => String(row[label]).length));
  const taken = Math.min(labels.most, Math.max(labels.usual, Math.ceil(longest * 6.6)));
  const each = Math.round((room + labels.usual - taken) / measures.length);
  // Where there is no canvas to measure text with, Vega takes a letter for wider than it is.
  const labelLimit = Math.ceil(taken * 1.4);
  const spec = {
    ...frame(title, options.subtitle ?? "", description),
    data: { values: rows },
    hconcat: measures.map((measure, at) => panel(measure, { label, ...(at === 0 && { labelLimit }) }, each, rows)),
    spacing: 18,
  };
  return drawn(spec, [title, ...told.map((line) => `  ${line}`)].join("\n"));
}

function check(row: BarRow, field: string): void {
  if (row[field] === undefined) throw new Error(`bars: a row has no ${JSON.stringify(field)}: ${JSON.stringify(row)}`);
}

function panel(
  { field, title }: Measure,
  names: { readonly label: string; readonly labelLimit?: number },
  width: number,
  rows: readonly BarRow[],
): VegaLiteSpec {
  const most = Math.max(...rows.map((row) => Number(row[field])));
  // Room behind the longest bar for its number.
  const scale = { domain: [0, Math.max(1, most * 1.18)], nice: false };
  const { label, labelLimit } = names;
  const axis = labelLimit === undefined ? null : { title: null, labelLimit };
  return {
    width,
    height: { step: 30 },
    encoding: {
      y: { field: label, type: "nominal", sort: null, axis },
      x: { field, type: "quantitative", title, scale, axis: { tickMinStep: 1, tickCount: 5 } },
    },
    layer: [
      { mark: { type: "bar", color: ink.path, height: 18, tooltip: true } },
      {
        mark: { type: "text", align: "left", baseline: "middle", dx: 6, color: grey },
        encoding: { text: { field, type: "quantitative", format: ",.6~g" } },
      },
    ],
  };
}
