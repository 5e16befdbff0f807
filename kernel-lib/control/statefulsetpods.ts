/** Owns the pods of a StatefulSet: their names, numbers and states (pkg/controller/statefulset/stateful_set_utils.go). */
import { validate } from "../api/admission";
import { invalid } from "../api/errors";
import { type Draft, type Kinds, resourceOf } from "../api/kinds";
import type { Time } from "../sim/clock";
import type { Random } from "../sim/random";
import { templateOf } from "./history";
import { isAvailable, isReady } from "./pods";
import { podFrom } from "./template";

type Pod = Kinds["Pod"];
type StatefulSet = Kinds["StatefulSet"];
type Template = StatefulSet["spec"]["template"];

/** A StatefulSet's pods say here which revision they are of, by its name. */
const revisionLabel = "controller-revision-hash";
const nameLabel = "statefulset.kubernetes.io/pod-name";
const indexLabel = "apps.kubernetes.io/pod-index";

/** The number at the end of a pod's name; undefined for a pod that is not this set's by name. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const match = /^(.*)-(\d+)$/.exec(pod.metadata.name);
  return match?.[1] === set.metadata.name ? Number(match[2]) : undefined;
}

export function firstOrdinal(set: StatefulSet): number {
  return set.spec.ordinals?.start ?? 0;
}

export function revisionOf(pod: Pod): string {
  return pod.metadata.labels?.[revisionLabel] ?? "";
}

/** A pod of this number, of a revision. @throws StatusError Invalid: the set's template was not looked at before */
export function statefulPod(
  set: StatefulSet,
  revision: Kinds["ControllerRevision"],
  ordinal: number,
  random: Random,
): Draft<"Pod"> {
  const name = `${set.metadata.name}-${ordinal}`;
  const pod = podFrom(set, withClaims(set, templateOf(revision)), random);
  const labels = { ...pod.metadata.labels, ...identity(name, ordinal), [revisionLabel]: revision.metadata.name };
  const { serviceName } = set.spec;
  const draft: Draft<"Pod"> = {
    ...pod,
    metadata: { ...pod.metadata, name, labels },
    spec: { ...pod.spec, hostname: name, ...(serviceName && { subdomain: serviceName }) },
  };
  const errors = validate("Pod", draft as unknown as Pod);
  if (errors.length > 0) throw invalid(resourceOf("Pod"), name, errors);
  return draft;
}

function identity(name: string, ordinal: number): Readonly<Record<string, string>> {
  return { [nameLabel]: name, [indexLabel]: String(ordinal) };
}

/** A pod that was adopted, or whose labels were taken away, gets its identity back; the same pod if it has it. */
export function withIdentity(pod: Pod, ordinal: number): Pod {
  const { labels } = pod.metadata;
  const own = identity(pod.metadata.name, ordinal);
  if (labels?.[nameLabel] === own[nameLabel] && labels?.[indexLabel] === own[indexLabel]) return pod;
  return { ...pod, metadata: { ...pod.metadata, labels: { ...labels, ...own } } };
}

const claimed = new WeakMap<Template, Template>();

/** There are no PersistentVolumes: what claims would bring are empty directories, as the server warns. */
function withClaims(set: StatefulSet, template: Template): Template {
  const claims = set.spec.volumeClaimTemplates ?? [];
  if (claims.length === 0 || !template.spec) return template;
  const known = claimed.get(template);
  if (known) return known;
  const names = new Set(claims.map(({ metadata }) => metadata?.name));
  const rest = (template.spec.volumes ?? []).filter(({ name }) => !names.has(name));
  const volumes = [...[...names].map((name) => ({ name: name ?? "", emptyDir: {} })), ...rest];
  const made: Template = { ...template, spec: { ...template.spec, volumes } };
  claimed.set(template, made);
  return made;
}

export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

export function isRunningAndReady(pod: Pod): boolean {
  return pod.status.phase === "Running" && isReady(pod);
}

export function isRunningAndAvailable(pod: Pod, seconds: number, now: Time): boolean {
  return pod.status.phase === "Running" && isAvailable(pod, seconds, now);
}

/** Missing, unhealthy, or ready for too short a time. */
export function isUnavailable(pod: Pod | undefined, seconds: number, now: Time): boolean {
  return !pod || isTerminating(pod) || !isRunningAndReady(pod) || !isRunningAndAvailable(pod, seconds, now);
}
