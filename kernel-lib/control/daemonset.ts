/** Owns one pod on every node that may have it (pkg/controller/daemon). */
import type { Again, Controller } from "../api/controller";
import { recordEvent } from "../api/events";
import type { Draft, Kinds } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf } from "../api/meta";
import type { Context } from "./context";
import { templateHash } from "./hash";
import { daemonSetController as by } from "./names";
import { hasEnded, isActive, isAvailable, isReady } from "./pods";
import { fitsAffinity, untolerated } from "./scheduler/filter";
import { podFrom } from "./template";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];
type DaemonSet = Kinds["DaemonSet"];

const hashLabel = "controller-revision-hash";
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

export function daemonSetControllerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);

  function draftFor(set: DaemonSet, node: string): Draft<"Pod"> {
    const template = set.spec.template;
    const own = tolerated.map(([key, effect]) => ({ key, operator: "Exists", effect }));
    const network = { key: "node.kubernetes.io/network-unavailable", operator: "Exists", effect: "NoSchedule" };
    const tolerations = [
      ...(template.spec?.tolerations ?? []),
      ...own,
      ...(template.spec?.hostNetwork ? [network] : []),
    ];
    const field = { key: "metadata.name", operator: "In", values: [node] };
    const affinity = {
      ...template.spec?.affinity,
      nodeAffinity: {
        ...template.spec?.affinity?.nodeAffinity,
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields: [field] }] },
      },
    };
    const labels = {
      ...template.metadata?.labels,
      [hashLabel]: templateHash(template),
      [generationLabel]: String(set.metadata.generation ?? 1),
    };
    const spec = { ...template.spec, containers: template.spec?.containers ?? [], tolerations, affinity };
    return podFrom(set, { ...template, metadata: { ...template.metadata, labels }, spec }, random);
  }

  /** Whether this node should have a pod of the set, and whether one that runs there may stay. */
  function shouldRun(set: DaemonSet, node: Node): { readonly run: boolean; readonly stay: boolean } {
    const pod = { spec: draftFor(set, node.metadata.name).spec, metadata: {}, status: {} } as unknown as Pod;
    const chosen = { ...pod, spec: { ...pod.spec, affinity: set.spec.template.spec?.affinity ?? {} } } as Pod;
    if (!fitsAffinity(chosen, node)) return { run: false, stay: false };
    const tolerations = pod.spec.tolerations ?? [];
    return {
      run: !untolerated(node, tolerations, ["NoSchedule", "NoExecute"]),
      stay: !untolerated(node, tolerations, ["NoExecute"]),
    };
  }

  function nodeOf(pod: Pod): string {
    const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    return pod.spec.nodeName || terms?.[0]?.matchFields?.[0]?.values?.[0] || "";
  }

  function remove(set: DaemonSet, pod: Pod): void {
    if (pod.metadata.deletionTimestamp !== undefined) return;
    store.delete("Pod", keyOf(pod), by);
    const message = `Deleted pod: ${pod.metadata.name}`;
    recordEvent(sim, store, { about: set, type: "Normal", reason: "SuccessfulDelete", message, component: by });
  }

  function create(set: DaemonSet, node: string): void {
    const pod = store.create("Pod", draftFor(set, node), by);
    const message = `Created pod: ${pod.metadata.name}`;
    recordEvent(sim, store, { about: set, type: "Normal", reason: "SuccessfulCreate", message, component: by });
  }

  /** Pods of an older template go, so many at a time as may be unavailable. */
  function roll(set: DaemonSet, pods: readonly Pod[]): void {
    if (set.spec.updateStrategy?.type !== "RollingUpdate") return;
    const hash = templateHash(set.spec.template);
    const old = pods.filter((pod) => pod.metadata.labels?.[hashLabel] !== hash && isActive(pod));
    const seconds = set.spec.minReadySeconds ?? 0;
    const available = (pod: Pod): boolean => isActive(pod) && isAvailable(pod, seconds, sim.clock.now);
    const limit = set.spec.updateStrategy.rollingUpdate?.maxUnavailable ?? 1;
    const most = typeof limit === "number" ? limit : Math.ceil((Number.parseInt(limit, 10) * pods.length) / 100);
    let room = Math.max(0, most - pods.filter((pod) => !available(pod)).length);
    for (const pod of old) {
      if (!available(pod)) remove(set, pod);
      else if (room-- > 0) remove(set, pod);
    }
  }

  function reconcile(key: Key): Again | undefined {
    const set = store.get("DaemonSet", key);
    if (!set || set.metadata.deletionTimestamp !== undefined) return undefined;
    const byNode = new Map<string, Pod[]>();
    for (const pod of store.list("Pod", { owner: set.metadata.uid })) {
      byNode.set(nodeOf(pod), [...(byNode.get(nodeOf(pod)) ?? []), pod]);
    }
    const nodes = store.list("Node").map((node) => ({ node, ...shouldRun(set, node) }));
    for (const { node, run, stay } of nodes) {
      const here = byNode.get(node.metadata.name) ?? [];
      const [ended, alive] = [here.filter(hasEnded), here.filter((pod) => !hasEnded(pod))];
      for (const pod of ended) remove(set, pod);
      if (run && here.length === 0) create(set, node.metadata.name);
      if (!stay) for (const pod of alive) remove(set, pod);
      else for (const pod of alive.slice(1)) remove(set, pod);
    }
    const known = new Set(nodes.map(({ node }) => node.metadata.name));
    for (const [name, pods] of byNode) if (!known.has(name)) for (const pod of pods) remove(set, pod);
    roll(set, store.list("Pod", { owner: set.metadata.uid }));
    writeStatus(set, nodes);
    return undefined;
  }

  function writeStatus(set: DaemonSet, nodes: readonly { readonly node: Node; readonly run: boolean }[]): void {
    const pods = new Map(store.list("Pod", { owner: set.metadata.uid }).map((pod) => [nodeOf(pod), pod]));
    const wanted = nodes.filter(({ run }) => run).map(({ node }) => pods.get(node.metadata.name));
    const count = (test: (pod: Pod) => boolean): number => wanted.filter((pod) => pod && test(pod)).length;
    const hash = templateHash(set.spec.template);
    const available = count((pod) => isAvailable(pod, set.spec.minReadySeconds ?? 0, sim.clock.now));
    const updated = count((pod) => pod.metadata.labels?.[hashLabel] === hash);
    const status: DaemonSet["status"] = {
      currentNumberScheduled: count(() => true),
      desiredNumberScheduled: wanted.length,
      numberMisscheduled: nodes.filter(({ node, run }) => !run && pods.has(node.metadata.name)).length,
      numberReady: count(isReady),
      ...(available > 0 && { numberAvailable: available }),
      ...(wanted.length > available && { numberUnavailable: wanted.length - available }),
      ...(updated > 0 && { updatedNumberScheduled: updated }),
      ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
    };
    store.update("DaemonSet", keyOf(set), (now) => ({ ...now, status }), by);
  }

  return {
    name: by,
    watches: {
      DaemonSet: (key) => [key],
      Node: () => store.list("DaemonSet").map(keyOf),
      Pod: (_key, now, before) => {
        const owner = controllerOf(now ?? before ?? { metadata: {} });
        return owner?.kind === "DaemonSet" ? [keyFor((now ?? before)?.metadata.namespace, owner.name)] : [];
      },
    },
    reconcile,
  };
}
