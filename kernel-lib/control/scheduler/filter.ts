/** Owns the question whether a pod may run on a node (the scheduler's filter plugins), and the words for why not. */
import type { Kinds } from "../../api/kinds";
import { matchesRequirement, type Requirement } from "../../api/selectors";
import type { NodeInfo } from "./nodes";
import type { Usage } from "./usage";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];
type Taint = NonNullable<Node["spec"]["taints"]>[number];
type Toleration = NonNullable<Pod["spec"]["tolerations"]>[number];

/** Whether a pod may run on a node. */
export function mayHave(pod: Pod, { node, room, plain, used }: NodeInfo, asked: Usage): boolean {
  if (plain && !pod.spec.nodeSelector && !pod.spec.affinity) return lacking(room, used.asked, asked) === undefined;
  return whyNot(pod, node, room, used.asked, asked) === undefined;
}

/** The one node that a pod is meant for by name, as a daemon's pods are (NodeAffinity's PreFilter). */
export function pinnedTo(pod: Pod): string | undefined {
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const field = terms?.length === 1 ? terms[0]?.matchFields?.[0] : undefined;
  if (field?.key !== "metadata.name" || field.operator !== "In" || field.values?.length !== 1) return undefined;
  return field.values[0];
}

/** Why not, as the event FailedScheduling counts it; undefined: it may. */
export function whyNot(pod: Pod, node: Node, room: Usage, usage: Usage, asked: Usage): string | undefined {
  const tolerations = pod.spec.tolerations ?? [];
  const unschedulable: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
  if (node.spec.unschedulable && !tolerates(tolerations, unschedulable)) return "node(s) were unschedulable";
  const taint = untolerated(node, tolerations, ["NoSchedule", "NoExecute"]);
  if (taint) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  if (!fitsAffinity(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  return lacking(room, usage, asked);
}

/** The first taint of these effects that the pod does not tolerate. */
export function untolerated(
  node: Node,
  tolerations: readonly Toleration[],
  effects: readonly string[],
): Taint | undefined {
  return node.spec.taints?.find((taint) => effects.includes(taint.effect) && !tolerates(tolerations, taint));
}

export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(({ key, operator, value, effect }) => {
    if (effect && effect !== taint.effect) return false;
    if (key && key !== taint.key) return false;
    return operator === "Exists" || (value ?? "") === (taint.value ?? "");
  });
}

/** nodeSelector and required node affinity. */
export function fitsAffinity(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const wanted = Object.entries(pod.spec.nodeSelector ?? {});
  if (!wanted.every(([key, value]) => labels[key] === value)) return false;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (!terms) return true;
  return terms.some(({ matchExpressions = [], matchFields = [] }) => {
    const fields = { "metadata.name": node.metadata.name };
    const names: Readonly<Record<string, Requirement["operator"]>> = { Gt: "GreaterThan", Lt: "LessThan" };
    const holds = (each: (typeof matchExpressions)[number], values: Readonly<Record<string, string>>): boolean => {
      const operator = names[each.operator] ?? (each.operator as Requirement["operator"]);
      return matchesRequirement({ key: each.key, operator, values: each.values ?? [] }, values);
    };
    if (matchExpressions.length + matchFields.length === 0) return false;
    return matchExpressions.every((e) => holds(e, labels)) && matchFields.every((e) => holds(e, fields));
  });
}

/** NodeResourcesFit. */
function lacking(room: Usage, usage: Usage, asked: Usage): string | undefined {
  if (usage.pods + 1 > room.pods) return "Too many pods";
  if (asked.cpu > 0 && usage.cpu + asked.cpu > room.cpu) return "Insufficient cpu";
  if (asked.memory > 0 && usage.memory + asked.memory > room.memory) return "Insufficient memory";
  return undefined;
}
