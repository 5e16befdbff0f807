/** Owns one pod on every node that may have it (pkg/controller/daemon). */
import type { Again, Controller } from "../api/controller";
import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf } from "../api/meta";
import type { Context } from "./context";
import { DaemonNodes, type NodeShare } from "./daemonnodes";
import { daemonPod, hashLabel } from "./daemonpods";
import { templateHash } from "./hash";
import { daemonSetController as by } from "./names";
import { hasEnded, isActive, isAvailable } from "./pods";

type Pod = Kinds["Pod"];
type DaemonSet = Kinds["DaemonSet"];

export function daemonSetControllerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);
  const shares = new DaemonNodes(sim, store);

  function remove(set: DaemonSet, pod: Pod): void {
    if (pod.metadata.deletionTimestamp !== undefined) return;
    store.delete("Pod", keyOf(pod), by);
    const message = `Deleted pod: ${pod.metadata.name}`;
    recordEvent(sim, store, { about: set, type: "Normal", reason: "SuccessfulDelete", message, component: by });
  }

  function create(set: DaemonSet, node: string): void {
    const pod = store.create("Pod", daemonPod(set, node, random), by);
    const message = `Created pod: ${pod.metadata.name}`;
    recordEvent(sim, store, { about: set, type: "Normal", reason: "SuccessfulCreate", message, component: by });
  }

  /** Pods of an older template go, so many at a time as may be unavailable. */
  function roll(set: DaemonSet, pods: readonly Pod[]): void {
    if (set.spec.updateStrategy?.type !== "RollingUpdate") return;
    const hash = templateHash(set.spec.template);
    const old = pods.filter((pod) => pod.metadata.labels?.[hashLabel] !== hash && isActive(pod));
    if (old.length === 0) return;
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

  /** One pod where there should be one, none where there should not. */
  function manage(set: DaemonSet, { node, run, stay, pods }: NodeShare): void {
    if (node === undefined) {
      for (const pod of pods) remove(set, pod);
      return;
    }
    const [ended, alive] = [pods.filter(hasEnded), pods.filter((pod) => !hasEnded(pod))];
    for (const pod of ended) remove(set, pod);
    if (run && pods.length === 0) create(set, node.metadata.name);
    for (const pod of stay ? alive.slice(1) : alive) remove(set, pod);
  }

  function reconcile(key: Key): Again | undefined {
    const set = store.get("DaemonSet", key);
    if (!set || set.metadata.deletionTimestamp !== undefined) return undefined;
    for (const share of shares.changed(set)) manage(set, share);
    if (shares.hasOld(set)) roll(set, store.list("Pod", { owner: set.metadata.uid }));
    const status = shares.status(set);
    store.update("DaemonSet", keyOf(set), (now) => ({ ...now, status }), by);
    return undefined;
  }

  return {
    name: by,
    watches: {
      DaemonSet: (key, now, before) => {
        if (!now && before) shares.forget(before.metadata.uid);
        return [key];
      },
      Node: (key, now, before) => {
        // What is only told of a node (its heartbeat, its addresses) moves no daemon.
        const same = now && before && now.spec === before.spec && now.metadata.labels === before.metadata.labels;
        if (!same) shares.nodeChanged(key, now !== undefined);
        return same ? [] : store.list("DaemonSet").map(keyOf);
      },
      Pod: (_key, now, before) => {
        const owner = controllerOf(now ?? before ?? { metadata: {} });
        if (owner?.kind !== "DaemonSet") return [];
        shares.podChanged(owner.uid, now, before);
        return [keyFor((now ?? before)?.metadata.namespace, owner.name)];
      },
    },
    reconcile,
  };
}
