/** Owns what a PodDisruptionBudget says of the evictions that it allows (component-helpers apps/poddisruptionbudget). */
import type { Time } from "../sim/clock";
import type { Kinds } from "./kinds";
import { rfc3339 } from "./time";

type Status = Kinds["PodDisruptionBudget"]["status"];
type Condition = NonNullable<Status["conditions"]>[number];

/** The status with a condition DisruptionAllowed that fits its `disruptionsAllowed`. */
export function withDisruptionAllowed(status: Status, now: Time): Status {
  const allowed = status.disruptionsAllowed > 0;
  return withCondition(status, allowed, allowed ? "SufficientPods" : "InsufficientPods", "", now);
}

/** The status with this condition DisruptionAllowed; its time stays where its status does (meta.SetStatusCondition). */
export function withCondition(status: Status, allowed: boolean, reason: string, message: string, now: Time): Status {
  const before = status.conditions?.find(({ type }) => type === "DisruptionAllowed");
  const value = allowed ? "True" : "False";
  const condition: Condition = {
    lastTransitionTime: before?.status === value ? before.lastTransitionTime : rfc3339(now),
    message,
    ...(status.observedGeneration !== undefined && { observedGeneration: status.observedGeneration }),
    reason,
    status: value,
    type: "DisruptionAllowed",
  };
  const others = (status.conditions ?? []).filter(({ type }) => type !== "DisruptionAllowed");
  return { ...status, conditions: [...others, condition] };
}
