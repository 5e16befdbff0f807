/** Owns tables for a reader: plain text in columns, and the same as HTML for a notebook. */
import { displayable, type MimeBundle } from "./display";

/** A column: its heading, and the side its cells stand at (numbers: right). */
export interface Column {
  readonly title: string;
  readonly align?: "right";
}

/** What a table shows: its columns, and its cells as text. */
export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
}

/** Makes any object show itself as a table. `caption` stands above it, and says what is seen. */
export function showAsTable<T extends object>(value: T, caption: string, shown: Table): T {
  const text = (): string => tableText(caption, shown);
  const bundle = (): MimeBundle => ({ "text/html": tableHtml(caption, shown), "text/plain": text() });
  return displayable(value, bundle, text);
}

/** The table in columns of a fixed width, two blanks between them. */
export function tableText(caption: string, { columns, rows }: Table): string {
  const widths = columns.map(({ title }, at) => Math.max(...[title, ...rows.map((row) => row[at] ?? "")].map(width)));
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, at) => {
        const cell = cells[at] ?? "";
        const blanks = " ".repeat((widths[at] ?? 0) - width(cell));
        return align === "right" ? blanks + cell : cell + blanks;
      })
      .join("  ")
      .trimEnd();
  return [caption, "", line(columns.map(({ title }) => title)), ...rows.map(line)].join("\n");
}

/** Characters, not UTF-16 units; our texts have no wide ones. */
function width(text: string): number {
  return [...text].length;
}

const cellStyle = "padding:2px 10px 2px 0;vertical-align:top";

/** The table as HTML without colours of its own, so that it reads in dark and in light. */
export function tableHtml(caption: string, { columns, rows }: Table): string {
  const cell = (tag: "td" | "th", text: string, align: "right" | undefined): string =>
    `<${tag}${tag === "th" ? ' scope="col"' : ""} style="${cellStyle};text-align:${align ?? "left"}">${escapeHtml(text)}</${tag}>`;
  const head = columns.map(({ title, align }) => cell("th", title, align)).join("");
  const body = rows.map((row) => `<tr>${row.map((text, at) => cell("td", text, columns[at]?.align)).join("")}</tr>`);
  const heading = `<caption style="text-align:left;font-weight:bold;padding:4px 0">${escapeHtml(caption)}</caption>`;
  return `<table>${heading}<thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

/** Text that may stand in HTML. */
export function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (letter) => names[letter] ?? letter);
}
