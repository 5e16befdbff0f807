/** Owns the number of pods: a ReplicaSet has as many as it asks for (pkg/controller/replicaset). */
import type { Again, Controller } from "../api/controller";
import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf } from "../api/meta";
import { matchesLabels, matchesSelector } from "../api/selectors";
import { second } from "../sim/clock";
import type { Context } from "./context";
import { replicaSetController as by } from "./names";
import { PodCounts, type Tally } from "./podcounts";
import { deleteFirst, isActive, isAvailable, isReady } from "./pods";
import { podFrom } from "./template";

type Pod = Kinds["Pod"];
type ReplicaSet = Kinds["ReplicaSet"];

/** Creations and deletions in one go (BurstReplicas). */
const burst = 500;

export function replicaSetControllerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);
  const counts = new PodCounts();

  function ownerKeys(_key: Key, now: Pod | undefined, before: Pod | undefined): readonly Key[] {
    counts.see(now, before);
    const owner = now && controllerOf(now);
    // Nearly always it is the same owner's as before.
    if (owner?.kind === "ReplicaSet" && now?.metadata.ownerReferences === before?.metadata.ownerReferences) {
      return [keyFor(now?.metadata.namespace, owner.name)];
    }
    const keys = [now, before].flatMap((pod) => {
      const owner = pod && controllerOf(pod);
      if (owner) return owner.kind === "ReplicaSet" ? keyFor(pod.metadata.namespace, owner.name) : [];
      return pod ? orphansOwners(pod) : [];
    });
    return [...new Set(keys)];
  }

  /** A pod that nobody owns may fit a ReplicaSet's selector. */
  function orphansOwners(pod: Pod): readonly Key[] {
    if (!pod.metadata.labels) return [];
    const sets = store.list("ReplicaSet", { namespace: pod.metadata.namespace ?? "" });
    return sets.filter((set) => matchesSelector(set.spec.selector, pod.metadata.labels ?? {})).map(keyOf);
  }

  /** The set's own pods, adopting orphans that fit and letting go those that no longer do. */
  function claim(set: ReplicaSet): readonly Pod[] {
    const mine = store.list("Pod", { owner: set.metadata.uid });
    const fits = (pod: Pod): boolean => matchesSelector(set.spec.selector, pod.metadata.labels ?? {});
    const orphans =
      set.metadata.deletionTimestamp === undefined
        ? store
            .list("Pod", { namespace: set.metadata.namespace ?? "", selector: set.spec.selector })
            .filter((pod) => !controllerOf(pod) && isActive(pod))
        : [];
    const adopted = orphans.map((pod) => own(pod, set));
    const released = mine.filter((pod) => !fits(pod) && pod.metadata.deletionTimestamp === undefined);
    for (const pod of released) disown(pod, set);
    return [...mine.filter(fits), ...adopted].filter(isActive);
  }

  function own(pod: Pod, set: ReplicaSet): Pod {
    const { apiVersion, kind, metadata } = set;
    const owner = {
      apiVersion,
      blockOwnerDeletion: true,
      controller: true,
      kind,
      name: metadata.name,
      uid: metadata.uid,
    };
    const change = (now: Pod): Pod => {
      return {
        ...now,
        metadata: { ...now.metadata, ownerReferences: [...(now.metadata.ownerReferences ?? []), owner] },
      };
    };
    return store.update("Pod", keyOf(pod), change, by);
  }

  function disown(pod: Pod, set: ReplicaSet): void {
    const change = (now: Pod): Pod => {
      const { ownerReferences = [], ...rest } = now.metadata;
      const owners = ownerReferences.filter((owner) => owner.uid !== set.metadata.uid);
      return { ...now, metadata: { ...rest, ...(owners.length > 0 && { ownerReferences: owners }) } };
    };
    store.update("Pod", keyOf(pod), change, by);
  }

  function create(set: ReplicaSet): void {
    const pod = store.create("Pod", podFrom(set, set.spec.template ?? {}, random), by);
    const message = `Created pod: ${pod.metadata.name}`;
    recordEvent(sim, store, { about: set, type: "Normal", reason: "SuccessfulCreate", message, component: by });
  }

  function remove(set: ReplicaSet, pod: Pod): void {
    store.delete("Pod", keyOf(pod), by, { uid: pod.metadata.uid });
    const message = `Deleted pod: ${pod.metadata.name}`;
    recordEvent(sim, store, { about: set, type: "Normal", reason: "SuccessfulDelete", message, component: by });
  }

  /**
   * Victims, the least useful first; a node with more pods of the same Deployment gives first
   * (getPodsRankedByRelatedPodsOnSameNode).
   */
  function victims(set: ReplicaSet, pods: readonly Pod[], count: number): readonly Pod[] {
    const owner = controllerOf(set);
    const related = owner
      ? store
          .list("ReplicaSet", { owner: owner.uid })
          .flatMap((each) => store.list("Pod", { owner: each.metadata.uid }))
      : pods;
    const perNode = new Map<string, number>();
    for (const pod of related.filter(isActive)) {
      const node = pod.spec.nodeName ?? "";
      perNode.set(node, (perNode.get(node) ?? 0) + 1);
    }
    const rank = (pod: Pod): number => perNode.get(pod.spec.nodeName ?? "") ?? 0;
    return [...pods].sort((a, b) => deleteFirst(a, b, rank)).slice(0, count);
  }

  function tallyOf(set: ReplicaSet, pods: readonly Pod[]): Tally & { readonly available: number } {
    const seconds = set.spec.minReadySeconds ?? 0;
    const labels = set.spec.template?.metadata?.labels ?? {};
    const ready = pods.filter(isReady);
    return {
      active: pods.length,
      ready: ready.length,
      available: ready.filter((pod) => isAvailable(pod, seconds, sim.clock.now)).length,
      labeled: pods.filter((pod) => matchesLabels(labels, pod.metadata.labels ?? {})).length,
    };
  }

  function writeStatus(
    set: ReplicaSet,
    { active, ready, available, labeled }: ReturnType<typeof tallyOf>,
  ): Again | undefined {
    const status: { -readonly [K in keyof ReplicaSet["status"]]: ReplicaSet["status"][K] } = { replicas: active };
    if (labeled > 0) status.fullyLabeledReplicas = labeled;
    if (ready > 0) status.readyReplicas = ready;
    if (available > 0) status.availableReplicas = available;
    if (set.metadata.generation !== undefined) status.observedGeneration = set.metadata.generation;
    store.setStatus("ReplicaSet", keyOf(set), status, by);
    return ready > available ? { after: (set.spec.minReadySeconds ?? 0) * second } : undefined;
  }

  /** All that there is to do for a set that has as many pods as it should: to say how they are. */
  function counted(set: ReplicaSet): ReturnType<typeof tallyOf> | undefined {
    if (set.spec.minReadySeconds) return undefined;
    const { uid, namespace = "" } = set.metadata;
    const tally = counts.of({ uid, namespace }, set.spec.selector, set.spec.template?.metadata?.labels ?? {});
    return tally?.active === (set.spec.replicas ?? 1) ? { ...tally, available: tally.ready } : undefined;
  }

  function reconcile(key: Key): Again | undefined {
    const set = store.get("ReplicaSet", key);
    if (!set) return undefined;
    const tally = counted(set);
    if (tally) return writeStatus(set, tally);
    const pods = claim(set);
    const missing = (set.spec.replicas ?? 1) - pods.length;
    let now = pods;
    if (set.metadata.deletionTimestamp === undefined) {
      for (let made = 0; made < Math.min(missing, burst); made++) create(set);
      if (missing < 0) for (const pod of victims(set, pods, Math.min(-missing, burst))) remove(set, pod);
      if (missing !== 0) now = store.list("Pod", { owner: set.metadata.uid }).filter(isActive);
    }
    const latest = store.get("ReplicaSet", key) ?? set;
    return writeStatus(latest, tallyOf(latest, now));
  }

  return { name: by, watches: { ReplicaSet: (key) => [key], Pod: ownerKeys }, reconcile };
}
