/** Owns labels and selectors as text. */
import type { LabelSelector, Labels } from "../meta";

/** `app=web,tier=front`, sorted; `<none>` (labels.FormatLabels). */
export function labelText(labels: Labels | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.sort().join(",") || "<none>";
}

/** `app=web,tier in (a,b),!canary` (metav1.FormatLabelSelector); `<none>` for an empty one. */
export function selectorText(selector: LabelSelector | undefined): string {
  const equal = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` }));
  const rest = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    const list = `(${[...values].sort().join(",")})`;
    if (operator === "In") return { key, text: `${key} in ${list}` };
    if (operator === "NotIn") return { key, text: `${key} notin ${list}` };
    return { key, text: operator === "Exists" ? key : `!${key}` };
  });
  const sorted = [...equal, ...rest].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return sorted.map(({ text }) => text).join(",") || "<none>";
}
