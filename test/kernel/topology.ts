/** Owns what a network is made of, as plain data: read from a simulated one, and built by the simulator and by a real kernel alike. */
import { formatCidr, formatIp, isLinkLocal } from "../../kernel-lib/net/address";
import type { Device } from "../../kernel-lib/net/device";
import type { Netns } from "../../kernel-lib/net/netns";
import type { Network } from "../../kernel-lib/net/network";
import { tableText } from "../../kernel-lib/net/nft/listing";
import type { Route } from "../../kernel-lib/net/route";
import type { Sysctl } from "../../kernel-lib/net/sysctl";

export interface Topology {
  readonly name: string;
  /** Plain switches. */
  readonly segments: readonly string[];
  readonly machines: readonly Machine[];
  /** What the cases call an address: pods, nodes, Services; by family. */
  readonly names: { readonly [name: string]: Addresses };
}

export interface Addresses {
  readonly 4?: string;
  readonly 6?: string;
}

export type Version = 4 | 6;

/** A network namespace: a node, a pod, the router, the workstation. */
export interface Machine {
  readonly name: string;
  readonly devices: readonly DeviceData[];
  /** All but those that follow from an address. */
  readonly routes: readonly RouteData[];
  readonly neighbours: readonly NeighbourData[];
  readonly sysctl: Sysctl;
  /** For iptables-restore and ip6tables-restore; empty if there are no rules. */
  readonly rules: { readonly [version in Version]?: string };
  /** For `nft -f`. */
  readonly nft: { readonly [version in Version]?: string };
}

export interface DeviceData {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** `10.244.1.1/24` */
  readonly addresses: readonly string[];
  readonly link: LinkData;
  readonly master?: string;
  readonly hairpin?: boolean;
  readonly proxyArp?: boolean;
}

export type LinkData =
  | { readonly type: "loopback" }
  | { readonly type: "bridge" }
  | { readonly type: "physical"; readonly segment: string }
  | { readonly type: "veth"; readonly machine: string; readonly device: string }
  | {
      readonly type: "vxlan";
      readonly vni: number;
      readonly local: string;
      readonly underlay: string;
      readonly port: number;
      /** MAC address and the peer behind which it is. */
      readonly fdb: readonly (readonly [string, string])[];
    };

export interface RouteData {
  readonly to: string;
  readonly type: Route["type"];
  readonly device?: string;
  readonly via?: string;
  readonly onlink?: boolean;
  readonly source?: string;
  readonly scope: string;
  readonly metric: number;
}

export interface NeighbourData {
  readonly device: string;
  readonly ip: string;
  readonly mac: string;
}

/** Which namespaces to read, and what each is called in the copy. */
export type Naming = (netns: string) => string | undefined;

/** Reads a simulated network as it is now; a namespace without a name is left out, and so is a wire that leads to one. */
export function readNetwork(network: Network, naming: Naming): Pick<Topology, "segments" | "machines"> {
  const kept = [...network.namespaces.values()].filter((netns) => naming(netns.name) !== undefined);
  return { segments: [...network.segments.keys()], machines: kept.map((netns) => readMachine(netns, naming)) };
}

function readMachine(netns: Netns, naming: Naming): Machine {
  const devices = [...netns.devices.values()].flatMap((device) => readDevice(device, naming) ?? []);
  const there = new Set(devices.map(({ name }) => name));
  const table = [...netns.routes.list("IPv4"), ...netns.routes.list("IPv6")];
  const routes = table.filter((route) => !follows(route) && (!route.device || there.has(route.device)));
  const rules = { 4: netns.iptables.save(), 6: netns.ip6tables.save() };
  const nft = (family: "ip" | "ip6"): string =>
    netns.nft
      .tables(family)
      .map((table) => tableText(table))
      .join("");
  return {
    name: naming(netns.name) ?? netns.name,
    devices,
    routes: routes.map(readRoute),
    neighbours: netns.neighbors
      .list()
      .flatMap(({ device, ip, mac, state }) =>
        state === "PERMANENT" && mac !== undefined ? [{ device, ip: formatIp(ip), mac }] : [],
      ),
    sysctl: { ...netns.sysctl },
    rules: { ...(rules[4] === "" ? {} : { 4: rules[4] }), ...(rules[6] === "" ? {} : { 6: rules[6] }) },
    nft: { 4: nft("ip"), 6: nft("ip6") },
  };
}

/** The kernel makes these by itself with an address. */
function follows(route: Route): boolean {
  return route.protocol === "kernel" || route.type === "local" || route.type === "broadcast";
}

function readDevice(device: Device, naming: Naming): DeviceData | undefined {
  const link = readLink(device, naming);
  if (!link) return undefined;
  // A kernel makes its own link-local addresses, from the MAC address.
  const addresses = device.addresses.filter((address) => !isLinkLocal(address.ip));
  return {
    name: device.name,
    mac: device.mac,
    mtu: device.mtu,
    addresses: addresses.map(formatCidr),
    link,
    ...(device.master ? { master: device.master.name } : {}),
    ...(device.hairpin ? { hairpin: true } : {}),
    ...(device.proxyArp ? { proxyArp: true } : {}),
  };
}

function readLink({ link }: Device, naming: Naming): LinkData | undefined {
  switch (link.type) {
    case "loopback":
    case "bridge":
      return { type: link.type };
    case "physical":
      return { type: "physical", segment: link.segment.name };
    case "veth": {
      const machine = link.peer && naming(link.peer.netns.name);
      return link.peer && machine !== undefined ? { type: "veth", machine, device: link.peer.name } : undefined;
    }
    case "vxlan": {
      const { vni, local, underlay, port } = link;
      const fdb = [...link.fdb].map(([mac, peer]) => [mac, formatIp(peer)] as const);
      return { type: "vxlan", vni, local: formatIp(local), underlay, port, fdb };
    }
  }
}

function readRoute(route: Route): RouteData {
  return {
    to: `${formatIp(route.to.ip)}/${route.to.length}`,
    type: route.type,
    ...(route.device === undefined ? {} : { device: route.device }),
    ...(route.via === undefined ? {} : { via: formatIp(route.via) }),
    ...(route.onlink ? { onlink: true } : {}),
    ...(route.source === undefined ? {} : { source: formatIp(route.source) }),
    scope: route.scope,
    metric: route.metric,
  };
}

/** The machine of that name. @throws Error that names those there are */
export function machineOf(topology: Topology, name: string): Machine {
  const found = topology.machines.find((machine) => machine.name === name);
  if (!found) throw new Error(`no machine ${name}: ${topology.machines.map((machine) => machine.name).join(" ")}`);
  return found;
}

/** The address that a name stands for; what is an address already stays one. */
export function addressOf(topology: Topology, name: string, version: Version): string {
  const known = topology.names[name];
  if (!known && /[.:]/.test(name)) return name;
  const found = known?.[version];
  if (found === undefined) throw new Error(`${name} has no IPv${version} address in ${topology.name}`);
  return found;
}

/** Where the other end of a machine's `eth0` is: `{ machine: "node-1", device: "veth0a1b2c3d" }`. */
export function hostEnd(topology: Topology, name: string): { readonly machine: string; readonly device: string } {
  const link = machineOf(topology, name).devices.find((device) => device.name === "eth0")?.link;
  if (link?.type !== "veth") throw new Error(`${name} hangs on no veth pair`);
  return { machine: link.machine, device: link.device };
}

/** Puts names for addresses, so that one expectation holds for every design. */
export function withNames(topology: Topology, text: string): string {
  const known = new Map<string, string>();
  for (const [name, addresses] of Object.entries(topology.names)) {
    for (const ip of Object.values(addresses)) if (!known.has(ip)) known.set(ip, name);
  }
  return text.replace(/(?<![\w.:])(\d+(?:\.\d+){3}|[\da-f]{0,4}(?::[\da-f]{0,4}){2,7})/g, (ip) => known.get(ip) ?? ip);
}

/** Whether a device is there in a network of one family only: a tunnel over the other one is not. */
export function isFor({ link }: DeviceData, version: Version): boolean {
  return link.type !== "vxlan" || isVersion(link.local, version);
}

/** The names that have an address of that version. */
export function namesOf(topology: Topology, version: Version): readonly string[] {
  return Object.keys(topology.names).filter((name) => topology.names[name]?.[version] !== undefined);
}

/** Whether a prefix is of that version. */
export function isVersion(prefix: string, version: Version): boolean {
  return prefix.includes(":") === (version === 6);
}
