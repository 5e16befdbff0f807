/** Owns `kubectl rollout restart|pause|resume`. */
import type { Kind, Kinds } from "../../../../api/kinds";
import { resourceOf } from "../../../../api/kinds";
import { rfc3339 } from "../../../../api/time";
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import type { Flag } from "../../flags";
import { typeName } from "../../print/printer";
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
  /** What is patched; a text says why nothing is. */
  patch(object: Rolled, context: Context): object | string;
}

function verbOf({ name, done, short, patch }: Change): Verb {
  return {
    name,
    short,
    usage: `rollout ${name} RESOURCE`,
    flags: rolloutFlags,
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
        if (typeof change === "string") {
          context.err(`error: ${called} "${own}" ${change}\n`);
          exitCode = 1;
          continue;
        }
        context.api.patch(object.kind, namespace, own, "strategic", change, { by: "kubectl-rollout" });
        context.out(`${typeName(object.kind)}/${own} ${done}\n`);
      }
      if (objects.length === 0 && !failed) throw new Failed(`error: no resources found`);
      return exitCode;
    },
  };
}

export const restart = verbOf({
  name: "restart",
  done: "restarted",
  short: "Restart a resource",
  patch(object, { call }) {
    if (object.kind === "Deployment" && object.spec.paused)
      return "can't restart paused deployment (run rollout resume first)";
    const annotations = { "kubectl.kubernetes.io/restartedAt": rfc3339(call.cluster.sim.clock.now) };
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
