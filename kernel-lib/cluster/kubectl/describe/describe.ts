/** Owns the door of `describe`: which kind is told how, and what all of them share (metadata, events). */
import type { Kinds, KubeObject } from "../../../api/kinds";
import { humanDuration, parseTime } from "../../../api/time";
import type { Time } from "../../../sim/clock";
import { rfc1123 } from "../../calendar";
import type { Context } from "../context";
import { describeConfigMap, describeNamespace, describeSecret, describeServiceAccount } from "./data";
import { describeAny } from "./generic";
import { alignLines, type Line, line } from "./lines";
import { describeNode } from "./node";
import { describePod } from "./pod";
import { describeDisruptionBudget } from "./policy";
import { describeEndpoints, describeService, describeSlice } from "./service";
import { describeJob, describeStatefulSet } from "./stateful";
import { describeDaemonSet, describeDeployment, describeReplicaSet } from "./workload";

/** Kinds whose description tells no events. */
const withoutEvents: readonly string[] = ["Namespace", "Secret"];

/** The whole text of one object. */
export function describeObject(context: Context, object: KubeObject, events: boolean): string {
  const lines = linesOf(context, object);
  if (events && !withoutEvents.includes(object.kind)) lines.push(...eventLines(context, object));
  return alignLines(lines);
}

function linesOf(context: Context, object: KubeObject): Line[] {
  switch (object.kind) {
    case "Service":
      return describeService(context, object);
    case "Pod":
      return describePod(context, object);
    case "Deployment":
      return describeDeployment(context, object);
    case "ReplicaSet":
      return describeReplicaSet(context, object);
    case "Node":
      return describeNode(context, object);
    case "EndpointSlice":
      return describeSlice(object);
    case "Endpoints":
      return describeEndpoints(object);
    case "DaemonSet":
      return describeDaemonSet(context, object);
    case "PodDisruptionBudget":
      return describeDisruptionBudget(object);
    case "StatefulSet":
      return describeStatefulSet(context, object);
    case "Job":
      return describeJob(object);
    case "ConfigMap":
      return describeConfigMap(object);
    case "Secret":
      return describeSecret(object);
    case "ServiceAccount":
      return describeServiceAccount(object);
    case "Namespace":
      return describeNamespace(object);
    default:
      return describeAny(object);
  }
}

/** `Name:` to `Annotations:`. */
export function metadataLines(object: KubeObject, namespaced = true): Line[] {
  const { metadata } = object;
  return [
    line(0, "Name:", metadata.name),
    ...(namespaced ? [line(0, "Namespace:", metadata.namespace ?? "")] : []),
    ...mapLines("Labels", metadata.labels),
    ...annotationLines(metadata.annotations),
  ];
}

/** One `key=value` a line; `<none>` without any. */
export function mapLines(name: string, map: Readonly<Record<string, string>> | undefined): Line[] {
  const pairs = Object.entries(map ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
  if (pairs.length === 0) return [line(0, `${name}:`, "<none>")];
  return pairs.map(([key, value], at) => line(0, at === 0 ? `${name}:` : "", `${key}=${value}`));
}

/** One `key: value` a line; what kubectl apply keeps for itself is not shown. */
export function annotationLines(map: Readonly<Record<string, string>> | undefined, level = 0): Line[] {
  const pairs = Object.entries(map ?? {}).filter(([key]) => key !== "kubectl.kubernetes.io/last-applied-configuration");
  if (pairs.length === 0) return [line(level, "Annotations:", "<none>")];
  return pairs
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, value], at) => line(level, at === 0 ? "Annotations:" : "", `${key}: ${value}`));
}

/** `a=1,b=2`, or `<none>`. */
export function selectorText(map: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(map ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length > 0 ? pairs.sort().join(",") : "<none>";
}

/** A time as describe shows it: `Thu, 01 Jan 2026 00:01:03 +0000`. */
export function timeText(timestamp: string | undefined): string {
  const time = timestamp === undefined ? undefined : parseTime(timestamp);
  if (time === undefined) return "<unknown>";
  return rfc1123(time);
}

function eventLines(context: Context, object: KubeObject): Line[] {
  const { clock } = context.call.cluster.sim;
  const about = context.api.store
    .list("Event", { namespace: object.metadata.namespace ?? "default" })
    .filter(
      ({ involvedObject }) =>
        involvedObject.kind === object.kind &&
        involvedObject.name === object.metadata.name &&
        (object.kind === "Node" || involvedObject.uid === object.metadata.uid),
    );
  if (about.length === 0) return [line(0, "Events:", "<none>")];
  const last = (event: Kinds["Event"]): number => parseTime(event.lastTimestamp ?? event.eventTime ?? "") ?? 0;
  about.sort((one, other) => last(one) - last(other));
  return [
    line(0, "Events:"),
    line(1, "Type", "Reason", "Age", "From", "Message"),
    line(1, "----", "------", "----", "----", "-------"),
    ...about.map((event) =>
      line(
        1,
        event.type ?? "",
        event.reason ?? "",
        ageText(event, clock.now),
        event.source?.component ?? event.reportingComponent ?? "",
        (event.message ?? "").trim(),
      ),
    ),
  ];
}

function ageText(event: Kinds["Event"], now: Time): string {
  const since = (timestamp: string | undefined): string => {
    const time = timestamp === undefined ? undefined : parseTime(timestamp);
    return time === undefined ? "<unknown>" : humanDuration(now - time);
  };
  const count = event.count ?? 1;
  const first = event.firstTimestamp ?? event.eventTime ?? undefined;
  const last = event.lastTimestamp ?? event.eventTime ?? undefined;
  return count > 1 ? `${since(last)} (x${count} over ${since(first)})` : since(first);
}
