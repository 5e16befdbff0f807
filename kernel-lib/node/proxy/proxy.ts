/** Owns kube-proxy on one node: it hears of Services and EndpointSlices, and has its mode write what the node should do. */
import type { Again, Controller } from "../../api/controller";
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import type { Store } from "../../api/store";
import { formatSocketAddress, parseIp } from "../../net/address";
import { millisecond, second, type Time } from "../../sim/clock";
import type { Sim } from "../../sim/sim";
import type { NodeNet } from "../node";
import type { ProxyMode } from "./mode";
import { type SharedView, sharedViewOf } from "./shared";
import type { Place } from "./topology";
import { byName, type ServicePort, type SharedPort, serviceOf, servicePortOn } from "./view";

/** What a kube-proxy is handed. */
export interface ProxyParts {
  readonly store: Store;
  readonly node: NodeNet;
  readonly mode: ProxyMode;
  /** The least time between two syncs (`--iptables-min-sync-period`, 1 s by default). */
  readonly minSyncPeriod?: Time;
  /** From the start of a sync until the rules are in the kernel. */
  readonly syncTime?: Time;
}

const zoneLabel = "topology.kubernetes.io/zone";

/** A controller: run it with `runController`. Keys are Services (`namespace/name`), and `""` for the node itself. */
export class KubeProxy implements Controller {
  readonly name: string;
  readonly watches: Controller["watches"];
  readonly #sim: Sim;
  readonly #parts: ProxyParts;
  readonly #shared: SharedView;
  /** What this node does, by Service: made anew only for Services that changed. */
  readonly #chosen = new Map<Key, { readonly from: readonly SharedPort[]; readonly ports: readonly ServicePort[] }>();
  readonly #changed = new Set<Key>();
  /** The keys of `#chosen`, sorted; undefined after one has come or gone. */
  #order: readonly Key[] | undefined;
  #place: Place;
  #lastSync: Time | undefined;
  #waiting = false;

  constructor(sim: Sim, parts: ProxyParts) {
    this.#sim = sim;
    this.#parts = parts;
    this.#shared = sharedViewOf(parts.store);
    this.#place = { node: parts.node.name };
    this.name = `kube-proxy/${parts.node.name}`;
    const ofSlice = (...slices: readonly (Kinds["EndpointSlice"] | undefined)[]): Key[] =>
      slices.flatMap((slice) => (slice && serviceOf(slice)) ?? []);
    this.watches = {
      Service: (key) => [key],
      EndpointSlice: (_key, now, before) => [...new Set(ofSlice(now, before))],
      Node: (key) => (key === parts.node.name ? [""] : []),
    };
  }

  /** Notes that a Service concerns the next sync; one is set for as soon as the least time between two has passed. */
  reconcile(key: Key): Again | undefined {
    if (key === "") {
      const zone = this.#parts.store.get("Node", this.#parts.node.name)?.metadata.labels?.[zoneLabel];
      if (zone === this.#place.zone && this.#lastSync !== undefined) return undefined;
      this.#place = { node: this.#parts.node.name, ...(zone !== undefined && { zone }) };
      for (const service of this.#shared.services()) this.#changed.add(service);
      this.#chosen.clear();
      this.#order = undefined;
    } else {
      this.#changed.add(key);
    }
    this.#setSync();
    return undefined;
  }

  #setSync(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    const { minSyncPeriod = second, syncTime = 15 * millisecond } = this.#parts;
    const { clock } = this.#sim;
    const rest = this.#lastSync === undefined ? 0 : Math.max(0, this.#lastSync + minSyncPeriod - clock.now);
    clock.after(rest + syncTime, () => {
      this.#waiting = false;
      this.#lastSync = clock.now;
      this.#sync();
    });
  }

  #sync(): void {
    const { clock, journal } = this.#sim;
    const { mode, node } = this.#parts;
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const service of changed) this.#choose(service);
    this.#order ??= [...this.#chosen.keys()].sort();
    const view = this.#order.flatMap((service) => this.#chosen.get(service)?.ports ?? []);
    mode.sync(view, node, "IPv4");
    for (const service of changed) this.#forgetStaleUdp(service);
    if (!journal.read) return;
    const what = `wrote the ${mode.name} rules of ${view.length} service ports (changed: ${changed.join(", ")})`;
    journal.write({ at: clock.now, where: node.name, about: "kube-proxy", what, detail: { type: "sync", changed } });
  }

  /** Chooses endpoints for a Service again, keeping the objects of ports that did not change. */
  #choose(service: Key): void {
    const from = this.#shared.ports(service);
    const known = this.#chosen.get(service);
    if (known?.from === from) return;
    if (from.length === 0) {
      if (this.#chosen.delete(service)) this.#order = undefined;
      return;
    }
    if (!known) this.#order = undefined;
    const ports = from.map((port) => servicePortOn(this.#place, port)).sort(byName);
    this.#chosen.set(service, { from, ports });
  }

  /**
   * UDP has no end of a connection, so an entry would send datagrams to a pod that is gone, or to nothing, for as
   * long as they keep coming: kube-proxy deletes such entries (pkg/proxy/conntrack/cleanup.go).
   */
  #forgetStaleUdp(service: Key): void {
    for (const port of this.#chosen.get(service)?.ports ?? []) {
      if (port.protocol !== "UDP") continue;
      const serving = port.reachable.filter((endpoint) => endpoint.serving);
      const endpoints = new Set(serving.map((endpoint) => endpoint.address));
      const ips = new Set([...port.clusterIps, ...port.externalIps, ...port.loadBalancerIps].map(parseIp));
      this.#parts.node.netns.conntrack.delete(({ original, reply }) => {
        if (original.protocol !== "udp") return false;
        const isService = original.targetPort === port.port && ips.has(original.target);
        const isNodePort = port.nodePort !== undefined && original.targetPort === port.nodePort;
        return (isService || isNodePort) && !endpoints.has(formatSocketAddress(reply.source, reply.sourcePort));
      });
    }
  }
}
