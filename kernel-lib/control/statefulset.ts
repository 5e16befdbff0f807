/**
 * Owns pods with a name each: a StatefulSet makes, replaces and removes them in the order of their numbers
 * (pkg/controller/statefulset/stateful_set_control.go).
 */
import type { Again, Controller } from "../api/controller";
import { StatusError } from "../api/errors";
import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf, ownedBy } from "../api/meta";
import { matchesSelector } from "../api/selectors";
import { second } from "../sim/clock";
import type { Context } from "./context";
import { statefulSetController as by } from "./names";
import { hasEnded, isActive } from "./pods";
import {
  firstOrdinal,
  isRunningAndAvailable,
  isRunningAndReady,
  isTerminating,
  isUnavailable,
  ordinalOf,
  revisionOf,
  statefulPod,
  withIdentity,
} from "./statefulsetpods";
import { findRevisions, forgetRevisions, type Revisions } from "./statefulsetrevisions";

type Pod = Kinds["Pod"];
type StatefulSet = Kinds["StatefulSet"];

export function statefulSetControllerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);

  /** The set's own pods; orphans of its names are adopted, pods that its selector no longer fits let go. */
  function claim(set: StatefulSet): readonly Pod[] {
    const { namespace = "", uid } = set.metadata;
    const fits = (pod: Pod): boolean => matchesSelector(set.spec.selector, pod.metadata.labels ?? {});
    const own = store.list("Pod", { owner: uid });
    if (set.metadata.deletionTimestamp !== undefined) return own.filter(fits);
    for (const pod of own) if (!fits(pod) && !isTerminating(pod)) owned(pod, undefined, uid);
    const orphans = store
      .list("Pod", { namespace, selector: set.spec.selector })
      .filter((pod) => !controllerOf(pod) && isActive(pod) && ordinalOf(set, pod) !== undefined);
    return [...own.filter(fits), ...orphans.map((pod) => owned(pod, set, uid))];
  }

  function owned(pod: Pod, set: StatefulSet | undefined, uid: string): Pod {
    const change = (now: Pod): Pod => {
      const { ownerReferences = [], ...rest } = now.metadata;
      const owners = [...ownerReferences.filter((owner) => owner.uid !== uid), ...(set ? [ownedBy(set)] : [])];
      return { ...now, metadata: { ...rest, ...(owners.length > 0 && { ownerReferences: owners }) } };
    };
    return store.update("Pod", keyOf(pod), change, by);
  }

  function create(set: StatefulSet, revisions: Revisions, ordinal: number): void {
    const name = `${set.metadata.name}-${ordinal}`;
    const revision = keepsCurrent(set, ordinal) ? revisions.current : revisions.update;
    tell(set, "create", name, () => store.create("Pod", statefulPod(set, revision, ordinal, random), by));
  }

  function remove(set: StatefulSet, pod: Pod): void {
    tell(set, "delete", pod.metadata.name, () => store.delete("Pod", keyOf(pod), by, { uid: pod.metadata.uid }));
  }

  /** @throws StatusError what went wrong, after telling it */
  function tell(set: StatefulSet, verb: "create" | "delete", pod: string, act: () => void): void {
    const reason = verb === "create" ? "Create" : "Delete";
    const what = `${verb} Pod ${pod} in StatefulSet ${set.metadata.name}`;
    try {
      act();
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      const message = `${what} failed error: ${error.message}`;
      recordEvent(sim, store, { about: set, type: "Warning", reason: `Failed${reason}`, message, component: by });
      throw error;
    }
    const message = `${what} successful`;
    recordEvent(sim, store, { about: set, type: "Normal", reason: `Successful${reason}`, message, component: by });
  }

  /** Brings one place of the set nearer to what it should be; whether nothing after it may be touched yet. */
  function processReplica(set: StatefulSet, revisions: Revisions, pod: Pod | undefined, ordinal: number): boolean {
    if (!pod) {
      create(set, revisions, ordinal);
      return true;
    }
    // The name is free only when the old pod is gone altogether.
    if (hasEnded(pod)) {
      if (!isTerminating(pod)) remove(set, pod);
      return true;
    }
    if (isTerminating(pod) || !isRunningAndAvailable(pod, set.spec.minReadySeconds ?? 0, sim.clock.now)) return true;
    const own = withIdentity(pod, ordinal);
    if (own !== pod) store.update("Pod", keyOf(pod), () => own, by);
    return false;
  }

  /** Scaling down; whether something waits for a pod that is still there. */
  function processCondemned(set: StatefulSet, pod: Pod, firstUnhealthy: Pod | undefined, ordered: boolean): boolean {
    if (isTerminating(pod)) return true;
    const seconds = set.spec.minReadySeconds ?? 0;
    const healthy = isRunningAndReady(pod) && isRunningAndAvailable(pod, seconds, sim.clock.now);
    if (ordered && !healthy && pod !== firstUnhealthy) return true;
    remove(set, pod);
    return true;
  }

  /** From the highest number down, one at a time: a pod of another revision goes when all above it are available. */
  function roll(set: StatefulSet, { update }: Revisions, replicas: readonly (Pod | undefined)[]): void {
    if (set.spec.updateStrategy?.type === "OnDelete") return;
    const least = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
    for (let at = replicas.length - 1; at >= least; at--) {
      const pod = replicas[at];
      if (pod && revisionOf(pod) !== update.metadata.name && !isTerminating(pod)) {
        remove(set, pod);
        return;
      }
      if (isUnavailable(pod, set.spec.minReadySeconds ?? 0, sim.clock.now)) return;
    }
  }

  function manage(set: StatefulSet, revisions: Revisions, pods: readonly Pod[]): void {
    const [first, wanted] = [firstOrdinal(set), set.spec.replicas ?? 1];
    const ordered = set.spec.podManagementPolicy !== "Parallel";
    const numbered = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]));
    numbered.delete(undefined);
    const replicas = Array.from({ length: wanted }, (_, at) => numbered.get(first + at));
    const condemned = [...numbered]
      .filter(([ordinal = 0]) => ordinal < first || ordinal >= first + wanted)
      .sort(([one = 0], [other = 0]) => other - one)
      .map(([, pod]) => pod);
    const unhealthy = (pod: Pod | undefined): boolean => {
      return isUnavailable(pod, set.spec.minReadySeconds ?? 0, sim.clock.now);
    };
    const firstUnhealthy = replicas.some(unhealthy) ? undefined : [...condemned].reverse().find(unhealthy);
    for (const [at, pod] of replicas.entries()) {
      if (processReplica(set, revisions, pod, first + at) && ordered) return;
    }
    for (const pod of condemned) if (processCondemned(set, pod, firstUnhealthy, ordered) && ordered) return;
    const now = replicas.map((pod) => pod && store.get("Pod", keyOf(pod)));
    roll(set, revisions, now);
  }

  function writeStatus(key: Key, revisions: Revisions): Again | undefined {
    const set = store.get("StatefulSet", key);
    if (!set) return undefined;
    const { current, update } = revisions;
    const pods = store.list("Pod", { owner: set.metadata.uid }).filter((pod) => ordinalOf(set, pod) !== undefined);
    const seconds = set.spec.minReadySeconds ?? 0;
    const ready = pods.filter(isRunningAndReady);
    const available = ready.filter((pod) => isRunningAndAvailable(pod, seconds, sim.clock.now)).length;
    const of = (name: string): number => pods.filter((pod) => !isTerminating(pod) && revisionOf(pod) === name).length;
    const updated = of(update.metadata.name);
    const wanted = set.spec.replicas ?? 1;
    const done =
      set.spec.updateStrategy?.type === "RollingUpdate" &&
      [updated, ready.length, pods.length].every((count) => count === wanted);
    const currentReplicas = done ? updated : of(current.metadata.name);
    const status = {
      availableReplicas: available,
      collisionCount: set.status.collisionCount ?? 0,
      ...(currentReplicas > 0 && { currentReplicas }),
      currentRevision: done ? update.metadata.name : current.metadata.name,
      ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
      ...(ready.length > 0 && { readyReplicas: ready.length }),
      replicas: pods.length,
      updateRevision: update.metadata.name,
      ...(updated > 0 && { updatedReplicas: updated }),
    };
    store.setStatus("StatefulSet", key, status, by);
    return seconds > 0 && ready.length > available ? { after: seconds * second } : undefined;
  }

  function reconcile(key: Key): Again | undefined {
    const set = store.get("StatefulSet", key);
    if (!set) return undefined;
    const pods = claim(set);
    const revisions = findRevisions(store, set);
    try {
      if (set.metadata.deletionTimestamp === undefined) manage(set, revisions, pods);
    } finally {
      forgetRevisions(store, set, revisions, new Set(pods.map(revisionOf)));
    }
    return writeStatus(key, revisions);
  }

  function ownerKeys(_key: Key, now: Pod | undefined, before: Pod | undefined): readonly Key[] {
    const one = now ?? before;
    const owner = one && controllerOf(one);
    const last = before && controllerOf(before);
    if (owner?.kind === "StatefulSet") return [keyFor(one?.metadata.namespace, owner.name)];
    if (last?.kind === "StatefulSet") return [keyFor(before?.metadata.namespace, last.name)];
    if (owner || !now?.metadata.labels) return [];
    return store
      .list("StatefulSet", { namespace: now.metadata.namespace ?? "" })
      .filter((set) => matchesSelector(set.spec.selector, now.metadata.labels ?? {}))
      .map(keyOf);
  }

  return { name: by, watches: { StatefulSet: (key) => [key], Pod: ownerKeys }, reconcile };
}

/** Below the partition a pod is made of the revision that it had (isCurrentRevisionNeeded). */
function keepsCurrent(set: StatefulSet, ordinal: number): boolean {
  const { updateStrategy } = set.spec;
  if (updateStrategy?.type !== "RollingUpdate") return false;
  const kept = updateStrategy.rollingUpdate?.partition ?? set.status.currentReplicas ?? 0;
  return ordinal < firstOrdinal(set) + kept;
}
