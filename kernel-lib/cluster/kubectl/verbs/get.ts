/** Owns `kubectl get`. */
import type { Kind, KubeObject, Resource } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { findValues, JsonPathError } from "../print/jsonpath";
import {
  type Format,
  parseFormat,
  printObject,
  printObjects,
  printTable,
  type TableOptions,
  tableRows,
} from "../print/printer";
import { alignRows } from "../print/text";
import { type Asked, findObjects, readArguments, readFiles } from "../resources";
import { watchObjects } from "../watch";

const nothingGiven = `You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of supported resources.

error: Required resource not specified.
Use "kubectl explain <resource>" for a detailed description of that resource (e.g. kubectl explain pods).
See 'kubectl get -h' for help and examples`;

export const get: Verb = {
  name: "get",
  short: "Display one or many resources",
  usage:
    "get [(-o|--output=)FORMAT] (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]",
  flags: [
    { name: "output", short: "o", type: "string" },
    { name: "selector", short: "l", type: "string" },
    { name: "field-selector", type: "string" },
    { name: "filename", short: "f", type: "list" },
    { name: "all-namespaces", short: "A", type: "bool" },
    { name: "no-headers", type: "bool" },
    { name: "show-labels", type: "bool" },
    { name: "label-columns", short: "L", type: "list" },
    { name: "show-kind", type: "bool" },
    { name: "sort-by", type: "string" },
    { name: "watch", short: "w", type: "bool" },
    { name: "watch-only", type: "bool" },
    { name: "output-watch-events", type: "bool" },
    { name: "ignore-not-found", type: "bool" },
    { name: "chunk-size", type: "int" },
    { name: "show-managed-fields", type: "bool" },
    { name: "template", type: "string" },
    { name: "recursive", short: "R", type: "bool" },
  ],
  run: getObjects,
};

async function getObjects(context: Context): Promise<number> {
  const { flags } = context;
  const format = parseFormat(context);
  const allNamespaces = flags.is("all-namespaces");
  const asked = askedFor(context);
  if (asked.length === 0) throw new Failed(nothingGiven);
  const first = new Set(asked.map(({ resource }) => resource.kind));
  if (flags.is("watch") || flags.is("watch-only")) {
    if (first.size > 1) throw new Failed("error: you may only specify a single resource type");
    return watch(context, asked, format);
  }
  const { objects, failed } = findObjects(context, asked, { allNamespaces });
  if (format.format === "table") {
    if (objects.length === 0 && !failed) context.err(noneFound(context, allNamespaces, asked));
    else printTables(context, asked, objects);
  } else if (objects.length > 0 || !failed) {
    const list = asked.length !== 1 || asked[0]?.name === undefined;
    const ordered = first.size === 1 ? sorted(context, objects) : objects;
    printObjects(context, format, ordered, list);
  }
  return failed ? 1 : 0;
}

function askedFor(context: Context): readonly Asked[] {
  if (!context.flags.given("filename")) return readArguments(context.flags.args);
  return readFiles(context).map(({ resource, manifest }) => {
    const meta = manifest.object.metadata as { readonly name?: string } | undefined;
    return { resource, name: meta?.name };
  });
}

function noneFound(context: Context, allNamespaces: boolean, asked: readonly Asked[]): string {
  if (context.flags.is("ignore-not-found")) return "";
  const everywhere = allNamespaces || asked.every(({ resource }) => !resource.namespaced);
  return everywhere ? "No resources found\n" : `No resources found in ${context.namespace} namespace.\n`;
}

function optionsFor(context: Context, several: boolean, resource: Resource): TableOptions {
  const { flags } = context;
  return {
    wide: flags.text("output") === "wide",
    headers: !flags.is("no-headers"),
    namespaces: flags.is("all-namespaces") && resource.namespaced,
    labels: flags.is("show-labels"),
    labelColumns: flags.texts("label-columns").flatMap((text) => text.split(",")),
    kinds: several || flags.is("show-kind"),
  };
}

/** One table a kind, in the order asked for; several kinds carry their names (`pod/x`), with a blank line between. */
function printTables(context: Context, asked: readonly Asked[], objects: readonly KubeObject[]): void {
  const found = new Set<Kind>(objects.map(({ kind }) => kind));
  const shown = asked.filter(({ name, resource }) => name === undefined || found.has(resource.kind));
  const several = new Set(shown.map(({ resource }) => resource.kind)).size > 1;
  const order = [...new Set(objects.map((object) => object.kind))];
  for (const [at, kind] of order.entries()) {
    const resource = asked.find((each) => each.resource.kind === kind)?.resource;
    if (!resource) continue;
    if (at > 0) context.out("\n");
    const own = objects.filter((object) => object.kind === kind);
    context.out(printTable(context.api, kind, sorted(context, own), optionsFor(context, several, resource)));
  }
}

/** `--sort-by`, as kubectl does it: what has no such field comes first. @throws Failed if none has it */
function sorted<K extends Kind>(
  context: Context,
  objects: readonly KubeObject[],
): readonly Extract<KubeObject, { kind: K }>[] {
  const list = [...objects] as Extract<KubeObject, { kind: K }>[];
  const path = context.flags.text("sort-by");
  if (path === undefined || list.length === 0) return list;
  const values = new Map<KubeObject, unknown>(list.map((object) => [object, valueAt(path, object)]));
  if ([...values.values()].every((value) => value === undefined)) {
    const shown = `{${path.replace(/^\{?\.?|\}$/g, ".").replace(/\.$/, "")}}`;
    throw new Failed(`error: couldn't find any field with path "${shown}" in the list of objects`);
  }
  return list.sort((one, other) => compared(values.get(one), values.get(other)));
}

function valueAt(path: string, object: KubeObject): unknown {
  try {
    return findValues(path, object)[0];
  } catch (error) {
    if (error instanceof JsonPathError && !error.parsing) return undefined;
    throw error instanceof JsonPathError ? new Failed(`error: ${error.message}`) : error;
  }
}

/** Numbers by size, quantities too; text by its parts, digits as numbers. */
function compared(one: unknown, other: unknown): number {
  if (one === undefined || other === undefined) return (one === undefined ? 0 : 1) - (other === undefined ? 0 : 1);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return naturally(String(one), String(other));
}

function naturally(one: string, other: string): number {
  const partsOf = (text: string): readonly string[] => text.match(/\d+|\D+/g) ?? [];
  const [parts, others] = [partsOf(one), partsOf(other)];
  for (let at = 0; at < Math.min(parts.length, others.length); at++) {
    const [a = "", b = ""] = [parts[at], others[at]];
    const bothNumbers = /^\d/.test(a) && /^\d/.test(b);
    const order = bothNumbers && Number(a) !== Number(b) ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0;
    if (order !== 0) return order;
  }
  return parts.length - others.length;
}

/** `-w`: what there is, then a line for every change, until Ctrl-C. */
async function watch(context: Context, asked: readonly Asked[], format: Format): Promise<number> {
  const [one] = asked;
  if (!one) return 1;
  const { resource } = one;
  const allNamespaces = context.flags.is("all-namespaces");
  const options = optionsFor(context, false, resource);
  let widths = "";
  const told = context.flags.is("output-watch-events");
  const show = (objects: readonly KubeObject[], head: boolean, type = "ADDED"): void => {
    if (objects.length === 0) return;
    if (format.format !== "table") {
      const wrapped = told && (format.format === "json" || format.format === "yaml");
      for (const object of objects) printObject(context, format, wrapped ? ({ type, object } as never) : object);
      return;
    }
    const table = withEvent(tableRows(context.api, resource.kind, objects as never, options), told ? type : undefined);
    const rows = head && options.headers ? [table.head, ...table.rows] : table.rows;
    // kubectl's columns only grow: what was once wide stays so for all that follows.
    const known = widths === "" ? [] : [widths.split("\t")];
    widths = widest([...known, ...rows]).join("\t");
    const text = alignRows([...known, ...rows]);
    context.out(known.length > 0 ? text.slice(text.indexOf("\n") + 1) : text);
  };
  const { objects, failed } = findObjects(context, asked, { allNamespaces });
  if (failed) return 1;
  if (!context.flags.is("watch-only")) show(objects, true);
  return watchObjects(context, resource, one.name, allNamespaces, (object, type) => {
    show([object], widths === "", type);
  });
}

interface Rows {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** `--output-watch-events`: what happened stands before each line. */
function withEvent({ head, rows }: Rows, type: string | undefined): Rows {
  if (type === undefined) return { head, rows };
  return { head: ["EVENT", ...head], rows: rows.map((row) => [type, ...row]) };
}

function widest(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(...rows.map((row) => row.length));
  return Array.from({ length: columns }, (_, at) => "x".repeat(Math.max(...rows.map((row) => (row[at] ?? "").length))));
}
