/** Owns `kubectl rollout`: status and restart of a Deployment. */
import { type Kinds, resourceOf } from "../../../api/kinds";
import { keyOf } from "../../../api/meta";
import { rfc3339 } from "../../../api/time";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { durationOf } from "../flags";
import { typeName } from "../print/printer";
import { findObjects, readArguments, typeMissing } from "../resources";
import { nextChange } from "../watch";

export const rollout: Verb = {
  name: "rollout",
  short: "Manage the rollout of a resource",
  usage: "rollout (status|restart) (TYPE NAME | TYPE/NAME) [flags]",
  flags: [
    { name: "timeout", type: "duration" },
    { name: "watch", short: "w", type: "bool" },
    { name: "selector", short: "l", type: "string" },
  ],
  run: (context) => {
    const [what, ...rest] = context.flags.args;
    if (what === "status") return status(context, rest);
    if (what === "restart") return restart(context, rest);
    throw new Failed(
      what === undefined
        ? "error: must specify a subcommand: status or restart\nSee 'kubectl rollout -h' for help and examples"
        : `error: unknown command "${what}" for "kubectl rollout"\nSee 'kubectl rollout -h' for help and examples`,
    );
  },
};

async function status(context: Context, args: readonly string[]): Promise<number> {
  const { api, flags } = context;
  const asked = readArguments(args);
  if (asked.length === 0) throw typeMissing("rollout status");
  const { objects, failed } = findObjects(context, asked);
  const given = flags.text("timeout");
  const { clock } = context.call.cluster.sim;
  const end = given === undefined || durationOf(given) <= 0 ? undefined : clock.now + durationOf(given);
  for (const object of objects) {
    if (object.kind !== "Deployment")
      throw new Failed(`error: no status viewer has been implemented for ${object.kind}`);
    let shown = "";
    for (;;) {
      const now = api.store.get("Deployment", keyOf(object));
      if (!now) throw new Failed("error: object has been deleted");
      const { text, done } = statusOf(now);
      if (text !== shown) context.out(`${text}\n`);
      shown = text;
      if (done || (flags.given("watch") && !flags.is("watch"))) break;
      const left = end === undefined ? undefined : end - clock.now;
      if (left !== undefined && left <= 0) throw new Failed("error: timed out waiting for the condition");
      const how = await nextChange(context, resourceOf("Deployment"), left);
      if (how === "stopped") return 130;
    }
  }
  return failed ? 1 : 0;
}

/** polymorphichelpers/rollout_status.go: DeploymentStatusViewer. */
function statusOf(deployment: Kinds["Deployment"]): { readonly text: string; readonly done: boolean } {
  const { name, generation = 0 } = deployment.metadata as Kinds["Deployment"]["metadata"] & { generation?: number };
  const { status: now, spec } = deployment;
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

function restart(context: Context, args: readonly string[]): number {
  const { api, call } = context;
  const asked = readArguments(args);
  if (asked.length === 0) throw typeMissing("rollout restart");
  const { objects, failed } = findObjects(context, asked);
  for (const object of objects) {
    if (object.kind !== "Deployment" && object.kind !== "DaemonSet") {
      throw new Failed(
        `error: ${resourceOf(object.kind).plural} "${object.metadata.name}" restarting is not supported`,
      );
    }
    const annotations = { "kubectl.kubernetes.io/restartedAt": rfc3339(call.cluster.sim.clock.now) };
    const patch = { spec: { template: { metadata: { annotations } } } };
    api.patch(object.kind, object.metadata.namespace ?? "", object.metadata.name, "strategic", patch, {
      by: "kubectl-rollout",
    });
    context.out(`${typeName(object.kind)}/${object.metadata.name} restarted\n`);
  }
  return failed ? 1 : 0;
}
