/** Owns the validation of Jobs (pkg/apis/batch/validation/validation.go). */
import { controllerUidLabel, jobNameLabel } from "../defaults/job";
import { same } from "../equal";
import { type FieldError, invalidValue, notSupported, required } from "../errors";
import type { Kinds } from "../kinds";
import { matchesSelector } from "../selectors";
import { validateSelector } from "./meta";
import { checkLabels, dnsLabel } from "./names";
import { validatePodSpec } from "./pod";
import { count } from "./workloads";

type Job = Kinds["Job"];
type Spec = Job["spec"];

const mostAtOnce = 100_000;
const template = "spec.template";

export function validateJob(job: Job): FieldError[] {
  const { metadata, spec } = job;
  const errors = [...ownSelector(job), ...numbers(spec), ...completion(spec), ...pods(spec), ...selection(spec)];
  if (spec.completionMode === "Indexed" && (spec.completions ?? 0) > 0) {
    const last = `${metadata.name}-${(spec.completions ?? 1) - 1}`;
    if (dnsLabel(last).length > 0) {
      const why = `will not able to create pod with invalid DNS label: ${last}`;
      errors.push(invalidValue("metadata.name", metadata.name, why));
    }
  }
  return errors;
}

/** A selector that nobody wrote is just the Job's own. */
function ownSelector({ metadata, spec }: Job): FieldError[] {
  if (spec.manualSelector || !spec.selector) return [];
  const labels = spec.template.metadata?.labels ?? {};
  // Whoever replaces a Job need not repeat its uid.
  const uid = metadata.uid ?? labels[controllerUidLabel] ?? "";
  const wanted = {
    "controller-uid": uid,
    "job-name": metadata.name,
    [controllerUidLabel]: uid,
    [jobNameLabel]: metadata.name,
  };
  const errors = Object.entries(wanted).flatMap(([key, value]) => {
    if (labels[key] === value) return [];
    const field = `${template}.metadata.labels[${key}]`;
    const why = `must be '${value}'`;
    return [labels[key] === undefined ? required(field, why) : invalidValue(field, labels, why)];
  });
  if (!matchesSelector(spec.selector, wanted)) {
    errors.push(invalidValue("spec.selector", spec.selector, "`selector` not auto-generated"));
  }
  return errors;
}

function numbers(spec: Spec): FieldError[] {
  const fields = [
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
  ] as const;
  return fields.flatMap((field) => count(`spec.${field}`, spec[field]));
}

function completion(spec: Spec): FieldError[] {
  const mode = spec.completionMode;
  if (mode !== "Indexed" && mode !== "NonIndexed") {
    return [notSupported("spec.completionMode", mode, ["NonIndexed", "Indexed"])];
  }
  const errors: FieldError[] = [];
  if (mode === "Indexed") {
    if (spec.completions === undefined) errors.push(required("spec.completions", "when completion mode is Indexed"));
    if ((spec.parallelism ?? 0) > mostAtOnce) {
      const why = `must be less than or equal to ${mostAtOnce} when completion mode is Indexed`;
      errors.push(invalidValue("spec.parallelism", spec.parallelism, why));
    }
    return errors;
  }
  for (const field of ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] as const) {
    if (spec[field] === undefined) continue;
    errors.push(invalidValue(`spec.${field}`, spec[field], "requires indexed completion mode"));
  }
  return errors;
}

function pods(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const known = spec.podFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"];
  if (spec.podReplacementPolicy !== undefined && !known.includes(spec.podReplacementPolicy)) {
    errors.push(notSupported("spec.podReplacementPolicy", spec.podReplacementPolicy, known));
  }
  errors.push(...checkLabels(`${template}.metadata.labels`, spec.template?.metadata?.labels));
  errors.push(...validatePodSpec(`${template}.spec`, spec.template?.spec ?? { containers: [] }));
  const field = `${template}.spec.restartPolicy`;
  const restart = spec.template?.spec?.restartPolicy ?? "Always";
  const fit = ["OnFailure", "Never"];
  if (restart === "Always") errors.push(required(field, 'valid values: "OnFailure", "Never"'));
  else if (!fit.includes(restart)) errors.push(notSupported(field, restart, fit));
  return errors;
}

function selection({ selector, template: pod }: Spec): FieldError[] {
  if (!selector) return [required("spec.selector")];
  const labels = pod?.metadata?.labels ?? {};
  const errors = validateSelector("spec.selector", selector);
  if (errors.length === 0 && !matchesSelector(selector, labels)) {
    errors.push(invalidValue(`${template}.metadata.labels`, labels, "`selector` does not match template `labels`"));
  }
  return errors;
}

/** What a Job is stays as it was made; a suspended one that never started may still be told where its pods run. */
export function validateJobUpdate(now: Job, before: Job): FieldError[] {
  const errors: FieldError[] = [];
  if (now.spec.completions !== before.spec.completions) errors.push(...newCompletions(now.spec, before.spec));
  const { suspend } = before.spec;
  const open = suspend === true && before.status.startTime === undefined;
  for (const field of ["selector", "template", "completionMode", "podFailurePolicy", "successPolicy"] as const) {
    const [value, old] = [now.spec[field], before.spec[field]];
    const fixed = field === "template" && open ? [placeless(now.spec), placeless(before.spec)] : [value, old];
    if (!same(fixed[0], fixed[1])) errors.push(invalidValue(`spec.${field}`, value, "field is immutable"));
  }
  return errors;
}

function newCompletions(now: Spec, before: Spec): FieldError[] {
  if (before.completionMode !== "Indexed" || now.completions === undefined) {
    return [invalidValue("spec.completions", now.completions, "field is immutable")];
  }
  if (now.completions === now.parallelism && before.completions === before.parallelism) return [];
  return [invalidValue("spec.completions", now.completions, "can only be modified in tandem with spec.parallelism")];
}

/** The template without what decides on which nodes its pods may run (KEP-2926). */
function placeless({ template: pod }: Spec): object {
  const { nodeSelector: _selector, affinity: _affinity, tolerations: _tolerations, ...rest } = pod.spec ?? {};
  const { schedulingGates: _gates, ...spec } = rest as { readonly schedulingGates?: unknown };
  return spec;
}
