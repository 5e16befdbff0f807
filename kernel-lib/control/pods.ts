/** Owns what several controllers ask about a pod (pkg/controller/controller_utils.go, pkg/api/v1/pod). */

import type { Kinds } from "../api/kinds";
import { parseTime } from "../api/time";
import { second, type Time } from "../sim/clock";

type Pod = Kinds["Pod"];
type Condition = NonNullable<Pod["status"]["conditions"]>[number];

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

/**
 * How long a pod that is ready and not available yet must stay ready until it is (nextPodAvailabilityCheck); undefined: it
 * is not ready, or available.
 */
export function untilAvailable(pod: Pod, minReadySeconds: number, now: Time): Time | undefined {
  const ready = readyCondition(pod);
  if (ready?.status !== "True" || isAvailable(pod, minReadySeconds, now)) return undefined;
  const since = parseTime(ready.lastTransitionTime ?? "") ?? now;
  return since + minReadySeconds * second - now;
}

/** Neither ended nor being deleted. */
export function isActive(pod: Pod): boolean {
  return !hasEnded(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** Being deleted, and not ended yet. */
export function isTerminating(pod: Pod): boolean {
  return !hasEnded(pod) && pod.metadata.deletionTimestamp !== undefined;
}

export function hasEnded(pod: Pod): boolean {
  return pod.status.phase === "Succeeded" || pod.status.phase === "Failed";
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

/** A pod with a condition in place of the one of its type. */
export function withPodCondition(pod: Pod, condition: Condition): Pod {
  const others = (pod.status.conditions ?? []).filter(({ type }) => type !== condition.type);
  return { ...pod, status: { ...pod.status, conditions: [...others, condition] } };
}
