/** Owns a Deployment's status: counts and conditions (deployment/sync.go: calculateStatus, progress.go). */
import type { Kinds } from "../api/kinds";
import { parseTime, rfc3339 } from "../api/time";
import { second, type Time } from "../sim/clock";
import { boundsOf } from "./rolling";

type Deployment = Kinds["Deployment"];
type ReplicaSet = Kinds["ReplicaSet"];
type Status = Deployment["status"];
type Condition = NonNullable<Status["conditions"]>[number];

/** What v1.36 says beyond the type package: how many pods are on their way out. */
interface Terminating {
  readonly terminatingReplicas?: number;
}

/** Progress is not looked at: as if it had all the time (math.MaxInt32). */
const noDeadline = 2 ** 31 - 1;

export function hasDeadline({ spec }: Deployment): boolean {
  return spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== noDeadline;
}

/**
 * The counts, and whether enough is available; all other conditions as they were. Zeros are left out, as the API leaves
 * them out.
 */
export function deploymentStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  all: readonly ReplicaSet[],
  now: Time,
): Status {
  let [replicas, ready, available, wanted] = [0, 0, 0, 0];
  let terminating: number | undefined = 0;
  for (const { status, spec } of all) {
    replicas += status.replicas;
    ready += status.readyReplicas ?? 0;
    available += status.availableReplicas ?? 0;
    wanted += spec.replicas ?? 0;
    const leaving = (status as Terminating).terminatingReplicas;
    terminating = terminating === undefined || leaving === undefined ? undefined : terminating + leaving;
  }
  const { generation } = deployment.metadata;
  const { collisionCount, conditions } = deployment.status;
  const status: { -readonly [K in keyof (Status & Terminating)]: (Status & Terminating)[K] } = {};
  if (generation !== undefined) status.observedGeneration = generation;
  if (collisionCount !== undefined) status.collisionCount = collisionCount;
  if (replicas > 0) status.replicas = replicas;
  if (current && current.status.replicas > 0) status.updatedReplicas = current.status.replicas;
  if (ready > 0) status.readyReplicas = ready;
  if (available > 0) status.availableReplicas = available;
  if (wanted > available) status.unavailableReplicas = wanted - available;
  if (terminating !== undefined) status.terminatingReplicas = terminating;
  if (conditions) status.conditions = conditions;
  const enough = available >= (deployment.spec.replicas ?? 1) - boundsOf(deployment).unavailable;
  const text = enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.";
  const reason = enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable";
  return withCondition(status, { type: "Available", status: enough ? "True" : "False", reason, message: text }, now);
}

export interface Bare {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
}

/** The condition stands last if its status or reason changed; otherwise nothing does (SetDeploymentCondition). */
export function withCondition(status: Status, bare: Bare, now: Time): Status {
  const before = conditionOf(status, bare.type);
  if (before && before.status === bare.status && before.reason === bare.reason) return status;
  return appended(status, bare, before?.status === bare.status ? before : undefined, now);
}

function appended(status: Status, bare: Bare, before: Condition | undefined, now: Time): Status {
  const stamp = rfc3339(now);
  const { type, status: value, reason, message } = bare;
  const condition: Condition = {
    type,
    status: value,
    lastUpdateTime: stamp,
    lastTransitionTime: before?.lastTransitionTime ?? stamp,
    reason,
    message,
  };
  return { ...status, conditions: [...(status.conditions ?? []).filter((each) => each.type !== type), condition] };
}

function conditionOf(status: Status, type: string): Condition | undefined {
  return status.conditions?.find((condition) => condition.type === type);
}

/** `Progressing` while the Deployment is paused, and once it goes on; undefined: it is as it should be. */
export function pausedStatus(deployment: Deployment, now: Time): Status | undefined {
  if (!hasDeadline(deployment)) return undefined;
  const { status, spec } = deployment;
  const before = conditionOf(status, "Progressing");
  // That it takes too long is still so while it is paused.
  if (before?.reason === "ProgressDeadlineExceeded") return undefined;
  const paused = spec.paused ?? false;
  if (paused === (before?.reason === "DeploymentPaused")) return undefined;
  const reason = paused ? "DeploymentPaused" : "DeploymentResumed";
  const message = paused ? "Deployment is paused" : "Deployment is resumed";
  return withCondition(status, { type: "Progressing", status: "Unknown", reason, message }, now);
}

/** The status with what can be said of its progress, after the counts (syncRolloutStatus). */
export function withProgress(
  deployment: Deployment,
  status: Status,
  current: ReplicaSet | undefined,
  now: Time,
): Status {
  if (!hasDeadline(deployment)) {
    const rest = (status.conditions ?? []).filter(({ type }) => type !== "Progressing");
    return { ...status, conditions: rest };
  }
  const before = conditionOf(deployment.status, "Progressing");
  const over = (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && before?.reason === "NewReplicaSetAvailable";
  if (over) return status;
  const what = current ? `ReplicaSet "${current.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  const progressing = (value: "True" | "False", reason: string, message: string): Bare => {
    return { type: "Progressing", status: value, reason, message };
  };
  if (isComplete(deployment, status)) {
    const done = progressing("True", "NewReplicaSetAvailable", `${what} has successfully progressed.`);
    return withCondition(status, done, now);
  }
  if (advanced(status, deployment.status)) {
    // The one condition that is written again though it says the same: from its time on the deadline counts.
    const more = progressing("True", "ReplicaSetUpdated", `${what} is progressing.`);
    return appended(status, more, before?.status === "True" ? before : undefined, now);
  }
  if (!isLate(deployment, before, now)) return status;
  return withCondition(
    status,
    progressing("False", "ProgressDeadlineExceeded", `${what} has timed out progressing.`),
    now,
  );
}

/** The status with what keeps pods from being made, as the ReplicaSets say it, the current one first (getReplicaFailures). */
export function withFailures(status: Status, all: readonly ReplicaSet[], now: Time): Status {
  const failure = all.flatMap((set) => set.status.conditions ?? []).find(({ type }) => type === "ReplicaFailure");
  if (failure) {
    const { reason = "", message = "" } = failure;
    return withCondition(status, { type: "ReplicaFailure", status: "True", reason, message }, now);
  }
  if (!conditionOf(status, "ReplicaFailure")) return status;
  return { ...status, conditions: (status.conditions ?? []).filter(({ type }) => type !== "ReplicaFailure") };
}

/** All pods are of the new template, available, and there are no others (DeploymentComplete). */
export function isComplete({ metadata, spec }: Deployment, status: Status): boolean {
  const wanted = spec.replicas ?? 1;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0, observedGeneration = 0 } = status;
  return (
    updatedReplicas === wanted &&
    replicas === wanted &&
    availableReplicas === wanted &&
    observedGeneration >= (metadata.generation ?? 0)
  );
}

/** More of the new, fewer of the old, or more ready than before (DeploymentProgressing). */
function advanced(now: Status, before: Status): boolean {
  const old = (status: Status): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (now.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(now) < old(before) ||
    (now.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

/** Neither done nor further for longer than the deadline (DeploymentTimedOut). */
function isLate(deployment: Deployment, before: Condition | undefined, now: Time): boolean {
  if (!before || before.reason === "NewReplicaSetAvailable") return false;
  if (before.reason === "ProgressDeadlineExceeded") return true;
  return deadlineOf(deployment, before) < now;
}

function deadlineOf({ spec }: Deployment, { lastUpdateTime }: Condition): Time {
  return (parseTime(lastUpdateTime ?? "") ?? 0) + (spec.progressDeadlineSeconds ?? 600) * second;
}

/**
 * After how much time progress must be looked at again, if nothing else happens (requeueStuckDeployment); undefined: it
 * need not.
 */
export function nextLook(deployment: Deployment, status: Status, now: Time): Time | undefined {
  const condition = conditionOf(status, "Progressing");
  if (!hasDeadline(deployment) || !condition || deployment.spec.paused) return undefined;
  if (isComplete(deployment, status) || condition.reason === "ProgressDeadlineExceeded") return undefined;
  // One that only changed its scale has nothing that it could be late with.
  if (condition.reason === "NewReplicaSetAvailable") return undefined;
  return Math.max(0, deadlineOf(deployment, condition) - now) + second;
}
