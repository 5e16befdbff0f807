/** Owns what `kubectl rollout` says of StatefulSets, and the history of all whose revisions are ControllerRevisions. */
import { same } from "../../../../api/equal";
import type { Kinds } from "../../../../api/kinds";
import { strategicMerge } from "../../../../api/patch";
import { Failed } from "../../../shell/tool";
import type { Context } from "../../context";
import { plainLines } from "../../describe/lines";
import { type Template, templateLines } from "../../describe/pod";
import { dryRunOf } from "../dryrun";

type StatefulSet = Kinds["StatefulSet"];
type Revision = Kinds["ControllerRevision"];
/** A set whose history is in ControllerRevisions. */
export type Historic = StatefulSet | Kinds["DaemonSet"];

/** polymorphichelpers/rollout_status.go: StatefulSetStatusViewer. @throws Failed */
export function statefulSetProgress({ metadata, spec, status }: StatefulSet): {
  readonly text: string;
  readonly done: boolean;
} {
  if (spec.updateStrategy?.type !== "RollingUpdate") {
    throw new Failed("error: rollout status is only available for RollingUpdate strategy type");
  }
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 1)) {
    return { text: "Waiting for statefulset spec update to be observed...", done: false };
  }
  const wanted = spec.replicas ?? 1;
  const [ready, updated] = [status.readyReplicas ?? 0, status.updatedReplicas ?? 0];
  if (ready < wanted) return { text: `Waiting for ${wanted - ready} pods to be ready...`, done: false };
  const partition = spec.updateStrategy.rollingUpdate?.partition;
  if (partition !== undefined) {
    const most = wanted - partition;
    if (updated >= most)
      return { text: `partitioned roll out complete: ${updated} new pods have been updated...`, done: true };
    const head = "Waiting for partitioned roll out to finish: ";
    return { text: `${head}${updated} out of ${most} new pods have been updated...`, done: false };
  }
  if (status.updateRevision !== status.currentRevision) {
    const head = "waiting for statefulset rolling update to complete ";
    return { text: `${head}${updated} pods at revision ${status.updateRevision}...`, done: false };
  }
  const count = status.currentReplicas ?? 0;
  return {
    text: `statefulset rolling update complete ${count} pods at revision ${status.currentRevision}...`,
    done: true,
  };
}

/** Revision → its ControllerRevision, the oldest first. */
export function revisionsOfSet({ api }: Context, set: Historic): ReadonlyMap<number, Revision> {
  const { namespace = "", uid } = set.metadata;
  const own = api.store.list("ControllerRevision", { namespace, owner: uid });
  return new Map(own.map((each) => [each.revision, each] as const).sort(([one], [other]) => one - other));
}

/** The set as it was of a revision. */
export function setOf(set: Historic, { data }: Revision): Historic {
  return strategicMerge(set, data) as Historic;
}

/** polymorphichelpers/rollback.go: StatefulSetRollbacker, DaemonSetRollbacker. @throws Failed */
export function undoSet(context: Context, set: Historic, wanted: number): string {
  const { name, namespace = "" } = set.metadata;
  const revisions = revisionsOfSet(context, set);
  if (wanted === 0 && revisions.size <= 1) throw new Failed("error: no last revision to roll back to");
  const revision = wanted === 0 ? [...revisions.values()].at(-2) : revisions.get(wanted);
  if (!revision) throw new Failed(`error: unable to find specified revision ${wanted} in history`);
  const then = setOf(set, revision);
  const dryRun = dryRunOf(context.flags);
  if (dryRun === "client")
    return `will roll back to ${plainLines(templateLines(then.spec.template as Template))} (dry run)`;
  if (same(then.spec.template, set.spec.template)) {
    return `skipped rollback (current template already matches revision ${wanted})`;
  }
  const options = { dryRun: dryRun === "server", by: "kubectl-rollout" };
  context.api.patch(set.kind, namespace, name, "strategic", revision.data, options);
  return `rolled back${dryRun === "server" ? " (server dry run)" : ""}`;
}
