/** Owns `kubectl label` and `kubectl annotate`. */
import { type KubeObject, resourceOf } from "../../../api/kinds";
import { mergePatch } from "../../../api/patch";
import { labelValue } from "../../../api/validation/names";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf, outputFlag, tell, tellAlone } from "./dryrun";
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
  const listing = context.flags.is("list");
  const isPair = (arg: string): boolean => arg.indexOf("=") > 0 || (arg.endsWith("-") && arg.length > 1);
  const first = args.findIndex(isPair);
  const pairs = first < 0 ? [] : args.slice(first);
  const named = first < 0 ? args : args.slice(0, first);
  if (named.length === 0 && !context.flags.given("filename")) {
    throw new Failed("error: one or more resources must be specified as <resource> <name> or <resource>/<name>");
  }
  if (!listing && pairs.length === 0) throw new Failed(`error: at least one ${words[field].one} update is required`);
  const changes = changesOf(pairs, field);
  const { objects, failed } = objectsMeant(context, named);
  const taken: string[] = [];
  for (const object of objects) {
    const problem = conflict(context, object, field, changes);
    if (problem !== undefined) taken.push(problem);
    else if (listing) list(context, object, field, changes, objects.length > 1);
    else write(context, object, field, changes);
  }
  if (taken.length === 1) throw new Failed(`error: ${taken[0]}`);
  if (taken.length > 1) throw new Failed(taken.join("\n"));
  return failed ? 1 : 0;
}

/** Key → value, or null for one that goes. @throws Failed in kubectl's words */
function changesOf(pairs: readonly string[], field: Field): Readonly<Record<string, string | null>> {
  const changes: Record<string, string | null> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const key = equals < 0 ? pair.slice(0, -1) : pair.slice(0, equals);
    const value = equals < 0 ? null : pair.slice(equals + 1);
    if (equals < 0 && !pair.endsWith("-")) throw new Failed(`error: unexpected args: [${pair}]`);
    if (field === "labels" && value?.includes("=")) throw new Failed(`error: invalid label spec: ${pair}`);
    if (Object.hasOwn(changes, key) && (changes[key] === null) !== (value === null)) {
      throw new Failed(
        `error: can not both modify and remove ${field === "labels" ? "a label" : "an annotation"} in the same command`,
      );
    }
    const wrong = field === "labels" && value !== null ? labelValue(value) : [];
    if (wrong.length > 0) throw new Failed(`error: invalid label value: ${JSON.stringify(pair)}: ${wrong.join("; ")}`);
    changes[key] = value;
  }
  return changes;
}

function conflict(
  { flags: given }: Context,
  object: KubeObject,
  field: Field,
  changes: Readonly<Record<string, string | null>>,
): string | undefined {
  if (given.is("overwrite")) return undefined;
  const now = object.metadata[field] ?? {};
  const taken = Object.entries(changes).flatMap(([key, value]) => {
    const old = Object.hasOwn(now, key) ? now[key] : undefined;
    return value === null || old === undefined || old === value ? [] : [`'${key}' already has a value (${old})`];
  });
  if (taken.length === 0) return undefined;
  if (field === "annotations") {
    return `--overwrite is false but found the following declared annotation(s): ${taken.join("; ")}`;
  }
  const told = taken.map((each) => `${each}, and --overwrite is false`);
  return told.length === 1 ? told[0] : `[${told.join(", ")}]`;
}

/** What would be there after the change; nothing is written. */
function list(
  context: Context,
  object: KubeObject,
  field: Field,
  changes: Readonly<Record<string, string | null>>,
  ofSeveral: boolean,
): void {
  const after = mergePatch(object, { metadata: { [field]: changes } }) as KubeObject;
  const { kind, group } = resourceOf(object.kind);
  if (ofSeveral) context.out(`Listing ${field} for ${kind}.${group}/${object.metadata.name}:\n`);
  const indent = ofSeveral ? " " : "";
  for (const [key, value] of Object.entries(after.metadata[field] ?? {}).sort()) {
    context.out(`${indent}${key}=${value}\n`);
  }
}

function write(
  context: Context,
  object: KubeObject,
  field: Field,
  changes: Readonly<Record<string, string | null>>,
): void {
  const now = object.metadata[field] ?? {};
  const absent = Object.keys(changes).filter((key) => changes[key] === null && !Object.hasOwn(now, key));
  for (const key of field === "labels" ? absent : []) context.out(`${words[field].one} "${key}" not found.\n`);
  const patch = Object.fromEntries(Object.entries(changes).filter(([key]) => !absent.includes(key)));
  const resourceVersion = context.flags.text("resource-version");
  const change = { metadata: { [field]: patch, ...(resourceVersion && { resourceVersion }) } };
  const changed = Object.keys(patch).some((key) => (now[key] ?? null) !== patch[key]);
  const removed = Object.values(patch).every((value) => value === null);
  // `annotate` has one printer for all objects, `label` one for each.
  const told = field === "annotations" ? tell : tellAlone;
  const done = !changed ? words[field].not : removed ? words[field].undone : words[field].done;
  if (context.flags.is("local") || dryRunOf(context.flags) === "client") {
    told(context, mergePatch(object, change) as KubeObject, done);
    return;
  }
  const { namespace = "", name } = object.metadata;
  const by = field === "labels" ? "kubectl-label" : "kubectl-annotate";
  told(context, context.api.patch(object.kind, namespace, name, "merge", change, writing(context, by)), done);
}
