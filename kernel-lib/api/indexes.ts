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

/** `set`, `delete` and each index step cost O(labels); a list costs what the narrowest index holds. */
export class Index {
  readonly #objects = new Map<Key, KubeObject>();
  readonly #sets = new Map<string, Map<Key, KubeObject>>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: Key): KubeObject | undefined {
    return this.#objects.get(key);
  }

  set(key: Key, object: KubeObject): void {
    const before = this.#objects.get(key);
    const now = termsOf(object);
    if (before) for (const term of termsOf(before)) if (!now.includes(term)) this.#drop(term, key);
    this.#objects.set(key, object);
    for (const term of now) {
      const set = this.#sets.get(term) ?? new Map<Key, KubeObject>();
      this.#sets.set(term, set);
      set.set(key, object);
    }
  }

  delete(key: Key): void {
    const before = this.#objects.get(key);
    if (!before) return;
    this.#objects.delete(key);
    for (const term of termsOf(before)) this.#drop(term, key);
  }

  list(matching: Matching = {}): readonly KubeObject[] {
    let narrowest: ReadonlyMap<Key, KubeObject> = this.#objects;
    for (const term of termsAsked(matching)) {
      const set = this.#sets.get(term);
      if (!set) return [];
      if (set.size < narrowest.size) narrowest = set;
    }
    const found: KubeObject[] = [];
    for (const object of narrowest.values()) if (fits(object, matching)) found.push(object);
    return found;
  }

  #drop(term: string, key: Key): void {
    const set = this.#sets.get(term);
    set?.delete(key);
    if (set?.size === 0) this.#sets.delete(term);
  }
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
