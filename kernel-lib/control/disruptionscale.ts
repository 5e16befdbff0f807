/** Owns how many pods the controllers of some pods want in all (pkg/controller/disruption: getExpectedScale, finders). */
import { findKind, type Kinds, type KubeObject, qualifiedName } from "../api/kinds";
import { controllerOf, keyFor, type OwnerReference } from "../api/meta";
import type { Store } from "../api/store";

type Pod = Kinds["Pod"];

/** A pod's controller has no scale, or is not there. */
export class NoScale extends Error {}

/**
 * The sum of the scales of all controllers of these pods, a Deployment's where a ReplicaSet is one's; and the names of the
 * pods that have none.
 * @throws NoScale
 */
export function expectedScale(
  store: Store,
  pods: readonly Pod[],
): { readonly scale: number; readonly unmanaged: readonly string[] } {
  const scales = new Map<string, number>();
  const seen = new Set<string>();
  const unmanaged: string[] = [];
  for (const pod of pods) {
    const owner = controllerOf(pod);
    if (!owner) {
      unmanaged.push(pod.metadata.name);
      continue;
    }
    if (seen.has(owner.uid)) continue;
    seen.add(owner.uid);
    const found = scaleOf(store, owner, pod.metadata.namespace);
    if (!found) throw new NoScale(`found no controllers for pod "${pod.metadata.name}"`);
    scales.set(found.uid, found.scale);
  }
  return { scale: [...scales.values()].reduce((sum, scale) => sum + scale, 0), unmanaged };
}

function scaleOf(
  store: Store,
  owner: OwnerReference,
  namespace: string | undefined,
): { readonly uid: string; readonly scale: number } | undefined {
  const resource = findKind(owner.apiVersion, owner.kind);
  if (!resource) return undefined;
  if (!resource.subresources.includes("scale")) {
    throw new NoScale(`${qualifiedName(resource)} does not implement the scale subresource`);
  }
  const object = store.get(resource.kind, keyFor(namespace, owner.name)) as KubeObject | undefined;
  if (object?.metadata.uid !== owner.uid) return undefined;
  const above = object.kind === "ReplicaSet" ? controllerOf(object) : undefined;
  if (above?.kind === "Deployment") return scaleOf(store, above, namespace);
  return { uid: owner.uid, scale: (object as { readonly spec: { readonly replicas?: number } }).spec.replicas ?? 1 };
}
