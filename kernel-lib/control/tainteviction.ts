/** Owns pods that must leave a node for a taint of effect NoExecute, at once or after what they tolerate (pkg/controller/tainteviction). */
import type { Again, Controller } from "../api/controller";
import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import { rfc3339 } from "../api/time";
import { second, type Time } from "../sim/clock";
import type { Context } from "./context";
import { taintEvictionController as by } from "./names";
import { withPodCondition } from "./pods";
import { tolerates } from "./scheduler/filter";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];
type Taint = NonNullable<Node["spec"]["taints"]>[number];

export function taintEvictionControllerOf({ sim, store }: Context): Controller {
  /** Since when a pod only tolerates its node's taints for some time. */
  const since = new Map<Key, { readonly uid: string; readonly at: Time }>();

  function tell(pod: Pod, message: string): void {
    recordEvent(sim, store, { about: pod, type: "Normal", reason: "TaintManagerEviction", message, component: by });
  }

  function evict(pod: Pod): void {
    const key = keyOf(pod);
    tell(pod, `Marking for deletion Pod ${key}`);
    const condition = {
      type: "DisruptionTarget",
      status: "True",
      reason: "DeletionByTaintManager",
      message: "Taint manager: deleting due to NoExecute taint",
      lastProbeTime: null as unknown as string,
      lastTransitionTime: rfc3339(sim.clock.now),
      ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    };
    store.update("Pod", key, (now) => withPodCondition(now, condition), by);
    store.delete("Pod", key, by, { uid: pod.metadata.uid });
  }

  function reconcile(key: Key): Again | undefined {
    const pod = store.get("Pod", key);
    const begun = since.get(key);
    if (!pod || pod.metadata.deletionTimestamp !== undefined || (begun && begun.uid !== pod.metadata.uid)) {
      since.delete(key);
      return undefined;
    }
    const stay = timeToStay(pod, taintsOf(store.get("Node", pod.spec.nodeName ?? "")));
    if (stay === undefined) {
      if (since.delete(key)) tell(pod, `Cancelling deletion of Pod ${key}`);
      return undefined;
    }
    const at = begun?.at ?? sim.clock.now;
    const left = at + stay - sim.clock.now;
    if (left > 0) {
      since.set(key, { uid: pod.metadata.uid, at });
      return { after: left, kind: "background" };
    }
    since.delete(key);
    evict(pod);
    return undefined;
  }

  return {
    name: by,
    watches: {
      Node: (name, now, before) => {
        if (now?.spec.taints === before?.spec.taints || (!hasAny(now) && !hasAny(before))) return [];
        return store.list("Pod", { node: name }).map(keyOf);
      },
      Pod: (key, now, before) => {
        if (!now) return since.has(key) ? [key] : [];
        const same = before?.spec.nodeName === now.spec.nodeName && before?.spec.tolerations === now.spec.tolerations;
        return !same && now.spec.nodeName && hasAny(store.get("Node", now.spec.nodeName)) ? [key] : [];
      },
    },
    reconcile,
  };
}

function taintsOf(node: Node | undefined): readonly Taint[] {
  return (node?.spec.taints ?? []).filter(({ effect }) => effect === "NoExecute");
}

function hasAny(node: Node | undefined): boolean {
  return node?.spec.taints?.some(({ effect }) => effect === "NoExecute") ?? false;
}

/** How long a pod may stay with these taints; undefined: for ever. */
function timeToStay({ spec }: Pod, taints: readonly Taint[]): Time | undefined {
  // Of several tolerations that fit a taint the first counts (GetMatchingTolerations).
  const used = taints.map((taint) => (spec.tolerations ?? []).find((each) => tolerates([each], taint)));
  if (used.some((each) => each === undefined)) return 0;
  const seconds = used.flatMap((each) => each?.tolerationSeconds ?? []);
  return seconds.length === 0 ? undefined : Math.max(0, Math.min(...seconds)) * second;
}
