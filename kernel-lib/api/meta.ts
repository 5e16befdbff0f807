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
