/** Owns one pod on every node that may have it (pkg/controller/daemon). */
import type { Again, Controller } from "../api/controller";
import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf } from "../api/meta";
import type { Context } from "./context";
import { DaemonNodes, type NodeShare } from "./daemonnodes";
import { daemonPod } from "./daemonpods";
import { DaemonHistory } from "./daemonrevisions";
import { surplus, updateStep } from "./daemonupdate";
import { daemonSetController as by } from "./names";
import { hasEnded, untilAvailable } from "./pods";

type Pod = Kinds["Pod"];
type DaemonSet = Kinds["DaemonSet"];

export function daemonSetControllerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);
  const shares = new DaemonNodes(sim, store);
  const history = new DaemonHistory(store);

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

  /** Pods of an older template are replaced, so many at a time as the strategy allows. */
  function roll(set: DaemonSet): void {
    if (set.spec.updateStrategy?.type !== "RollingUpdate") return;
    const step = updateStep(set, shares.wanted(set), sim.clock.now);
    for (const pod of step.remove) remove(set, pod);
    for (const node of step.create) create(set, node);
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
    const running = alive.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    for (const pod of stay ? surplus(set, running, sim.clock.now) : alive) remove(set, pod);
  }

  function reconcile(key: Key): Again | undefined {
    const set = store.get("DaemonSet", key);
    if (!set || set.metadata.deletionTimestamp !== undefined) return undefined;
    history.keep(set);
    for (const share of shares.changed(set)) manage(set, share);
    if (shares.hasOld(set)) roll(set);
    const status = shares.status(set);
    store.setStatus("DaemonSet", keyOf(set), status, by);
    return status.numberReady > (status.numberAvailable ?? 0) ? nextAvailable(set) : undefined;
  }

  /** When the next pod has been ready for minReadySeconds. */
  function nextAvailable(set: DaemonSet): Again | undefined {
    const seconds = set.spec.minReadySeconds ?? 0;
    const pods = store.list("Pod", { owner: set.metadata.uid });
    const waits = pods.flatMap((pod) => untilAvailable(pod, seconds, sim.clock.now) ?? []);
    return waits.length > 0 ? { after: Math.min(...waits) } : undefined;
  }

  return {
    name: by,
    watches: {
      DaemonSet: (key, now, before) => {
        if (!now && before) shares.forget(before.metadata.uid);
        if (!now && before) history.look(before.metadata.uid);
        return [key];
      },
      Node: (key, now, before) => {
        // What is only told of a node (its heartbeat, its addresses) moves no daemon.
        const same = now && before && now.spec === before.spec && now.metadata.labels === before.metadata.labels;
        if (!same) shares.nodeChanged(key, now !== undefined);
        return same ? [] : store.list("DaemonSet").map(keyOf);
      },
      ControllerRevision: (_key, now, before) => {
        const owner = controllerOf(now ?? before ?? { metadata: {} });
        if (owner?.kind !== "DaemonSet" || now) return [];
        history.look(owner.uid);
        return [keyFor(before?.metadata.namespace, owner.name)];
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
