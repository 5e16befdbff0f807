/** Owns `kubectl label` and `kubectl annotate`. */
import type { KubeObject } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { typeName } from "../print/printer";
import { findObjects, readArguments, typeMissing } from "../resources";

const flags: Verb["flags"] = [
  { name: "overwrite", type: "bool" },
  { name: "selector", short: "l", type: "string" },
  { name: "all", type: "bool" },
  { name: "all-namespaces", short: "A", type: "bool" },
  { name: "list", type: "bool" },
];

export const label: Verb = {
  name: "label",
  short: "Update the labels on a resource",
  usage: "label [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
  flags,
  run: (context) => change(context, "labels"),
};

export const annotate: Verb = {
  name: "annotate",
  short: "Update the annotations on a resource",
  usage: "annotate [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
  flags,
  run: (context) => change(context, "annotations"),
};

const words = {
  labels: { one: "label", done: "labeled", undone: "unlabeled" },
  annotations: { one: "annotation", done: "annotated", undone: "annotated" },
} as const;

function change(context: Context, field: "labels" | "annotations"): number {
  const { args } = context.flags;
  const isPair = (arg: string): boolean => arg.includes("=") || (arg.endsWith("-") && arg.length > 1);
  const first = args.findIndex(isPair);
  const pairs = first < 0 ? [] : args.slice(first);
  const asked = readArguments(first < 0 ? args : args.slice(0, first));
  if (asked.length === 0) throw typeMissing(field === "labels" ? "label" : "annotate");
  if (asked.some(({ name }) => name === undefined) && !context.flags.is("all") && !context.flags.given("selector")) {
    throw new Failed("error: resource(s) were provided, but no name was specified");
  }
  const { objects, failed } = findObjects(context, asked, { allNamespaces: context.flags.is("all-namespaces") });
  if (context.flags.is("list")) {
    for (const object of objects) {
      for (const [key, value] of Object.entries(object.metadata[field] ?? {}).sort()) context.out(`${key}=${value}\n`);
    }
    return failed ? 1 : 0;
  }
  if (pairs.length === 0) throw new Failed(`error: at least one ${words[field].one} update is required`);
  for (const object of objects) context.out(changeOne(context, object, field, pairs));
  return failed ? 1 : 0;
}

function changeOne(
  context: Context,
  object: KubeObject,
  field: "labels" | "annotations",
  pairs: readonly string[],
): string {
  const now = object.metadata[field] ?? {};
  const patch: Record<string, string | null> = {};
  const shown = `${typeName(object.kind)}/${object.metadata.name}`;
  let text = "";
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 0) {
      const key = pair.slice(0, -1);
      if (Object.hasOwn(now, key)) patch[key] = null;
      else text += `${words[field].one} "${key}" not found.\n`;
      continue;
    }
    const [key, value] = [pair.slice(0, equals), pair.slice(equals + 1)];
    const old = Object.hasOwn(now, key) ? now[key] : undefined;
    if (old !== undefined && old !== value && !context.flags.is("overwrite")) {
      throw new Failed(
        field === "labels"
          ? `error: '${key}' already has a value (${old}), and --overwrite is false`
          : `error: --overwrite is false but found the following declared annotation(s): '${key}' already has a value (${old})`,
      );
    }
    patch[key] = value;
  }
  const { namespace = "", name } = object.metadata;
  const after = context.api.patch(
    object.kind,
    namespace,
    name,
    "merge",
    { metadata: { [field]: patch } },
    { by: `kubectl-${words[field].one}` },
  );
  const changed = after.metadata.resourceVersion !== object.metadata.resourceVersion;
  const removed = Object.values(patch).every((value) => value === null);
  if (!changed) return `${text}${shown} ${field === "labels" ? "not labeled" : "annotated"}\n`;
  return `${text}${shown} ${removed ? words[field].undone : words[field].done}\n`;
}
