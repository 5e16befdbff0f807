/**
 * Owns the arithmetic of a rolling update: how many pods each ReplicaSet may have now (deployment/rolling.go, util).
 */
import type { Kinds } from "../api/kinds";

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
  const unavailable = Math.min(part(maxUnavailable, wanted, Math.floor), wanted);
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

function part(value: string | number, of: number, round: (share: number) => number): number {
  return typeof value === "number" ? value : round((Number.parseInt(value, 10) * of) / 100);
}

const wantedOf = (set: ReplicaSet): number => set.spec.replicas ?? 0;
const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number): number => {
  return sets.reduce((total, set) => total + of(set), 0);
};

/** How large the current ReplicaSet should be now. */
export function upTo(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[], bounds: Bounds): number {
  const wanted = deployment.spec.replicas ?? 1;
  const size = wantedOf(current);
  if (size >= wanted) return wanted;
  const room = wanted + bounds.surge - size - sum(old, wantedOf);
  return room > 0 ? Math.min(wanted, size + room) : size;
}

/** How small the old ReplicaSets may become now: unhealthy pods go first, then as many as availability allows. */
export function downTo(
  current: ReplicaSet,
  old: readonly ReplicaSet[],
  bounds: Bounds,
): ReadonlyMap<ReplicaSet, number> {
  const sizes = new Map(old.map((set) => [set, wantedOf(set)]));
  const total = sum([current, ...old], wantedOf);
  const wanted = Number(
    current.metadata.annotations?.["deployment.kubernetes.io/desired-replicas"] ?? wantedOf(current),
  );
  const least = wanted - bounds.unavailable;
  const fresh = wantedOf(current) - (current.status.availableReplicas ?? 0);
  let spare = total - least - fresh;
  if (spare <= 0) return new Map();
  const byAge = [...old].sort((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1));
  for (const set of byAge) {
    const size = sizes.get(set) ?? 0;
    const unhealthy = Math.min(spare, size - Math.min(size, set.status.availableReplicas ?? 0));
    sizes.set(set, size - unhealthy);
    spare -= unhealthy;
  }
  const available = sum([current, ...old], (set) => set.status.availableReplicas ?? 0);
  let healthy = Math.min(available - least, spare);
  for (const set of byAge) {
    if (healthy <= 0) break;
    const size = sizes.get(set) ?? 0;
    const step = Math.min(healthy, size);
    sizes.set(set, size - step);
    healthy -= step;
  }
  return sizes;
}

/**
 * Each ReplicaSet's share when a Deployment is scaled in the middle of a rollout; the largest takes what is left over.
 */
export function proportions(deployment: Deployment, sets: readonly ReplicaSet[]): ReadonlyMap<ReplicaSet, number> {
  const wanted = deployment.spec.replicas ?? 1;
  const allowed = wanted > 0 ? wanted + boundsOf(deployment).surge : 0;
  const total = sum(sets, wantedOf);
  const largest = [...sets].sort((a, b) => wantedOf(b) - wantedOf(a));
  const sizes = new Map<ReplicaSet, number>();
  let left = allowed - total;
  for (const set of largest) {
    const before = Number(set.metadata.annotations?.["deployment.kubernetes.io/max-replicas"] ?? total) || total;
    const share = Math.round((wantedOf(set) * allowed) / before) - wantedOf(set);
    const step = left > 0 ? Math.min(Math.max(share, 0), left) : Math.max(Math.min(share, 0), left);
    sizes.set(set, Math.max(0, wantedOf(set) + step));
    left -= step;
  }
  const first = largest[0];
  if (first) sizes.set(first, Math.max(0, (sizes.get(first) ?? 0) + left));
  return sizes;
}
