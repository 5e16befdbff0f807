/**
 * Owns what becomes of objects whose owner is gone or going (pkg/controller/garbagecollector): background, foreground,
 * orphan.
 */
import type { Controller } from "../api/controller";
import { foregroundFinalizer, orphanFinalizer } from "../api/deletion";
import { findKind, type Kind, type KubeObject, resources } from "../api/kinds";
import { type Key, keyFor, keyOf, type Meta, type OwnerReference } from "../api/meta";
import type { Context } from "./context";
import { garbageCollector as by } from "./names";

const kinds: readonly Kind[] = resources.map(({ kind }) => kind).filter((kind) => kind !== "Event");

/** Keys are `Kind key`: the collector works across kinds. */
export function garbageCollectorOf({ store }: Context): Controller {
  const name = (kind: Kind, key: Key): Key => `${kind} ${key}`;

  function dependents(uid: string): readonly KubeObject[] {
    return kinds.flatMap((kind) => store.list(kind, { owner: uid }) as readonly KubeObject[]);
  }

  function concerned(
    kind: Kind,
    key: Key,
    now: KubeObject | undefined,
    before: KubeObject | undefined,
  ): readonly Key[] {
    if (!now) {
      const uid = before?.metadata.uid ?? "";
      const owners = (before?.metadata.ownerReferences ?? []).flatMap((owner) =>
        ownerKey(owner, before?.metadata as Meta),
      );
      return [...dependents(uid).map((object) => name(object.kind, keyOf(object))), ...owners];
    }
    // One that is new is looked at if an owner of it is not there (graph_builder.go, addDependentToOwners).
    const isOrphan = !before && now.metadata.ownerReferences?.some((owner) => !find(owner, now.metadata as Meta));
    const going = now.metadata.deletionTimestamp !== undefined && (now.metadata.finalizers?.length ?? 0) > 0;
    return isOrphan || going ? [name(kind, key)] : [];
  }

  function ownerKey(owner: OwnerReference, meta: Meta): readonly Key[] {
    const resource = findKind(owner.apiVersion, owner.kind);
    return resource ? [name(resource.kind, keyFor(resource.namespaced ? meta.namespace : undefined, owner.name))] : [];
  }

  function find(owner: OwnerReference, meta: Meta): KubeObject | undefined {
    const resource = findKind(owner.apiVersion, owner.kind);
    if (!resource) return undefined;
    const object = store.get(resource.kind, keyFor(resource.namespaced ? meta.namespace : undefined, owner.name));
    return object?.metadata.uid === owner.uid ? (object as KubeObject) : undefined;
  }

  function reconcile(item: Key): undefined {
    const space = item.indexOf(" ");
    const kind = item.slice(0, space) as Kind;
    const object = store.get(kind, item.slice(space + 1)) as KubeObject | undefined;
    if (!object) return undefined;
    const finalizers = object.metadata.finalizers ?? [];
    if (object.metadata.deletionTimestamp !== undefined) {
      if (finalizers.includes(orphanFinalizer)) orphan(object);
      if (finalizers.includes(foregroundFinalizer)) foreground(object);
      return undefined;
    }
    const owners = object.metadata.ownerReferences ?? [];
    const meta = object.metadata as Meta;
    if (owners.every((owner) => find(owner, meta) !== undefined)) return undefined;
    const solid = owners.filter((owner) => find(owner, meta) !== undefined);
    if (solid.length === 0) store.delete(kind, keyOf(object), by, { propagation: "Background", uid: meta.uid });
    else if (solid.length < owners.length) setOwners(object, solid);
    return undefined;
  }

  /** First those that it owns and that block it; when none is left, the object itself. */
  function foreground(object: KubeObject): void {
    const mine = dependents(object.metadata.uid);
    for (const dependent of mine) {
      if (dependent.metadata.deletionTimestamp !== undefined) continue;
      store.delete(dependent.kind, keyOf(dependent), by, { propagation: "Foreground" });
    }
    const blocking = dependents(object.metadata.uid).filter(({ metadata }) => {
      return metadata.ownerReferences?.some((owner) => owner.uid === object.metadata.uid && owner.blockOwnerDeletion);
    });
    if (blocking.length === 0) finish(object, foregroundFinalizer);
  }

  function orphan(object: KubeObject): void {
    for (const dependent of dependents(object.metadata.uid)) {
      const owners = (dependent.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== object.metadata.uid);
      setOwners(dependent, owners);
    }
    finish(object, orphanFinalizer);
  }

  function setOwners(object: KubeObject, owners: readonly OwnerReference[]): void {
    const { ownerReferences: _old, ...rest } = object.metadata;
    const metadata = { ...rest, ...(owners.length > 0 && { ownerReferences: owners }) };
    store.update(object.kind, keyOf(object), (now) => ({ ...now, metadata }) as typeof now, by);
  }

  function finish(object: KubeObject, finalizer: string): void {
    const change = <T extends { readonly metadata: Meta }>(now: T): T => {
      const left = (now.metadata.finalizers ?? []).filter((each) => each !== finalizer);
      return { ...now, metadata: { ...now.metadata, finalizers: left } };
    };
    store.update(object.kind, keyOf(object), change, by);
  }

  const watches = Object.fromEntries(
    kinds.map((kind) => [
      kind,
      (key: Key, now: KubeObject | undefined, before: KubeObject | undefined) => concerned(kind, key, now, before),
    ]),
  );
  return { name: by, watches: watches as Controller["watches"], reconcile };
}
