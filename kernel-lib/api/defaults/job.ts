/** Owns the defaults of Jobs (pkg/apis/batch/v1/defaults.go), and the selector that the server makes for each. */
import type { Fresh } from "../mutable";
import { defaultPodSpec } from "./pod";

export const controllerUidLabel = "batch.kubernetes.io/controller-uid";
export const jobNameLabel = "batch.kubernetes.io/job-name";
/** What these two were called before v1.27; pods carry both. */
const olderUidLabel = "controller-uid";
const olderNameLabel = "job-name";

export function defaultJob(job: Fresh<"Job">): void {
  const spec = job.spec;
  job.status ??= {};
  if (!spec) return;
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2 ** 31 - 1;
  spec.completionMode ??= "NonIndexed";
  spec.suspend ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? "Failed" : "TerminatingOrFailed";
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ??= "True";
  }
  if (spec.template?.spec) defaultPodSpec(spec.template.spec);
}

/**
 * A Job's pods are found by the Job's uid, so the server writes it into selector and template (pkg/registry/batch/job:
 * generateSelector); a Job without labels has its template's.
 */
export function selectOwnPods(job: Fresh<"Job">, uid: string): void {
  const { metadata, spec } = job;
  if (!spec?.template) return;
  if (!spec.manualSelector) {
    spec.template.metadata ??= {};
    const labels = { ...spec.template.metadata.labels };
    labels[controllerUidLabel] ??= uid;
    labels[jobNameLabel] ??= metadata.name ?? "";
    labels[olderUidLabel] ??= uid;
    labels[olderNameLabel] ??= metadata.name ?? "";
    spec.template.metadata.labels = labels;
    spec.selector ??= {};
    spec.selector.matchLabels ??= {};
    spec.selector.matchLabels[controllerUidLabel] ??= uid;
  }
  const labels = spec.template.metadata?.labels;
  if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
}
