/** Owns the question which Services select a pod, answered without looking at all Services, and which pods changed. */
import { same } from "../api/equal";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf, type Labels } from "../api/meta";
import { matchesLabels } from "../api/selectors";
import type { Store } from "../api/store";
import { hasEnded, isReady } from "./pods";

type Service = Kinds["Service"];
type Pod = Kinds["Pod"];

/** Whether a Service's endpoints follow from a selector: an empty one is none, as the API server stores it. */
export function hasSelector({ spec }: Service): boolean {
  for (const _name in spec.selector) return true;
  return false;
}

/** Services by one pair of their selectors: a pod's labels lead to the few that can match. */
export class ServiceSelectors {
  readonly #byPair = new Map<string, Map<Key, Service>>();
  /** What was answered for labels that many pods share, as long as it is right. */
  readonly #answers = new WeakMap<Labels, { version: number; namespace: string; keys: readonly Key[] }>();
  #version = 0;

  constructor(store: Store) {
    for (const service of store.list("Service")) this.#add(service);
    store.follow("Service", ({ type, object, before }) => {
      if (type === "MODIFIED" && before?.spec.selector === object.spec.selector) return;
      this.#version++;
      if (before) this.#byPair.get(pairOf(before))?.delete(keyOf(before));
      if (type !== "DELETED") this.#add(object);
    });
  }

  /** Counts up whenever another answer than before is possible. */
  get version(): number {
    return this.#version;
  }

  /** The keys of the Services that select a pod with these labels. */
  matching(namespace: string, labels: Labels): readonly Key[] {
    const known = this.#answers.get(labels);
    if (known?.version === this.#version && known.namespace === namespace) return known.keys;
    const keys = this.#find(namespace, labels);
    this.#answers.set(labels, { version: this.#version, namespace, keys });
    return keys;
  }

  #find(namespace: string, labels: Labels): readonly Key[] {
    const keys: Key[] = [];
    for (const name of Object.keys(labels)) {
      for (const [key, service] of this.#byPair.get(`${namespace}/${name}=${labels[name]}`) ?? []) {
        if (matchesLabels(service.spec.selector ?? {}, labels)) keys.push(key);
      }
    }
    return keys;
  }

  #add(service: Service): void {
    const pair = pairOf(service);
    if (!pair) return;
    const set = this.#byPair.get(pair) ?? new Map<Key, Service>();
    this.#byPair.set(pair, set);
    set.set(keyOf(service), service);
  }
}

function pairOf(service: Service): string {
  const first = Object.entries(service.spec.selector ?? {})[0];
  return first ? `${service.metadata.namespace}/${first[0]}=${first[1]}` : "";
}

/** Which pods of a Service changed since it was looked at last. */
export class ChangedPods {
  readonly #selectors: ServiceSelectors;
  readonly #changed = new Map<Key, Set<Key>>();

  constructor(store: Store) {
    this.#selectors = new ServiceSelectors(store);
  }

  /** The Services that a changed pod concerns: those that select it, and those that did. */
  note(pod: Key, now: Pod | undefined, before: Pod | undefined): readonly Key[] {
    if (now && before && !isRelevant(now, before)) return [];
    const one = now ?? before;
    if (one && (!now || !before || now.metadata.labels === before.metadata.labels)) {
      const keys = this.#selectors.matching(one.metadata.namespace ?? "", one.metadata.labels ?? {});
      for (const key of keys) this.#of(key).add(pod);
      return keys;
    }
    const keys = new Set<Key>();
    for (const one of [now, before]) {
      if (!one) continue;
      for (const key of this.#selectors.matching(one.metadata.namespace ?? "", one.metadata.labels ?? {}))
        keys.add(key);
    }
    for (const key of keys) this.#of(key).add(pod);
    return [...keys];
  }

  /** The pods that changed, which are then forgotten. */
  take(service: Key): ReadonlySet<Key> {
    const changed = this.#changed.get(service) ?? new Set();
    this.#changed.delete(service);
    return changed;
  }

  #of(service: Key): Set<Key> {
    const known = this.#changed.get(service);
    if (known) return known;
    const changed = new Set<Key>();
    this.#changed.set(service, changed);
    return changed;
  }
}

/** Whether a pod's change can change endpoints (util/controller_utils.go: podEndpointsChanged). */
function isRelevant(now: Pod, before: Pod): boolean {
  if (now.metadata.deletionTimestamp !== before.metadata.deletionTimestamp) return true;
  if (isReady(now) !== isReady(before) || hasEnded(now) !== hasEnded(before)) return true;
  if (now.status.podIP !== before.status.podIP || !same(now.status.podIPs, before.status.podIPs)) return true;
  if (now.spec.hostname !== before.spec.hostname || now.spec.subdomain !== before.spec.subdomain) return true;
  return now.spec.nodeName !== before.spec.nodeName || !same(now.metadata.labels, before.metadata.labels);
}
