/** Owns the objects of one kind, and finds them by namespace, label, owner and node without looking at all of them. */
import type { KubeObject } from "./kinds";
import type { Key, LabelSelector, Labels, Meta } from "./meta";
import { matchesSelector } from "./selectors";

/** What a list asks for; all that is given must hold. */
export interface Matching {
  readonly namespace?: string;
  /** Labels that must be there with these values. */
  readonly labels?: Labels;
  /** A whole selector, expressions included. */
  readonly selector?: LabelSelector;
  /** The uid of an owner. */
  readonly owner?: string;
  /** Pods: spec.nodeName. */
  readonly node?: string;
}

/** One object's place in all sets that it belongs to: a new version of the object takes the old one's place. */
interface Entry {
  object: KubeObject;
}

type Sets = Map<string, Set<Entry>>;

/**
 * `set` costs O(labels) for a new object, and next to nothing for one whose labels, owners and node stay as they are; a list
 * costs what the narrowest set holds.
 */
export class Index {
  readonly #objects = new Map<Key, Entry>();
  readonly #byNamespace: Sets = new Map();
  readonly #byOwner: Sets = new Map();
  readonly #byNode: Sets = new Map();
  /** By name, then by value: no text is put together to find a set. */
  readonly #byLabel = new Map<string, Sets>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: Key): KubeObject | undefined {
    return this.#objects.get(key)?.object;
  }

  set(key: Key, object: KubeObject): void {
    const known = this.#objects.get(key);
    const entry = known ?? { object };
    const before = known?.object;
    if (!known) this.#objects.set(key, entry);
    entry.object = object;
    this.#move(entry, before, object);
  }

  delete(key: Key): void {
    const entry = this.#objects.get(key);
    if (!entry) return;
    this.#objects.delete(key);
    this.#move(entry, entry.object, undefined);
  }

  list(matching: Matching = {}): readonly KubeObject[] {
    const { namespace, selector, owner, node } = matching;
    const asked: (Set<Entry> | undefined)[] = [];
    for (const labels of [selector?.matchLabels, matching.labels]) {
      for (const name in labels) asked.push(this.#byLabel.get(name)?.get(labels[name] as string));
    }
    if (owner !== undefined) asked.push(this.#byOwner.get(owner));
    if (node !== undefined) asked.push(this.#byNode.get(node));
    if (namespace !== undefined) asked.push(this.#byNamespace.get(namespace));
    let narrowest: { readonly size: number; values(): IterableIterator<Entry> } = this.#objects;
    for (const set of asked) {
      if (!set) return [];
      if (set.size < narrowest.size || asked.length === 1) narrowest = set;
    }
    const found: KubeObject[] = [];
    // What is asked for by one term alone is just what its set holds.
    const all = asked.length === 0 || (asked.length === 1 && !selector?.matchExpressions?.length);
    for (const { object } of narrowest.values()) if (all || fits(object, matching)) found.push(object);
    return found;
  }

  /** From the sets that the object was in to those that it is in now; in a set where it stays it keeps its place. */
  #move(entry: Entry, before: KubeObject | undefined, now: KubeObject | undefined): void {
    const [was, is] = [before?.metadata as Meta | undefined, now?.metadata as Meta | undefined];
    move(this.#byNamespace, entry, was && (was.namespace ?? ""), is && (is.namespace ?? ""));
    move(this.#byNode, entry, nodeOf(before), nodeOf(now));
    if (was?.labels !== is?.labels) {
      for (const name in was?.labels) this.#label(name, entry, was.labels[name], is?.labels?.[name]);
      for (const name in is?.labels) this.#label(name, entry, was?.labels?.[name], is.labels[name]);
    }
    if (was?.ownerReferences !== is?.ownerReferences) {
      const stays = (uid: string): boolean => is?.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
      for (const { uid } of was?.ownerReferences ?? []) if (!stays(uid)) move(this.#byOwner, entry, uid, undefined);
      for (const { uid } of is?.ownerReferences ?? []) move(this.#byOwner, entry, undefined, uid);
    }
  }

  #label(name: string, entry: Entry, was: string | undefined, is: string | undefined): void {
    const known = this.#byLabel.get(name);
    const sets: Sets = known ?? new Map();
    if (!known) this.#byLabel.set(name, sets);
    move(sets, entry, was, is);
    if (sets.size === 0) this.#byLabel.delete(name);
  }
}

function move(sets: Sets, entry: Entry, from: string | undefined, to: string | undefined): void {
  if (from === to) return;
  if (from !== undefined) {
    const set = sets.get(from);
    set?.delete(entry);
    if (set?.size === 0) sets.delete(from);
  }
  if (to === undefined) return;
  const set = sets.get(to);
  if (set) set.add(entry);
  else sets.set(to, new Set([entry]));
}

function nodeOf(object: KubeObject | undefined): string | undefined {
  return (object?.kind === "Pod" && object.spec.nodeName) || undefined;
}

function fits(object: KubeObject, matching: Matching): boolean {
  const meta = object.metadata as Meta;
  if (matching.namespace !== undefined && matching.namespace !== (meta.namespace ?? "")) return false;
  if (matching.owner !== undefined && !meta.ownerReferences?.some((owner) => owner.uid === matching.owner))
    return false;
  if (matching.node !== undefined && (object.kind !== "Pod" || object.spec.nodeName !== matching.node)) return false;
  for (const [name, value] of Object.entries(matching.labels ?? {})) if (meta.labels?.[name] !== value) return false;
  return !matching.selector || matchesSelector(matching.selector, meta.labels ?? {});
}
