/** Owns what a new PodDisruptionBudget has of itself (pkg/registry/policy/poddisruptionbudget: PrepareForCreate). */
import type { Fresh } from "../mutable";

export function defaultDisruptionBudget(budget: Fresh<"PodDisruptionBudget">): void {
  budget.spec ??= {};
  budget.status ??= { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
}
