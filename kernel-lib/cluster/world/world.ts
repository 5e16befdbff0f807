/** Owns the static world: another cluster's nodes and pods as namespaces, with the rules that its kube-proxy would write. */
import type { Kinds } from "../../api/kinds";
import { keyOf } from "../../api/meta";
import { Store } from "../../api/store";
import { Files } from "../../apps/files";
import {
  anyIpv4,
  anyIpv6,
  type Cidr,
  type Family,
  family as familyOf,
  formatIp,
  type Ip,
  parseIp,
  tryParseCidr,
  tryParseIp,
  widthOf,
} from "../../net/address";
import type { Segment } from "../../net/device";
import type { Netns } from "../../net/netns";
import { Network } from "../../net/network";
import { Later } from "../../node/later";
import type { NodeNet } from "../../node/node";
import { createMode } from "../../node/proxy/modes";
import { byName, type SharedPort, serviceOf, servicePortOn, sharedPorts } from "../../node/proxy/view";
import { createSim } from "../../sim/sim";
import type { Setting } from "../question";
import { slicesOfEndpoints } from "./endpoints";
import type { ClusterObjects } from "./objects";
import { type KnownProxy, knownProxy, type ProxySayings } from "./proxy";

/** A cluster that stands still: `explain` and all that reads a packet's way can be asked of it. */
export interface StaticWorld extends Setting {
  readonly nodes: ReadonlyMap<string, NodeNet>;
  readonly proxy: KnownProxy;
  /** What had to be assumed, in sentences. */
  readonly notes: readonly string[];
}

/** Who carries packets between nodes; how it does that is not in any object. */
export const fabricName = "network";
/** Everybody who is not in the cluster. */
export const outsideName = "outside";

const gateways: readonly Ip[] = [parseIp("169.254.1.1"), parseIp("100::1")];

/** Builds the world. No controller runs: objects have the status that they came with. */
export function staticWorld(given: ClusterObjects, said: ProxySayings = {}): StaticWorld {
  const notes: string[] = [];
  const objects = completed(given, notes);
  const sim = createSim(1);
  const store = storeOf(new Store(sim), objects);
  const network = new Network(sim);
  const proxy = knownProxy(objects, said);
  const lan = network.segment("network");
  const fabric = fabricOn(network, lan, objects);
  const nodes = new Map<string, NodeNet>();
  for (const node of objects.nodes) {
    const { name } = node.metadata;
    const ips = addressesOf(node);
    const [ip] = ips;
    if (ip === undefined) continue;
    const netns = nodeOn(network, lan, fabric, name, ips);
    const podCidrs = podCidrsOf(node);
    for (const to of podCidrs) addPodCidr(netns, fabric, to, ips);
    const later = new Later(sim.clock, false, () => {});
    nodes.set(name, { sim, network, name, ip, ips, netns, later, files: new Files(sim.clock), podCidrs });
  }
  for (const pod of objects.pods) plug(network, fabric, nodes, pod, proxy);
  writeRules(objects, nodes, proxy);
  const outside = { netns: fabric, input: outsideName };
  return { network, store, nodes, proxy, outside, notes: [...notes, ...proxy.notes] };
}

/** Slices where only Endpoints are, and nodes that only others name. */
function completed(objects: ClusterObjects, notes: string[]): ClusterObjects {
  const slices = [...objects.slices, ...slicesOfEndpoints(objects, notes)];
  const known = new Set(objects.nodes.map(({ metadata }) => metadata.name));
  const named = new Map<string, readonly string[]>();
  for (const { spec, status } of objects.pods) {
    const { nodeName } = spec;
    if (nodeName === undefined || known.has(nodeName)) continue;
    const hostIps = status.hostIP === undefined ? [] : [status.hostIP];
    if ((named.get(nodeName) ?? []).length === 0) named.set(nodeName, hostIps);
  }
  for (const { nodeName } of slices.flatMap(({ endpoints }) => endpoints)) {
    if (nodeName !== undefined && !known.has(nodeName) && !named.has(nodeName)) named.set(nodeName, []);
  }
  if (known.size + named.size === 0) named.set("node", []);
  let next = 1;
  const invented: string[] = [];
  const nodes = [...named].map(([name, hostIps]) => {
    const addresses = hostIps.length > 0 ? hostIps : [`192.0.2.${next++}`];
    invented.push(`${name} (${addresses.join(", ")})`);
    const status = { addresses: addresses.map((address) => ({ type: "InternalIP", address })) };
    return { apiVersion: "v1", kind: "Node", metadata: { name }, spec: {}, status } as unknown as Kinds["Node"];
  });
  if (invented.length > 0) notes.push(`no Node object is there for ${shortList(invented)}: taken from what names them`);
  return { ...objects, slices, nodes: [...objects.nodes, ...nodes] };
}

/** The first three, and how many more. */
function shortList(words: readonly string[]): string {
  return words.length <= 4 ? words.join(", ") : `${words.slice(0, 3).join(", ")} and ${words.length - 3} more`;
}

function storeOf(store: Store, { services, slices, pods, nodes }: ClusterObjects): Store {
  for (const object of [...nodes, ...pods, ...services, ...slices]) {
    const known = store.get(object.kind, keyOf(object));
    if (!known) store.create(object.kind as "Pod", object as Kinds["Pod"], "manifests");
  }
  return store;
}

/** Its InternalIPs, one of each family first. */
function addressesOf({ status }: Kinds["Node"]): readonly Ip[] {
  const internal = (status.addresses ?? []).filter(({ type }) => type === "InternalIP");
  return internal.flatMap(({ address }) => tryParseIp(address) ?? []);
}

function podCidrsOf({ spec }: Kinds["Node"]): readonly Cidr[] {
  const texts = spec.podCIDRs ?? (spec.podCIDR === undefined ? [] : [spec.podCIDR]);
  return texts.flatMap((text) => tryParseCidr(text) ?? []);
}

/** Knows the way to every pod and node; cluster IPs are known to nobody but the nodes. */
function fabricOn(network: Network, lan: Segment, { services }: ClusterObjects): Netns {
  const fabric = network.netns(fabricName);
  fabric.addPhysical("nodes", lan);
  for (const ip of gateways) fabric.addAddress("nodes", { ip, length: widthOf(ip) });
  Object.assign(fabric.sysctl, { ipForward: true, ipv6Forward: true });
  const outside = network.netns(outsideName);
  const [device] = network.vethPair({ netns: outside, name: "eth0" }, { netns: fabric, name: outsideName });
  for (const [at, any] of [anyIpv4, anyIpv6].entries()) {
    const via = gateways[at] as Ip;
    outside.routes.add({ to: { ip: any, length: 0 }, type: "local", device: "lo" });
    fabric.routes.add({ to: { ip: any, length: 0 }, via: nextIp(via), device: outsideName, onlink: true });
    fabric.neighbors.set(outsideName, nextIp(via), device.mac);
  }
  const ips = new Set(services.flatMap(({ spec }) => spec.clusterIPs ?? [spec.clusterIP ?? ""]));
  for (const text of ips) {
    const ip = tryParseIp(text);
    if (ip !== undefined) fabric.routes.add({ to: { ip, length: widthOf(ip) }, type: "unreachable" });
  }
  return fabric;
}

function nextIp(ip: Ip): Ip {
  return typeof ip === "number" ? ip + 1 : ip + 1n;
}

function nodeOn(network: Network, lan: Segment, fabric: Netns, name: string, ips: readonly Ip[]): Netns {
  const netns = network.netns(name);
  netns.addPhysical("eth0", lan);
  for (const ip of ips) netns.addAddress("eth0", { ip, length: widthOf(ip) });
  for (const [at, via] of gateways.entries()) {
    netns.neighbors.set("eth0", via, fabric.device("nodes").mac);
    netns.routes.add({ to: { ip: at === 0 ? anyIpv4 : anyIpv6, length: 0 }, via, device: "eth0", onlink: true });
  }
  Object.assign(netns.sysctl, { ipForward: true, ipv6Forward: true });
  for (const ip of ips) {
    fabric.neighbors.set("nodes", ip, netns.device("eth0").mac);
    fabric.routes.replace({ to: { ip, length: widthOf(ip) }, device: "nodes" });
  }
  return netns;
}

/** What nobody has of a node's range ends at the node. */
function addPodCidr(netns: Netns, fabric: Netns, to: Cidr, ips: readonly Ip[]): void {
  netns.routes.add({ to, type: "unreachable" });
  const via = viaOf(ips, to.ip);
  if (via !== undefined) fabric.routes.replace({ to, via, device: "nodes", onlink: true });
}

/** The node's address of the same family, else (IPv6 pods on a node that tells only its IPv4 address) none. */
function viaOf(ips: readonly Ip[], like: Ip): Ip | undefined {
  return ips.find((ip) => familyOf(ip) === familyOf(like));
}

/** A namespace for each pod that has addresses of its own, on a wire to its node. */
function plug(
  network: Network,
  fabric: Netns,
  nodes: ReadonlyMap<string, NodeNet>,
  pod: Kinds["Pod"],
  proxy: KnownProxy,
): void {
  const { spec, status } = pod;
  const node = nodes.get(spec.nodeName ?? "");
  const over = status.phase === "Succeeded" || status.phase === "Failed";
  const ips = podIps(pod);
  if (!node || over || spec.hostNetwork || ips.length === 0) return;
  const netns = network.netns(keyOf(pod));
  const name = `veth${node.netns.devices.size - 1}`;
  const [inside, outside] = network.vethPair({ netns, name: "eth0" }, { netns: node.netns, name });
  for (const ip of ips) {
    const own = { ip, length: widthOf(ip) };
    netns.addAddress("eth0", own);
    const nodeIp = viaOf(node.ips, ip);
    // REDIRECT, by which userspace mode takes packets, sends them to an address of the device that they came in by.
    if (proxy.mode === "userspace" && nodeIp !== undefined) {
      node.netns.addAddress(name, { ip: nodeIp, length: widthOf(nodeIp) });
    }
    node.netns.neighbors.set(name, ip, inside.mac);
    node.netns.routes.replace({ to: own, device: name });
    if (nodeIp !== undefined) fabric.routes.replace({ to: own, via: nodeIp, device: "nodes", onlink: true });
    const gateway = gateways[typeof ip === "number" ? 0 : 1] as Ip;
    netns.neighbors.set("eth0", gateway, outside.mac);
    const to = { ip: typeof ip === "number" ? anyIpv4 : anyIpv6, length: 0 };
    netns.routes.replace({ to, via: gateway, device: "eth0", onlink: true });
  }
}

/** The addresses that a pod says it has. */
export function podIps({ status }: Kinds["Pod"]): readonly Ip[] {
  const texts = status.podIPs?.flatMap(({ ip }) => ip ?? []) ?? (status.podIP === undefined ? [] : [status.podIP]);
  return texts.flatMap((text) => tryParseIp(text) ?? []);
}

/** Each node's kube-proxy writes its rules when a packet first comes to the node. */
function writeRules(objects: ClusterObjects, nodes: ReadonlyMap<string, NodeNet>, proxy: KnownProxy): void {
  const shared = new Map<Family, readonly SharedPort[]>();
  const sharedOf = (family: Family): readonly SharedPort[] => {
    const known = shared.get(family) ?? portsOf(objects, family);
    shared.set(family, known);
    return known;
  };
  const zones = new Map(
    objects.nodes.map(({ metadata }) => [metadata.name, metadata.labels?.["topology.kubernetes.io/zone"]]),
  );
  for (const node of nodes.values()) {
    const zone = zones.get(node.name);
    const place = { node: node.name, ...(zone !== undefined && { zone }) };
    const mode = createMode(proxy.mode, proxy.optionsFor(node));
    for (const family of new Set(node.ips.map(familyOf))) {
      node.netns.netfilter.defer(`kube-proxy ${family}`, () => {
        const view = sharedOf(family).map((port) => servicePortOn(place, port));
        mode.sync(view.sort(byName), node, family);
      });
    }
  }
}

function portsOf({ services, slices }: ClusterObjects, family: Family): readonly SharedPort[] {
  const byService = new Map<string, Kinds["EndpointSlice"][]>();
  for (const slice of slices) {
    const key = serviceOf(slice);
    if (key !== undefined) byService.set(key, [...(byService.get(key) ?? []), slice]);
  }
  return services.flatMap((service) => sharedPorts(service, byService.get(keyOf(service)) ?? [], family));
}

/** Whose address it is, of the nodes: InternalIP or ExternalIP. */
export function nodeWith({ store }: StaticWorld, ip: Ip): { node: Kinds["Node"]; external: boolean } | undefined {
  const text = formatIp(ip);
  for (const node of store.list("Node")) {
    for (const { type, address } of node.status.addresses ?? []) {
      const same = tryParseIp(address) === ip || address === text;
      if (same && (type === "InternalIP" || type === "ExternalIP")) return { node, external: type === "ExternalIP" };
    }
  }
  return undefined;
}
