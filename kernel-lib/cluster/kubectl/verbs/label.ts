/** Owns `kubectl label` and `kubectl annotate`. */
import type { KubeObject } from "../../../api/kinds";
import { mergePatch } from "../../../api/patch";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf, outputFlag, tell } from "./dryrun";
import { objectsMeant } from "./objects";

const flags: Verb["flags"] = [
  { name: "overwrite", type: "bool" },
  { name: "filename", short: "f", type: "list" },
  { name: "selector", short: "l", type: "string" },
  { name: "field-selector", type: "string" },
  { name: "all", type: "bool" },
  { name: "all-namespaces", short: "A", type: "bool" },
  { name: "list", type: "bool" },
  { name: "local", type: "bool" },
  { name: "resource-version", type: "string" },
  { name: "field-manager", type: "string" },
  { name: "recursive", short: "R", type: "bool" },
  { name: "template", type: "string" },
  outputFlag,
  dryRunFlag,
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

type Field = "labels" | "annotations";

const words = {
  labels: { one: "label", done: "labeled", undone: "unlabeled", not: "not labeled" },
  annotations: { one: "annotation", done: "annotated", undone: "annotated", not: "annotated" },
} as const;

function change(context: Context, field: Field): number {
  const { args } = context.flags;
  const isPair = (arg: string): boolean => arg.includes("=") || (arg.endsWith("-") && arg.length > 1);
  const first = args.findIndex(isPair);
  const pairs = first < 0 ? [] : args.slice(first);
  const stray = pairs.find((pair) => !isPair(pair));
  if (stray !== undefined)
    throw new Failed(`error: all resources must be specified before ${words[field].one} changes: ${stray}`);
  if (!context.flags.is("list") && pairs.length === 0)
    throw new Failed(`error: at least one ${words[field].one} update is required`);
  for (const pair of pairs) {
    const key = pair.split("=")[0] ?? "";
    const name = pair.endsWith("-") && !pair.includes("=") ? pair.slice(0, -1) : key;
    if (
      pairs.some(
        (other) => other !== pair && (other === `${name}-` || (pair === `${name}-` && other.startsWith(`${name}=`))),
      )
    ) {
      throw new Failed(
        `error: can not both modify and remove ${field === "labels" ? "a label" : "an annotation"} in the same command`,
      );
    }
  }
  const { objects, failed } = objectsMeant(context, first < 0 ? args : args.slice(0, first));
  if (context.flags.is("list")) {
    for (const object of objects) {
      if (objects.length > 1)
        context.out(
          `Listing ${field} for ${object.kind}.${object.apiVersion}/${object.metadata.name}:\n`.replace(/\.v1\//, "/"),
        );
      for (const [key, value] of Object.entries(object.metadata[field] ?? {}).sort()) context.out(`${key}=${value}\n`);
    }
    if (pairs.length === 0) return failed ? 1 : 0;
  }
  for (const object of objects) changeOne(context, object, field, pairs);
  return failed ? 1 : 0;
}

function changeOne(context: Context, object: KubeObject, field: Field, pairs: readonly string[]): void {
  const now = object.metadata[field] ?? {};
  const patch: Record<string, string | null> = {};
  const taken: string[] = [];
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals < 0) {
      const key = pair.slice(0, -1);
      if (Object.hasOwn(now, key)) patch[key] = null;
      else context.out(`${words[field].one} "${key}" not found.\n`);
      continue;
    }
    const [key, value] = [pair.slice(0, equals), pair.slice(equals + 1)];
    const old = Object.hasOwn(now, key) ? now[key] : undefined;
    if (old !== undefined && old !== value && !context.flags.is("overwrite")) {
      taken.push(`'${key}' already has a value (${old})`);
    }
    patch[key] = value;
  }
  if (taken.length > 0) {
    throw new Failed(
      field === "labels"
        ? `error: ${taken.length > 1 ? `[${taken.map((each) => `${each}, and --overwrite is false`).join(", ")}]` : `${taken[0]}, and --overwrite is false`}`
        : `error: --overwrite is false but found the following declared annotation(s): ${taken.join("; ")}`,
    );
  }
  write(context, object, field, patch);
}

function write(
  context: Context,
  object: KubeObject,
  field: Field,
  patch: Readonly<Record<string, string | null>>,
): void {
  const change = { metadata: { [field]: patch } };
  const removed = Object.values(patch).length > 0 && Object.values(patch).every((value) => value === null);
  const done = removed ? words[field].undone : words[field].done;
  if (context.flags.is("local") || dryRunOf(context.flags) === "client") {
    const after = mergePatch(object, change) as KubeObject;
    const same = JSON.stringify(after.metadata[field] ?? {}) === JSON.stringify(object.metadata[field] ?? {});
    tell(context, after, same ? words[field].not : done);
    return;
  }
  const { namespace = "", name } = object.metadata;
  const by = field === "labels" ? "kubectl-label" : "kubectl-annotate";
  const after = context.api.patch(object.kind, namespace, name, "merge", change, writing(context, by));
  const changed = Object.keys(patch).some((key) => (object.metadata[field]?.[key] ?? null) !== patch[key]);
  tell(context, after, changed ? done : words[field].not);
}
