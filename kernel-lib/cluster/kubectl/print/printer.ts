/** Owns the printing of tables, which the server makes and kubectl dresses; and the door to the other formats. */
import type { Kind, Kinds } from "../../../api/kinds";
import type { Api } from "../../../api/rest";
import { typeName } from "./objects";
import { alignRows } from "./text";

export { type Format, parseFormat } from "./format";
export { printObject, printObjects, typeName } from "./objects";

/** How a table is dressed. */
export interface TableOptions {
  readonly wide: boolean;
  readonly headers: boolean;
  readonly namespaces: boolean;
  readonly labels: boolean;
  /** Columns of single labels (`-L app`). */
  readonly labelColumns: readonly string[];
  /** Names with their kind before them (`pod/x`). */
  readonly kinds: boolean;
}

/** The lines of a table of some objects of one kind. */
export function tableRows<K extends Kind>(
  api: Api,
  kind: K,
  objects: readonly Kinds[K][],
  options: TableOptions,
): { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const table = api.table(kind, objects);
  const shown = table.columnDefinitions.map((column) => options.wide || column.priority === 0);
  const head = table.columnDefinitions.filter((_, at) => shown[at]).map((column) => column.name.toUpperCase());
  head.push(...options.labelColumns.map((label) => label.slice(label.lastIndexOf("/") + 1).toUpperCase()));
  if (options.labels) head.push("LABELS");
  if (options.namespaces) head.unshift("NAMESPACE");
  const names = table.columnDefinitions.findIndex((column) => column.format === "name");
  const rows = table.rows.map((row) => {
    const cells = row.cells.filter((_, at) => shown[at]).map(String);
    const { metadata } = row.object;
    if (options.kinds && names >= 0) cells[names] = `${typeName(kind)}/${cells[names]}`;
    const labels = metadata.labels ?? {};
    cells.push(...options.labelColumns.map((label) => labels[label] ?? ""));
    if (options.labels) {
      const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
      cells.push(pairs.length > 0 ? pairs.sort().join(",") : "<none>");
    }
    if (options.namespaces) cells.unshift(metadata.namespace ?? "");
    return cells;
  });
  return { head, rows };
}

export function printTable<K extends Kind>(
  api: Api,
  kind: K,
  objects: readonly Kinds[K][],
  options: TableOptions,
): string {
  const { head, rows } = tableRows(api, kind, objects, options);
  return alignRows(options.headers ? [head, ...rows] : rows);
}
