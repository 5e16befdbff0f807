/** Owns how a failed check reads: chapter, cell, source, and what differs. */
import type { Chapter } from "./chapter";
import type { Failure } from "./compare";
import type { Notebook } from "./nbformat";

/** The longest diff that is printed, in lines. */
const diffLimit = 80;

/**
 * The failures of a chapter, cell by cell.
 * @param name the chapter's name, also where the chapter itself could not be read
 * @param notebook the notebook whose cells the failures count
 */
export function failureReport(
  name: string,
  chapter: Chapter | undefined,
  notebook: Notebook | undefined,
  failures: readonly Failure[],
): string {
  const skipped = failures.filter((failure) => failure.skipped).length;
  const told: readonly Failure[] = [
    ...failures.filter(({ cell, skipped }) => cell !== undefined && !skipped),
    ...(skipped > 0 ? [{ what: `cells below it that did not run: ${skipped}` }] : []),
    ...failures.filter(({ cell }) => cell === undefined),
  ];
  const cells = [...new Set(told.map((failure) => failure.cell))];
  const parts = cells.map((cell) => {
    const of = told.filter((failure) => failure.cell === cell);
    const head = cell === undefined || !chapter || !notebook ? [] : cellHead(chapter, notebook, cell);
    return [...head, ...of.flatMap(failureLines)].map((line) => `  ${line}`.trimEnd()).join("\n");
  });
  return [`✗ ${name}`, ...parts].join("\n\n");
}

function failureLines({ what, diff }: Failure): string[] {
  const [first = "", ...rest] = what.split("\n");
  const words = [first, ...rest.map((line) => `  ${line}`)];
  if (diff === undefined) return words;
  const lines = diff.split("\n");
  const more = lines.length - diffLimit;
  const cut = more > 0 ? [...lines.slice(0, diffLimit), `… and ${more} more lines`] : lines;
  return [...words, ...cut.map((line) => `  ${line}`)];
}

/** Where the cell is, for people and for editors, and its source. */
function cellHead(chapter: Chapter, notebook: Notebook, index: number): string[] {
  const cell = notebook.cells[index];
  const execution = cell?.cell_type === "code" && cell.execution_count !== null ? ` [${cell.execution_count}]` : "";
  const heading = headingOf(notebook, index);
  const under = heading === undefined ? "" : ` under “${heading}”`;
  const written = chapter.cells[index];
  const place = written === undefined ? "" : ` (${chapter.file}:${written.line})`;
  const source = cell?.source.split("\n").map((line) => `  │ ${line}`) ?? [];
  return [`cell ${index + 1}${execution}${under}${place}`, ...source];
}

/** The nearest heading at or above a cell. */
function headingOf(notebook: Notebook, index: number): string | undefined {
  for (let i = Math.min(index, notebook.cells.length - 1); i >= 0; i--) {
    const cell = notebook.cells[i];
    const heading =
      cell?.cell_type === "markdown" ? /^#{1,6}\s+(.+?)\s*#*\s*(?:\n|$)/.exec(cell.source)?.[1] : undefined;
    if (heading !== undefined) return heading;
  }
  return undefined;
}
