/** Owns the description of StatefulSets and Jobs. */
import type { Kinds } from "../../../api/kinds";
import { controllerOf } from "../../../api/meta";
import { selectorText } from "../../../api/tables/labels";
import { humanDuration, parseTime } from "../../../api/time";
import type { Context } from "../context";
import { annotationLines, mapLines, timeText } from "./describe";
import { type Line, line } from "./lines";
import { type Template, templateLines } from "./pod";
import { podsStatus } from "./workload";

type StatefulSet = Kinds["StatefulSet"];
type Job = Kinds["Job"];

export function describeStatefulSet(context: Context, set: StatefulSet): Line[] {
  const { metadata, spec, status } = set;
  const lines: Line[] = [line(0, "Name:", metadata.name), line(0, "Namespace:", metadata.namespace ?? "")];
  lines.push(line(0, "CreationTimestamp:", timeText(metadata.creationTimestamp)));
  lines.push(line(0, "Selector:", selectorText(spec.selector)));
  lines.push(...mapLines("Labels", metadata.labels), ...annotationLines(metadata.annotations));
  lines.push(line(0, "Replicas:", `${spec.replicas ?? 1} desired | ${status.replicas} total`));
  lines.push(line(0, "Update Strategy:", spec.updateStrategy?.type ?? ""));
  const partition = spec.updateStrategy?.rollingUpdate?.partition;
  if (partition !== undefined) lines.push(line(1, "Partition:", String(partition)));
  lines.push(podsStatus(context, set), ...templateLines(spec.template as Template));
  return [...lines, ...claimLines(spec.volumeClaimTemplates ?? [])];
}

function claimLines(claims: NonNullable<StatefulSet["spec"]["volumeClaimTemplates"]>): Line[] {
  if (claims.length === 0) return [line(0, "Volume Claims:", "<none>")];
  const lines = claims.flatMap(({ metadata, spec }) => {
    const under = (from: readonly Line[]): Line[] => from.map(({ cells }) => line(1, ...cells));
    return [
      line(1, "Name:", metadata?.name ?? ""),
      line(1, "StorageClass:", spec?.storageClassName ?? ""),
      ...under(mapLines("Labels", metadata?.labels)),
      ...under(annotationLines(metadata?.annotations)),
      line(1, "Capacity:", spec?.resources?.requests?.storage ?? "<default>"),
      line(1, "Access Modes:", `[${(spec?.accessModes ?? []).join(" ")}]`),
    ];
  });
  return [line(0, "Volume Claims:"), ...lines];
}

export function describeJob(job: Job): Line[] {
  const { metadata, spec, status } = job;
  const lines: Line[] = [line(0, "Name:", metadata.name), line(0, "Namespace:", metadata.namespace ?? "")];
  lines.push(line(0, "Selector:", selectorText(spec.selector)));
  lines.push(...mapLines("Labels", metadata.labels), ...annotationLines(metadata.annotations));
  const owner = controllerOf(job);
  const [start, end] = [parseTime(status.startTime ?? ""), parseTime(status.completionTime ?? "")];
  const { activeDeadlineSeconds: deadline, ttlSecondsAfterFinished: ttl } = spec;
  const rows: readonly (readonly [string, unknown])[] = [
    ["Controlled By:", owner && `${owner.kind}/${owner.name}`],
    ["Parallelism:", spec.parallelism],
    ["Completions:", spec.completions ?? "<unset>"],
    ["Completion Mode:", spec.completionMode],
    ["Suspend:", spec.suspend],
    ["Backoff Limit:", spec.backoffLimit],
    ["TTL Seconds After Finished:", ttl],
    ["Start Time:", start === undefined ? undefined : timeText(status.startTime)],
    ["Completed At:", end === undefined ? undefined : timeText(status.completionTime)],
    ["Duration:", start === undefined || end === undefined ? undefined : humanDuration(end - start)],
    ["Active Deadline Seconds:", deadline === undefined ? undefined : `${deadline}s`],
    ["Pods Statuses:", podsStatuses(job)],
    ["Completed Indexes:", spec.completionMode === "Indexed" ? indexesShown(status.completedIndexes) : undefined],
  ];
  lines.push(...rows.flatMap(([title, value]) => (value === undefined ? [] : [line(0, title, String(value))])));
  return [...lines, ...templateLines(spec.template as Template)];
}

function podsStatuses({ status }: Job): string {
  const ready = status.ready === undefined ? "" : ` (${status.ready} Ready)`;
  return `${status.active ?? 0} Active${ready} / ${status.succeeded ?? 0} Succeeded / ${status.failed ?? 0} Failed`;
}

/** At most about fifty letters, up to the next comma (capIndexesListOrNone). */
function indexesShown(indexes = ""): string {
  if (indexes === "") return "<none>";
  const comma = indexes.indexOf(",", 50);
  return comma < 0 ? indexes : `${indexes.slice(0, comma + 1)}...`;
}
