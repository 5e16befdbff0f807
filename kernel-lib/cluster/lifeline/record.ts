/** Owns writing down how pods live and end while it happens: it follows the API's objects and the journal. */
import type { Kinds } from "../../api/kinds";
import { type Key, keyFor, keyOf } from "../../api/meta";
import { matchesAll, parseSelector, type Requirement } from "../../api/selectors";
import type { Change, Store } from "../../api/store";
import { type LifeEvent, lifeWord } from "../../node/lifeevents";
import type { KubeProxy } from "../../node/proxy/proxy";
import type { Time } from "../../sim/clock";
import type { Sim } from "../../sim/sim";
import { readEvent } from "./events";
import { PodRecord } from "./lanes";
import type { Lifeline } from "./lifeline";
import { readPod, readPodGone, readSlice, serviceNameOf } from "./objects";
import { readProxy } from "./proxies";
import { showLifeline } from "./show";

/** Whose life is recorded: the pods that a label selector matches, or one by its name; all of a namespace unless given. */
export interface LifelineOptions {
  /** In kubectl's words: `app=nginx`, `app in (a, b)`. */
  readonly selector?: string;
  /** `name`, or `namespace/name`. */
  readonly pod?: string;
  /** `default` unless given. */
  readonly namespace?: string;
}

/** A record that is being written. */
export interface LifelineRecord {
  /** What has been written so far. */
  lifeline(): Lifeline;
  /** Writes no further; gives all that was written. */
  stop(): Lifeline;
}

/** What it looks at. */
export interface LifelineGround {
  readonly sim: Sim;
  readonly store: Store;
  readonly nodes: ReadonlyMap<string, { readonly proxy: KubeProxy | undefined }>;
}

/**
 * Records from now on how pods live and end.
 * @throws Error that says which option is wrong
 */
export function recordLifeline(ground: LifelineGround, options: LifelineOptions = {}): LifelineRecord {
  return new Recorder(ground, options);
}

class Recorder implements LifelineRecord {
  readonly #ground: LifelineGround;
  readonly #name: string;
  readonly #namespace: string;
  readonly #pod: Key | undefined;
  readonly #selector: readonly Requirement[] | undefined;
  readonly #began: Time;
  readonly #following: { stop(): void }[];
  /** By UID: one name may be given again. */
  readonly #records = new Map<string, PodRecord>();
  #ended: Time | undefined;

  constructor(ground: LifelineGround, { selector, pod, namespace = "default" }: LifelineOptions) {
    if (selector !== undefined && pod !== undefined) throw new RangeError("lifeline: say either selector or pod");
    this.#ground = ground;
    this.#namespace = pod?.includes("/") ? (pod.split("/")[0] ?? "") : namespace;
    this.#pod = pod === undefined || pod.includes("/") ? pod : keyFor(namespace, pod);
    this.#selector = selector === undefined ? undefined : parseSelector(selector);
    if (this.#pod !== undefined && !ground.store.get("Pod", this.#pod)) throw new Error(`pods "${pod}" not found`);
    const where = this.#namespace === "default" ? "" : ` in ${this.#namespace}`;
    this.#name = pod === undefined ? `pods${selector === undefined ? "" : ` ${selector}`}${where}` : `pod ${pod}`;
    const { sim, store } = ground;
    this.#began = sim.clock.now;
    for (const object of store.list("Pod", { namespace: this.#namespace })) this.#seePod(object, undefined);
    this.#following = [
      store.follow("Pod", (change) => this.#hearPod(change)),
      store.follow("EndpointSlice", (change) => this.#hearSlice(change)),
      sim.journal.followOnly(lifeWord, ({ detail }) => this.#hear(detail as LifeEvent)),
    ];
  }

  lifeline(): Lifeline {
    const pods = [...this.#records.values()].map((record) => record.life());
    const ended = this.#ended ?? this.#ground.sim.clock.now;
    return showLifeline({ name: this.#name, began: this.#began, ended, pods });
  }

  stop(): Lifeline {
    this.#ended ??= this.#ground.sim.clock.now;
    for (const each of this.#following) each.stop();
    return this.lifeline();
  }

  #isMeant({ metadata }: Kinds["Pod"]): boolean {
    if (metadata.namespace !== this.#namespace) return false;
    if (this.#pod !== undefined) return keyFor(this.#namespace, metadata.name) === this.#pod;
    return this.#selector === undefined || matchesAll(this.#selector, metadata.labels ?? {});
  }

  #hearPod({ type, object, before }: Change<"Pod">): void {
    const record = this.#records.get(object.metadata.uid ?? "");
    if (type !== "DELETED") this.#seePod(object, before);
    else if (record) readPodGone(record, this.#ground.sim.clock.now);
  }

  #seePod(pod: Kinds["Pod"], before: Kinds["Pod"] | undefined): void {
    const uid = pod.metadata.uid ?? "";
    const { now } = this.#ground.sim.clock;
    const known = this.#records.get(uid);
    if (known) {
      readPod(known, pod, before, now);
      return;
    }
    if (!this.#isMeant(pod)) return;
    const record = new PodRecord(keyOf(pod), uid);
    this.#records.set(uid, record);
    readPod(record, pod, before, now);
    // What runs already has been started before anybody wrote it down.
    for (const { name, state } of pod.status?.containerStatuses ?? []) {
      if (state?.running) record.set(`container/${name}`, "running", now);
    }
    for (const slice of this.#slices())
      readSlice(record, { type: "MODIFIED", object: slice }, this.#others(slice), now);
    for (const node of this.#ground.nodes.keys()) this.#seeProxy(record, node);
  }

  #slices(): readonly Kinds["EndpointSlice"][] {
    return this.#ground.store.list("EndpointSlice", { namespace: this.#namespace });
  }

  /** The other slices of a Service. */
  #others(slice: Kinds["EndpointSlice"]): readonly Kinds["EndpointSlice"][] {
    const service = serviceNameOf(slice);
    return this.#slices().filter((each) => {
      return serviceNameOf(each) === service && each.metadata.name !== slice.metadata.name;
    });
  }

  #hearSlice({ type, object }: Change<"EndpointSlice">): void {
    if (object.metadata.namespace !== this.#namespace) return;
    const others = this.#others(object);
    for (const record of this.#records.values()) {
      readSlice(record, { type, object }, others, this.#ground.sim.clock.now);
    }
  }

  #hear(event: LifeEvent): void {
    const { now } = this.#ground.sim.clock;
    if (event.of === "proxy") {
      if (!event.services.some((service) => service.startsWith(`${this.#namespace}/`))) return;
      for (const record of this.#records.values()) this.#seeProxy(record, event.node);
      return;
    }
    if (event.of === "balancer") {
      const { service, node, healthy } = event;
      for (const record of this.#records.values()) {
        const name = service.slice(service.indexOf("/") + 1);
        if (!service.startsWith(`${this.#namespace}/`) || record.node !== node) continue;
        if (healthy && record.open(`endpoint/${name}`).length === 0) continue;
        record.set(`balancer/${node}`, healthy ? "sends to the node" : undefined, now);
        const what = healthy ? "health check of the node passes" : "health check of the node fails: no new connections";
        record.note(`balancer/${node}`, "proxy", what, now);
      }
      return;
    }
    const record = this.#records.get(event.uid);
    if (record) readEvent(record, event, now);
  }

  #seeProxy(record: PodRecord, node: string): void {
    const proxy = this.#ground.nodes.get(node)?.proxy;
    if (proxy) readProxy(record, proxy, this.#namespace, this.#ground.store, this.#ground.sim.clock.now);
  }
}
