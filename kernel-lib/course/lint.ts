/** Owns what every output of a chapter owes to readers whose page cannot run JavaScript, or who cannot see it. */
import type { Failure } from "./compare";
import type { Notebook, Output } from "./nbformat";

/** Charts that stand without a picture, or without a description for screen readers. */
export function lintOutputs(notebook: Notebook): readonly Failure[] {
  return notebook.cells.flatMap((cell, index) => {
    if (cell.cell_type !== "code") return [];
    return cell.outputs.flatMap((output, number) => {
      return lintOutput(output).map((what) => ({ cell: index, what: `output ${number + 1}: ${what}` }));
    });
  });
}

function lintOutput(output: Output): readonly string[] {
  if (output.output_type !== "display_data" && output.output_type !== "execute_result") return [];
  const { data } = output;
  return Object.entries(data).flatMap(([mime, spec]) => {
    if (!/^application\/vnd\.vega(lite)?\.v\d+\+json$/.test(mime)) return [];
    const picture = "image/svg+xml" in data || "image/png" in data;
    const { description } = spec as { description?: unknown };
    return [
      ...(picture ? [] : ["the chart has no picture (image/svg+xml) beside its Vega spec"]),
      ...(typeof description === "string" && description.trim() !== ""
        ? []
        : ["the chart has no `description` for screen readers"]),
    ];
  });
}
