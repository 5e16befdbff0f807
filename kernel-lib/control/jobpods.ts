/** Owns the pods of a Job: how they are made, which number each has, and when one counts (pkg/controller/job). */
import type { Draft, Kinds } from "../api/kinds";
import type { Random } from "../sim/random";
import { hasEnded } from "./pods";
import { podFrom } from "./template";

type Job = Kinds["Job"];
type Pod = Kinds["Pod"];
type Template = Job["spec"]["template"];

/** Keeps a pod until its end has been counted. */
export const trackingFinalizer = "batch.kubernetes.io/job-tracking";
const indexName = "batch.kubernetes.io/job-completion-index";
const indexVariable = "JOB_COMPLETION_INDEX";

export function isIndexed({ spec }: Job): boolean {
  return spec.completionMode === "Indexed";
}

export function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) ?? false;
}

/** The pod's number among the Job's completions; undefined without a valid one. */
export function indexOf(job: Job, pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[indexName];
  const index = text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  return index !== undefined && index < (job.spec.completions ?? 0) ? index : undefined;
}

/** A pod that is deleted before it ended counts as failed, unless only those are replaced that failed. */
export function isFailed(job: Job, pod: Pod): boolean {
  if (pod.status.phase === "Failed") return true;
  if (job.spec.podReplacementPolicy === "Failed") return false;
  return pod.metadata.deletionTimestamp !== undefined && pod.status.phase !== "Succeeded";
}

/** On its way to its end, and not there. */
export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined && !hasEnded(pod);
}

/** A pod of the Job; of an indexed one, that with this number. */
export function jobPod(job: Job, index: number | undefined, random: Random): Draft<"Pod"> {
  const pod = podFrom(job, complete(job), random);
  const tracked = { ...pod.metadata, finalizers: [...(pod.metadata.finalizers ?? []), trackingFinalizer] };
  if (index === undefined) return { ...pod, metadata: tracked };
  const mark = { [indexName]: String(index) };
  const metadata = {
    ...tracked,
    generateName: `${job.metadata.name}-${index}-`,
    annotations: { ...tracked.annotations, ...mark },
    labels: { ...tracked.labels, ...mark },
  };
  return { ...pod, metadata, spec: { ...pod.spec, hostname: `${job.metadata.name}-${index}` } };
}

const completed = new WeakMap<Template, Template>();

/** The template; an indexed Job's containers are told their number by a variable (addCompletionIndexEnvVariables). */
function complete(job: Job): Template {
  const { template } = job.spec;
  if (!isIndexed(job) || !template.spec) return template;
  const known = completed.get(template);
  if (known) return known;
  type Containers = NonNullable<Template["spec"]>["containers"];
  const told = (containers: Containers): Containers => {
    return containers.map((container) => {
      const { env = [] } = container;
      if (env.some(({ name }) => name === indexVariable)) return container;
      const fieldRef = { fieldPath: `metadata.labels['${indexName}']` };
      return { ...container, env: [...env, { name: indexVariable, valueFrom: { fieldRef } }] };
    });
  };
  const { containers, initContainers } = template.spec;
  const spec = {
    ...template.spec,
    containers: told(containers),
    ...(initContainers && { initContainers: told(initContainers) }),
  };
  const made: Template = { ...template, spec };
  completed.set(template, made);
  return made;
}

/** `1,3-5,7` (pkg/controller/job/indexed_job_utils.go: orderedIntervals). */
export function indexesText(indexes: ReadonlySet<number>): string {
  const sorted = [...indexes].sort((one, other) => one - other);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; at++) {
    const first = sorted[at] as number;
    while (sorted[at + 1] === (sorted[at] as number) + 1) at++;
    const last = sorted[at] as number;
    if (last === first) parts.push(`${first}`);
    // Two in a row are told one by one.
    else parts.push(last === first + 1 ? `${first},${last}` : `${first}-${last}`);
  }
  return parts.join(",");
}

export function parseIndexes(text: string | undefined): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? "").split(",")) {
    if (part === "") continue;
    const [first = Number.NaN, last] = part.split("-").map(Number);
    for (let index = first; index <= (last ?? first); index++) indexes.add(index);
  }
  return indexes;
}
