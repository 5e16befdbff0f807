/** Owns pods that nobody could end: of nodes that are no more, and of nodes that are out of service (pkg/controller/podgc). */
import type { Again, Controller } from "../api/controller";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import { rfc3339 } from "../api/time";
import { second, type Time } from "../sim/clock";
import type { Context } from "./context";
import { podGarbageCollector as by } from "./names";
import { hasEnded, withPodCondition } from "./pods";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];

/** It looks around so often; a node that it misses it misses for so long before it believes it. */
const period = 20 * second;
const quarantine = 40 * second;
const outOfService = "node.kubernetes.io/out-of-service";

/** Keys are names of nodes. */
export function podGarbageCollectorOf({ sim, store }: Context): Controller {
  /** When pods of a node that is missing, or out of service, may go. */
  const due = new Map<string, Time>();

  /** Nobody answers for its end: it has failed, and is gone (markFailedAndDeletePod). */
  function remove(pod: Pod, gone: boolean): void {
    const key = keyOf(pod);
    const { now } = sim.clock;
    const condition = {
      type: "DisruptionTarget",
      status: "True",
      reason: "DeletionByPodGC",
      message: "PodGC: node no longer exists",
      lastTransitionTime: rfc3339(now),
    };
    const failed = (pod: Pod): Pod => {
      const told = gone ? withPodCondition(pod, condition) : pod;
      return { ...told, status: { ...told.status, phase: "Failed" } };
    };
    if (!hasEnded(pod)) store.update("Pod", key, failed, by);
    store.delete("Pod", key, by, { grace: 0, uid: pod.metadata.uid });
  }

  function reconcile(name: Key): Again | undefined {
    const { now } = sim.clock;
    const node = store.get("Node", name);
    const pods = store.list("Pod", { node: name });
    if (node ? !isOutOfService(node) : pods.length === 0) {
      due.delete(name);
      return undefined;
    }
    const look = now + period - (now % period);
    // A node that is missing is missed at the next look, and believed to be gone at the first one after the quarantine.
    const at = due.get(name) ?? (node ? look : look + quarantine + period);
    due.set(name, at);
    if (at > now) return { after: at - now, kind: "background" };
    due.set(name, look);
    for (const pod of pods) if (!node || pod.metadata.deletionTimestamp !== undefined) remove(pod, !node);
    return { after: look - now, kind: "background" };
  }

  return {
    name: by,
    watches: {
      Node: (name, now, before) => {
        if (!now) return [name];
        return now.spec.taints !== before?.spec.taints && isTainted(now) ? [name] : [];
      },
      Pod: (_key, now, before) => {
        const name = now?.spec.nodeName;
        return name && before?.spec.nodeName !== name && !store.get("Node", name) ? [name] : [];
      },
    },
    reconcile,
  };
}

function isTainted({ spec }: Node): boolean {
  return spec.taints?.some(({ key }) => key === outOfService) ?? false;
}

/** Somebody says that it is off and stays off; and nothing is heard of it. */
function isOutOfService(node: Node): boolean {
  const ready = node.status.conditions?.find(({ type }) => type === "Ready");
  return isTainted(node) && ready?.status !== "True";
}
