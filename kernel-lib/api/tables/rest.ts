/** Owns the rows of nodes, events, and the kinds with little to show. */
import type { Time } from "../../sim/clock";
import type { Kinds } from "../kinds";
import { ageOf, humanDuration, parseTime } from "../time";
import type { Cell } from "./table";

const rolePrefix = "node-role.kubernetes.io/";

export function nodeCells({ metadata, spec, status }: Kinds["Node"], now: Time): readonly Cell[] {
  const ready = status.conditions?.find((condition) => condition.type === "Ready");
  const words = [ready ? (ready.status === "True" ? "Ready" : "NotReady") : "Unknown"];
  if (spec.unschedulable) words.push("SchedulingDisabled");
  const address = (type: string): string => status.addresses?.find((a) => a.type === type)?.address ?? "<none>";
  return [
    metadata.name,
    words.join(","),
    nodeRoles(metadata.labels ?? {}),
    ageOf(metadata.creationTimestamp, now),
    status.nodeInfo?.kubeletVersion ?? "",
    address("InternalIP"),
    address("ExternalIP"),
    status.nodeInfo?.osImage || "<unknown>",
    status.nodeInfo?.kernelVersion || "<unknown>",
    status.nodeInfo?.containerRuntimeVersion || "<unknown>",
  ];
}

/** `control-plane`, `<none>`: from the labels node-role.kubernetes.io/… and kubernetes.io/role. */
export function nodeRoles(labels: Readonly<Record<string, string>>): string {
  const roles = Object.entries(labels).flatMap(([key, value]) => {
    if (key.startsWith(rolePrefix)) return key.slice(rolePrefix.length) || [];
    return key === "kubernetes.io/role" && value ? value : [];
  });
  return [...new Set(roles)].sort().join(",") || "<none>";
}

export function eventCells(event: Kinds["Event"], now: Time): readonly Cell[] {
  const first = event.firstTimestamp ?? event.eventTime;
  const last = event.series?.lastObservedTime ?? event.lastTimestamp ?? first;
  const count = event.series?.count ?? event.count ?? 1;
  const [firstAge, lastAge] = [ageOf(first, now), ageOf(last, now)];
  const since = count > 1 ? `${lastAge} (x${count} over ${spanText(first, now)})` : lastAge;
  const about = event.involvedObject;
  const name = about.name ? `${(about.kind ?? "").toLowerCase()}/${about.name}` : (about.kind ?? "").toLowerCase();
  return [
    since,
    event.type ?? "",
    event.reason ?? "",
    name,
    about.fieldPath ?? "",
    sourceText(event),
    (event.message ?? "").trim(),
    firstAge,
    count,
    event.metadata.name,
  ];
}

function spanText(first: string | undefined, now: Time): string {
  const then = parseTime(first ?? "");
  return then === undefined ? "<unknown>" : humanDuration(now - then);
}

function sourceText({ source, reportingComponent, reportingInstance }: Kinds["Event"]): string {
  const component = source?.component || reportingComponent || "";
  const host = source?.host || reportingInstance || "";
  return host ? `${component}, ${host}` : component;
}

export function namespaceCells({ metadata, status }: Kinds["Namespace"], now: Time): readonly Cell[] {
  return [metadata.name, status.phase ?? "", ageOf(metadata.creationTimestamp, now)];
}

export function configMapCells({ metadata, data, binaryData }: Kinds["ConfigMap"], now: Time): readonly Cell[] {
  const count = Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length;
  return [metadata.name, count, ageOf(metadata.creationTimestamp, now)];
}

export function secretCells({ metadata, type, data }: Kinds["Secret"], now: Time): readonly Cell[] {
  return [metadata.name, type ?? "", Object.keys(data ?? {}).length, ageOf(metadata.creationTimestamp, now)];
}

export function serviceAccountCells({ metadata, secrets }: Kinds["ServiceAccount"], now: Time): readonly Cell[] {
  return [metadata.name, secrets?.length ?? 0, ageOf(metadata.creationTimestamp, now)];
}
