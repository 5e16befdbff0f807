/** Owns the description of PodDisruptionBudgets. */
import type { Kinds } from "../../../api/kinds";
import { selectorText } from "../../../api/tables/labels";
import { type Line, line } from "./lines";

export function describeDisruptionBudget({ metadata, spec, status }: Kinds["PodDisruptionBudget"]): Line[] {
  const { minAvailable, maxUnavailable, selector } = spec;
  const bound =
    minAvailable !== undefined
      ? [line(0, "Min available:", String(minAvailable))]
      : maxUnavailable !== undefined
        ? [line(0, "Max unavailable:", String(maxUnavailable))]
        : [];
  return [
    line(0, "Name:", metadata.name),
    line(0, "Namespace:", metadata.namespace ?? ""),
    ...bound,
    line(0, "Selector:", selector ? selectorText(selector) : "<unset>"),
    line(0, "Status:"),
    line(2, "Allowed disruptions:", String(status.disruptionsAllowed)),
    line(2, "Current:", String(status.currentHealthy)),
    line(2, "Desired:", String(status.desiredHealthy)),
    line(2, "Total:", String(status.expectedPods)),
  ];
}
