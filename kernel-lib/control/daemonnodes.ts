/** Owns what each node has of each DaemonSet: counts kept as pods and nodes change, so that one change costs one node. */
import type { Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import type { Store } from "../api/store";
import type { Sim } from "../sim/sim";
import { hashLabel, nodeOf, shouldRun } from "./daemonpods";
import { templateHash } from "./hash";
import { isActive, isAvailable, isReady } from "./pods";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];
type DaemonSet = Kinds["DaemonSet"];

/** What one node has of a set, and should have. */
export interface NodeShare {
  /** Undefined: there is no such node any more. */
  readonly node: Node | undefined;
  readonly run: boolean;
  readonly stay: boolean;
  /** In the order of their creation. */
  readonly pods: readonly Pod[];
}

/** What a node adds to a set's status. */
interface Counted {
  readonly scheduled: number;
  readonly desired: number;
  readonly misscheduled: number;
  readonly ready: number;
  readonly available: number;
  readonly updated: number;
  /** Active pods of an older template. */
  readonly old: number;
}

const none: Counted = { scheduled: 0, desired: 0, misscheduled: 0, ready: 0, available: 0, updated: 0, old: 0 };

interface State {
  /** Of the set when the counts were made: a changed spec or meaning makes all anew. */
  generation: number | undefined;
  readonly pods: Map<string, Set<Key>>;
  /** Nodes whose share must be looked at. */
  readonly dirty: Set<string>;
  /** Nodes whose count must be made anew: also those that the controller itself has just changed. */
  readonly stale: Set<string>;
  readonly counts: Map<string, Counted>;
  total: Counted;
}

export class DaemonNodes {
  readonly #sim: Sim;
  readonly #store: Store;
  readonly #states = new Map<string, State>();
  /** Nodes in the order in which they came: daemons are made in that order. */
  readonly #order = new Map<string, number>();
  #next = 0;

  constructor(sim: Sim, store: Store) {
    this.#sim = sim;
    this.#store = store;
  }

  nodeChanged(name: string, exists: boolean): void {
    if (!exists) this.#order.delete(name);
    else if (!this.#order.has(name)) this.#order.set(name, this.#next++);
    for (const state of this.#states.values()) mark(state, name);
  }

  podChanged(uid: string, now: Pod | undefined, before: Pod | undefined): void {
    const state = this.#state(uid);
    if (now && before && nodeOf(now) === nodeOf(before)) {
      mark(state, nodeOf(now));
      return;
    }
    for (const pod of [before, now]) {
      if (!pod) continue;
      const node = nodeOf(pod);
      const keys = state.pods.get(node) ?? new Set<Key>();
      if (pod === now) keys.add(keyOf(pod));
      else keys.delete(keyOf(pod));
      if (keys.size > 0) state.pods.set(node, keys);
      else state.pods.delete(node);
      mark(state, node);
    }
  }

  forget(uid: string): void {
    this.#states.delete(uid);
  }

  /** The nodes that something has happened to since the last call. */
  changed(set: DaemonSet): readonly NodeShare[] {
    const state = this.#state(set.metadata.uid);
    if (state.generation !== set.metadata.generation || set.spec.minReadySeconds) {
      // Whether a pod is available by now depends on the time alone: then all are looked at.
      state.generation = set.metadata.generation;
      for (const name of [...this.#order.keys(), ...state.pods.keys()]) mark(state, name);
    }
    const at = (name: string): number => this.#order.get(name) ?? Number.POSITIVE_INFINITY;
    const names = [...state.dirty].sort((one, other) => at(one) - at(other) || 0);
    state.dirty.clear();
    return names.map((name) => this.#share(set, state, name));
  }

  /** The shares of all nodes that should have a pod. */
  wanted(set: DaemonSet): readonly NodeShare[] {
    const state = this.#state(set.metadata.uid);
    return [...this.#order.keys()].map((name) => this.#share(set, state, name)).filter(({ run }) => run);
  }

  /** Whether pods of an older template are left. */
  hasOld(set: DaemonSet): boolean {
    return this.#count(set).old > 0;
  }

  status(set: DaemonSet): DaemonSet["status"] {
    const { scheduled, desired, misscheduled, ready, available, updated } = this.#count(set);
    return {
      currentNumberScheduled: scheduled,
      desiredNumberScheduled: desired,
      numberMisscheduled: misscheduled,
      numberReady: ready,
      ...(available > 0 && { numberAvailable: available }),
      ...(desired > available && { numberUnavailable: desired - available }),
      ...(updated > 0 && { updatedNumberScheduled: updated }),
      ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
    };
  }

  #count(set: DaemonSet): Counted {
    const state = this.#state(set.metadata.uid);
    for (const name of state.stale) {
      const now = this.#countOf(set, this.#share(set, state, name));
      state.total = plus(plus(state.total, state.counts.get(name) ?? none, -1), now, 1);
      if (now === none) state.counts.delete(name);
      else state.counts.set(name, now);
    }
    state.stale.clear();
    return state.total;
  }

  #countOf(set: DaemonSet, { node, run, pods }: NodeShare): Counted {
    const hash = templateHash(set.spec.template);
    const old = pods.filter((pod) => pod.metadata.labels?.[hashLabel] !== hash && isActive(pod)).length;
    const pod = pods.at(-1);
    const seconds = set.spec.minReadySeconds ?? 0;
    if (!node) return old > 0 ? { ...none, old } : none;
    if (!run) return { ...none, old, misscheduled: pod ? 1 : 0 };
    const one = (test: boolean | undefined): number => (test ? 1 : 0);
    return {
      desired: 1,
      scheduled: one(pod !== undefined),
      misscheduled: 0,
      // Any of two that are there during a surge will do (updateDaemonSetStatus).
      ready: one(pods.some(isReady)),
      available: one(pods.some((each) => isAvailable(each, seconds, this.#sim.clock.now))),
      updated: one(pods.some((each) => each.metadata.labels?.[hashLabel] === hash)),
      old,
    };
  }

  #share(set: DaemonSet, state: State, name: string): NodeShare {
    const node = this.#store.get("Node", name);
    const keys = state.pods.get(name);
    const pods = keys ? [...keys].flatMap((key) => this.#store.get("Pod", key) ?? []) : [];
    if (!node) return { node, run: false, stay: false, pods };
    return { node, ...shouldRun(set, node), pods };
  }

  #state(uid: string): State {
    const known = this.#states.get(uid);
    if (known) return known;
    const state: State = {
      generation: undefined,
      pods: new Map(),
      dirty: new Set(this.#order.keys()),
      stale: new Set(this.#order.keys()),
      counts: new Map(),
      total: none,
    };
    this.#states.set(uid, state);
    return state;
  }
}

function mark(state: State, node: string): void {
  state.dirty.add(node);
  state.stale.add(node);
}

function plus(a: Counted, b: Counted, sign: number): Counted {
  if (b === none) return a;
  return {
    scheduled: a.scheduled + sign * b.scheduled,
    desired: a.desired + sign * b.desired,
    misscheduled: a.misscheduled + sign * b.misscheduled,
    ready: a.ready + sign * b.ready,
    available: a.available + sign * b.available,
    updated: a.updated + sign * b.updated,
    old: a.old + sign * b.old,
  };
}
