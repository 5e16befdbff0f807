/** Owns `kubectl rollout status`: it follows a Deployment or DaemonSet until its pods are the wanted ones. */
import type { Kinds } from "../../../../api/kinds";
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { durationOf } from "../../flags";
import { followObject } from "../../watch";
import { objectsMeant, requireObjects } from "../objects";
import { groupKind, rolloutFlags } from "./change";
import { revisionsOf } from "./history";
import { statefulSetProgress } from "./stateful";

export const status: Verb = {
  name: "status",
  short: "Show the status of the rollout",
  usage: "rollout status (TYPE NAME | TYPE/NAME) [flags]",
  flags: [
    ...rolloutFlags,
    { name: "timeout", type: "duration" },
    { name: "watch", short: "w", type: "bool" },
    { name: "revision", type: "int" },
  ],
  run: follow,
};

interface Progress {
  readonly text: string;
  readonly done: boolean;
}

type Rolled = Kinds["Deployment"] | Kinds["DaemonSet"] | Kinds["StatefulSet"];

/** What it says comes once for each write of the object, be it the same as before. */
async function follow(context: Context): Promise<number> {
  const { flags } = context;
  requireObjects(context, "rollout status");
  const { objects, failed } = objectsMeant(context, flags.args, true);
  const given = durationOf(flags.text("timeout") ?? "0");
  const watching = !flags.given("watch") || flags.is("watch");
  for (const object of objects) {
    if (object.kind !== "Deployment" && object.kind !== "DaemonSet" && object.kind !== "StatefulSet") {
      throw new Failed(`error: no status viewer has been implemented for ${groupKind(object.kind)}`);
    }
    const how = await followObject(context, object, given > 0 ? given : undefined, (now) => {
      if (!now) throw new Failed("error: object has been deleted");
      const { text, done } = progressOf(context, now as Rolled);
      context.out(`${text}\n`);
      return done || !watching;
    });
    if (how === "timeout") throw new Failed("error: timed out waiting for the condition");
    if (how === "stopped") return 130;
  }
  return failed ? 1 : 0;
}

function progressOf(context: Context, now: Rolled): Progress {
  if (now.kind === "Deployment") return deploymentProgress(context, now);
  return now.kind === "DaemonSet" ? daemonSetProgress(now) : statefulSetProgress(now);
}

/** polymorphichelpers/rollout_status.go: DeploymentStatusViewer. */
function deploymentProgress(context: Context, deployment: Kinds["Deployment"]): Progress {
  const { name, generation = 0, annotations } = deployment.metadata;
  const { status: now, spec } = deployment;
  const asked = context.flags.number("revision") ?? 0;
  if (asked > 0) {
    const current = Number(annotations?.["deployment.kubernetes.io/revision"] ?? 0);
    if (revisionsOf(context, deployment).size > 0 && current !== asked) {
      throw new Failed(`error: desired revision (${asked}) is different from the running revision (${current})`);
    }
  }
  if (generation > (now.observedGeneration ?? 0)) {
    return { text: "Waiting for deployment spec update to be observed...", done: false };
  }
  const progressing = now.conditions?.find(({ type }) => type === "Progressing");
  if (progressing?.reason === "ProgressDeadlineExceeded") {
    throw new Failed(`error: deployment "${name}" exceeded its progress deadline`);
  }
  const head = `Waiting for deployment "${name}" rollout to finish: `;
  const [wanted, updated] = [spec.replicas ?? 1, now.updatedReplicas ?? 0];
  if (updated < wanted) {
    return { text: `${head}${updated} out of ${wanted} new replicas have been updated...`, done: false };
  }
  if ((now.replicas ?? 0) > updated) {
    return { text: `${head}${(now.replicas ?? 0) - updated} old replicas are pending termination...`, done: false };
  }
  if ((now.availableReplicas ?? 0) < updated) {
    return {
      text: `${head}${now.availableReplicas ?? 0} of ${updated} updated replicas are available...`,
      done: false,
    };
  }
  return { text: `deployment "${name}" successfully rolled out`, done: true };
}

/** The same file: DaemonSetStatusViewer. */
function daemonSetProgress({ metadata, spec, status: now }: Kinds["DaemonSet"]): Progress {
  if (spec.updateStrategy?.type !== undefined && spec.updateStrategy.type !== "RollingUpdate") {
    throw new Failed("error: rollout status is only available for RollingUpdate strategy type");
  }
  if ((metadata.generation ?? 0) > (now.observedGeneration ?? 0)) {
    return { text: "Waiting for daemon set spec update to be observed...", done: false };
  }
  const head = `Waiting for daemon set ${JSON.stringify(metadata.name)} rollout to finish: `;
  const [wanted, updated] = [now.desiredNumberScheduled, now.updatedNumberScheduled ?? 0];
  if (updated < wanted) {
    return { text: `${head}${updated} out of ${wanted} new pods have been updated...`, done: false };
  }
  if ((now.numberAvailable ?? 0) < wanted) {
    return { text: `${head}${now.numberAvailable ?? 0} of ${wanted} updated pods are available...`, done: false };
  }
  return { text: `daemon set ${JSON.stringify(metadata.name)} successfully rolled out`, done: true };
}
