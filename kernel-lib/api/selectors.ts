/** Owns label and field selectors: reading what somebody typed, and matching it. */
import type { LabelSelector, Labels } from "./meta";

/** One condition on a label. */
export interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "GreaterThan" | "LessThan";
  readonly values: readonly string[];
}

/** Whether labels satisfy one requirement (k8s.io/apimachinery pkg/labels/selector.go: Requirement.Matches). */
export function matchesRequirement({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "GreaterThan":
      return value !== undefined && /^-?\d+$/.test(value) && Number(value) > Number(values[0]);
    case "LessThan":
      return value !== undefined && /^-?\d+$/.test(value) && Number(value) < Number(values[0]);
  }
}

/** Whether labels satisfy all requirements; no requirement at all matches everything. */
export function matchesAll(requirements: readonly Requirement[], labels: Labels): boolean {
  return requirements.every((requirement) => matchesRequirement(requirement, labels));
}

/** Whether labels satisfy a metav1.LabelSelector; an empty one matches everything. */
export function matchesSelector(selector: LabelSelector, labels: Labels): boolean {
  return matchesAll(requirementsOf(selector), labels);
}

/** Whether labels hold all of a map's pairs (a Service's selector). */
export function matchesLabels(wanted: Labels, labels: Labels): boolean {
  for (const key of Object.keys(wanted)) if (!Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false;
  return true;
}

/** A LabelSelector as requirements. */
export function requirementsOf(selector: LabelSelector): readonly Requirement[] {
  const equal = Object.entries(selector.matchLabels ?? {});
  const pairs = equal.map(([key, value]): Requirement => ({ key, operator: "In", values: [value] }));
  const expressions = selector.matchExpressions ?? [];
  return [
    ...pairs,
    ...expressions.map(({ key, operator, values }): Requirement => {
      return { key, operator: operator as Requirement["operator"], values: values ?? [] };
    }),
  ];
}
