/** Owns what all objects share: metadata, keys, owners, and the words for them. */
import type {
  ObjectMeta,
  LabelSelector as RawLabelSelector,
  OwnerReference as RawOwner,
} from "kubernetes-types/meta/v1";

/** Read-only all the way down: objects are shared, never cloned, so nobody may write into one. */
export type Immutable<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends readonly (infer U)[]
    ? readonly Immutable<U>[]
    : T extends object
      ? { readonly [K in keyof T]: Immutable<T[K]> }
      : T;

/** Metadata as a writer gives it. */
export type DraftMeta = Immutable<ObjectMeta>;

/** Metadata as the store holds it. `namespace` is absent on what belongs to no namespace. */
export type Meta = DraftMeta & {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
};

/**
 * A copy that may be written to. Its fields are named, for a copy by `{ ...meta }` costs several times as much where
 * objects of many shapes pass.
 */
export function copyOfMeta(meta: DraftMeta): { -readonly [K in keyof DraftMeta]: DraftMeta[K] } {
  const copy: { -readonly [K in keyof DraftMeta]: DraftMeta[K] } = {};
  if (meta.name !== undefined) copy.name = meta.name;
  if (meta.namespace !== undefined) copy.namespace = meta.namespace;
  if (meta.uid !== undefined) copy.uid = meta.uid;
  if (meta.resourceVersion !== undefined) copy.resourceVersion = meta.resourceVersion;
  if (meta.creationTimestamp !== undefined) copy.creationTimestamp = meta.creationTimestamp;
  if (meta.generation !== undefined) copy.generation = meta.generation;
  if (meta.generateName !== undefined) copy.generateName = meta.generateName;
  if (meta.labels !== undefined) copy.labels = meta.labels;
  if (meta.ownerReferences !== undefined) copy.ownerReferences = meta.ownerReferences;
  if (meta.annotations !== undefined) copy.annotations = meta.annotations;
  if (meta.finalizers !== undefined) copy.finalizers = meta.finalizers;
  if (meta.deletionTimestamp !== undefined) copy.deletionTimestamp = meta.deletionTimestamp;
  if (meta.deletionGracePeriodSeconds !== undefined) copy.deletionGracePeriodSeconds = meta.deletionGracePeriodSeconds;
  if (meta.managedFields !== undefined) copy.managedFields = meta.managedFields;
  if (meta.selfLink !== undefined) copy.selfLink = meta.selfLink;
  return copy;
}

export type OwnerReference = Immutable<RawOwner>;
export type LabelSelector = Immutable<RawLabelSelector>;
export type Labels = { readonly [name: string]: string };

/** `namespace/name`, or `name` for what belongs to no namespace: unique within a kind. */
export type Key = string;

/** The key of a name in a namespace (`""` or undefined: of what belongs to no namespace). */
export function keyFor(namespace: string | undefined, name: string): Key {
  return namespace ? `${namespace}/${name}` : name;
}

/** The key of an object. */
export function keyOf(object: { readonly metadata: { readonly namespace?: string; readonly name: string } }): Key {
  return keyFor(object.metadata.namespace, object.metadata.name);
}

/** The owner that controls an object, if one does (metav1.GetControllerOf). */
export function controllerOf(object: { readonly metadata: DraftMeta }): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller);
}

/** The reference that says "this object is mine" (metav1.NewControllerRef). */
export function ownedBy(owner: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string };
}): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    blockOwnerDeletion: true,
    controller: true,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
  };
}
