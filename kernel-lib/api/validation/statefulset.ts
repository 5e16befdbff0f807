/** Owns the validation of StatefulSets (pkg/apis/apps/validation/validation.go). */
import { same } from "../equal";
import { type FieldError, forbiddenField, invalidValue, notSupported, required } from "../errors";
import type { Kinds } from "../kinds";
import { matchesSelector } from "../selectors";
import { validateSelector } from "./meta";
import { checkLabels } from "./names";
import { count } from "./workloads";

type Spec = Kinds["StatefulSet"]["spec"];

/** The pods themselves are looked at when they are made: volumes may come from claims. */
export function validateStatefulSet({ spec }: Kinds["StatefulSet"]): FieldError[] {
  const errors: FieldError[] = [];
  const policy = spec.podManagementPolicy;
  if (policy !== "OrderedReady" && policy !== "Parallel") {
    errors.push(invalidValue("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"));
  }
  errors.push(...strategy(spec.updateStrategy), ...retention(spec.persistentVolumeClaimRetentionPolicy));
  errors.push(...count("spec.replicas", spec.replicas), ...count("spec.minReadySeconds", spec.minReadySeconds));
  errors.push(...count("spec.ordinals.start", spec.ordinals?.start), ...selection(spec));
  const pods = spec.template?.spec;
  if (pods?.restartPolicy !== undefined && pods.restartPolicy !== "Always") {
    errors.push(notSupported("spec.template.spec.restartPolicy", pods.restartPolicy, ["Always"]));
  }
  if (pods?.activeDeadlineSeconds !== undefined) {
    const why = "activeDeadlineSeconds in StatefulSet is not Supported";
    errors.push(forbiddenField("spec.template.spec.activeDeadlineSeconds", why));
  }
  return errors;
}

function strategy(update: Spec["updateStrategy"]): FieldError[] {
  const { type, rollingUpdate } = update ?? {};
  if (!type) return [required("spec.updateStrategy")];
  const field = "spec.updateStrategy.rollingUpdate";
  if (type === "RollingUpdate") return count(`${field}.partition`, rollingUpdate?.partition);
  if (type !== "OnDelete") {
    return [invalidValue("spec.updateStrategy", update, "must be 'RollingUpdate' or 'OnDelete'")];
  }
  return rollingUpdate ? [invalidValue(field, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")] : [];
}

function retention(policy: Spec["persistentVolumeClaimRetentionPolicy"]): FieldError[] {
  return (["whenDeleted", "whenScaled"] as const).flatMap((when) => {
    const value = policy?.[when];
    if (value === "Retain" || value === "Delete") return [];
    return [notSupported(`spec.persistentVolumeClaimRetentionPolicy.${when}`, value, ["Retain", "Delete"])];
  });
}

function selection({ selector, template }: Spec): FieldError[] {
  if (!selector) return [required("spec.selector")];
  const errors = validateSelector("spec.selector", selector);
  if (Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions?.length ?? 0) === 0) {
    errors.push(invalidValue("spec.selector", selector, "empty selector is invalid for statefulset"));
  }
  const labels = template?.metadata?.labels ?? {};
  if (errors.length === 0 && !matchesSelector(selector, labels)) {
    errors.push(invalidValue("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
  }
  return [...errors, ...checkLabels("spec.template.labels", labels)];
}

const changeable = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
];

/** Most of a StatefulSet's spec never changes. */
export function validateStatefulSetUpdate(
  { spec: now }: Kinds["StatefulSet"],
  { spec: before }: Kinds["StatefulSet"],
): FieldError[] {
  const fixed = (spec: Spec): object => {
    return Object.fromEntries(Object.entries(spec).filter(([name]) => !changeable.includes(name)));
  };
  if (same(fixed(now), fixed(before))) return [];
  const names = changeable.map((name) => `'${name}'`);
  const list = `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return [forbiddenField("spec", `updates to statefulset spec for fields other than ${list} are forbidden`)];
}
