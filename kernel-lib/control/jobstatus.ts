/** Owns what a Job says of itself: its conditions, and which of them end it (pkg/controller/job). */
import type { Kinds } from "../api/kinds";
import { parseTime, rfc3339 } from "../api/time";
import { second, type Time } from "../sim/clock";

type Job = Kinds["Job"];
type Pod = Kinds["Pod"];
export type Condition = NonNullable<Job["status"]["conditions"]>[number];
type Type = "Suspended" | "SuccessCriteriaMet" | "FailureTarget" | "Complete" | "Failed";

export function conditionOf({ status }: Job, type: Type): Condition | undefined {
  return status.conditions?.find((condition) => condition.type === type && condition.status === "True");
}

export function hasFinished(job: Job): boolean {
  return conditionOf(job, "Complete") !== undefined || conditionOf(job, "Failed") !== undefined;
}

export function newCondition(
  type: Type,
  status: "True" | "False",
  reason: string,
  message: string,
  now: Time,
): Condition {
  const time = rfc3339(now);
  return { type, status, lastProbeTime: time, lastTransitionTime: time, reason, message };
}

/** Adds or changes a condition; one that is false and was never there is not added (ensureJobConditionStatus). */
export function withCondition(list: readonly Condition[], wanted: Condition): readonly Condition[] {
  const at = list.findIndex(({ type }) => type === wanted.type);
  if (at < 0) return wanted.status === "False" ? list : [...list, wanted];
  return list[at]?.status === wanted.status ? list : list.map((each, nth) => (nth === at ? wanted : each));
}

/**
 * Why a Job fails now, if it does: too many of its pods failed, or it took too long.
 * @param failed how many pods failed so far
 */
export function failureOf(job: Job, pods: readonly Pod[], failed: number, now: Time): Condition | undefined {
  const fail = (reason: string, message: string): Condition =>
    newCondition("FailureTarget", "True", reason, message, now);
  const limit = job.spec.backoffLimit ?? 6;
  if (failed > limit || restartedTooOften(job, pods, limit)) {
    return fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  }
  const end = deadlineOf(job);
  if (end !== undefined && end <= now) {
    return fail("DeadlineExceeded", "Job was active longer than specified deadline");
  }
  return undefined;
}

/** When `activeDeadlineSeconds` are over; undefined without such a limit, or while nothing runs. */
export function deadlineOf({ spec, status }: Job): Time | undefined {
  const start = parseTime(status.startTime ?? "");
  if (spec.activeDeadlineSeconds === undefined || spec.suspend || start === undefined) return undefined;
  return start + spec.activeDeadlineSeconds * second;
}

/** With OnFailure containers are started again in their pod: their restarts count (pastBackoffLimitOnFailure). */
function restartedTooOften({ spec }: Job, pods: readonly Pod[], limit: number): boolean {
  if (spec.template.spec?.restartPolicy !== "OnFailure") return false;
  const restarts = pods
    .filter(({ status }) => status.phase === "Running" || status.phase === "Pending")
    .flatMap(({ status }) => [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
  return limit === 0 ? restarts > 0 : restarts >= limit;
}
