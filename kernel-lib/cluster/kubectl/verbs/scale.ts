/** Owns `kubectl scale`. */
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { typeName } from "../print/printer";
import { findObjects, readArguments, typeMissing } from "../resources";

export const scale: Verb = {
  name: "scale",
  short: "Set a new size for a deployment, replica set, or replication controller",
  usage: "scale [--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)",
  flags: [
    { name: "replicas", type: "int" },
    { name: "current-replicas", type: "int" },
    { name: "selector", short: "l", type: "string" },
    { name: "all", type: "bool" },
    { name: "timeout", type: "duration" },
  ],
  run: scaleObjects,
};

function scaleObjects(context: Context): number {
  const { api, flags } = context;
  const replicas = flags.number("replicas");
  if (replicas === undefined) throw new Failed('error: required flag(s) "replicas" not set');
  if (replicas < 0) {
    throw new Failed("error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
  }
  const asked = readArguments(flags.args);
  if (asked.length === 0) throw typeMissing("scale");
  const { objects, failed } = findObjects(context, asked);
  for (const object of objects) {
    if (object.kind !== "Deployment" && object.kind !== "ReplicaSet") {
      throw new Failed(`error: could not find the requested resource`);
    }
    const expected = flags.number("current-replicas");
    if (expected !== undefined && expected >= 0 && expected !== (object.spec.replicas ?? 1)) {
      throw new Failed(`error: Expected replicas to be ${expected}, was ${object.spec.replicas}`);
    }
    api.scale(object.kind, object.metadata.namespace ?? "", object.metadata.name, replicas, { by: "kubectl-scale" });
    context.out(`${typeName(object.kind)}/${object.metadata.name} scaled\n`);
  }
  if (objects.length === 0 && !failed) throw new Failed("error: no objects passed to scale");
  return failed ? 1 : 0;
}
