/** Owns columns of text as Go's tabwriter sets them (minimum width 6, padding 3): what kubectl's tables are made with. */

/** Cells → aligned lines; a row's last cell is not padded, and the cells of a column end where the longest ends. */
export function alignRows(rows: readonly (readonly string[])[], { minimum = 6, padding = 3 } = {}): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.slice(0, -1).entries()) {
      widths[at] = Math.max(widths[at] ?? minimum, [...cell].length + padding);
    }
  }
  return rows
    .map((row) => `${row.map((cell, at) => pad(cell, at === row.length - 1 ? 0 : (widths[at] ?? 0))).join("")}\n`)
    .join("");
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - [...text].length));
}
