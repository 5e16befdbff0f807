/** Owns the columns of `kubectl describe`: Go's tabwriter with a minimum width of 0 and a padding of 2. */

/** A line: its indent (two spaces a level), and its cells. A text is a line without columns. */
export interface Line {
  readonly level: number;
  readonly cells: readonly string[];
}

export function line(level: number, ...cells: readonly string[]): Line {
  return { level, cells };
}

/** Lines that stand as they are: no columns go through them. */
export function text(lines: string): Line {
  return { level: 0, cells: [lines] };
}

/**
 * Aligns lines as tabwriter does: a column is as wide as its widest cell in adjacent lines that have one there; the last
 * cell of a line belongs to no column.
 */
export function alignLines(lines: readonly Line[]): string {
  const rows = lines.map(({ level, cells }) => [`${"  ".repeat(level)}${cells[0] ?? ""}`, ...cells.slice(1)]);
  const widths = rows.map((row) => row.map(() => 0));
  align(rows, widths, 0, rows.length, 0);
  return rows
    .map(
      (row, at) =>
        `${row.map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[at]?.[column] ?? 0))).join("")}\n`,
    )
    .join("");
}

function align(
  rows: readonly (readonly string[])[],
  widths: number[][],
  from: number,
  to: number,
  column: number,
): void {
  for (let at = from; at < to; at++) {
    if ((rows[at]?.length ?? 0) - 1 <= column) continue;
    let end = at;
    let width = 0;
    while (end < to && (rows[end]?.length ?? 0) - 1 > column) {
      width = Math.max(width, [...(rows[end]?.[column] ?? "")].length + 2);
      end++;
    }
    for (let each = at; each < end; each++) (widths[each] as number[])[column] = width;
    align(rows, widths, at, end, column + 1);
    at = end - 1;
  }
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - [...text].length));
}

/** Lines without columns: tabs stay tabs, as where kubectl forgets to align them. */
export function plainLines(lines: readonly Line[]): string {
  return lines.map(({ level, cells }) => `${"  ".repeat(level)}${cells.join("\t")}\n`).join("");
}
