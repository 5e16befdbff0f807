/** Owns the pods of a DaemonSet as they are made: the template's, bound to one node each (pkg/controller/daemon/util). */
import type { Draft, Kinds } from "../api/kinds";
import type { Random } from "../sim/random";
import { templateHash } from "./hash";
import { fitsAffinity, untolerated } from "./scheduler/filter";
import { podFrom } from "./template";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];
type DaemonSet = Kinds["DaemonSet"];
type Template = DaemonSet["spec"]["template"];

export const hashLabel = "controller-revision-hash";
const generationLabel = "pod-template-generation";

/** Taints that every daemon pod tolerates (pkg/controller/daemon/util). */
const tolerated = [
  ["node.kubernetes.io/not-ready", "NoExecute"],
  ["node.kubernetes.io/unreachable", "NoExecute"],
  ["node.kubernetes.io/disk-pressure", "NoSchedule"],
  ["node.kubernetes.io/memory-pressure", "NoSchedule"],
  ["node.kubernetes.io/pid-pressure", "NoSchedule"],
  ["node.kubernetes.io/unschedulable", "NoSchedule"],
] as const;

/** The node that a daemon pod is for, also before it is scheduled. */
export function nodeOf(pod: Pod): string {
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return pod.spec.nodeName || terms?.[0]?.matchFields?.[0]?.values?.[0] || "";
}

/** The template with what all of a set's pods get beyond it; the node is still to be said. Made once a generation. */
const completed = new WeakMap<Template, { readonly generation: number; readonly template: Template }>();

function complete(set: DaemonSet): Template {
  const { template } = set.spec;
  const generation = set.metadata.generation ?? 1;
  const known = completed.get(template);
  if (known?.generation === generation) return known.template;
  const own = tolerated.map(([key, effect]) => ({ key, operator: "Exists", effect }));
  const network = { key: "node.kubernetes.io/network-unavailable", operator: "Exists", effect: "NoSchedule" };
  const tolerations = [...(template.spec?.tolerations ?? []), ...own, ...(template.spec?.hostNetwork ? [network] : [])];
  const labels = {
    ...template.metadata?.labels,
    [hashLabel]: templateHash(template),
    [generationLabel]: String(generation),
  };
  const spec = { ...template.spec, containers: template.spec?.containers ?? [], tolerations, affinity: {} };
  const made = { ...template, metadata: { ...template.metadata, labels }, spec } as Template;
  completed.set(template, { generation, template: made });
  return made;
}

/** A set's pod for one node. */
export function daemonPod(set: DaemonSet, node: string, random: Random): Draft<"Pod"> {
  const pod = podFrom(set, complete(set), random);
  const given = set.spec.template.spec?.affinity;
  const field = { key: "metadata.name", operator: "In", values: [node] };
  const affinity = {
    ...given,
    nodeAffinity: {
      ...given?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields: [field] }] },
    },
  };
  return { ...pod, spec: { ...pod.spec, affinity } };
}

/** Whether a node should have a pod of the set, and whether one that runs there may stay. */
export function shouldRun(set: DaemonSet, node: Node): { readonly run: boolean; readonly stay: boolean } {
  const { spec } = complete(set);
  const affinity = set.spec.template.spec?.affinity ?? {};
  const chosen = { spec: { ...spec, affinity }, metadata: {}, status: {} } as unknown as Pod;
  if (!fitsAffinity(chosen, node)) return { run: false, stay: false };
  const tolerations = spec?.tolerations ?? [];
  return {
    run: !untolerated(node, tolerations, ["NoSchedule", "NoExecute"]),
    stay: !untolerated(node, tolerations, ["NoExecute"]),
  };
}
