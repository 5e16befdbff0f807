/** Owns `kubectl taint` (k8s.io/kubectl pkg/cmd/taint). */
import { type Kinds, type KubeObject, resourceOf } from "../../../api/kinds";
import { labelValue, qualifiedName } from "../../../api/validation/names";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { parseFormat } from "../print/printer";
import { type Asked, findObjects } from "../resources";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf, outputFlag, tellAlone } from "./dryrun";

type Node = Kinds["Node"];
type Taint = NonNullable<Node["spec"]["taints"]>[number];
/** One that goes; without an effect all of its key. */
type Gone = Pick<Taint, "key"> & { readonly effect?: string };

export const taint: Verb = {
  name: "taint",
  short: "Update the taints on one or more nodes",
  usage: "taint NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N",
  flags: [
    { name: "overwrite", type: "bool" },
    { name: "selector", short: "l", type: "string" },
    { name: "all", type: "bool" },
    { name: "field-manager", type: "string" },
    { name: "validate", type: "string" },
    outputFlag,
    dryRunFlag,
  ],
  run,
};

const help = "\nSee 'kubectl taint -h' for help and examples";

function run(context: Context): number {
  const { flags } = context;
  const { named, specs } = sorted(flags.args);
  if (named.length < 1) throw new Failed("error: one or more resources must be specified as <resource> <name>");
  if (specs.length < 1) throw new Failed("error: at least one taint update is required");
  const { added, removed } = parsed(specs);
  const both = removed.filter((gone) => added.some((each) => fits(gone, each)));
  const [type = "", ...names] = named;
  const all = flags.is("all");
  const selector = flags.text("selector") ?? "";
  const needsName = "error: at least one resource name must be specified since 'all' parameter is not set";
  if (!all && selector === "" && names.length === 0) throw new Failed(needsName);
  if (!["node", "nodes", "no"].includes(type.toLowerCase())) {
    throw new Failed(`error: invalid resource type ${type}, only node types are supported`);
  }
  if (both.length > 0) {
    const told = both.map(({ key, effect = "" }) => `${key}=${effect}`).join(", ");
    throw new Failed(`error: can not both modify and remove the following taint(s) in the same command: ${told}`);
  }
  if (all && selector !== "") {
    throw new Failed("error: setting 'all' parameter with a non empty selector is prohibited");
  }
  const resource = resourceOf("Node");
  const asked: readonly Asked[] =
    names.length > 0 ? names.map((name) => ({ resource, name })) : [{ resource, name: undefined }];
  const { objects, failed } = findObjects(context, asked);
  for (const node of objects as readonly Node[]) write(context, node, added, removed);
  return failed ? 1 : 0;
}

/** What is named first, and the changes. @throws Failed */
function sorted(args: readonly string[]): { readonly named: readonly string[]; readonly specs: readonly string[] } {
  const isSpec = (arg: string): boolean => /[=:]/.test(arg) || arg.endsWith("-");
  const first = args.findIndex(isSpec);
  if (first < 0) return { named: args, specs: [] };
  const late = args.slice(first).find((arg) => !isSpec(arg));
  if (late !== undefined) throw new Failed(`error: all resources must be specified before taint changes: ${late}`);
  return { named: args.slice(0, first), specs: args.slice(first) };
}

/** pkg/cmd/taint/utils.go: parseTaints. @throws Failed */
function parsed(specs: readonly string[]): { readonly added: readonly Taint[]; readonly removed: readonly Gone[] } {
  const added: Taint[] = [];
  const removed: Gone[] = [];
  for (const spec of specs) {
    if (spec.endsWith("-")) {
      const { key, effect } = parseOne(spec.slice(0, -1));
      removed.push({ key, ...(effect !== "" && { effect }) });
      continue;
    }
    const { key, value, effect } = parseOne(spec);
    if (effect === "") throw new Failed(`error: invalid taint spec: ${spec}${help}`);
    if (added.some((each) => each.key === key && each.effect === effect)) {
      const told = `{${key} ${value} ${effect} <nil>}`;
      throw new Failed(`error: duplicated taints with the same key and effect: ${told}${help}`);
    }
    added.push({ key, ...(value !== "" && { value }), effect } as Taint);
  }
  return { added, removed };
}

/** `key=value:effect`, `key:effect` or `key`. @throws Failed */
function parseOne(text: string): { readonly key: string; readonly value: string; readonly effect: string } {
  const [head = "", effect, ...rest] = text.split(":");
  const wrong = (why = ""): Failed => new Failed(`error: invalid taint spec: ${text}${why && `, ${why}`}${help}`);
  if (rest.length > 0) throw wrong();
  let [key, value] = [head, ""];
  if (effect !== undefined) {
    if (!["NoSchedule", "PreferNoSchedule", "NoExecute"].includes(effect)) {
      throw new Failed(`error: invalid taint effect: ${effect}, unsupported taint effect${help}`);
    }
    const [name = "", given = "", ...more] = head.split("=");
    if (more.length > 0) throw wrong();
    [key, value] = [name, given];
    const problems = labelValue(value);
    if (problems.length > 0) throw wrong(problems.join("; "));
  }
  const problems = qualifiedName(key);
  if (problems.length > 0) throw wrong(problems.join("; "));
  return { key, value, effect: effect ?? "" };
}

function fits({ key, effect }: Gone, taint: Taint): boolean {
  return taint.key === key && (effect === undefined || taint.effect === effect);
}

/** @throws Failed */
function write(context: Context, node: Node, added: readonly Taint[], removed: readonly Gone[]): void {
  const { name } = node.metadata;
  const old = node.spec.taints ?? [];
  const same = (one: Taint, other: Taint): boolean => one.key === other.key && one.effect === other.effect;
  const taken = old.filter((one) => added.some((each) => same(one, each)));
  const overwrites = context.flags.is("overwrite");
  if (!overwrites && taken.length > 0) {
    const told = taken.map(({ key }) => key).join(",");
    throw new Failed(`error: node ${name} already has ${told} taint(s) with same effect(s) and --overwrite is false`);
  }
  const missing = removed.filter((gone) => ![...old, ...added].some((one) => fits(gone, one)));
  if (missing.length > 0) {
    const errors = missing.map(({ key, effect }) => `taint "${key}${effect ? `:${effect}` : ""}" not found`);
    throw new Failed(errors.length === 1 ? `error: ${errors[0]}` : errors.join("\n"));
  }
  const kept = old.filter((one) => !added.some((each) => same(one, each)) && !removed.some((gone) => fits(gone, one)));
  const taints = [...added, ...kept];
  const done = added.length === 0 ? "untainted" : taken.length > 0 || removed.length > 0 ? "modified" : "tainted";
  const changed = { ...node, spec: { ...node.spec, taints } };
  if (dryRunOf(context.flags) === "client") {
    tell(context, changed, done);
    return;
  }
  const patch = { spec: { taints: taints.length > 0 ? taints : null } };
  tell(context, context.api.patch("Node", "", name, "merge", patch, writing(context, "kubectl-taint")), done);
}

/** kubectl does not say here that it was a dry run. */
function tell(context: Context, node: KubeObject, done: string): void {
  if (parseFormat(context, false).format === "table") context.out(`node/${node.metadata.name} ${done}\n`);
  else tellAlone(context, node, done);
}
