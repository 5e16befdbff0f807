/**
 * Owns what becomes of a node that is not heard of any more (pkg/controller/nodelifecycle): Unknown, tainted, its pods not
 * ready. That they are evicted after five minutes is the taint's doing.
 */
import type { Again, Controller } from "../api/controller";
import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import { rfc3339 } from "../api/time";
import { second, type Time } from "../sim/clock";
import type { Context } from "./context";

type Node = Kinds["Node"];
type Pod = Kinds["Pod"];

/** --node-monitor-grace-period and --node-monitor-period. */
const gracePeriod: Time = 50 * second;
const monitorPeriod: Time = 5 * second;
const unreachable = "node.kubernetes.io/unreachable";
const component = "node-controller";

/** Who renews its Lease: when it was last heard of. */
export interface Heard {
  /** Undefined: it is heard of all the time. */
  silentSince(node: string): Time | undefined;
}

/** Keys are names of nodes. Enqueue a node that has fallen silent, and one that is back. */
export function nodeLifecycleControllerOf(context: Context, heard: Heard): Controller {
  return new NodeLifecycle(context, heard);
}

class NodeLifecycle implements Controller {
  readonly name = component;
  readonly watches = {};
  readonly #context: Context;
  readonly #heard: Heard;
  readonly #unknownSince = new Map<string, Time>();

  constructor(context: Context, heard: Heard) {
    this.#context = context;
    this.#heard = heard;
  }

  reconcile(name: Key): Again | undefined {
    const { sim, store } = this.#context;
    const node = store.get("Node", name);
    if (!node) return undefined;
    const silent = this.#heard.silentSince(name);
    if (silent === undefined) {
      this.#back(node);
      return undefined;
    }
    const again = { after: monitorPeriod, kind: "background" } as const;
    if (sim.clock.now < silent + gracePeriod) return again;
    if (!this.#unknownSince.has(name)) {
      this.#unknownSince.set(name, sim.clock.now);
      this.#lost(node);
    }
    return again;
  }

  /** Nothing is known of it: that is said of the node and of its pods, which get no traffic any more. */
  #lost(node: Node): void {
    const { sim, store } = this.#context;
    const { name } = node.metadata;
    const lastTransitionTime = rfc3339(sim.clock.now);
    const unknown = {
      status: "Unknown",
      reason: "NodeStatusUnknown",
      message: "Kubelet stopped posting node status.",
      lastTransitionTime,
    } as const;
    const timeAdded = lastTransitionTime;
    const taints = (["NoSchedule", "NoExecute"] as const).map((effect) => ({ key: unreachable, effect, timeAdded }));
    store.update(
      "Node",
      name,
      (now) => ({
        ...now,
        spec: { ...now.spec, taints: [...withoutOurs(now), ...taints] },
        status: { ...now.status, conditions: now.status.conditions?.map((each) => ({ ...each, ...unknown })) ?? [] },
      }),
      component,
    );
    const message = `Node ${name} status is now: NodeNotReady`;
    recordEvent(sim, store, { about: node, type: "Normal", reason: "NodeNotReady", message, component });
    for (const pod of store.list("Pod", { node: name })) this.#markNotReady(pod, lastTransitionTime);
  }

  #markNotReady(pod: Pod, lastTransitionTime: string): void {
    const { sim, store } = this.#context;
    if (!pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True")) return;
    store.update(
      "Pod",
      keyOf(pod),
      (now) => ({
        ...now,
        status: {
          ...now.status,
          conditions:
            now.status.conditions?.map((each) =>
              each.type === "Ready" ? { ...each, status: "False", lastTransitionTime } : each,
            ) ?? [],
        },
      }),
      component,
    );
    const note = { type: "Warning", reason: "NodeNotReady", message: "Node is not ready", component } as const;
    recordEvent(sim, store, { about: pod, ...note });
  }

  /** Heard of again: the kubelet has said what it is now, and the taints go. */
  #back(node: Node): void {
    const { sim, store } = this.#context;
    const { name } = node.metadata;
    if (!this.#unknownSince.delete(name)) return;
    const lastTransitionTime = rfc3339(sim.clock.now);
    const fine = (each: NonNullable<Node["status"]["conditions"]>[number]) =>
      each.status === "Unknown" ? { ...each, ...wellOf(each.type), status: "False", lastTransitionTime } : each;
    store.update(
      "Node",
      name,
      (now) => ({
        ...now,
        spec: specWith(now, withoutOurs(now)),
        status: { ...now.status, conditions: now.status.conditions?.map(fine) ?? [] },
      }),
      component,
    );
  }
}

function specWith({ spec }: Node, taints: readonly NonNullable<Node["spec"]["taints"]>[number][]): Node["spec"] {
  const { taints: _, ...rest } = spec;
  return taints.length > 0 ? { ...rest, taints } : rest;
}

function withoutOurs({ spec }: Node) {
  return (spec.taints ?? []).filter(({ key }) => key !== unreachable);
}

const well: Readonly<Record<string, { readonly reason: string; readonly message: string }>> = {
  MemoryPressure: {
    reason: "KubeletHasSufficientMemory",
    message: "kubelet has sufficient memory available",
  },
  DiskPressure: { reason: "KubeletHasNoDiskPressure", message: "kubelet has no disk pressure" },
  PIDPressure: { reason: "KubeletHasSufficientPID", message: "kubelet has sufficient PID available" },
};

function wellOf(type: string): { readonly reason: string; readonly message: string } | undefined {
  return well[type];
}
