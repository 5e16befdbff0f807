/** Owns the validation of Deployments, ReplicaSets and DaemonSets (pkg/apis/apps/validation/validation.go). */
import type { PodTemplateSpec } from "kubernetes-types/core/v1";
import { same } from "../equal";
import { type FieldError, forbiddenField, invalidValue, notSupported, required } from "../errors";
import type { Kinds } from "../kinds";
import type { Immutable, LabelSelector } from "../meta";
import { matchesSelector } from "../selectors";
import { validateSelector } from "./meta";
import { checkLabels } from "./names";
import { validatePodSpec } from "./pod";

type Template = Immutable<PodTemplateSpec>;

const nonNegative = "must be greater than or equal to 0";

export function validateDeployment({ spec }: Kinds["Deployment"]): FieldError[] {
  const errors = [...count("spec.replicas", spec.replicas), ...selection(spec.selector, spec.template)];
  const strategy = spec.strategy ?? {};
  if (strategy.type === "Recreate" && strategy.rollingUpdate) {
    errors.push(
      forbiddenField("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"),
    );
  } else if (strategy.type === "RollingUpdate") {
    const { maxSurge, maxUnavailable } = strategy.rollingUpdate ?? {};
    errors.push(...share("spec.strategy.rollingUpdate.maxUnavailable", maxUnavailable, true));
    errors.push(...share("spec.strategy.rollingUpdate.maxSurge", maxSurge));
    if (isZero(maxSurge) && isZero(maxUnavailable)) {
      const field = "spec.strategy.rollingUpdate.maxUnavailable";
      errors.push(invalidValue(field, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
    }
  } else if (strategy.type !== "Recreate") {
    errors.push(notSupported("spec.strategy.type", strategy.type, ["Recreate", "RollingUpdate"]));
  }
  errors.push(...count("spec.minReadySeconds", spec.minReadySeconds));
  errors.push(...count("spec.revisionHistoryLimit", spec.revisionHistoryLimit));
  const deadline = spec.progressDeadlineSeconds;
  if (deadline !== undefined && deadline <= (spec.minReadySeconds ?? 0)) {
    errors.push(invalidValue("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"));
  }
  return [...errors, ...template(spec.template)];
}

export function validateReplicaSet({ spec }: Kinds["ReplicaSet"]): FieldError[] {
  return [
    ...count("spec.replicas", spec.replicas),
    ...count("spec.minReadySeconds", spec.minReadySeconds),
    ...selection(spec.selector, spec.template ?? {}),
    ...template(spec.template ?? {}),
  ];
}

export function validateDaemonSet({ spec }: Kinds["DaemonSet"]): FieldError[] {
  const errors = selection(spec.selector, spec.template);
  const kind = spec.updateStrategy?.type;
  if (kind !== "RollingUpdate" && kind !== "OnDelete") {
    errors.push(notSupported("spec.updateStrategy.type", kind, ["OnDelete", "RollingUpdate"]));
  }
  if (kind === "RollingUpdate") errors.push(...daemonBounds(spec.updateStrategy?.rollingUpdate ?? {}));
  return [...errors, ...count("spec.minReadySeconds", spec.minReadySeconds), ...template(spec.template)];
}

/** Exactly one of them is not zero (ValidateRollingUpdateDaemonSet). */
function daemonBounds({ maxSurge, maxUnavailable }: DaemonBounds): FieldError[] {
  const field = "spec.updateStrategy.rollingUpdate";
  const errors = [
    ...share(`${field}.maxUnavailable`, maxUnavailable, true),
    ...share(`${field}.maxSurge`, maxSurge, true),
  ];
  if (!isZero(maxSurge) && !isZero(maxUnavailable)) {
    errors.push(invalidValue(`${field}.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero"));
  } else if (isZero(maxSurge) && isZero(maxUnavailable)) {
    errors.push(required(`${field}.maxUnavailable`, "cannot be 0 when maxSurge is 0"));
  }
  return errors;
}

interface DaemonBounds {
  readonly maxSurge?: string | number;
  readonly maxUnavailable?: string | number;
}

/** A workload's selector never changes. */
export function validateSelectorUpdate(now: LabelSelector, before: LabelSelector): FieldError[] {
  return same(now, before) ? [] : [invalidValue("spec.selector", now, "field is immutable")];
}

/** `spec.replicas: Invalid value: -1: must be greater than or equal to 0` */
export function count(field: string, value: number | undefined): FieldError[] {
  return value === undefined || value >= 0 ? [] : [invalidValue(field, value, nonNegative)];
}

function selection(selector: LabelSelector | undefined, pods: Template): FieldError[] {
  if (!selector) return [required("spec.selector")];
  const errors = validateSelector("spec.selector", selector);
  if (!selector.matchLabels && !selector.matchExpressions) {
    return [...errors, invalidValue("spec.selector", selector, "empty selector is invalid for deployment")];
  }
  const labels = pods.metadata?.labels ?? {};
  if (errors.length === 0 && !matchesSelector(selector, labels)) {
    errors.push(invalidValue("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
  }
  return errors;
}

function template(pods: Template): FieldError[] {
  const field = "spec.template.spec";
  const errors = checkLabels("spec.template.metadata.labels", pods.metadata?.labels);
  const spec = pods.spec ?? { containers: [] };
  errors.push(...validatePodSpec(field, spec));
  if (spec.restartPolicy !== undefined && spec.restartPolicy !== "Always") {
    errors.push(notSupported(`${field}.restartPolicy`, spec.restartPolicy, ["Always"]));
  }
  return errors;
}

function isZero(value: string | number | undefined): boolean {
  return value === 0 || value === "0%";
}

/** A number of pods, or a percentage of them; `limited`: at most all of them. */
export function share(field: string, value: string | number | undefined, limited = false): FieldError[] {
  if (typeof value === "number") return count(field, value);
  if (value === undefined) return [];
  if (!/^\d+%$/.test(value)) {
    const regex = "a valid percent string must be a numeric string followed by an ending '%'";
    return [invalidValue(field, value, `${regex} (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')`)];
  }
  return Number.parseInt(value, 10) > 100 && limited
    ? [invalidValue(field, value, "must not be greater than 100%")]
    : [];
}
