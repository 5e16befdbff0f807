/** Owns how many pods of the same kind each node has: counts kept as pods come and go, for the scheduler to spread them. */
import type { Kinds } from "../../api/kinds";
import { controllerOf, type Key, keyFor, type LabelSelector, type Labels } from "../../api/meta";
import { matchesLabels, matchesSelector } from "../../api/selectors";
import type { Store } from "../../api/store";
import type { ServiceSelectors } from "../selected";

type Pod = Kinds["Pod"];

/** Pods that are spread together: of the same Services, and of the same ReplicaSet. */
interface Group {
  readonly pairs: readonly Labels[];
  readonly selector: LabelSelector | undefined;
  /** By node. */
  readonly counts: Map<string, number>;
}

/** The group of a template's pods, as long as Services and their ReplicaSet are as they were. */
interface Remembered {
  readonly services: number;
  readonly selector: LabelSelector | undefined;
  readonly group: Group | undefined;
}

/** So many groups are kept; beyond that all begin anew. */
const mostGroups = 20_000;
const nobody: ReadonlyMap<string, number> = new Map();

export class SpreadCounts {
  readonly #store: Store;
  readonly #selectors: ServiceSelectors;
  readonly #groups = new Map<string, Group>();
  /** Groups by one pair that all of their pods have. */
  readonly #byPair = new Map<string, Group[]>();
  #remembered = new WeakMap<Labels, Remembered>();

  constructor(store: Store, selectors: ServiceSelectors) {
    this.#store = store;
    this.#selectors = selectors;
  }

  /** How many pods of its kind each node has; undefined: it is of no kind that is spread. */
  of(pod: Pod): ReadonlyMap<string, number> | undefined {
    const namespace = pod.metadata.namespace ?? "";
    const labels = pod.metadata.labels ?? {};
    const owner = controllerOf(pod);
    const set = owner?.kind === "ReplicaSet" ? this.#store.get("ReplicaSet", keyFor(namespace, owner.name)) : undefined;
    const selector = set?.spec.selector;
    const { version } = this.#selectors;
    const known = this.#remembered.get(labels);
    if (known?.services === version && known.selector === selector) return known.group?.counts;
    const pairs = this.#selectors
      .matching(namespace, labels)
      .map((key: Key) => this.#store.get("Service", key)?.spec.selector ?? {});
    const group = pairs.length === 0 && !set ? undefined : this.#group(namespace, pairs, selector);
    this.#remembered.set(labels, { services: version, selector, group });
    return group?.counts;
  }

  /** Follows every write of a pod. */
  see(now: Pod | undefined, before: Pod | undefined): void {
    const [is, was] = [placeOf(now), placeOf(before)];
    if (is === was && now?.metadata.labels === before?.metadata.labels) return;
    if (before && was !== undefined) this.#add(before, was, -1);
    if (now && is !== undefined) this.#add(now, is, 1);
  }

  #add(pod: Pod, node: string, sign: number): void {
    const labels = pod.metadata.labels ?? {};
    const namespace = pod.metadata.namespace ?? "";
    const touch = (pair: string): void => {
      for (const group of this.#byPair.get(pair) ?? []) {
        if (!belongs(group, labels)) continue;
        const count = (group.counts.get(node) ?? 0) + sign;
        if (count === 0) group.counts.delete(node);
        else group.counts.set(node, count);
      }
    };
    touch(`${namespace}/`);
    for (const name of Object.keys(labels)) touch(`${namespace}/${name}=${labels[name]}`);
  }

  #group(namespace: string, pairs: readonly Labels[], selector: LabelSelector | undefined): Group {
    const name = JSON.stringify([namespace, pairs, selector]);
    const known = this.#groups.get(name);
    if (known) return known;
    if (this.#groups.size >= mostGroups) {
      this.#groups.clear();
      this.#byPair.clear();
      this.#remembered = new WeakMap();
    }
    const group: Group = { pairs, selector, counts: new Map() };
    const wanted = { ...Object.assign({}, ...pairs), ...selector?.matchLabels } as Record<string, string>;
    for (const other of this.#store.list("Pod", { namespace, labels: wanted })) {
      const node = placeOf(other);
      if (node === undefined || !belongs(group, other.metadata.labels ?? {})) continue;
      group.counts.set(node, (group.counts.get(node) ?? 0) + 1);
    }
    this.#groups.set(name, group);
    const [first] = Object.entries({ ...selector?.matchLabels, ...wanted }).reverse();
    const pair = first ? `${namespace}/${first[0]}=${first[1]}` : `${namespace}/`;
    const list = this.#byPair.get(pair);
    if (list) list.push(group);
    else this.#byPair.set(pair, [group]);
    return group;
  }

  /** None, for who is not spread. */
  static readonly none = nobody;
}

/** Where a pod counts: nowhere before it is scheduled, and none that is being deleted. */
function placeOf(pod: Pod | undefined): string | undefined {
  return pod?.spec.nodeName && pod.metadata.deletionTimestamp === undefined ? pod.spec.nodeName : undefined;
}

function belongs({ pairs, selector }: Group, labels: Labels): boolean {
  return pairs.every((pair) => matchesLabels(pair, labels)) && (!selector || matchesSelector(selector, labels));
}
