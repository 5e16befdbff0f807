/**
 * Owns rollouts: which of a Deployment's ReplicaSets has how many pods, step by step (pkg/controller/deployment).
 */
import type { Again, Controller } from "../api/controller";
import type { Kinds } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf } from "../api/meta";
import type { Context } from "./context";
import { Collision, DeploymentSets, deploymentOf } from "./deploymentsets";
import { deploymentStatus, isComplete, nextLook, pausedStatus, withFailures, withProgress } from "./deploymentstatus";
import { deploymentController as by, desiredAnnotation } from "./names";
import { byAge, downTo, isSaturated, proportions, sizeOf, upTo } from "./rolling";

type Deployment = Kinds["Deployment"];
type ReplicaSet = Kinds["ReplicaSet"];

export function deploymentControllerOf(context: Context): Controller {
  const { sim, store } = context;
  const sets = new DeploymentSets(context);

  /** Every active ReplicaSet notes how large its Deployment was; the notes are old when somebody scaled it. */
  function isScaled(deployment: Deployment): boolean {
    const wanted = String(deployment.spec.replicas ?? 1);
    const all = store.list("ReplicaSet", { owner: deployment.metadata.uid });
    return all.some((set) => {
      const noted = set.metadata.annotations?.[desiredAnnotation];
      return sizeOf(set) > 0 && noted !== undefined && noted !== wanted;
    });
  }

  /** A change of scale, also of one that is paused: no template is rolled out meanwhile (sync, scale). */
  function scale(deployment: Deployment, current: ReplicaSet | undefined, old: readonly ReplicaSet[]): void {
    const wanted = deployment.spec.replicas ?? 1;
    const all = current ? [current, ...old] : old;
    const active = all.filter((set) => sizeOf(set) > 0);
    const newest = current ?? [...old].sort(byAge).at(-1);
    const only = active.length === 0 ? newest : active.length === 1 ? active[0] : undefined;
    if (only) sets.resize(deployment, only, wanted);
    else if (current && isSaturated(deployment, current)) {
      for (const set of active) if (set !== current) sets.resize(deployment, set, 0);
    } else if (deployment.spec.strategy?.type !== "Recreate") {
      for (const [set, replicas] of proportions(deployment, active)) sets.resize(deployment, set, replicas);
    }
  }

  function syncScale(deployment: Deployment): Again | undefined {
    const { current, old } = sets.of(deployment, false);
    scale(deployment, current, old);
    if (deployment.spec.paused) sets.forget(deployment, old.map(fresh));
    return writeStatus(deployment, current, old, false);
  }

  /** All old pods go, and only when the last one is gone, the new ones come (rolloutRecreate). */
  function recreate(deployment: Deployment): Again | undefined {
    const found = sets.of(deployment, false);
    const running = found.old.filter((set) => sizeOf(set) > 0);
    for (const set of running) sets.resize(deployment, set, 0);
    if (running.length > 0 || sets.hasOldPods(found.current, found.old)) {
      return writeStatus(deployment, found.current, found.old);
    }
    const { current, old } = found.current ? found : sets.of(deployment, true);
    const scaled = current && sizeOf(current) !== (deployment.spec.replicas ?? 1);
    if (scaled) sets.resize(deployment, current, deployment.spec.replicas ?? 1);
    else tidy(deployment, old);
    return writeStatus(deployment, current, old);
  }

  /** One step up or one step down (rolloutRolling). */
  function roll(deployment: Deployment): Again | undefined {
    const { current, old } = sets.of(deployment, true);
    if (!current) return undefined;
    const larger = upTo(deployment, current, old);
    if (larger !== sizeOf(current)) sets.resize(deployment, current, larger);
    else {
      const smaller = downTo(deployment, current, old);
      for (const [set, replicas] of smaller) sets.resize(deployment, set, replicas);
      if (smaller.size === 0) tidy(deployment, old);
    }
    return writeStatus(deployment, current, old);
  }

  function tidy(deployment: Deployment, old: readonly ReplicaSet[]): void {
    if (isComplete(deployment, deployment.status)) sets.forget(deployment, old);
  }

  /** @param rolling progress is judged only in a rollout: a change of scale is none */
  function writeStatus(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
    rolling = true,
  ): Again | undefined {
    const key = keyOf(deployment);
    const latest = store.get("Deployment", key);
    if (!latest) return undefined;
    const { now } = sim.clock;
    const set = current && fresh(current);
    const all = [...(set ? [set] : []), ...old.map(fresh)];
    const counts = deploymentStatus(latest, set, all, now);
    const status = rolling ? withFailures(withProgress(latest, counts, set, now), all, now) : counts;
    store.setStatus("Deployment", key, status, by);
    const after = nextLook(latest, status, now);
    return after === undefined ? undefined : { after, kind: "background" };
  }

  function reconcile(key: Key): Again | undefined {
    const deployment = store.get("Deployment", key);
    if (!deployment) return undefined;
    if (deployment.metadata.deletionTimestamp !== undefined) {
      const { current, old } = sets.of(deployment, false);
      return writeStatus(deployment, current, old, false);
    }
    const paused = pausedStatus(deployment, sim.clock.now);
    const now = paused ? store.setStatus("Deployment", key, paused, by) : deployment;
    try {
      if (now.spec.paused || isScaled(now)) return syncScale(now);
      return now.spec.strategy?.type === "Recreate" ? recreate(now) : roll(now);
    } catch (error) {
      if (!(error instanceof Collision)) throw error;
      return { after: 0 };
    }
  }

  function fresh(set: ReplicaSet): ReplicaSet {
    return store.get("ReplicaSet", keyOf(set)) ?? set;
  }

  function ownerKeys(...found: readonly (ReplicaSet | undefined)[]): readonly Key[] {
    return [...new Set(found.flatMap((set) => deploymentOf(set) ?? []))];
  }

  /** Only Recreate waits for pods to be gone. */
  function recreated(pod: Kinds["Pod"] | undefined): readonly Key[] {
    const owner = pod && controllerOf(pod);
    if (owner?.kind !== "ReplicaSet") return [];
    const keys = ownerKeys(store.get("ReplicaSet", keyFor(pod?.metadata.namespace, owner.name)));
    return keys.filter((key) => store.get("Deployment", key)?.spec.strategy?.type === "Recreate");
  }

  return {
    name: by,
    watches: {
      Deployment: (key) => [key],
      ReplicaSet: (_key, now, before) => ownerKeys(now, before),
      Pod: (_key, now, before) => (now ? [] : recreated(before)),
    },
    reconcile,
  };
}
