/** Owns `kubectl rollout undo`: the pod template of an older revision becomes the Deployment's again. */
import { same } from "../../../../api/equal";
import type { Kinds } from "../../../../api/kinds";
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { plainLines } from "../../describe/lines";
import { type Template, templateLines } from "../../describe/pod";
import { withoutHash } from "../../describe/workload";
import { parseFormat, typeName } from "../../print/printer";
import { dryRunFlag, dryRunOf, outputFlag, tellAlone } from "../dryrun";
import { objectsMeant, requireObjects } from "../objects";
import { groupKind, rolloutFlags } from "./change";
import { revisionsOf } from "./history";
import { undoSet } from "./stateful";

export const undo: Verb = {
  name: "undo",
  short: "Undo a previous rollout",
  usage: "rollout undo (TYPE NAME | TYPE/NAME) [flags]",
  flags: [...rolloutFlags, { name: "to-revision", type: "int" }, outputFlag, dryRunFlag],
  run(context) {
    requireObjects(context, "rollout undo");
    const wanted = context.flags.number("to-revision") ?? 0;
    const { format } = parseFormat(context, false);
    const { objects, failed } = objectsMeant(context);
    for (const object of objects) {
      if (object.kind !== "Deployment" && object.kind !== "StatefulSet" && object.kind !== "DaemonSet") {
        throw new Failed(`error: no rollbacker has been implemented for "${groupKind(object.kind)}"`);
      }
      const done = object.kind === "Deployment" ? undoOne(context, object, wanted) : undoSet(context, object, wanted);
      // In another format the object is printed as it was found.
      if (format !== "table") tellAlone(context, object, done);
      else context.out(`${typeName(object.kind)}/${object.metadata.name} ${done}\n`);
    }
    return failed ? 1 : 0;
  },
};

/** polymorphichelpers/rollback.go: DeploymentRollbacker. */
function undoOne(context: Context, deployment: Kinds["Deployment"], wanted: number): string {
  const { name, namespace = "" } = deployment.metadata;
  const revisions = revisionsOf(context, deployment);
  if (revisions.size === 0 || (wanted === 0 && revisions.size < 2)) {
    throw new Failed(`error: no rollout history found for deployment "${name}"`);
  }
  const set = wanted === 0 ? [...revisions.values()].at(-2) : revisions.get(wanted);
  if (!set) throw new Failed(`error: unable to find specified revision ${wanted} in history`);
  const template = withoutHash(set.spec.template as Template);
  const dryRun = dryRunOf(context.flags);
  if (dryRun === "client") {
    return `${plainLines(templateLines(set.spec.template as Template))} (dry run)`;
  }
  if (deployment.spec.paused) {
    throw new Failed(
      `error: you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again`,
    );
  }
  if (same(template, withoutHash(deployment.spec.template as Template))) {
    return `skipped rollback (current template already matches revision ${wanted})`;
  }
  const annotations = annotationsOf(set, deployment);
  const patch = { metadata: { annotations }, spec: { template: { ...template, $patch: "replace" } } };
  context.api.patch("Deployment", namespace, name, "strategic", patch, {
    dryRun: dryRun === "server",
    by: "kubectl-rollout",
  });
  return `rolled back${dryRun === "server" ? " (server dry run)" : ""}`;
}

/** What is each object's own: the rest a revision brings back with its template. */
const ownAnnotations = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  "deployment.kubernetes.io/revision",
  "deployment.kubernetes.io/revision-history",
  "deployment.kubernetes.io/desired-replicas",
  "deployment.kubernetes.io/max-replicas",
]);

/** The change of the Deployment's annotations: those of the revision come, all others go. */
function annotationsOf(
  set: Kinds["ReplicaSet"],
  deployment: Kinds["Deployment"],
): Readonly<Record<string, string | null>> {
  const own = ([key]: readonly [string, unknown]): boolean => !ownAnnotations.has(key);
  const gone = Object.entries(deployment.metadata.annotations ?? {})
    .filter(own)
    .map(([key]) => [key, null] as const);
  return {
    ...Object.fromEntries(gone),
    ...Object.fromEntries(Object.entries(set.metadata.annotations ?? {}).filter(own)),
  };
}
