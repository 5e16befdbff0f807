/** Owns `kubectl rollout restart|pause|resume`. */
import type { Kind, Kinds } from "../../../../api/kinds";
import { resourceOf } from "../../../../api/kinds";
import { rfc3339 } from "../../../../api/time";
import type { Context, Verb } from "../../context";
import type { Flag } from "../../flags";
import { outputFlag, tell } from "../dryrun";
import { objectsMeant, requireObjects } from "../objects";

export const rolloutFlags: readonly Flag[] = [
  { name: "filename", short: "f", type: "list" },
  { name: "selector", short: "l", type: "string" },
  { name: "recursive", short: "R", type: "bool" },
];

/** `Service`, `Job.batch`: a kind as Go prints it with its group. */
export function groupKind(kind: Kind): string {
  const { group } = resourceOf(kind);
  return group === "" ? kind : `${kind}.${group}`;
}

type Rolled = Kinds["Deployment"] | Kinds["DaemonSet"] | Kinds["StatefulSet"];

interface Change {
  readonly name: "restart" | "pause" | "resume";
  readonly done: string;
  readonly short: string;
  /** What is patched; a text says why nothing is, `refused` says it without the object's name. */
  patch(object: Rolled, context: Context): object | string | { readonly refused: string };
}

function verbOf({ name, done, short, patch }: Change): Verb {
  return {
    name,
    short,
    usage: `rollout ${name} RESOURCE`,
    flags: [...rolloutFlags, outputFlag],
    run(context) {
      requireObjects(context, `rollout ${name}`);
      const { objects, failed } = objectsMeant(context);
      let exitCode = failed ? 1 : 0;
      for (const object of objects) {
        const called = `${resourceOf(object.kind).plural}.${resourceOf(object.kind).group}`.replace(/\.$/, "");
        const { namespace = "", name: own } = object.metadata;
        const supported =
          object.kind === "Deployment" ||
          ((object.kind === "DaemonSet" || object.kind === "StatefulSet") && name === "restart");
        const change = supported
          ? patch(object as Rolled, context)
          : `${name === "pause" ? "pausing" : name === "resume" ? "resuming" : "restarting"} is not supported`;
        if (typeof change === "string" || "refused" in change) {
          const why = typeof change === "string" ? `${called} "${own}" ${change}` : change.refused;
          context.err(`error: ${why}\n`);
          exitCode = 1;
          continue;
        }
        const patched = context.api.patch(object.kind, namespace, own, "strategic", change, { by: "kubectl-rollout" });
        tell(context, patched, done);
      }
      if (objects.length === 0 && !failed) context.err(`No resources found in ${context.namespace} namespace.\n`);
      return exitCode;
    },
  };
}

const restarted = "kubectl.kubernetes.io/restartedAt";

export const restart = verbOf({
  name: "restart",
  done: "restarted",
  short: "Restart a resource",
  patch(object, { call }) {
    if (object.kind === "Deployment" && object.spec.paused)
      return "can't restart paused deployment (run rollout resume first)";
    const restartedAt = rfc3339(call.cluster.sim.clock.now);
    // The time is all that a restart changes, and it is written in whole seconds.
    if (object.spec.template.metadata?.annotations?.[restarted] === restartedAt) {
      const why =
        "if restart has already been triggered within the past second, please wait before attempting to trigger another";
      return { refused: `failed to create patch for ${object.metadata.name}: ${why}` };
    }
    const annotations = { [restarted]: restartedAt };
    return { spec: { template: { metadata: { annotations } } } };
  },
});

export const pause = verbOf({
  name: "pause",
  done: "paused",
  short: "Mark the provided resource as paused",
  patch: (object) =>
    object.kind === "Deployment" && object.spec.paused ? "is already paused" : { spec: { paused: true } },
});

export const resume = verbOf({
  name: "resume",
  done: "resumed",
  short: "Resume a paused resource",
  patch: (object) =>
    object.kind === "Deployment" && !object.spec.paused ? "is not paused" : { spec: { paused: null } },
});
