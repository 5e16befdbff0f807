/** Owns a Deployment's status: counts and conditions (deployment/sync.go: calculateStatus, progress.go). */
import type { Kinds } from "../api/kinds";
import { parseTime, rfc3339 } from "../api/time";
import { second, type Time } from "../sim/clock";
import { boundsOf } from "./rolling";

type Deployment = Kinds["Deployment"];
type ReplicaSet = Kinds["ReplicaSet"];
type Status = Deployment["status"];
type Condition = NonNullable<Status["conditions"]>[number];

/** The counts, without conditions; zeros are left out, as the API leaves them out. */
export function deploymentStatus(deployment: Deployment, current: ReplicaSet, all: readonly ReplicaSet[]): Status {
  let [replicas, ready, available, wanted] = [0, 0, 0, 0];
  for (const { status, spec } of all) {
    replicas += status.replicas;
    ready += status.readyReplicas ?? 0;
    available += status.availableReplicas ?? 0;
    wanted += spec.replicas ?? 0;
  }
  const { generation } = deployment.metadata;
  const { collisionCount } = deployment.status;
  const status: { -readonly [K in keyof Status]: Status[K] } = {};
  if (generation !== undefined) status.observedGeneration = generation;
  if (collisionCount !== undefined) status.collisionCount = collisionCount;
  if (replicas > 0) status.replicas = replicas;
  if (current.status.replicas > 0) status.updatedReplicas = current.status.replicas;
  if (ready > 0) status.readyReplicas = ready;
  if (available > 0) status.availableReplicas = available;
  if (wanted > available) status.unavailableReplicas = wanted - available;
  return status;
}

/** Available and Progressing, with the times of their last change. */
export function conditionsOf(
  deployment: Deployment,
  counts: Status,
  current: ReplicaSet,
  now: Time,
): readonly Condition[] {
  const before = deployment.status.conditions ?? [];
  const wanted = deployment.spec.replicas ?? 1;
  const enough = (counts.availableReplicas ?? 0) >= wanted - boundsOf(deployment).unavailable;
  const available = enough
    ? condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    : condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
  const list = [available, progress(deployment, counts, current, now)];
  return list.map((each) =>
    dated(
      each,
      before.find(({ type }) => type === each.type),
      counts,
      deployment.status,
      now,
    ),
  );
}

type Bare = Pick<Condition, "type" | "status" | "reason" | "message">;

function condition(type: string, status: string, reason: string, message: string): Bare {
  return { type, status, reason, message };
}

function progress(deployment: Deployment, counts: Status, current: ReplicaSet, now: Time): Bare {
  const name = current.metadata.name;
  const wanted = deployment.spec.replicas ?? 1;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0 } = counts;
  if (updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted) {
    return condition(
      "Progressing",
      "True",
      "NewReplicaSetAvailable",
      `ReplicaSet "${name}" has successfully progressed.`,
    );
  }
  const before = deployment.status.conditions?.find(({ type }) => type === "Progressing");
  if (!before) return condition("Progressing", "True", "NewReplicaSetCreated", `Created new replica set "${name}"`);
  if (advanced(counts, deployment.status)) {
    return condition("Progressing", "True", "ReplicaSetUpdated", `ReplicaSet "${name}" is progressing.`);
  }
  const since = parseTime(before.lastUpdateTime ?? "") ?? now;
  const late = now > since + (deployment.spec.progressDeadlineSeconds ?? 600) * second;
  if (late && before.reason !== "NewReplicaSetAvailable") {
    return condition(
      "Progressing",
      "False",
      "ProgressDeadlineExceeded",
      `ReplicaSet "${name}" has timed out progressing.`,
    );
  }
  return condition("Progressing", before.status, before.reason ?? "", before.message ?? "");
}

/** More of the new, fewer of the old, or more ready than before. */
function advanced(now: Status, before: Status): boolean {
  const old = (status: Status): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (now.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(now) < old(before) ||
    (now.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function dated(bare: Bare, before: Condition | undefined, now: Status, then: Status, time: Time): Condition {
  const stamp = rfc3339(time);
  const moved = bare.type === "Progressing" && bare.reason !== "ProgressDeadlineExceeded" && advanced(now, then);
  const unchanged = before && before.status === bare.status && before.reason === bare.reason;
  if (unchanged && !moved) return before.message === bare.message ? before : { ...before, message: bare.message ?? "" };
  return {
    type: bare.type,
    status: bare.status,
    lastUpdateTime: stamp,
    lastTransitionTime: before && before.status === bare.status ? (before.lastTransitionTime ?? stamp) : stamp,
    ...(bare.reason !== undefined && { reason: bare.reason }),
    ...(bare.message !== undefined && { message: bare.message }),
  };
}
