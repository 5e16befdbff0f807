/** Owns the rows of PodDisruptionBudgets. */
import type { Time } from "../../sim/clock";
import type { Kinds } from "../kinds";
import { ageOf } from "../time";
import type { Cell } from "./table";

export function disruptionBudgetCells(budget: Kinds["PodDisruptionBudget"], now: Time): readonly Cell[] {
  const { metadata, spec, status } = budget;
  return [
    metadata.name,
    String(spec.minAvailable ?? "N/A"),
    String(spec.maxUnavailable ?? "N/A"),
    status.disruptionsAllowed,
    ageOf(metadata.creationTimestamp, now),
  ];
}
