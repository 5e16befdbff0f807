/** Owns what a run has to answer for: cells that did not run as they should, and texts that they should have printed. */
import type { Chapter, CodeCell } from "./chapter";
import { type Failure, unifiedDiff } from "./compare";
import type { Execution } from "./execute";
import type { Notebook, NotebookCell, Output } from "./nbformat";

/** Cells that did not do what their tags promise: not run, aborted, failed, or not failed. */
export function runFailures({ runs, notebook }: Execution): Failure[] {
  return runs
    .filter(({ state }) => state !== "ran")
    .map(({ index, state, reason }) => {
      const what = [reason === undefined ? state : `${state}: ${reason}`, ...tracebackOf(notebook.cells[index])].join(
        "\n",
      );
      return state === "not run" ? { cell: index, what, skipped: true } : { cell: index, what };
    });
}

function tracebackOf(cell: NotebookCell | undefined): readonly string[] {
  const outputs = cell?.cell_type === "code" ? cell.outputs : [];
  return outputs.flatMap((output) => (output.output_type === "error" ? output.traceback.map(plain) : []));
}

/** A traceback without its colours. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ANSI escapes begin with one
  return text.replace(/\x1b\[[0-9;]*m/g, "");
}

/** README: cells that print something else than the `text output` fence below them says. */
export function printFailures(chapter: Chapter, shown: Notebook): readonly Failure[] {
  return chapter.cells.flatMap((cell, index) => {
    const now = shown.cells[index];
    const expected = (cell as Partial<CodeCell>).prints;
    if (expected === undefined || now?.cell_type !== "code") return [];
    const printed = now.outputs.map(textOf).join("");
    if (printed.trimEnd() === expected.trimEnd()) return [];
    const diff = unifiedDiff(`${expected.trimEnd()}\n`, `${printed.trimEnd()}\n`, {
      old: chapter.file,
      new: "this run",
    });
    return [{ cell: index, what: "it prints something else", diff }];
  });
}

function textOf(output: Output): string {
  if (output.output_type === "stream") return output.text;
  if (output.output_type === "error") return `${output.ename}: ${output.evalue}\n`;
  const text = output.data["text/plain"];
  return typeof text === "string" ? `${text}\n` : "";
}
