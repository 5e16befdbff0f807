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

/**
 * `set` costs O(labels) for a new object, and next to nothing for one whose labels, owners and node stay as they are; a list
 * costs what the narrowest set holds.
 */
export class Index {
  readonly #objects = new Map<Key, Entry>();
  readonly #sets = new Map<string, Set<Entry>>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: Key): KubeObject | undefined {
    return this.#objects.get(key)?.object;
  }

  set(key: Key, object: KubeObject): void {
    const known = this.#objects.get(key);
    if (known && sameTerms(known.object, object)) {
      known.object = object;
      return;
    }
    const terms = termsOf(object);
    const entry = known ?? { object };
    if (known) for (const term of termsOf(known.object)) if (!terms.includes(term)) this.#drop(term, known);
    entry.object = object;
    if (!known) this.#objects.set(key, entry);
    for (const term of terms) {
      const set = this.#sets.get(term);
      if (set) set.add(entry);
      else this.#sets.set(term, new Set([entry]));
    }
  }

  delete(key: Key): void {
    const before = this.#objects.get(key);
    if (!before) return;
    this.#objects.delete(key);
    for (const term of termsOf(before.object)) this.#drop(term, before);
  }

  list(matching: Matching = {}): readonly KubeObject[] {
    let narrowest: { readonly size: number; values(): IterableIterator<Entry> } = this.#objects;
    const terms = termsAsked(matching);
    for (const term of terms) {
      const set = this.#sets.get(term);
      if (!set) return [];
      if (set.size < narrowest.size) narrowest = set;
    }
    const found: KubeObject[] = [];
    // What is asked for by one term alone is just what its set holds.
    const all = terms.length === 0 || (terms.length === 1 && !matching.selector?.matchExpressions?.length);
    for (const { object } of narrowest.values()) if (all || fits(object, matching)) found.push(object);
    return found;
  }

  #drop(term: string, entry: Entry): void {
    const set = this.#sets.get(term);
    set?.delete(entry);
    if (set?.size === 0) this.#sets.delete(term);
  }
}

/** Whether both are in the same sets, seen without looking further than the parts that decide. */
function sameTerms(one: KubeObject, other: KubeObject): boolean {
  const [a, b] = [one.metadata as Meta, other.metadata as Meta];
  if (a.labels !== b.labels || a.ownerReferences !== b.ownerReferences || a.namespace !== b.namespace) return false;
  return one.kind !== "Pod" || other.kind !== "Pod" || one.spec.nodeName === other.spec.nodeName;
}

function termsOf(object: KubeObject): string[] {
  const meta = object.metadata as Meta;
  const terms = [`space ${meta.namespace ?? ""}`];
  for (const [name, value] of Object.entries(meta.labels ?? {})) terms.push(`label ${name}=${value}`);
  for (const owner of meta.ownerReferences ?? []) terms.push(`owner ${owner.uid}`);
  if (object.kind === "Pod" && object.spec.nodeName) terms.push(`node ${object.spec.nodeName}`);
  return terms;
}

function termsAsked(matching: Matching): string[] {
  const terms: string[] = [];
  const labels = { ...matching.selector?.matchLabels, ...matching.labels };
  for (const [name, value] of Object.entries(labels)) terms.push(`label ${name}=${value}`);
  if (matching.owner !== undefined) terms.push(`owner ${matching.owner}`);
  if (matching.node !== undefined) terms.push(`node ${matching.node}`);
  if (matching.namespace !== undefined) terms.push(`space ${matching.namespace}`);
  return terms;
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
