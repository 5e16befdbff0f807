/** Owns `kubectl patch` and `kubectl set image`. */

import { parse } from "yaml";
import type { KubeObject } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { parseFormat, printObjects, typeName } from "../print/printer";
import { findObjects, readArguments, typeMissing } from "../resources";

export const patch: Verb = {
  name: "patch",
  short: "Update fields of a resource",
  usage: "patch (-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE] [options]",
  flags: [
    { name: "patch", short: "p", type: "string" },
    { name: "type", type: "string" },
    { name: "output", short: "o", type: "string" },
  ],
  run: patchObjects,
};

function patchObjects(context: Context): number {
  const { api, flags } = context;
  const text = flags.text("patch");
  if (text === undefined)
    throw new Failed("error: must specify --patch or --patch-file containing the contents of the patch");
  const type = flags.text("type") ?? "strategic";
  if (type === "json") throw new Failed("error: JSON patches are not simulated: use --type=merge or strategic");
  if (type !== "merge" && type !== "strategic") {
    throw new Failed(`error: --type must be one of [json merge strategic], not "${type}"`);
  }
  const asked = readArguments(flags.args);
  if (asked.length === 0) throw typeMissing("patch");
  if (asked.some(({ name }) => name === undefined))
    throw new Failed("error: resource(s) were provided, but no name was specified");
  let change: unknown;
  try {
    change = parse(text);
  } catch (error) {
    throw new Failed(`error: unable to parse ${JSON.stringify(text)}: ${error instanceof Error ? error.message : ""}`);
  }
  const { objects, failed } = findObjects(context, asked);
  for (const object of objects) {
    const { namespace = "", name, resourceVersion } = object.metadata;
    const after = api.patch(object.kind, namespace, name, type, change, { by: "kubectl-patch" });
    const format = flags.text("output");
    const word = after.metadata.resourceVersion === resourceVersion ? "patched (no change)" : "patched";
    if (format === undefined) context.out(`${typeName(object.kind)}/${name} ${word}\n`);
    else context.out(printObjects(parseFormat(format, false), [after as KubeObject], false));
  }
  return failed ? 1 : 0;
}

export const set: Verb = {
  name: "set",
  short: "Set specific features on objects",
  usage:
    "set image (-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N",
  flags: [
    { name: "all", type: "bool" },
    { name: "selector", short: "l", type: "string" },
  ],
  run: setImage,
};

function setImage(context: Context): number {
  const [what, ...rest] = context.flags.args;
  if (what !== "image")
    throw new Failed(`error: unknown command "${what ?? ""}" for "kubectl set": here it sets only image`);
  const pairs = rest.filter((arg) => arg.includes("="));
  const asked = readArguments(rest.filter((arg) => !arg.includes("=")));
  if (asked.length === 0) throw typeMissing("set");
  if (pairs.length === 0) throw new Failed("error: at least one image update is required");
  const { objects, failed } = findObjects(context, asked);
  let wrong = failed;
  for (const object of objects) {
    const names = containerNames(object);
    const wanted = pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)] as const);
    const missing = wanted.filter(([name]) => name !== "*" && !names?.includes(name));
    if (!names || missing.length > 0) {
      for (const [name] of missing) context.err(`error: unable to find container named "${name}"\n`);
      wrong = true;
      continue;
    }
    const containers = wanted.flatMap(([name, image]) =>
      (name === "*" ? names : [name]).map((one) => ({ name: one, image })),
    );
    const spec = object.kind === "Pod" ? { containers } : { template: { spec: { containers } } };
    const { namespace = "", name, resourceVersion } = object.metadata;
    const after = context.api.patch(object.kind, namespace, name, "strategic", { spec }, { by: "kubectl-set" });
    // What was so already is not mentioned.
    if (after.metadata.resourceVersion === resourceVersion) continue;
    context.out(`${typeName(object.kind)}/${name} image updated\n`);
  }
  return wrong ? 1 : 0;
}

function containerNames(object: KubeObject): readonly string[] | undefined {
  switch (object.kind) {
    case "Pod":
      return object.spec.containers.map(({ name }) => name);
    case "Deployment":
    case "ReplicaSet":
    case "DaemonSet":
      return object.spec.template?.spec?.containers.map(({ name }) => name);
    default:
      return undefined;
  }
}
