/** Owns which pods go first when there are too many (pkg/controller/controller_utils.go: ActivePodsWithRanks). */
import type { Kinds } from "../api/kinds";
import { parseTime } from "../api/time";
import type { Time } from "../sim/clock";
import { isReady, readyCondition } from "./pods";

type Pod = Kinds["Pod"];

/** Negative: the first one goes first; 0: this says nothing. */
type Rule = (a: Pod, b: Pod) => number;

const phases: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

const number = (test: boolean): number => (test ? 1 : 0);

/**
 * So many of the pods as are to go, the least useful first. The rules in their order: without a node; pending, then
 * unknown, then running; not ready; a lower deletion cost; more pods beside it on its node (`crowd`); ready for a shorter
 * time; restarted more often; younger. Spans of time count as the same when they have the same power of two, and then the
 * uid decides, which is as good as chance: so scaling down does not empty one zone that was filled last.
 */
export function victims(pods: readonly Pod[], count: number, crowd: (pod: Pod) => number, now: Time): readonly Pod[] {
  if (count >= pods.length) return pods;
  const rules: readonly Rule[] = [
    (a, b) => number(Boolean(a.spec.nodeName)) - number(Boolean(b.spec.nodeName)),
    (a, b) => phaseOf(a) - phaseOf(b),
    (a, b) => number(isReady(a)) - number(isReady(b)),
    (a, b) => deletionCost(a) - deletionCost(b),
    (a, b) => crowd(b) - crowd(a),
    (a, b) => (isReady(a) ? younger(a, b, readySince, now) : 0),
    (a, b) => restarts(b, "containerStatuses") - restarts(a, "containerStatuses"),
    (a, b) => restarts(b, "initContainerStatuses") - restarts(a, "initContainerStatuses"),
    (a, b) => younger(a, b, ({ metadata }) => parseTime(metadata.creationTimestamp), now),
  ];
  const compare: Rule = (a, b) => {
    for (const rule of rules) {
      const result = rule(a, b);
      if (result !== 0) return result;
    }
    return 0;
  };
  return [...pods].sort(compare).slice(0, count);
}

/** Which of a Job's pods goes first (ActivePods): the same rules without costs and crowds, each span of time by itself. */
export function deleteFirst(a: Pod, b: Pod): number {
  const first = number(Boolean(a.spec.nodeName)) - number(Boolean(b.spec.nodeName));
  const state = first || phaseOf(a) - phaseOf(b) || number(isReady(a)) - number(isReady(b));
  const since = (pod: Pod): Time => readySince(pod) ?? Number.POSITIVE_INFINITY;
  const ready = isReady(a) && since(a) !== since(b) ? Math.sign(since(b) - since(a)) : 0;
  const restarted = restarts(b, "containerStatuses") - restarts(a, "containerStatuses");
  const made = (pod: Pod): Time => parseTime(pod.metadata.creationTimestamp) ?? 0;
  return state || ready || restarted || made(b) - made(a);
}

function phaseOf({ status }: Pod): number {
  return phases[status.phase ?? ""] ?? 3;
}

/** `controller.kubernetes.io/pod-deletion-cost`: a whole number of 32 bits; what is none counts as 0. */
function deletionCost({ metadata }: Pod): number {
  const text = metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? "";
  if (!/^(0|-?[1-9]\d*)$/.test(text)) return 0;
  const cost = Number(text);
  return cost === (cost | 0) ? cost : 0;
}

function readySince(pod: Pod): Time | undefined {
  return parseTime(readyCondition(pod)?.lastTransitionTime ?? "");
}

/** What has no time comes first, then what is younger by a power of two (logarithmicRankDiff). */
function younger(a: Pod, b: Pod, of: (pod: Pod) => Time | undefined, now: Time): number {
  const [one, other] = [of(a), of(b)];
  if (one === other) return 0;
  if (one === undefined) return -1;
  if (other === undefined) return 1;
  const difference = power(now - one) - power(now - other);
  return difference !== 0 ? difference : a.metadata.uid < b.metadata.uid ? -1 : 1;
}

/** The whole logarithm to the base 2 of a span in nanoseconds, as upstream counts it; -1 for none. */
function power(span: Time): number {
  return span > 0 ? Math.floor(Math.log2(span * 1000)) : -1;
}

/** Of init containers only sidecars restart while the pod runs (compareMaxContainerRestarts). */
function restarts({ spec, status }: Pod, which: "containerStatuses" | "initContainerStatuses"): number {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  const counted = (status[which] ?? []).filter(({ name }) => {
    return which === "containerStatuses" || sidecars.some((sidecar) => sidecar.name === name);
  });
  return counted.reduce((most, { restartCount }) => Math.max(most, restartCount), 0);
}
