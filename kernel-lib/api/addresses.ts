/** Owns which cluster IPs and node ports Services have: what is handed out follows the store alone. */
import type { Random } from "../sim/random";
import { Allocator, staticBand } from "./allocator";
import { same } from "./equal";
import { type FieldError, invalidValue } from "./errors";
import type { Kinds } from "./kinds";
import type { Fresh } from "./mutable";
import type { Store } from "./store";
import { formatIp, type ParsedCidr, parseCidr, parseIp } from "./validation/ip";

type Service = Kinds["Service"];
type Spec = NonNullable<Fresh<"Service">["spec"]>;

export interface AddressOptions {
  readonly serviceCidr: string;
  readonly nodePorts: readonly [number, number];
}

/**
 * `assign` fills a Service's free fields without taking anything; an address is taken when the Service is written to the
 * store and free when it is gone from there, whoever wrote.
 */
export class ServiceAddresses {
  readonly #range: ParsedCidr;
  readonly #options: AddressOptions;
  readonly #ips: Allocator;
  readonly #ports: Allocator;

  constructor(store: Store, random: Random, options: AddressOptions) {
    const range = parseCidr(options.serviceCidr);
    if (!range) throw new RangeError(`invalid CIDR address: ${options.serviceCidr}`);
    this.#range = range;
    this.#options = options;
    const size = Number(range.size > 1n << 30n ? 1n << 30n : range.size);
    const usable = Math.max(0, range.family === "IPv4" ? size - 2 : size - 1);
    this.#ips = new Allocator(usable, staticBand(size, 16, 16, 256), random.fork("serviceip"));
    const ports = options.nodePorts[1] - options.nodePorts[0] + 1;
    this.#ports = new Allocator(ports, staticBand(ports, 16, 32, 128), random.fork("nodeport"));
    for (const service of store.list("Service")) this.#mark(service, undefined);
    store.follow("Service", ({ type, object, before }) => this.#mark(type === "DELETED" ? undefined : object, before));
  }

  /** How many cluster IPs and node ports are free. */
  get free(): { readonly ips: number; readonly ports: number } {
    return { ips: this.#ips.free, ports: this.#ports.free };
  }

  /** Gives families, cluster IP and node ports to what has none; `before` is the Service that is replaced. */
  assign(service: Fresh<"Service">, before: Service | undefined): FieldError[] {
    const spec = service.spec as Spec;
    normalize(spec, before?.spec);
    if (before) inherit(spec, before.spec);
    if (spec.type === "ExternalName") return [];
    return [...this.#families(spec), ...this.#assignIp(spec, before?.spec), ...this.#assignPorts(spec, before?.spec)];
  }

  #families(spec: Spec): FieldError[] {
    const own = this.#range.family;
    const other = (spec.ipFamilies ?? []).find((family) => family !== own);
    const free = spec.clusterIP === "None" && !spec.selector;
    if (free) {
      spec.ipFamilyPolicy ??= spec.ipFamilies?.length === 1 ? "SingleStack" : "RequireDualStack";
      const first = spec.ipFamilies?.[0] ?? own;
      const second = first === "IPv4" ? "IPv6" : "IPv4";
      spec.ipFamilies = spec.ipFamilyPolicy === "SingleStack" ? [first] : [first, second];
    }
    if (!free && other !== undefined && (other === "IPv4" || other === "IPv6")) {
      const at = (spec.ipFamilies ?? []).indexOf(other);
      return [invalidValue(`spec.ipFamilies[${at}]`, other, "not configured on this cluster")];
    }
    if (!free && spec.ipFamilyPolicy === "RequireDualStack") {
      const why = "this cluster is not configured for dual-stack services";
      return [invalidValue("spec.ipFamilyPolicy", spec.ipFamilyPolicy, why)];
    }
    spec.ipFamilyPolicy ??= "SingleStack";
    spec.ipFamilies ??= [own];
    return [];
  }

  #assignIp(spec: Spec, before: Service["spec"] | undefined): FieldError[] {
    if (spec.clusterIP === "None") return [];
    const asked = spec.clusterIP;
    if (asked) {
      if (asked === before?.clusterIP || !parseIp(asked)) return [];
      const index = this.#indexOf(asked);
      const wrong =
        index === undefined
          ? `provided IP is not in the valid range. The range of valid IPs is ${this.#options.serviceCidr}`
          : this.#ips.has(index)
            ? "provided IP is already allocated"
            : undefined;
      return wrong ? [invalidValue("spec.clusterIPs", [asked], `failed to allocate IP ${asked}: ${wrong}`)] : [];
    }
    const index = this.#ips.next();
    if (index === undefined) return [full("spec.clusterIPs", "failed to allocate a serviceIP: range is full")];
    const ip = formatIp(this.#range.family, this.#range.first + BigInt(index + 1));
    spec.clusterIP = ip;
    spec.clusterIPs = [ip];
    return [];
  }

  #assignPorts(spec: Spec, before: Service["spec"] | undefined): FieldError[] {
    const exposed = spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts);
    const errors: FieldError[] = [];
    const own = new Set(before?.ports?.map(({ nodePort }) => nodePort));
    const given = new Map<number, number>();
    for (const [at, port] of (spec.ports ?? []).entries()) {
      if (!port.nodePort || spec.type === "ClusterIP") continue;
      const wrong = own.has(port.nodePort) || given.has(port.nodePort) ? undefined : this.#portError(port.nodePort);
      if (wrong) errors.push(invalidValue(`spec.ports[${at}].nodePort`, port.nodePort, wrong));
      given.set(port.nodePort, port.port);
    }
    if (!exposed) return errors;
    for (const port of spec.ports ?? []) {
      if (port.nodePort) continue;
      const shared = [...given].find(([, number]) => number === port.port)?.[0];
      const chosen = shared ?? this.#freePort(given);
      if (chosen === undefined) return [...errors, full("spec.ports", "failed to allocate a nodePort: range is full")];
      port.nodePort = chosen;
      given.set(chosen, port.port);
    }
    if (spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local" && !spec.healthCheckNodePort) {
      const chosen = this.#freePort(given);
      if (chosen !== undefined) spec.healthCheckNodePort = chosen;
    }
    return errors;
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
    return this.#ports.has(port - low) ? "provided port is already allocated" : undefined;
  }

  #indexOf(ip: string): number | undefined {
    const parsed = parseIp(ip);
    if (parsed?.family !== this.#range.family) return undefined;
    const index = Number(parsed.value - this.#range.first) - 1;
    return index >= 0 && index < this.#ips.size ? index : undefined;
  }

  #mark(now: Service | undefined, before: Service | undefined): void {
    for (const service of [before, now]) {
      if (!service) continue;
      for (const ip of service.spec.clusterIPs ?? []) {
        const index = this.#indexOf(ip);
        if (index === undefined) continue;
        if (service === before) this.#ips.release(index);
        else this.#ips.take(index);
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

/**
 * The older field `clusterIP` and the newer `clusterIPs` follow each other; the one that changed leads
 * (NormalizeClusterIPs).
 */
function normalize(spec: Spec, before: Service["spec"] | undefined): void {
  const moved = before && spec.clusterIP !== before.clusterIP && same(spec.clusterIPs, before.clusterIPs);
  if (moved) delete spec.clusterIPs;
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
}

function full(field: string, message: string): FieldError {
  return { type: "InternalError", field, message: `Internal error: ${message}` };
}

/**
 * What a replacement leaves out it keeps (addresses, node ports), and what its new type cannot have it loses
 * (pkg/registry/core/service/rest: patchAllocatedValues, dropTypeDependentFields).
 */
function inherit(spec: Spec, before: Service["spec"]): void {
  const wasIp = before.type !== "ExternalName";
  if (spec.type === "ExternalName") {
    if (!wasIp) return;
    if (spec.clusterIP === before.clusterIP) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
    delete spec.ipFamilies;
    delete spec.ipFamilyPolicy;
  } else if (wasIp) {
    if (!spec.clusterIP && before.clusterIP) {
      spec.clusterIP = before.clusterIP;
      spec.clusterIPs = [...(before.clusterIPs ?? [before.clusterIP])];
    }
    spec.ipFamilies ??= [...(before.ipFamilies ?? [])];
    spec.ipFamilyPolicy ??= before.ipFamilyPolicy ?? "SingleStack";
  }
  const keepsPorts = spec.type === "NodePort" || spec.type === "LoadBalancer";
  for (const port of spec.ports ?? []) {
    const old = before.ports?.find((known) => known.port === port.port && known.protocol === port.protocol);
    if (keepsPorts && !port.nodePort && old?.nodePort) port.nodePort = old.nodePort;
    if (!keepsPorts && port.nodePort && port.nodePort === old?.nodePort) delete port.nodePort;
  }
  const checked = spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";
  if (checked && !spec.healthCheckNodePort && before.healthCheckNodePort) {
    spec.healthCheckNodePort = before.healthCheckNodePort;
  }
  if (!checked && spec.healthCheckNodePort === before.healthCheckNodePort) delete spec.healthCheckNodePort;
  if (!keepsPorts && spec.externalTrafficPolicy === before.externalTrafficPolicy && !spec.externalIPs?.length) {
    delete spec.externalTrafficPolicy;
  }
  if (spec.type !== "LoadBalancer" && before.type === "LoadBalancer") delete spec.allocateLoadBalancerNodePorts;
}
