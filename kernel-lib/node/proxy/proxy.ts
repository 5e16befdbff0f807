/** Owns kube-proxy on one node: it hears of Services and EndpointSlices, and has its mode write what the node should do. */
import type { Again, Controller } from "../../api/controller";
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import { Lag, type Span } from "../../api/propagation";
import type { Store } from "../../api/store";
import { type Family, family as familyOf } from "../../net/address";
import { hour, millisecond, second, type Time, type Timer } from "../../sim/clock";
import type { Sim } from "../../sim/sim";
import { tellLife } from "../lifeevents";
import type { NodeNet } from "../node";
import { ChosenView } from "./chosen";
import { HeardView } from "./heard";
import type { ModeName, ProxyMode } from "./mode";
import { sharedViewOf } from "./shared";
import { forgetStaleUdp } from "./staleudp";
import { SyncFigures } from "./syncfigures";
import type { Place } from "./topology";
import { type ServicePort, serviceOf } from "./view";

/** What a kube-proxy is handed. */
export interface ProxyParts {
  readonly store: Store;
  readonly node: NodeNet;
  /** A mode, or how to make one that takes nothing for granted: such a one looks after what it wrote. */
  readonly mode: ProxyMode | (() => ProxyMode);
  /** The least time between two syncs (`--iptables-min-sync-period`, 1 s by default). */
  readonly minSyncPeriod?: Time;
  /** How often it looks whether its rules are still there (30 s by default). */
  readonly syncPeriod?: Time;
  /** From the start of a sync until the rules are in the kernel; each time another where it is a span. */
  readonly syncTime?: Time | Span;
  /** Told of a sync that failed, in the words of the kernel's tools. */
  readonly failed?: (why: string) => void;
  /** Told after each sync. */
  readonly synced?: (proxy: KubeProxy, changed: readonly Key[]) => void;
}

const zoneLabel = "topology.kubernetes.io/zone";

/** However quiet it is, everything is written anew so often (proxyutil.FullSyncPeriod). */
const fullSyncPeriod = hour;

/** The chain by whose absence kube-proxy notices that somebody took its rules away. */
const canaryChain = "KUBE-PROXY-CANARY";

/**
 * One start of kube-proxy. A controller: run it with `runController`, and `stop` it when its process ends; what it wrote
 * stays. Keys are Services (`namespace/name`), and `""` for the node itself.
 */
export class KubeProxy implements Controller {
  readonly name: string;
  readonly watches: Controller["watches"];
  readonly figures: SyncFigures;
  readonly #sim: Sim;
  readonly #parts: ProxyParts;
  readonly #heard: HeardView;
  readonly #views: readonly ChosenView[];
  readonly #durations: Lag;
  readonly #changed = new Set<Key>();
  readonly #timers: Timer[] = [];
  #mode: ProxyMode;
  #place: Place;
  #lastSync: Time | undefined;
  #lastFullSync: Time = 0;
  #full = true;
  #waiting: Timer | undefined;
  #stopped = false;

  constructor(sim: Sim, parts: ProxyParts) {
    this.#sim = sim;
    this.#parts = parts;
    this.#heard = new HeardView(sharedViewOf(parts.store, sim.clock));
    this.#place = { node: parts.node.name };
    this.#mode = typeof parts.mode === "function" ? parts.mode() : parts.mode;
    this.figures = new SyncFigures(sim.clock.now);
    this.name = `kube-proxy/${parts.node.name}`;
    this.#durations = new Lag(sim, `sync/${this.name}`, parts.syncTime ?? 15 * millisecond);
    this.#views = parts.node.ips.map((ip) => new ChosenView(this.#heard, familyOf(ip)));
    const ofSlice = (...slices: readonly (Kinds["EndpointSlice"] | undefined)[]): Key[] =>
      slices.flatMap((slice) => (slice && serviceOf(slice)) ?? []);
    this.watches = {
      Service: (key) => [key],
      EndpointSlice: (_key, now, before) => [...new Set(ofSlice(now, before))],
      Node: (key) => (key === parts.node.name ? [""] : []),
    };
    if (typeof parts.mode === "function") this.#lookAfterRules();
  }

  get mode(): ModeName {
    return this.#mode.name;
  }

  get node(): NodeNet {
    return this.#parts.node;
  }

  /** What slices of a Service name that is no address of their family, and is passed over. */
  wrongAddresses(service: Key, family: Family): readonly string[] {
    return this.#heard.wrongAddresses(service, family);
  }

  /** The address families that it serves, the node's first one first. */
  get families(): readonly Family[] {
    return this.#views.map(({ family }) => family);
  }

  /** What it does in a family. */
  view(family: Family): ChosenView | undefined {
    return this.#views.find((view) => view.family === family);
  }

  /** Ends it: nothing is written any more, and what was written stays. */
  stop(): void {
    this.#stopped = true;
    this.#waiting?.cancel();
    for (const timer of this.#timers) timer.cancel();
    this.#mode.end?.(this.#parts.node);
  }

  /** News of a Service or of its slices goes out to this proxy. */
  notes(key: Key): (() => void) | undefined {
    return key === "" ? () => {} : this.#heard.news(key);
  }

  /** Notes that a Service concerns the next sync; one is set for as soon as the least time between two has passed. */
  reconcile(key: Key): Again | undefined {
    if (this.#stopped) return undefined;
    if (key === "") {
      const zone = this.#parts.store.get("Node", this.#parts.node.name)?.metadata.labels?.[zoneLabel];
      if (zone === this.#place.zone && this.#lastSync !== undefined) return undefined;
      this.#place = { node: this.#parts.node.name, ...(zone !== undefined && { zone }) };
      this.#full = true;
    } else {
      if (this.#lastSync !== undefined && !this.#views.some((view) => view.isOld(key))) return undefined;
      this.#changed.add(key);
    }
    this.#setSync();
    return undefined;
  }

  /** Writes everything at once, as of now: who woke the node needs the rules. */
  catchUp(): void {
    const zone = this.#parts.store.get("Node", this.#parts.node.name)?.metadata.labels?.[zoneLabel];
    this.#place = { node: this.#parts.node.name, ...(zone !== undefined && { zone }) };
    this.#full = true;
    this.#heard.catchUp();
    this.#lastSync = this.#sim.clock.now;
    this.#sync(0);
  }

  #setSync(): void {
    if (this.#waiting) return;
    const { minSyncPeriod = second } = this.#parts;
    const { clock } = this.#sim;
    this.figures.queued(clock.now);
    const rest = this.#lastSync === undefined ? 0 : Math.max(0, this.#lastSync + minSyncPeriod - clock.now);
    const syncTime = this.#durations.next();
    this.#waiting = clock.after(rest + syncTime, () => {
      this.#waiting = undefined;
      this.#lastSync = clock.now;
      this.#sync(syncTime);
    });
  }

  #sync(took: Time): void {
    const { clock, journal } = this.#sim;
    const { node } = this.#parts;
    const full = this.#full;
    this.#full = false;
    if (full) {
      // Everything that it knows counts as changed: rules of no Service are missing.
      for (const view of this.#views) for (const service of view.services()) this.#changed.add(service);
      for (const service of this.#heard.services()) this.#changed.add(service);
      for (const view of this.#views) view.clear();
      this.#lastFullSync = clock.now;
    }
    const changed = [...this.#changed];
    this.#changed.clear();
    let count = 0;
    for (const view of this.#views) {
      for (const service of changed) view.choose(service, this.#place);
      const ports = view.ports();
      count += ports.length;
      if (!this.#write(view, ports)) return;
      if (this.#mode.name !== "userspace") forgetStaleUdp(node.netns, view, changed);
    }
    this.figures.synced(clock.now, took, full, changed.length);
    this.#parts.synced?.(this, changed);
    tellLife(this.#sim, this.name, () => ({
      ...{ of: "proxy", node: node.name, mode: this.#mode.name },
      services: changed,
      asOf: this.#heard.asOf(changed),
    }));
    if (!journal.read) return;
    const what = `wrote the ${this.#mode.name} rules of ${count} service ports (changed: ${changed.join(", ")})`;
    journal.write({ at: clock.now, where: node.name, about: "kube-proxy", what, detail: { type: "sync", changed } });
  }

  /**
   * What the kernel refuses (somebody took away a chain that is to be jumped to) is tried again after a sync period, and
   * then everything is written.
   */
  #write(view: ChosenView, ports: readonly ServicePort[]): boolean {
    const { node, syncPeriod = 30 * second, failed } = this.#parts;
    try {
      this.#mode.sync(ports, node, view.family);
      return true;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      failed?.(error.message);
      this.#timers.push(this.#sim.clock.after(syncPeriod, () => this.#writeAnew(), "background"));
      return false;
    }
  }

  /**
   * Somebody may have taken rules away. iptables mode looks for its canary chain every syncPeriod, ipvs compares and
   * writes all then; beside that everything is written anew once an hour.
   */
  #lookAfterRules(): void {
    const { clock } = this.#sim;
    const { syncPeriod = 30 * second } = this.#parts;
    this.#timers.push(
      clock.every(syncPeriod, () => {
        if (this.#lastSync === undefined) return;
        const due = clock.now - this.#lastFullSync >= fullSyncPeriod;
        if (due || this.#mode.name === "ipvs" || this.#canaryIsGone()) this.#writeAnew();
      }),
    );
  }

  #canaryIsGone(): boolean {
    if (this.#mode.name !== "iptables") return false;
    const { netns } = this.#parts.node;
    return this.#views.some(({ family }) => {
      const tables = family === "IPv4" ? netns.iptables : netns.ip6tables;
      return (["mangle", "nat", "filter"] as const).some((table) => !tables.rules(table, canaryChain));
    });
  }

  /** A full sync that takes nothing for granted (forceSyncProxyRules). */
  #writeAnew(): void {
    const { mode } = this.#parts;
    if (this.#stopped) return;
    if (this.#mode.forget) this.#mode.forget(this.#parts.node);
    else if (typeof mode === "function") this.#mode = mode();
    this.#full = true;
    this.#setSync();
  }
}
