/** Owns which cluster IPs and node ports Services have: what is handed out follows the store alone. */
import type { Random } from "../../sim/random";
import { type FieldError, internalError, invalidValue } from "../errors";
import type { Kinds } from "../kinds";
import type { Fresh } from "../mutable";
import type { Store } from "../store";
import { Allocator, staticBand } from "./allocator";
import { assignFamilies, type Family, type Spec } from "./families";
import { inherit, normalizeClusterIps } from "./inherit";
import { type AddressRange, addressRange } from "./range";

type Service = Kinds["Service"];

export interface AddressOptions {
  /** One range, or one of each family in a dual-stack cluster; the first is the default family's. */
  readonly serviceCidrs: readonly string[];
  readonly nodePorts: readonly [number, number];
}

/** A range and who of it is taken. */
interface Pool {
  readonly range: AddressRange;
  readonly taken: Allocator;
}

/**
 * `assign` fills a Service's free fields without taking anything; an address is taken when the Service is written to the
 * store and free when it is gone from there, whoever wrote.
 */
export class ServiceAddresses {
  readonly #options: AddressOptions;
  readonly #pools = new Map<Family, Pool>();
  readonly #ports: Allocator;

  /** @throws RangeError about a range that is none, or a second one of the same family */
  constructor(store: Store, random: Random, options: AddressOptions) {
    this.#options = options;
    for (const text of options.serviceCidrs) {
      const range = addressRange(text);
      if (this.#pools.has(range.family)) throw new RangeError(`a second service range of ${range.family}: ${text}`);
      const dice = random.fork(range.family === "IPv4" ? "serviceip" : "serviceip6");
      this.#pools.set(range.family, {
        range,
        taken: new Allocator(range.usable, staticBand(range.size, 16, 16, 256), dice),
      });
    }
    const ports = options.nodePorts[1] - options.nodePorts[0] + 1;
    this.#ports = new Allocator(ports, staticBand(ports, 16, 32, 128), random.fork("nodeport"));
    for (const service of store.list("Service")) this.#mark(service, undefined);
    store.follow("Service", ({ type, object, before }) => this.#mark(type === "DELETED" ? undefined : object, before));
  }

  /**
   * Gives families, cluster IPs and node ports to what has none; `before` is the Service that is replaced.
   * @throws StatusError InternalError: nothing is left to hand out
   */
  assign(service: Fresh<"Service">, before: Service | undefined): FieldError[] {
    const spec = service.spec as Spec;
    normalizeClusterIps(spec, before?.spec);
    if (before) inherit(spec, before.spec);
    if (spec.type === "ExternalName") return [];
    const errors = assignFamilies(spec, before?.spec, [...this.#pools.keys()]);
    // Nothing is handed out before the families are right.
    if (errors.length === 0) errors.push(...this.#assignIps(spec, before?.spec));
    return [...errors, ...this.#assignPorts(spec, before?.spec)];
  }

  #assignIps(spec: Spec, before: Service["spec"] | undefined): FieldError[] {
    if (spec.clusterIP === "None") return [];
    const errors: FieldError[] = [];
    const ips = [...(spec.clusterIPs ?? [])];
    for (const [at, family] of (spec.ipFamilies ?? []).entries()) {
      const pool = this.#pools.get(family as Family);
      const asked = ips[at];
      if (!pool || (asked && before?.clusterIPs?.includes(asked))) continue;
      if (asked) {
        const wrong = refusal(pool, asked);
        if (wrong) errors.push(invalidValue("spec.clusterIPs", ips, `failed to allocate IP ${asked}: ${wrong}`));
        continue;
      }
      const index = pool.taken.next();
      if (index === undefined) throw internalError("failed to allocate a serviceIP: range is full");
      ips[at] = pool.range.addressOf(index);
    }
    if (errors.length > 0 || ips[0] === undefined) return errors;
    spec.clusterIP = ips[0];
    spec.clusterIPs = ips;
    return [];
  }

  #assignPorts(spec: Spec, before: Service["spec"] | undefined): FieldError[] {
    const exposed = spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts);
    const errors: FieldError[] = [];
    const own = new Set([...(before?.ports ?? []).map(({ nodePort }) => nodePort), before?.healthCheckNodePort]);
    const given = new Map<number, number>();
    for (const [at, port] of (spec.ports ?? []).entries()) {
      if (!port.nodePort || spec.type === "ClusterIP") continue;
      const wrong = own.has(port.nodePort) || given.has(port.nodePort) ? undefined : this.#portError(port.nodePort);
      if (wrong) errors.push(invalidValue(`spec.ports[${at}].nodePort`, port.nodePort, wrong));
      given.set(port.nodePort, port.port);
    }
    for (const port of exposed ? (spec.ports ?? []) : []) {
      if (port.nodePort) continue;
      // Two protocols of one port share its node port.
      const shared = before ? undefined : [...given].find(([, number]) => number === port.port)?.[0];
      const chosen = shared ?? this.#freePort(given);
      if (chosen === undefined) throw internalError("failed to allocate a nodePort: range is full");
      port.nodePort = chosen;
      given.set(chosen, port.port);
    }
    if (spec.type !== "LoadBalancer" || spec.externalTrafficPolicy !== "Local") return errors;
    if (errors.length === 0) this.#assignHealthCheck(spec, own, given);
    return errors;
  }

  #assignHealthCheck(spec: Spec, own: ReadonlySet<number | undefined>, given: ReadonlyMap<number, number>): void {
    const asked = spec.healthCheckNodePort;
    if (asked) {
      const wrong = own.has(asked) ? undefined : given.has(asked) ? alreadyAllocated : this.#portError(asked);
      if (wrong) throw internalError(`failed to allocate requested HealthCheck NodePort ${asked}: ${wrong}`);
      return;
    }
    const chosen = this.#freePort(given);
    if (chosen === undefined) throw internalError("failed to allocate a HealthCheck NodePort 0: range is full");
    spec.healthCheckNodePort = chosen;
  }

  #freePort(given: ReadonlyMap<number, number>): number | undefined {
    const [low] = this.#options.nodePorts;
    for (let tries = 0; tries < this.#ports.size; tries++) {
      const index = this.#ports.next();
      if (index === undefined) return undefined;
      if (!given.has(low + index)) return low + index;
    }
    return undefined;
  }

  #portError(port: number): string | undefined {
    const [low, high] = this.#options.nodePorts;
    if (port < low || port > high) {
      return `provided port is not in the valid range. The range of valid ports is ${low}-${high}`;
    }
    return this.#ports.has(port - low) ? alreadyAllocated : undefined;
  }

  #mark(now: Service | undefined, before: Service | undefined): void {
    for (const service of [before, now]) {
      if (!service) continue;
      for (const ip of service.spec.clusterIPs ?? []) {
        const pool = this.#pools.get(ip.includes(":") ? "IPv6" : "IPv4");
        const index = pool?.range.indexOf(ip);
        if (index === undefined) continue;
        if (service === before) pool?.taken.release(index);
        else pool?.taken.take(index);
      }
      const { ports = [], healthCheckNodePort } = service.spec;
      for (const port of [...ports.map(({ nodePort }) => nodePort), healthCheckNodePort]) {
        if (!port) continue;
        if (service === before) this.#ports.release(port - this.#options.nodePorts[0]);
        else this.#ports.take(port - this.#options.nodePorts[0]);
      }
    }
  }
}

const alreadyAllocated = "provided port is already allocated";

function refusal({ range, taken }: Pool, ip: string): string | undefined {
  const index = range.indexOf(ip);
  if (index === undefined) {
    return `provided IP is not in the valid range. The range of valid IPs is ${range.text}`;
  }
  return taken.has(index) ? "provided IP is already allocated" : undefined;
}
