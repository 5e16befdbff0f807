/** Owns the question which Services select a pod, answered without looking at all Services. */
import type { Kinds } from "../api/kinds";
import { type Key, keyOf, type Labels } from "../api/meta";
import { matchesLabels } from "../api/selectors";
import type { Store } from "../api/store";

type Service = Kinds["Service"];

/** Services by one pair of their selectors: a pod's labels lead to the few that can match. */
export class ServiceSelectors {
  readonly #byPair = new Map<string, Map<Key, Service>>();

  constructor(store: Store) {
    for (const service of store.list("Service")) this.#add(service);
    store.follow("Service", ({ type, object, before }) => {
      if (before) this.#byPair.get(pairOf(before))?.delete(keyOf(before));
      if (type !== "DELETED") this.#add(object);
    });
  }

  /** The keys of the Services that select a pod with these labels. */
  matching(namespace: string, labels: Labels): readonly Key[] {
    const keys: Key[] = [];
    for (const [name, value] of Object.entries(labels)) {
      for (const [key, service] of this.#byPair.get(`${namespace}/${name}=${value}`) ?? []) {
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

/** The Services that a changed pod concerns: those that select it, and those that did. */
export function servicesOf(
  selectors: ServiceSelectors,
  now: Kinds["Pod"] | undefined,
  before: Kinds["Pod"] | undefined,
): readonly Key[] {
  const keys = [now, before].flatMap((pod) => {
    return pod ? selectors.matching(pod.metadata.namespace ?? "", pod.metadata.labels ?? {}) : [];
  });
  return [...new Set(keys)];
}
