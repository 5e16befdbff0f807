/** Owns text in columns as util-linux and tabwriter print it. */

/** One column: its title, and where its cells stand. */
export interface Column {
  readonly title: string;
  readonly align?: "right";
}

/** libsmartcols: every column as wide as its widest cell, one space between, nothing behind the last. */
export function smartColumns(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => {
        const width = widths[at] ?? 0;
        if (columns[at]?.align === "right") return cell.padStart(width);
        return at === cells.length - 1 ? cell : cell.padEnd(width);
      })
      .join(" ");
  return [columns.map(({ title }) => title), ...rows].map((row) => `${line(row)}\n`).join("");
}

/** Go's tabwriter as crictl sets it: cells at least 20 wide, three spaces at least between them. */
export function tabbed(rows: readonly (readonly string[])[]): string {
  const count = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, at) =>
    Math.max(20, ...rows.map((row) => (row[at]?.length ?? 0) + 3)),
  );
  return rows
    .map((row) => `${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join("")}\n`)
    .join("");
}
