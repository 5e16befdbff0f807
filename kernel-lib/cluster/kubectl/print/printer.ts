/** Owns the choice of an output format (`-o …`) and the printing of objects in it. */

import type { Kind, Kinds, KubeObject } from "../../../api/kinds";
import { resourceOf } from "../../../api/kinds";
import type { Api } from "../../../api/rest";
import { Failed } from "../../shell/tool";
import { goValue, printJson } from "./json";
import { fillTemplate, findValues, JsonPathError } from "./jsonpath";
import { alignRows } from "./text";
import { printYaml } from "./yaml";

/** What `-o` asked for. */
export type Format =
  | { readonly format: "table"; readonly wide: boolean }
  | { readonly format: "yaml" | "json" | "name" }
  | { readonly format: "jsonpath"; readonly template: string }
  | { readonly format: "columns"; readonly columns: readonly { readonly head: string; readonly path: string }[] };

const objectFormats =
  "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile";

/**
 * Reads the value of `-o`.
 * @param tables whether the verb can print tables (`get`), or objects only (`create`, `apply`)
 * @throws Failed in kubectl's words
 */
export function parseFormat(text: string | undefined, tables = true): Format {
  if (text === undefined || text === "") return { format: "table", wide: false };
  if (text === "wide" && tables) return { format: "table", wide: true };
  if (text === "yaml" || text === "json" || text === "name") return { format: text };
  const [, kind = "", value = ""] = /^(jsonpath|custom-columns)(?:=([\s\S]*))?$/.exec(text) ?? [];
  if (kind === "jsonpath") {
    if (value === "") throw new Failed("error: template format specified but no template given");
    return { format: "jsonpath", template: value };
  }
  if (kind === "custom-columns" && tables) {
    if (value === "") throw new Failed("error: custom-columns format specified but no custom columns given");
    const columns = value.split(",").map((column) => {
      const colon = column.indexOf(":");
      if (colon < 0) {
        throw new Failed(`error: unexpected custom-columns spec: ${column}, expected <header>:<json-path-expr>`);
      }
      return { head: column.slice(0, colon), path: column.slice(colon + 1) };
    });
    return { format: "columns", columns };
  }
  const allowed = tables ? `custom-columns,custom-columns-file,${objectFormats},wide,yaml` : `${objectFormats},yaml`;
  throw new Failed(
    `error: unable to match a printer suitable for the output format "${text}", allowed formats are: ${allowed}`,
  );
}

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

/** `pod`, `deployment.apps`: how kubectl names a type before a slash. */
export function typeName(kind: Kind): string {
  const resource = resourceOf(kind);
  return resource.group === "" ? resource.singular : `${resource.singular}.${resource.group}`;
}

/** Objects in any format but a table. `list`: print a List even of one. */
export function printObjects(format: Format, objects: readonly KubeObject[], list: boolean): string {
  const one = !list && objects.length === 1 ? objects[0] : undefined;
  const whole = one ?? { apiVersion: "v1", items: objects, kind: "List", metadata: { resourceVersion: "" } };
  switch (format.format) {
    case "yaml":
      return printYaml(whole);
    case "json":
      return printJson(whole);
    case "name":
      return objects.map((object) => `${typeName(object.kind)}/${object.metadata.name}\n`).join("");
    case "jsonpath":
      return jsonPath(format.template, whole);
    case "columns":
      return customColumns(format.columns, objects);
    case "table":
      return "";
  }
}

function jsonPath(template: string, whole: unknown): string {
  try {
    return fillTemplate(template, whole);
  } catch (error) {
    if (!(error instanceof JsonPathError)) throw error;
    throw new Failed(`error: error executing jsonpath ${JSON.stringify(template)}: ${error.message}`);
  }
}

function customColumns(columns: readonly { head: string; path: string }[], objects: readonly KubeObject[]): string {
  const rows = objects.map((object) =>
    columns.map(({ path }) => {
      const values = findValues(path, object);
      return values.length === 0 ? "<none>" : values.map(goValue).join(",");
    }),
  );
  return alignRows([columns.map(({ head }) => head), ...rows]);
}
