/** Owns the validation of PodDisruptionBudgets (pkg/apis/policy/validation/validation.go). */
import { type FieldError, invalidValue, notSupported } from "../errors";
import type { Kinds } from "../kinds";
import { validateSelector } from "./meta";
import { share } from "./workloads";

const policies = ["AlwaysAllow", "IfHealthyBudget"];

export function validateDisruptionBudget({ spec }: Kinds["PodDisruptionBudget"]): FieldError[] {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy: policy } = spec;
  const errors: FieldError[] = [];
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    // The server prints its own form of the spec, whose fields have other names than those that are sent.
    const shown = {
      MinAvailable: minAvailable,
      Selector: selector ?? null,
      MaxUnavailable: maxUnavailable,
      UnhealthyPodEvictionPolicy: policy ?? null,
    };
    errors.push(invalidValue("spec", shown, "minAvailable and maxUnavailable cannot be both set"));
  }
  errors.push(...share("spec.minAvailable", minAvailable, true), ...share("spec.maxUnavailable", maxUnavailable, true));
  if (policy !== undefined && !policies.includes(policy)) {
    errors.push(notSupported("spec.unhealthyPodEvictionPolicy", policy, policies));
  }
  return [...errors, ...(selector ? validateSelector("spec.selector", selector) : [])];
}
