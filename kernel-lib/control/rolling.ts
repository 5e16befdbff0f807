/**
 * Owns the arithmetic of a rolling update: how many pods each ReplicaSet may have now (deployment/rolling.go, util).
 */
import type { Kinds } from "../api/kinds";
import { desiredAnnotation, maxAnnotation } from "./names";

type Deployment = Kinds["Deployment"];
type ReplicaSet = Kinds["ReplicaSet"];

/** In pods: how many more than wanted there may be, and how many fewer may be available. */
export interface Bounds {
  readonly surge: number;
  readonly unavailable: number;
}

/** Percentages round up for the surge and down for the unavailable; both zero means one unavailable. */
export function boundsOf({ spec }: Deployment): Bounds {
  if (spec.strategy?.type === "Recreate") return { surge: 0, unavailable: 0 };
  const wanted = spec.replicas ?? 1;
  const { maxSurge = "25%", maxUnavailable = "25%" } = spec.strategy?.rollingUpdate ?? {};
  const surge = part(maxSurge, wanted, Math.ceil);
  const unavailable = part(maxUnavailable, wanted, Math.floor);
  const least = surge === 0 && unavailable === 0 ? 1 : unavailable;
  return { surge, unavailable: Math.min(least, wanted) };
}

function part(value: string | number, of: number, round: (share: number) => number): number {
  return typeof value === "number" ? value : round((Number.parseInt(value, 10) * of) / 100);
}

/** How many pods a ReplicaSet is asked to have. */
export const sizeOf = (set: ReplicaSet): number => set.spec.replicas ?? 0;

const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number): number => {
  return sets.reduce((total, set) => total + of(set), 0);
};

const availableOf = (set: ReplicaSet): number => set.status.availableReplicas ?? 0;

/** How large the current ReplicaSet should be now (NewRSNewReplicas); `current` undefined: it is still to be made. */
export function upTo(deployment: Deployment, current: ReplicaSet | undefined, old: readonly ReplicaSet[]): number {
  const wanted = deployment.spec.replicas ?? 1;
  if (deployment.spec.strategy?.type === "Recreate") return wanted;
  const size = current ? sizeOf(current) : 0;
  if (size >= wanted) return wanted;
  const room = wanted + boundsOf(deployment).surge - size - sum(old, sizeOf);
  return room > 0 ? Math.min(wanted, size + room) : size;
}

/**
 * How small the old ReplicaSets become now: unhealthy pods go first, then as many as availability allows. Empty: nothing
 * goes yet.
 */
export function downTo(
  deployment: Deployment,
  current: ReplicaSet,
  old: readonly ReplicaSet[],
): ReadonlyMap<ReplicaSet, number> {
  const sizes = new Map<ReplicaSet, number>();
  const least = (deployment.spec.replicas ?? 1) - boundsOf(deployment).unavailable;
  const unready = sizeOf(current) - availableOf(current);
  const most = sum([current, ...old], sizeOf) - least - unready;
  if (most <= 0) return sizes;
  const active = old.filter((set) => sizeOf(set) > 0).sort(byAge);
  let cleaned = 0;
  for (const set of active) {
    const unhealthy = sizeOf(set) - availableOf(set);
    if (cleaned >= most || unhealthy === 0) continue;
    // Its pods of before are still counted as available: what to do with it is known when its status is.
    if (unhealthy < 0) return sizes;
    const step = Math.min(most - cleaned, unhealthy);
    sizes.set(set, sizeOf(set) - step);
    cleaned += step;
  }
  let healthy = sum([current, ...old], availableOf) - least;
  for (const set of active) {
    const size = sizes.get(set) ?? sizeOf(set);
    if (healthy <= 0 || size === 0) continue;
    const step = Math.min(healthy, size);
    sizes.set(set, size - step);
    healthy -= step;
  }
  return sizes;
}

/** Older first; of one age by name (ReplicaSetsByCreationTimestamp). */
export function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const [one, other] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (one !== other) return one < other ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

/**
 * Each active ReplicaSet's share when a Deployment is scaled in the middle of a rollout (deployment/sync.go: scale,
 * GetProportion): from the largest on, of equal ones the newer first on the way up, the older on the way down. What
 * rounding leaves over is the largest's.
 */
export function proportions(deployment: Deployment, sets: readonly ReplicaSet[]): ReadonlyMap<ReplicaSet, number> {
  const wanted = deployment.spec.replicas ?? 1;
  const allowed = wanted > 0 ? wanted + boundsOf(deployment).surge : 0;
  const toAdd = allowed - sum(sets, sizeOf);
  const age = toAdd > 0 ? (a: ReplicaSet, b: ReplicaSet): number => byAge(b, a) : byAge;
  const largest = [...sets].sort((a, b) => sizeOf(b) - sizeOf(a) || age(a, b));
  const sizes = new Map<ReplicaSet, number>();
  let added = 0;
  for (const set of largest) {
    const step = toAdd === 0 || toAdd === added ? 0 : stepOf(deployment, set, allowed, toAdd - added);
    sizes.set(set, sizeOf(set) + step);
    added += step;
  }
  const first = largest[0];
  if (first) sizes.set(first, Math.max(0, (sizes.get(first) ?? 0) + toAdd - added));
  return sizes;
}

/** By how many pods one set changes: the share that it had of the Deployment's largest size, but not more than is left. */
function stepOf(deployment: Deployment, set: ReplicaSet, allowed: number, left: number): number {
  const before = Number(set.metadata.annotations?.[maxAnnotation] ?? 0) || (deployment.status.replicas ?? 0);
  const share = allowed === 0 ? -sizeOf(set) : Math.round((sizeOf(set) * allowed) / before) - sizeOf(set);
  return left > 0 ? Math.min(share, left) : Math.max(share, left);
}

/** What a ReplicaSet keeps of its Deployment's sizes: by them a change of scale is known. */
export function sizesOf(deployment: Deployment): Readonly<Record<string, string>> {
  const wanted = deployment.spec.replicas ?? 1;
  return { [desiredAnnotation]: String(wanted), [maxAnnotation]: String(wanted + boundsOf(deployment).surge) };
}

/** Whether the new ReplicaSet has all pods that the Deployment wants, all available (IsSaturated). */
export function isSaturated(deployment: Deployment, set: ReplicaSet): boolean {
  const wanted = deployment.spec.replicas ?? 1;
  const desired = set.metadata.annotations?.[desiredAnnotation];
  return sizeOf(set) === wanted && desired === String(wanted) && availableOf(set) === wanted;
}
