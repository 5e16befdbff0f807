/** Owns the description of Deployments and ReplicaSets. */
import { same } from "../../../api/equal";
import type { Kinds } from "../../../api/kinds";
import { controllerOf } from "../../../api/meta";
import { selectorText as labelSelectorText } from "../../../api/tables/labels";
import type { Context } from "../context";
import { annotationLines, mapLines, metadataLines, selectorText, timeText } from "./describe";
import { type Line, line, text } from "./lines";
import { type Template, templateLines } from "./pod";

type Deployment = Kinds["Deployment"];
type ReplicaSet = Kinds["ReplicaSet"];

export function describeDeployment(context: Context, deployment: Deployment): Line[] {
  const { metadata, spec, status } = deployment;
  const lines: Line[] = [line(0, "Name:", metadata.name), line(0, "Namespace:", metadata.namespace ?? "")];
  lines.push(line(0, "CreationTimestamp:", timeText(metadata.creationTimestamp)));
  lines.push(...mapLines("Labels", metadata.labels), ...annotationLines(metadata.annotations));
  lines.push(line(0, "Selector:", labelSelectorText(spec.selector)));
  const counts = [
    `${spec.replicas ?? 1} desired`,
    `${status.updatedReplicas ?? 0} updated`,
    `${status.replicas ?? 0} total`,
    `${status.availableReplicas ?? 0} available`,
    `${status.unavailableReplicas ?? 0} unavailable`,
  ];
  lines.push(line(0, "Replicas:", counts.join(" | ")));
  lines.push(line(0, "StrategyType:", spec.strategy?.type ?? "RollingUpdate"));
  lines.push(line(0, "MinReadySeconds:", String(spec.minReadySeconds ?? 0)));
  const rolling = spec.strategy?.rollingUpdate;
  if (rolling) {
    lines.push(
      line(
        0,
        "RollingUpdateStrategy:",
        `${rolling.maxUnavailable ?? "25%"} max unavailable, ${rolling.maxSurge ?? "25%"} max surge`,
      ),
    );
  }
  lines.push(...templateLines(spec.template as Template));
  const conditions = status.conditions ?? [];
  if (conditions.length > 0) {
    lines.push(line(0, "Conditions:"), line(1, "Type", "Status", "Reason"), line(1, "----", "------", "------"));
    for (const { type, status: value, reason } of conditions) lines.push(line(1, type, value, reason ?? ""));
  }
  const own = context.api.store.list("ReplicaSet", { namespace: metadata.namespace ?? "", owner: metadata.uid });
  // The oldest that has the template: none where a paused Deployment was changed (util/deployment, FindNewReplicaSet).
  const wanted = withoutHash(spec.template as Template);
  const byAge = [...own].sort((one, other) => {
    return (one.metadata.creationTimestamp ?? "").localeCompare(other.metadata.creationTimestamp ?? "");
  });
  const newest = byAge.find((set) => same(withoutHash(set.spec.template as Template), wanted));
  const old = own.filter((set) => set !== newest);
  const shown = (sets: readonly ReplicaSet[]): string =>
    sets
      .map((set) => `${set.metadata.name} (${set.status.replicas}/${set.spec.replicas} replicas created)`)
      .join(", ") || "<none>";
  lines.push(line(0, "OldReplicaSets:", shown(old)), line(0, "NewReplicaSet:", shown(newest ? [newest] : [])));
  return lines;
}

export function describeReplicaSet(context: Context, set: ReplicaSet): Line[] {
  const { metadata, spec, status } = set;
  const lines: Line[] = [line(0, "Name:", metadata.name), line(0, "Namespace:", metadata.namespace ?? "")];
  lines.push(line(0, "Selector:", labelSelectorText(spec.selector)), ...metadataLines(set).slice(2));
  const owner = controllerOf(set);
  if (owner) lines.push(line(0, "Controlled By:", `${owner.kind}/${owner.name}`));
  lines.push(line(0, "Replicas:", `${status.replicas} current / ${spec.replicas ?? 1} desired`));
  lines.push(podsStatus(context, set), ...templateLines(spec.template as Template));
  return lines;
}

export function describeDaemonSet(context: Context, set: Kinds["DaemonSet"]): Line[] {
  const { metadata, spec, status } = set;
  const lines: Line[] = [line(0, "Name:", metadata.name), line(0, "Namespace:", metadata.namespace ?? "")];
  lines.push(line(0, "Selector:", labelSelectorText(spec.selector)));
  lines.push(line(0, "Node-Selector:", selectorText(spec.template.spec?.nodeSelector)));
  lines.push(...mapLines("Labels", metadata.labels), ...annotationLines(metadata.annotations));
  const counts: readonly (readonly [string, number | undefined])[] = [
    ["Desired Number of Nodes Scheduled", status.desiredNumberScheduled],
    ["Current Number of Nodes Scheduled", status.currentNumberScheduled],
    ["Number of Nodes Scheduled with Up-to-date Pods", status.updatedNumberScheduled],
    ["Number of Nodes Scheduled with Available Pods", status.numberAvailable],
    ["Number of Nodes Misscheduled", status.numberMisscheduled],
  ];
  lines.push(...counts.map(([title, count]) => text(`${title}: ${count ?? 0}`)));
  lines.push(podsStatus(context, set), ...templateLines(spec.template as Template));
  return lines;
}

export function podsStatus(
  context: Context,
  { metadata }: ReplicaSet | Kinds["DaemonSet"] | Kinds["StatefulSet"],
): Line {
  const pods = context.api.store.list("Pod", { namespace: metadata.namespace ?? "", owner: metadata.uid });
  const count = (phase: string): number => pods.filter((pod) => pod.status.phase === phase).length;
  const counts = `${count("Running")} Running / ${count("Pending")} Waiting / ${count("Succeeded")} Succeeded / ${count("Failed")} Failed`;
  return line(0, "Pods Status:", counts);
}

/** A template as its owner has it: without the label that tells its ReplicaSet's pods apart. */
export function withoutHash(template: Template): Template {
  const { "pod-template-hash": _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}
