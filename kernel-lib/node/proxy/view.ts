/** Owns the meaning of Services for a node: service ports and their endpoints as plain data, before any rule. */
import type { Kinds } from "../../api/kinds";
import { second, type Time } from "../../sim/clock";
import { byAddress, chooseEndpoints, type Place } from "./topology";

export type Protocol = "TCP" | "UDP" | "SCTP";

/** One place that traffic for a service port can be sent to. */
export interface Endpoint {
  /** `ip:port`. */
  readonly address: string;
  readonly ip: string;
  readonly port: number;
  /** The node that it is on; `""` if nobody knows. */
  readonly node: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** What is the same for all nodes about one port of one Service. */
export interface ServicePortInfo {
  /** `namespace/service:port`, or `namespace/service` where the port has no name. */
  readonly name: string;
  /** `namespace/service`. */
  readonly service: string;
  readonly portName: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly nodePort?: number;
  readonly clusterIps: readonly string[];
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  readonly sourceRanges: readonly string[];
  /** How long a client stays with its endpoint, if it does. */
  readonly affinity?: Time;
  readonly healthCheckNodePort?: number;
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  readonly externallyAccessible: boolean;
}

/** What a node should do for one service port. */
export interface ServicePort extends ServicePortInfo {
  /** Used where the policy is Cluster; undefined if it never is. */
  readonly cluster: readonly Endpoint[] | undefined;
  /** Used where the policy is Local; undefined if it never is. */
  readonly local: readonly Endpoint[] | undefined;
  /** Where traffic from inside may go (to the cluster IPs). */
  readonly internal: readonly Endpoint[];
  /** Where traffic from outside may go (to node port, external IPs and load balancer IPs). */
  readonly external: readonly Endpoint[];
  /** All of them. */
  readonly reachable: readonly Endpoint[];
  readonly hasAnyEndpoints: boolean;
}

/** A service port and every endpoint it has, before a node chooses. */
export interface SharedPort {
  readonly info: ServicePortInfo;
  readonly endpoints: readonly Endpoint[];
}

type Service = Kinds["Service"];
type EndpointSlice = Kinds["EndpointSlice"];
type SlicePort = NonNullable<EndpointSlice["ports"]>[number];

const serviceProxyName = "service.kubernetes.io/service-proxy-name";

/**
 * The ports of a Service that a proxy of one address family serves (pkg/proxy/serviceport.go).
 * None for headless and ExternalName Services, and for those that another proxy has claimed by label.
 */
export function servicePorts(service: Service, family: "IPv4" | "IPv6" = "IPv4"): readonly ServicePortInfo[] {
  const { spec, metadata } = service;
  if (!spec.clusterIP || spec.clusterIP === "None" || spec.type === "ExternalName") return [];
  if (metadata.labels?.[serviceProxyName] !== undefined) return [];
  const ofFamily = (ips: readonly string[]): string[] =>
    ips.filter((ip) => familyOf(ip) === family).map((ip) => canonical(ip.trim()));
  const clusterIps = ofFamily(spec.clusterIPs ?? [spec.clusterIP]);
  if (clusterIps.length === 0) return [];

  const externalIps = ofFamily(spec.externalIPs ?? []);
  const open = spec.type === "NodePort" || spec.type === "LoadBalancer" || externalIps.length > 0;
  const loadBalancerIps = ofFamily(
    (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) => (ip && ipMode !== "Proxy" ? [ip] : [])),
  );
  const externalLocal = open && spec.externalTrafficPolicy === "Local";
  const affinity =
    spec.sessionAffinity === "ClientIP" ? spec.sessionAffinityConfig?.clientIP?.timeoutSeconds : undefined;
  const healthCheck = spec.type === "LoadBalancer" && externalLocal ? spec.healthCheckNodePort : undefined;
  const key = `${metadata.namespace}/${metadata.name}`;
  const shared = {
    service: key,
    clusterIps,
    externalIps,
    loadBalancerIps,
    sourceRanges: ofFamily(spec.loadBalancerSourceRanges ?? []),
    ...(affinity !== undefined && { affinity: affinity * second }),
    ...(healthCheck && { healthCheckNodePort: healthCheck }),
    internalLocal: spec.internalTrafficPolicy === "Local",
    externalLocal,
  };
  return (spec.ports ?? []).map((port) => ({
    ...shared,
    name: port.name ? `${key}:${port.name}` : key,
    portName: port.name ?? "",
    protocol: (port.protocol ?? "TCP") as Protocol,
    port: port.port,
    ...(port.nodePort && { nodePort: port.nodePort }),
    externallyAccessible: Boolean(port.nodePort) || externalIps.length > 0 || loadBalancerIps.length > 0,
  }));
}

/**
 * The endpoints of a Service by the name and protocol of the port (`http/TCP`), each list in kube-proxy's order
 * (pkg/proxy/endpointslicecache.go). Only the first address of an endpoint counts; an address and port that two
 * slices name counts once.
 */
export function endpointsByPort(
  slices: readonly EndpointSlice[],
  family: "IPv4" | "IPv6" = "IPv4",
): ReadonlyMap<string, readonly Endpoint[]> {
  const found = new Map<string, Map<string, Endpoint>>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    for (const port of slice.ports ?? []) {
      if (port.port === undefined) continue;
      const key = portKey(port.name ?? "", (port.protocol ?? "TCP") as Protocol);
      const ofPort = found.get(key) ?? new Map<string, Endpoint>();
      found.set(key, ofPort);
      for (const endpoint of slice.endpoints ?? []) {
        const made = toEndpoint(endpoint, port);
        if (made && (!ofPort.has(made.address) || made.node !== "")) ofPort.set(made.address, made);
      }
    }
  }
  return new Map([...found].map(([key, endpoints]) => [key, [...endpoints.values()].sort(byAddress)]));
}

function toEndpoint(endpoint: EndpointSlice["endpoints"][number], port: SlicePort): Endpoint | undefined {
  const first = endpoint.addresses[0];
  if (first === undefined || port.port === undefined) return undefined;
  const ip = canonical(first);
  return {
    address: familyOf(ip) === "IPv6" ? `[${ip}]:${port.port}` : `${ip}:${port.port}`,
    ip,
    port: port.port,
    node: endpoint.nodeName ?? "",
    ready: endpoint.conditions?.ready ?? true,
    serving: endpoint.conditions?.serving ?? true,
    terminating: endpoint.conditions?.terminating ?? false,
    zoneHints: endpoint.hints?.forZones?.map((zone) => zone.name) ?? [],
    nodeHints: endpoint.hints?.forNodes?.map((node) => node.name) ?? [],
  };
}

function portKey(name: string, protocol: Protocol): string {
  return `${name}/${protocol}`;
}

/** What all nodes share about one Service: its ports with every endpoint. */
export function sharedPorts(service: Service, slices: readonly EndpointSlice[]): readonly SharedPort[] {
  const ports = servicePorts(service);
  if (ports.length === 0) return [];
  const endpoints = endpointsByPort(slices);
  return ports.map((info) => ({ info, endpoints: endpoints.get(portKey(info.portName, info.protocol)) ?? [] }));
}

/** What one node should do for a service port. */
export function servicePortOn(place: Place, { info, endpoints }: SharedPort): ServicePort {
  const choice = chooseEndpoints(endpoints, info, place);
  const cluster = choice.cluster ?? [];
  const local = choice.local ?? [];
  return {
    ...info,
    cluster: choice.cluster,
    local: choice.local,
    internal: info.internalLocal ? local : cluster,
    external: info.externalLocal ? local : cluster,
    reachable: choice.reachable,
    hasAnyEndpoints: choice.hasAny,
  };
}

/** What one node should do for all Services, by the name of the service port. */
export function viewOf(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  place: Place,
): readonly ServicePort[] {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const key = serviceOf(slice);
    if (key === undefined) continue;
    const list = byService.get(key);
    if (list) list.push(slice);
    else byService.set(key, [slice]);
  }
  return services
    .flatMap((service) =>
      sharedPorts(service, byService.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? []),
    )
    .map((port) => servicePortOn(place, port))
    .sort(byName);
}

/** The order of service ports in everything we write: by Service, then by the port's name and protocol. */
export function byName(one: ServicePortInfo, other: ServicePortInfo): number {
  return order(one.service, other.service) || order(one.name, other.name) || order(one.protocol, other.protocol);
}

function order(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The Service (`namespace/name`) that a slice belongs to, if it says so. */
export function serviceOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.["kubernetes.io/service-name"];
  return name === undefined ? undefined : `${slice.metadata.namespace}/${name}`;
}

/** How many ready endpoints of each Service are on a node: what its health check node port answers. */
export function localReadyEndpoints(ports: readonly SharedPort[], node: string): ReadonlyMap<string, number> {
  const addresses = new Map<string, Set<string>>();
  for (const { info, endpoints } of ports) {
    for (const endpoint of endpoints) {
      if (!endpoint.ready || endpoint.node !== node) continue;
      const ofService = addresses.get(info.service) ?? new Set<string>();
      addresses.set(info.service, ofService.add(endpoint.ip));
    }
  }
  return new Map([...addresses].map(([service, ips]) => [service, ips.size]));
}

function familyOf(ip: string): "IPv4" | "IPv6" {
  return ip.includes(":") ? "IPv6" : "IPv4";
}

/** Kubernetes still reads `010.000.0.1` as 10.0.0.1, and writes it so (net.ParseIPSloppy). */
function canonical(ip: string): string {
  return familyOf(ip) === "IPv6" ? ip : ip.replace(/\b0+(?=\d)/g, "");
}
