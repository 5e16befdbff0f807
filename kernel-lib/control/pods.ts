/** Owns what several controllers ask about a pod (pkg/controller/controller_utils.go, pkg/api/v1/pod). */

import type { Kinds } from "../api/kinds";
import { parseTime } from "../api/time";
import { second, type Time } from "../sim/clock";

type Pod = Kinds["Pod"];

export function readyCondition(pod: Pod): NonNullable<Pod["status"]["conditions"]>[number] | undefined {
  return pod.status.conditions?.find((condition) => condition.type === "Ready");
}

export function isReady(pod: Pod): boolean {
  return readyCondition(pod)?.status === "True";
}

/** Ready, and for at least `minReadySeconds`. */
export function isAvailable(pod: Pod, minReadySeconds: number, now: Time): boolean {
  const ready = readyCondition(pod);
  if (ready?.status !== "True") return false;
  if (minReadySeconds === 0) return true;
  const since = parseTime(ready.lastTransitionTime ?? "");
  return since !== undefined && since + minReadySeconds * second <= now;
}

/** Neither ended nor being deleted. */
export function isActive(pod: Pod): boolean {
  return !hasEnded(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function hasEnded(pod: Pod): boolean {
  return pod.status.phase === "Succeeded" || pod.status.phase === "Failed";
}

const phaseOrder: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * Which of two pods is deleted first (ActivePodsWithRanks): unassigned, then pending, then not ready, then the one whose
 * node has more of them (`rank`), then ready for a shorter time, restarted more, and younger.
 */
export function deleteFirst(a: Pod, b: Pod, rank: (pod: Pod) => number): number {
  const assigned = Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName));
  if (assigned !== 0) return assigned;
  const phase = (phaseOrder[a.status.phase ?? ""] ?? 3) - (phaseOrder[b.status.phase ?? ""] ?? 3);
  if (phase !== 0) return phase;
  const ready = Number(isReady(a)) - Number(isReady(b));
  if (ready !== 0) return ready;
  const cost = deletionCost(a) - deletionCost(b);
  if (cost !== 0) return cost;
  if (rank(a) !== rank(b)) return rank(b) - rank(a);
  const since = isReady(a) ? younger(readyCondition(a)?.lastTransitionTime, readyCondition(b)?.lastTransitionTime) : 0;
  if (since !== 0) return since;
  const restarts = restartCount(b) - restartCount(a);
  return restarts !== 0 ? restarts : younger(a.metadata.creationTimestamp, b.metadata.creationTimestamp);
}

function deletionCost(pod: Pod): number {
  return Number(pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? "0") || 0;
}

/** Steps of a power of two: pods of about the same age are told apart by chance upstream, by uid here. */
function younger(a: string | undefined, b: string | undefined): number {
  const [one, other] = [parseTime(a ?? "") ?? 0, parseTime(b ?? "") ?? 0];
  return other - one;
}

function restartCount(pod: Pod): number {
  return Math.max(0, ...(pod.status.containerStatuses ?? []).map((status) => status.restartCount));
}

/** The container port that a Service's targetPort means in this pod; undefined if the pod has none of that name. */
export function findPort(
  pod: Pod,
  target: string | number | undefined,
  protocol: string | undefined,
): number | undefined {
  if (typeof target === "number") return target;
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === "Always");
  for (const container of [...(pod.spec.containers ?? []), ...sidecars]) {
    for (const port of container.ports ?? []) {
      if (port.name === target && (port.protocol ?? "TCP") === (protocol ?? "TCP")) return port.containerPort;
    }
  }
  return undefined;
}
