/** Owns what is wanted: every object of the cluster, its versions, and who is told of a change. */
import type { Time } from "../sim/clock";
import type { Sim } from "../sim/sim";
import { type DeleteOptions, markForDeletion } from "./deletion";
import { same } from "./equal";
import { alreadyExists, conflict, notFound } from "./errors";
import { Index, type Matching } from "./indexes";
import { apiVersionOf, type Draft, type Kind, type Kinds, type KubeObject, resourceOf } from "./kinds";
import { copyOfMeta, type Key, keyFor, type Meta } from "./meta";
import { rfc3339 } from "./time";

/** One write, as a watch of the REST API replays it. `object` is what is now, or what was deleted. */
export interface Change<K extends Kind = Kind> {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly kind: K;
  readonly key: Key;
  readonly object: Kinds[K];
  readonly before?: Kinds[K];
}

export interface Subscription {
  stop(): void;
}

/** How many changes are kept for `changesSince`; a watcher that is further behind must list again. */
const historyLimit = 100_000;
/** Versions begin where a cluster that kubeadm has just made begins, not at zero. */
const firstVersion = 400;
/** Kinds whose metadata.generation counts the changes of their spec (their registry strategy sets it). */
const generational: ReadonlySet<Kind> = new Set<Kind>([
  "Pod",
  "Deployment",
  "ReplicaSet",
  "DaemonSet",
  "StatefulSet",
  "Job",
  "EndpointSlice",
  "PodDisruptionBudget",
]);

/** Kinds whose status says how they are. */
export type KindWithStatus =
  | "Pod"
  | "Node"
  | "Deployment"
  | "ReplicaSet"
  | "DaemonSet"
  | "StatefulSet"
  | "Job"
  | "PodDisruptionBudget";

interface Write {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: Meta;
  readonly spec?: unknown;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Objects are immutable and shared: what `get` returns is what the next reader gets. Two writers of one object both use
 * `update`, whose function gets the object as it is now. Admission is not the store's: see `rest.ts`.
 */
export class Store {
  readonly #sim: Sim;
  readonly #uids;
  readonly #names;
  readonly #kinds = new Map<Kind, Index>();
  readonly #followers = new Map<Kind, Followers>();
  /** Those who want only the pods of one node, by its name. */
  readonly #nodeFollowers = new Map<string, Followers>();
  /** Those who want only one object. */
  readonly #oneFollowers = new Map<Kind, Map<Key, Followers>>();
  #history: Change[] = [];
  #forgotten = firstVersion;
  #version = firstVersion;

  constructor(sim: Sim) {
    this.#sim = sim;
    this.#uids = sim.random.fork("api/uid");
    this.#names = sim.random.fork("api/names");
  }

  /** The newest resourceVersion. */
  get version(): number {
    return this.#version;
  }

  get<K extends Kind>(kind: K, key: Key): Kinds[K] | undefined {
    return this.#index(kind).get(key) as Kinds[K] | undefined;
  }

  /** What matches, in the order of creation; `matching` uses indexes for namespace, equal labels, owner and node. */
  list<K extends Kind>(kind: K, matching?: Matching): readonly Kinds[K][] {
    return this.#index(kind).list(matching) as readonly Kinds[K][];
  }

  /** How many objects of a kind there are. */
  count(kind: Kind): number {
    return this.#index(kind).size;
  }

  /**
   * Adds an object: identity, time and (from generateName) a name are given here.
   * @throws StatusError AlreadyExists
   */
  create<K extends Kind>(kind: K, draft: Draft<K>, by: string): Kinds[K] {
    const resource = resourceOf(kind);
    const meta = draft.metadata;
    const namespace = resource.namespaced ? (meta.namespace ?? "default") : undefined;
    const name = meta.name ?? this.#generate(kind, namespace, meta.generateName ?? "");
    const key = keyFor(namespace, name);
    const index = this.#index(kind);
    if (index.get(key)) throw alreadyExists(resource, name);
    // Fields are put into a copy one by one: that is several times as fast as all in one `{ ...a, b }`.
    const metadata = copyOfMeta(meta) as Writable<Meta>;
    metadata.name = name;
    if (namespace !== undefined) metadata.namespace = namespace;
    else delete metadata.namespace;
    metadata.uid = meta.uid ?? this.newUid();
    metadata.resourceVersion = String(this.#version + 1);
    metadata.creationTimestamp = rfc3339(this.#sim.clock.now);
    if (generational.has(kind)) metadata.generation = 1;
    const object = { ...draft } as unknown as Writable<Write>;
    object.apiVersion = apiVersionOf(resource);
    object.kind = kind;
    object.metadata = metadata;
    this.#write("ADDED", kind, key, object as unknown as Kinds[K], undefined, by);
    return object as unknown as Kinds[K];
  }

  /**
   * Changes the object as it is now. Returning what came in (or its equal) changes nothing. Name, namespace, uid and
   * times stay as they are. An object that waits only for its finalizers goes when the last one does.
   * @throws StatusError NotFound; Conflict if the returned metadata.resourceVersion is an older one
   */
  update<K extends Kind>(kind: K, key: Key, change: (current: Kinds[K]) => Kinds[K], by: string): Kinds[K] {
    const before = this.get(kind, key);
    const resource = resourceOf(kind);
    if (!before) throw notFound(resource, key.slice(key.indexOf("/") + 1));
    const wanted = change(before);
    if (wanted === before) return before;
    const old = (before as Write).metadata;
    const asked = (wanted as Write).metadata;
    if (asked.resourceVersion !== old.resourceVersion) throw conflict(resource, old.name);
    if (same(wanted, before)) return before;
    // The first mark of a deletion counts too: whoever acts on the object acts in another way from now on (BeforeDelete).
    const marked = asked.deletionTimestamp !== undefined && old.deletionTimestamp === undefined;
    const counts =
      generational.has(kind) && (marked || isRespecified(kind, wanted as KubeObject, before as KubeObject));
    const metadata = copyOfMeta(asked) as Writable<Meta>;
    if (asked !== old) {
      metadata.name = old.name;
      if (old.namespace !== undefined) metadata.namespace = old.namespace;
      metadata.uid = old.uid;
      metadata.creationTimestamp = old.creationTimestamp;
    }
    if (old.generation !== undefined) metadata.generation = old.generation + (counts ? 1 : 0);
    metadata.resourceVersion = String(this.#version + 1);
    const object = { ...wanted } as unknown as Writable<Write>;
    object.metadata = metadata;
    const ended = isOver(wanted as KubeObject, metadata);
    this.#write(ended ? "DELETED" : "MODIFIED", kind, key, object as unknown as Kinds[K], before, by);
    return object as unknown as Kinds[K];
  }

  /**
   * Changes the status of an object that is there, and nothing else of it: what `update` does, in less time.
   * @throws StatusError NotFound
   */
  setStatus<K extends KindWithStatus>(kind: K, key: Key, status: Kinds[K]["status"], by: string): Kinds[K] {
    const before = this.get(kind, key);
    if (!before) throw notFound(resourceOf(kind), key.slice(key.indexOf("/") + 1));
    if (same(before.status, status)) return before;
    const metadata = copyOfMeta(before.metadata);
    metadata.resourceVersion = String(this.#version + 1);
    const { apiVersion, spec } = before;
    const object = { apiVersion, kind, metadata, spec, status } as unknown as Kinds[K];
    this.#write("MODIFIED", kind, key, object, before, by);
    return object;
  }

  /** Creates the object, or makes the one that is there like it (metadata's labels, annotations and owners too). */
  apply<K extends Kind>(kind: K, object: Draft<K>, by: string): Kinds[K] {
    const namespace = resourceOf(kind).namespaced ? (object.metadata.namespace ?? "default") : undefined;
    const key = keyFor(namespace, object.metadata.name ?? "");
    if (!this.get(kind, key)) return this.create(kind, object, by);
    const merge = (now: Kinds[K]): Kinds[K] => {
      const metadata = { ...now.metadata, ...object.metadata, resourceVersion: now.metadata.resourceVersion };
      return { ...now, ...object, metadata } as unknown as Kinds[K];
    };
    return this.update(kind, key, merge, by);
  }

  /**
   * Deletes: a pod on a node first gets a deletionTimestamp and its grace period (the kubelet deletes it again with
   * `grace: 0` when its containers have ended); finalizers of a propagation policy wait for the garbage collector.
   * @returns the object as it is now, or as it was
   * @throws StatusError NotFound, Conflict (preconditions)
   */
  delete<K extends Kind>(kind: K, key: Key, by: string, options: DeleteOptions = {}): Kinds[K] {
    const before = this.get(kind, key);
    const resource = resourceOf(kind);
    if (!before) throw notFound(resource, key.slice(key.indexOf("/") + 1));
    if (options.uid !== undefined && options.uid !== before.metadata.uid) {
      const meant = `UID in precondition: ${options.uid}, UID in object meta: ${before.metadata.uid}`;
      const why = `Precondition failed: ${meant}`;
      throw conflict(resource, before.metadata.name, why);
    }
    const marked = markForDeletion(before, options, this.#sim.clock.now);
    if (marked) return this.update(kind, key, () => marked as Kinds[K], by);
    this.#version++;
    const metadata = { ...before.metadata, resourceVersion: String(this.#version) };
    this.#version--;
    this.#write("DELETED", kind, key, { ...before, metadata } as unknown as Kinds[K], before, by);
    return before;
  }

  /**
   * Tells, `delay` microseconds after a write, *which* object was written; writes to one object within that time are
   * told once. The reader then looks at the store as it is by then.
   */
  watch(kind: Kind, tell: (key: Key) => void, delay: Time = 0): Subscription {
    const waiting = new Set<Key>();
    return this.follow(kind, ({ key }) => {
      if (waiting.has(key)) return;
      waiting.add(key);
      this.#sim.clock.after(delay, () => {
        waiting.delete(key);
        tell(key);
      });
    });
  }

  /**
   * Hands over each change at the moment of the write. For bookkeeping (queues, indexes, REST watches) only: whoever
   * acts on it here would act before the write is over.
   */
  follow<K extends Kind>(kind: K, see: (change: Change<K>) => void): Subscription {
    return subscribe(this.#followers, kind, see as unknown as (change: Change) => void);
  }

  /** The same for the pods of one node only: who follows one of thousands does not hear of the others' pods. */
  followPodsOn(node: string, see: (change: Change<"Pod">) => void): Subscription {
    return subscribe(this.#nodeFollowers, node, see as unknown as (change: Change) => void);
  }

  /** The same for one object only. */
  followOne(kind: Kind, key: Key, see: (change: Change) => void): Subscription {
    const known = this.#oneFollowers.get(kind);
    const followers = known ?? new Map<Key, Followers>();
    if (!known) this.#oneFollowers.set(kind, followers);
    return subscribe(followers, key, see);
  }

  /** Every change after `version`, oldest first; "gone" if some of them are no longer kept. */
  changesSince(version: number): readonly Change[] | "gone" {
    if (version < this.#forgotten) return "gone";
    let low = 0;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#history[middle] as Change).version > version) high = middle;
      else low = middle + 1;
    }
    return this.#history.slice(low);
  }

  #write<K extends Kind>(
    type: Change["type"],
    kind: K,
    key: Key,
    object: Kinds[K],
    before: Kinds[K] | undefined,
    by: string,
  ): void {
    const version = ++this.#version;
    const index = this.#index(kind);
    if (type === "DELETED") index.delete(key);
    else index.set(key, object as KubeObject);
    const change = (before
      ? { version, type, kind, key, object, before }
      : { version, type, kind, key, object }) as unknown as Change;
    this.#history.push(change);
    if (this.#history.length > historyLimit * 1.25) {
      this.#history = this.#history.slice(-historyLimit);
      this.#forgotten = (this.#history[0] as Change).version - 1;
    }
    const journal = this.#sim.journal;
    if (journal.read) {
      const what = type === "ADDED" ? "created" : type === "MODIFIED" ? "updated" : "deleted";
      journal.write({ at: this.#sim.clock.now, where: by, about: `${kind} ${key}`, what, detail: change });
    }
    this.#followers.get(kind)?.tell(change);
    this.#oneFollowers.get(kind)?.get(key)?.tell(change);
    if (kind === "Pod") this.#tellNodes(change as Change<"Pod">);
  }

  #tellNodes(change: Change<"Pod">): void {
    const node = change.object.spec.nodeName;
    const old = change.before?.spec.nodeName;
    if (node) this.#nodeFollowers.get(node)?.tell(change);
    if (old && old !== node) this.#nodeFollowers.get(old)?.tell(change);
  }

  #index(kind: Kind): Index {
    const known = this.#kinds.get(kind);
    if (known) return known;
    const index = new Index();
    this.#kinds.set(kind, index);
    return index;
  }

  /** Eight tries, as the API server makes them before it answers AlreadyExists. */
  #generate(kind: Kind, namespace: string | undefined, prefix: string): string {
    let name = prefix;
    for (let tries = 0; tries < 8; tries++) {
      name = prefix.slice(0, 58) + this.#names.suffix();
      if (!this.get(kind, keyFor(namespace, name))) break;
    }
    return name;
  }

  /** A random UUID (RFC 9562, version 4). */
  newUid(): string {
    const variant = this.#uids.integer(8, 11);
    let at = 0;
    for (let part = 0; part < 8; part++) {
      const value = this.#uids.integer(0, 0xffff);
      for (let shift = 12; shift >= 0; shift -= 4) {
        const digit = at === 14 ? 4 : at === 19 ? variant : (value >> shift) & 15;
        uidCodes[at++] = digit < 10 ? 48 + digit : 87 + digit;
      }
      if (part >= 1 && part <= 4) uidCodes[at++] = 45;
    }
    return String.fromCharCode(...uidCodes);
  }
}

const uidCodes = new Array<number>(36).fill(0);

/** Those who follow the same thing, in the order in which they came; thousands may come and go. */
class Followers {
  readonly #all = new Set<(change: Change) => void>();
  /** Whom a change is told, as of its beginning; undefined after somebody came or went. */
  #told: readonly ((change: Change) => void)[] | undefined;

  add(see: (change: Change) => void): Subscription {
    // A function of its own for each: the same one may follow twice.
    const mine = (change: Change): void => see(change);
    this.#all.add(mine);
    this.#told = undefined;
    return {
      stop: () => {
        this.#all.delete(mine);
        this.#told = undefined;
      },
    };
  }

  tell(change: Change): void {
    this.#told ??= [...this.#all];
    for (const see of this.#told) see(change);
  }
}

function subscribe<K>(lists: Map<K, Followers>, about: K, see: (change: Change) => void): Subscription {
  const known = lists.get(about);
  if (known) return known.add(see);
  const made = new Followers();
  lists.set(about, made);
  return made.add(see);
}

/** Whether the generation counts this change: one of the spec; of a slice, which has none, one of anything but metadata. */
function isRespecified(kind: Kind, now: KubeObject, before: KubeObject): boolean {
  // A binding comes by a way of its own, which counts nothing (setPodNodeAndMetadata in registry/core/pod/storage).
  if (kind === "Pod" && !(before as Kinds["Pod"]).spec.nodeName && (now as Kinds["Pod"]).spec.nodeName) return false;
  if (kind !== "EndpointSlice") return !same((now as Write).spec, (before as Write).spec);
  const [slice, old] = [now as Kinds["EndpointSlice"], before as Kinds["EndpointSlice"]];
  return !same(slice.endpoints, old.endpoints) || !same(slice.ports, old.ports);
}

/** Marked for deletion, and nothing is left that it waits for. */
function isOver(object: KubeObject, metadata: Meta): boolean {
  if (metadata.deletionTimestamp === undefined || metadata.finalizers?.length) return false;
  if (object.kind === "Namespace" && object.spec.finalizers?.length) return false;
  return !metadata.deletionGracePeriodSeconds;
}
