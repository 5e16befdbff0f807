/**
 * Owns the shape of a controller and the loop that runs one: it hears of changes, and brings what is nearer what should
 * be.
 */
import { millisecond, second, type Time, type TimerKind } from "../sim/clock";
import type { Sim } from "../sim/sim";
import { StatusError } from "./errors";
import type { Kind, Kinds, KubeObject } from "./kinds";
import { type Key, keyOf } from "./meta";
import { Lag, type Span } from "./propagation";
import type { Change, Store } from "./store";

/** "Look at this key again after that long"; background: `settle` does not wait for it. */
export interface Again {
  readonly after: Time;
  readonly kind?: TimerKind;
}

/**
 * Level-triggered: `reconcile` is told a key, never what happened, and looks for itself.
 * `watches` says which of my keys a written object concerns; `now` is undefined when it was deleted, `before` when it
 * is new (a pod that lost its label concerns the owner it had).
 */
export interface Controller {
  readonly name: string;
  /** It hears only of this node, and of the pods on it: one of thousands need not be asked about every object. */
  readonly onlyNode?: string | undefined;
  readonly watches: {
    readonly [K in Kind]?: (key: Key, now: Kinds[K] | undefined, before: Kinds[K] | undefined) => readonly Key[];
  };
  /**
   * Asked at a write, for one that must not know more than it has heard: what hearing of it will change in its own picture.
   * Undefined: that is on its way already.
   */
  readonly notes?: (key: Key) => (() => void) | undefined;
  reconcile(key: Key): Again | undefined;
}

/** How fast a controller is, in microseconds of virtual time. */
export interface Pace {
  /** From a write until this controller hears of it; each time another where it is a span. */
  readonly hear: Time | Span;
  /** One reconcile. */
  readonly work: Time;
}

export const defaultPace = { hear: 2 * millisecond, work: millisecond } satisfies Pace;

/** client-go's default rate limiter: 5 ms, doubled with every failure, at most 1000 s. */
const backOff = { first: 5 * millisecond, longest: 1000 * second };
/** After so many failures in a row a key is retried in the background: it would keep `settle` waiting for ever. */
const patience = 12;

export interface RunningController {
  /** Queues a key, as if something of it had changed. */
  enqueue(key: Key): void;
  stop(): void;
}

type Mapping = (key: Key, now: KubeObject | undefined, before: KubeObject | undefined) => readonly Key[];

/**
 * Starts a controller: it first sees everything there is, then every change. One key is worked on at a time.
 * @param from `changes`: it knows what there is, and sees what changes from now on
 */
export function runController(
  sim: Sim,
  store: Store,
  controller: Controller,
  pace: Pace = defaultPace,
  from: "all" | "changes" = "all",
): RunningController {
  const queue = new WorkQueue(sim, pace.work, controller);
  const lag = new Lag(sim, `watch/${controller.name}`, pace.hear);
  const hear = hearing(sim, controller, lag, queue);
  const kinds = Object.keys(controller.watches) as Kind[];
  const subscriptions = kinds.map((kind) => {
    const mapping = controller.watches[kind] as Mapping;
    const { onlyNode: node } = controller;
    const see = (change: Change): void => {
      const now = change.type === "DELETED" ? undefined : change.object;
      hear(mapping(change.key, now as KubeObject | undefined, change.before as KubeObject | undefined));
    };
    const narrow = node !== undefined && (kind === "Pod" || kind === "Node");
    const there =
      from === "changes"
        ? []
        : !narrow
          ? store.list(kind)
          : kind === "Pod"
            ? store.list(kind, { node })
            : own(store, kind, node);
    // A list is one answer: all of it is there at once.
    const listed = there.length > 0 ? lag.next() : 0;
    for (const object of there) hear(mapping(keyOf(object), object as KubeObject, undefined), listed);
    if (!narrow) return store.follow(kind, see);
    return kind === "Pod" ? store.followPodsOn(node, see) : store.followOne(kind, node, see);
  });
  return {
    enqueue: (key) => queue.add(key),
    stop: () => {
      for (const subscription of subscriptions) subscription.stop();
      queue.stop();
    },
  };
}

type Hear = (keys: readonly Key[], after?: Time) => void;

/** News on its way: of one key once at a time, unless each piece of news is to be known apart. */
function hearing({ clock }: Sim, controller: Controller, lag: Lag, queue: WorkQueue): Hear {
  const coming = new Set<Key>();
  return (keys, after) => {
    for (const key of keys) {
      const note = controller.notes?.(key);
      if (controller.notes ? !note : coming.has(key)) continue;
      coming.add(key);
      clock.after(after ?? lag.next(), () => {
        coming.delete(key);
        note?.();
        queue.add(key);
      });
    }
  };
}

function own(store: Store, kind: Kind, key: Key): readonly KubeObject[] {
  const object = store.get(kind, key) as KubeObject | undefined;
  return object ? [object] : [];
}

/** Keys that wait for work, each once; a key that fails comes back later and later. */
class WorkQueue {
  readonly #waiting = new Set<Key>();
  /** The same keys in the order in which they came, from `#first` on: a Set is slow at giving up its first one. */
  #order: Key[] = [];
  #first = 0;
  readonly #failures = new Map<Key, number>();
  readonly #later = new Map<Key, { at: Time; cancel(): void }>();
  #busy = false;
  #stopped = false;

  constructor(
    readonly sim: Sim,
    readonly work: Time,
    readonly controller: Controller,
  ) {}

  add(key: Key): void {
    if (this.#stopped) return;
    if (!this.#waiting.has(key)) {
      this.#waiting.add(key);
      this.#order.push(key);
    }
    if (this.#busy) return;
    this.#busy = true;
    this.sim.clock.after(this.work, () => this.#next());
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
    this.#order.length = 0;
    this.#first = 0;
    for (const timer of this.#later.values()) timer.cancel();
    this.#later.clear();
  }

  #next(): void {
    this.#busy = false;
    const key = this.#take();
    if (key !== undefined) this.#run(key);
    if (this.#waiting.size === 0 || this.#busy) return;
    this.#busy = true;
    this.sim.clock.after(this.work, () => this.#next());
  }

  #take(): Key | undefined {
    const key = this.#order[this.#first];
    if (key === undefined) return undefined;
    this.#first++;
    this.#waiting.delete(key);
    if (this.#first === this.#order.length || this.#first >= 1_000) {
      this.#order = this.#order.slice(this.#first);
      this.#first = 0;
    }
    return key;
  }

  #run(key: Key): void {
    try {
      const again = this.controller.reconcile(key);
      this.#failures.delete(key);
      if (again) this.#addAfter(key, again.after, again.kind ?? "foreground");
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const { clock, journal } = this.sim;
      journal.write({ at: clock.now, where: this.controller.name, about: key, what: `error: ${error.message}` });
      const delay = Math.min(backOff.first * 2 ** (failures - 1), backOff.longest);
      this.#addAfter(key, delay, failures > patience ? "background" : "foreground");
    }
  }

  /** The sooner of two appointments for one key counts. */
  #addAfter(key: Key, delay: Time, kind: TimerKind): void {
    if (this.#stopped) return;
    const at = this.sim.clock.now + delay;
    const known = this.#later.get(key);
    if (known && known.at <= at) return;
    known?.cancel();
    const later = (): void => {
      this.#later.delete(key);
      this.add(key);
    };
    const timer = this.sim.clock.after(delay, later, kind);
    this.#later.set(key, { at, cancel: () => timer.cancel() });
  }
}
