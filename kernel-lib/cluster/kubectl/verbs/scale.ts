/** Owns `kubectl scale`. */
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf, outputFlag, tell } from "./dryrun";
import { objectsMeant } from "./objects";

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
    { name: "filename", short: "f", type: "list" },
    { name: "resource-version", type: "string" },
    outputFlag,
    dryRunFlag,
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
  const missing: string[] = [];
  const { objects, failed } = objectsMeant({ ...context, err: (text) => void missing.push(text) });
  if (objects.length === 0) {
    // kubectl keeps what the server said, but not who said it.
    const why = missing.map((text) => text.replace(/^Error from server \(\w+\): /, "").trimEnd()).join("\n");
    throw new Failed(`error: no objects passed to scale${why ? ` ${why}` : ""}`);
  }
  context.err(missing.join(""));
  let wrong = failed;
  for (const object of objects) {
    if (object.kind !== "Deployment" && object.kind !== "ReplicaSet" && object.kind !== "StatefulSet") {
      context.err("Error from server (NotFound): the server could not find the requested resource\n");
      wrong = true;
      continue;
    }
    const expected = flags.number("current-replicas");
    if (expected !== undefined && expected >= 0 && expected !== (object.spec.replicas ?? 1)) {
      throw new Failed(`error: Expected replicas to be ${expected}, was ${object.spec.replicas}`);
    }
    const { namespace = "", name } = object.metadata;
    if (dryRunOf(flags) !== "client")
      api.scale(object.kind, namespace, name, replicas, writing(context, "kubectl-scale"));
    tell(context, api.get(object.kind, namespace, name), "scaled");
  }
  return wrong ? 1 : 0;
}
