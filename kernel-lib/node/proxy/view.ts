/** Owns the meaning of Services for a node: service ports and their endpoints as plain data, before any rule. */
import type { Kinds } from "../../api/kinds";
import { type Family, formatCidr, formatIp, networkOf, tryParseCidr, tryParseIp } from "../../net/address";
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
  /** Every endpoint that it has, before any choice. */
  readonly endpoints: readonly Endpoint[];
}

/** A service port and every endpoint it has, before a node chooses. */
export interface SharedPort {
  readonly info: ServicePortInfo;
  readonly endpoints: readonly Endpoint[];
  /** Where two slices name one `ip:port` as of different nodes: the later ones, for those nodes. */
  readonly doubles: readonly Endpoint[];
}

type Service = Kinds["Service"];
type EndpointSlice = Kinds["EndpointSlice"];

/** Labels by which a Service or a slice is somebody else's: another proxy's, or no proxy's at all (cmd/kube-proxy/app/server.go). */
const foreignLabels = ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"];

function isForeign({ metadata }: Service | EndpointSlice): boolean {
  const { labels } = metadata;
  return labels !== undefined && foreignLabels.some((label) => labels[label] !== undefined);
}

/**
 * The ports of a Service that a proxy of one address family serves (pkg/proxy/serviceport.go).
 * None for headless and ExternalName Services, and for those that another proxy has claimed by label.
 */
export function servicePorts(service: Service, family: Family = "IPv4"): readonly ServicePortInfo[] {
  const known = infos[family].get(service);
  if (known) return known;
  const ports = portsIn(service, family);
  infos[family].set(service, ports);
  return ports;
}

/** A Service stays as it is while its slices come and go: its own side of its ports is found once. */
const infos = {
  IPv4: new WeakMap<Service, readonly ServicePortInfo[]>(),
  IPv6: new WeakMap<Service, readonly ServicePortInfo[]>(),
};

function portsIn(service: Service, family: Family): readonly ServicePortInfo[] {
  const { spec, metadata } = service;
  if (!spec.clusterIP || spec.clusterIP === "None" || spec.type === "ExternalName") return [];
  if (isForeign(service)) return [];
  const ofFamily = (ips: readonly string[]): string[] => ips.flatMap((ip) => canonicalOf(ip.trim(), family) ?? []);
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
    sourceRanges: (spec.loadBalancerSourceRanges ?? []).flatMap((range) => cidrOfFamily(range.trim(), family) ?? []),
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

/** The endpoints of a service port: each `ip:port` once, in kube-proxy's order, and what differs by node. */
type EndpointsOfPort = Pick<SharedPort, "endpoints" | "doubles">;

const none: EndpointsOfPort = { endpoints: [], doubles: [] };

/**
 * The endpoints of a Service by the name and protocol of the port (`http/TCP`) (pkg/proxy/endpointslicecache.go).
 * Only the first address of an endpoint counts, and only if it is one of the slice's family. An address and port that
 * several slices name counts once: as the first names it, but for a node that one of the others names.
 */
function endpointsByPort(
  slices: readonly EndpointSlice[],
  family: Family = "IPv4",
): ReadonlyMap<string, EndpointsOfPort> {
  const found = new Map<string, Endpoint[]>();
  for (const slice of slices) {
    if (slice.addressType !== family || isForeign(slice)) continue;
    for (const [key, endpoints] of endpointsOf(slice, family)) {
      const all = found.get(key);
      if (all) all.push(...endpoints);
      else found.set(key, [...endpoints]);
    }
  }
  return new Map([...found].map(([key, all]) => [key, onceEach(all.sort(byAddress))]));
}

/** Of endpoints in order the first of each address; and those after it that are for other nodes. */
function onceEach(all: readonly Endpoint[]): EndpointsOfPort {
  const endpoints: Endpoint[] = [];
  const doubles: Endpoint[] = [];
  for (const endpoint of all) {
    const first = endpoints.at(-1);
    if (first?.address !== endpoint.address) endpoints.push(endpoint);
    else if (endpoint.node !== "" && endpoint.node !== first.node) doubles.push(endpoint);
  }
  return { endpoints, doubles };
}

/** Objects of the store never change: one list for a slice and port, for all proxies. */
const bySlice = new WeakMap<EndpointSlice, ReadonlyMap<string, readonly Endpoint[]>>();

/** The endpoints of one slice by the name and protocol of the port, in order. */
function endpointsOf(slice: EndpointSlice, family: Family): ReadonlyMap<string, readonly Endpoint[]> {
  const known = bySlice.get(slice);
  if (known) return known;
  const found = new Map<string, Endpoint[]>();
  for (const port of slice.ports ?? []) {
    // A port without a number means all ports to others; kube-proxy passes it over.
    const number = port.port;
    if (!number) continue;
    const key = portKey(port.name ?? "", (port.protocol ?? "TCP") as Protocol);
    const made = (slice.endpoints ?? []).flatMap((endpoint) => toEndpoint(endpoint, number, family) ?? []);
    found.set(key, [...(found.get(key) ?? []), ...made]);
  }
  for (const endpoints of found.values()) endpoints.sort(byAddress);
  bySlice.set(slice, found);
  return found;
}

/** Undefined for an endpoint without an address, or with one that is none of the family's. */
function toEndpoint(endpoint: EndpointSlice["endpoints"][number], port: number, family: Family): Endpoint | undefined {
  const ip = canonicalOf(endpoint.addresses?.[0] ?? "", family);
  if (ip === undefined) return undefined;
  return {
    address: family === "IPv6" ? `[${ip}]:${port}` : `${ip}:${port}`,
    ip,
    port,
    node: endpoint.nodeName ?? "",
    ready: endpoint.conditions?.ready ?? true,
    serving: endpoint.conditions?.serving ?? true,
    terminating: endpoint.conditions?.terminating ?? false,
    zoneHints: endpoint.hints?.forZones?.map((zone) => zone.name) ?? noHints,
    nodeHints: endpoint.hints?.forNodes?.map((node) => node.name) ?? noHints,
  };
}

const noHints: readonly string[] = [];

/** Addresses in a Service's slices that its proxy of a family passes over: not of that family, or none at all. */
export function wrongAddresses(slices: readonly EndpointSlice[], family: Family): readonly string[] {
  const ofFamily = slices.filter((slice) => slice.addressType === family && !isForeign(slice));
  const all = ofFamily.flatMap((slice) => (slice.endpoints ?? []).flatMap(({ addresses }) => addresses?.[0] ?? []));
  return all.filter((address) => canonicalOf(address, family) === undefined);
}

function portKey(name: string, protocol: Protocol): string {
  return `${name}/${protocol}`;
}

/** What all nodes share about one Service: its ports with every endpoint, for one address family. */
export function sharedPorts(
  service: Service,
  slices: readonly EndpointSlice[],
  family: Family = "IPv4",
): readonly SharedPort[] {
  const ports = servicePorts(service, family);
  if (ports.length === 0) return [];
  const endpoints = endpointsByPort(slices, family);
  return ports.map((info) => ({ info, ...(endpoints.get(portKey(info.portName, info.protocol)) ?? none) }));
}

/** What all nodes do alike, by the port: made once. */
const sameForAll = new WeakMap<SharedPort, ServicePort>();

/** What one node should do for a service port. Nodes that do the same share one object. */
export function servicePortOn(place: Place, shared: SharedPort): ServicePort {
  if (!sameEverywhere(shared)) return chosenOn(place, shared);
  const known = sameForAll.get(shared) ?? chosenOn(place, shared);
  sameForAll.set(shared, known);
  return known;
}

/** Whether no node's name or zone plays a part. */
function sameEverywhere({ info, endpoints, doubles }: SharedPort): boolean {
  if (info.internalLocal || (info.externalLocal && info.externallyAccessible) || doubles.length > 0) return false;
  return endpoints.every(({ zoneHints, nodeHints }) => zoneHints.length === 0 && nodeHints.length === 0);
}

function chosenOn(place: Place, { info, endpoints: all, doubles }: SharedPort): ServicePort {
  const here = new Map(doubles.filter(({ node }) => node === place.node).map((double) => [double.address, double]));
  const endpoints = here.size === 0 ? all : all.map((endpoint) => here.get(endpoint.address) ?? endpoint);
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
    endpoints,
  };
}

/** What one node should do for all Services in one address family, by the name of the service port. */
export function viewOf(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  place: Place,
  family: Family = "IPv4",
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
      sharedPorts(service, byService.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [], family),
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
  for (const { info, endpoints, doubles } of ports) {
    for (const endpoint of [...endpoints, ...doubles]) {
      if (!endpoint.ready || endpoint.node !== node) continue;
      const ofService = addresses.get(info.service) ?? new Set<string>();
      addresses.set(info.service, ofService.add(endpoint.ip));
    }
  }
  return new Map([...addresses].map(([service, ips]) => [service, ips.size]));
}

/**
 * An address of the family as Kubernetes writes it, undefined for anything else. `010.000.0.1` is still read as 10.0.0.1
 * (net.ParseIPSloppy).
 */
function canonicalOf(text: string, family: Family): string | undefined {
  if (text.includes(":") !== (family === "IPv6")) return undefined;
  if (/^(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])(\.(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])){3}$/.test(text)) return text;
  const ip = tryParseIp(family === "IPv6" ? text : text.replace(/\b0+(?=\d)/g, ""));
  return ip === undefined ? undefined : formatIp(ip);
}

/** A prefix of the family, its host bits cleared; undefined for anything else. */
function cidrOfFamily(text: string, family: Family): string | undefined {
  if (text.includes(":") !== (family === "IPv6")) return undefined;
  const cidr = tryParseCidr(family === "IPv6" ? text : text.replace(/\b0+(?=\d)/g, ""));
  return cidr && formatCidr(networkOf(cidr));
}
