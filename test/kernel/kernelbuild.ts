/** Owns how a topology becomes namespaces of a real kernel, by the commands for it. */
import type { Sandbox } from "./sandbox";
import {
  type DeviceData,
  isFor,
  isVersion,
  type Machine,
  machineOf,
  type RouteData,
  type Topology,
  type Version,
} from "./topology";

/** Builds the topology in the sandbox, with one address family only: then nothing but the cases' own packets is on the wires. */
export async function buildNamespaces(whole: Topology, version: Version, sandbox: Sandbox): Promise<Topology> {
  const only = ({ devices: all, ...machine }: Machine): Machine => ({
    ...machine,
    devices: all.filter((device) => isFor(device, version)),
  });
  const topology = { ...whole, machines: whole.machines.map(only) };
  const names = [...topology.machines.map(({ name }) => name), ...topology.segments.map(switchOf)];
  await sandbox.must(["ip", "-batch", "-"], { input: names.map((name) => `netns add ${name}\n`).join("") });
  await Promise.all(names.map((name) => settings(sandbox, name, topology, version)));
  for (const segment of topology.segments) {
    await batch(sandbox, switchOf(segment), ["link set lo up", "link add br0 type bridge", "link set br0 up"]);
  }
  for (const machine of topology.machines) await batch(sandbox, machine.name, devices(topology, machine));
  for (const segment of topology.segments) {
    const ports = plugs(topology, segment).map((port) => `link set ${port} master br0 up`);
    if (ports.length > 0) await batch(sandbox, switchOf(segment), ports);
  }
  for (const machine of topology.machines) {
    await batch(sandbox, machine.name, addressing(machine, version));
    const answering = machine.devices.filter(({ proxyArp }) => proxyArp);
    const proxies = answering.map(({ name }) => `echo 1 > /proc/sys/net/ipv4/conf/${name}/proxy_arp`);
    if (proxies.length > 0) await sandbox.must(["sh", "-ec", proxies.join("\n")], { netns: machine.name });
    const fdb = machine.devices.flatMap(({ name, link }) =>
      link.type === "vxlan"
        ? link.fdb.map(([mac, ip]) => `fdb append ${mac} dev ${name} dst ${ip} self permanent`)
        : [],
    );
    if (fdb.length > 0) await batch(sandbox, machine.name, fdb, "bridge");
  }
  return topology;
}

export function forwarding({ name, link }: DeviceData): readonly string[] {
  if (link.type !== "vxlan") return [];
  return link.fdb.map(([mac, ip]) => `fdb append ${mac} dev ${name} dst ${ip} self permanent`);
}

export function neighbourLines(machine: Machine, version: Version): readonly string[] {
  const entries = machine.neighbours.filter(({ ip }) => isVersion(ip, version));
  return entries.map(({ device, ip, mac }) => `neigh replace ${ip} lladdr ${mac} dev ${device} nud permanent`);
}

/** Loads the rules of every machine that has some. */
export async function loadRules(topology: Topology, version: Version, sandbox: Sandbox): Promise<void> {
  const tool = version === 4 ? "iptables-nft-restore" : "ip6tables-nft-restore";
  for (const { name, rules, nft } of topology.machines) {
    const input = rules[version];
    for (const piece of inPieces(input ?? "")) {
      await sandbox.must([tool, "--noflush"], { netns: name, input: piece });
    }
    const tables = nft[version];
    if (tables) await sandbox.must(["nft", "-f", "-"], { netns: name, input: tables });
  }
}

/** How many rules a kernel takes at once from somebody who may not have larger buffers of sockets. */
const rulesAtOnce = 150;

/** The same rules, table by table, and few at a time: chains first. */
function inPieces(rules: string): readonly string[] {
  return rules.split(/^(?=\*)/m).flatMap((table) => {
    const [name = "", ...lines] = table.split("\n");
    if (!name.startsWith("*")) return [];
    const chains = lines.filter((line) => line.startsWith(":"));
    const all = lines.filter((line) => line.startsWith("-"));
    const pieces = [chains];
    for (let at = 0; at < all.length; at += rulesAtOnce) pieces.push(all.slice(at, at + rulesAtOnce));
    return pieces.map((piece) => `${[name, ...piece, "COMMIT"].join("\n")}\n`);
  });
}

export async function batch(sandbox: Sandbox, netns: string, lines: readonly string[], tool = "ip"): Promise<void> {
  await sandbox.must([tool, "-n", netns, "-batch", "-"], { input: lines.map((line) => `${line}\n`).join("") });
}

/** No noise (duplicate address detection, router solicitations), no limit on ICMP errors, and what the topology says. */
async function settings(sandbox: Sandbox, name: string, topology: Topology, version: Version): Promise<void> {
  const machine = topology.machines.find((other) => other.name === name);
  const flag = (on: boolean | undefined): string => (on ? "1" : "0");
  const values: readonly (readonly [string, string])[] = [
    ["ipv4/icmp_ratelimit", "0"],
    ["ipv6/icmp/ratelimit", "0"],
    // Not simulated, and on the list of differences.
    ["ipv4/conf/all/rp_filter", "0"],
    ["ipv4/conf/all/send_redirects", "0"],
    ["ipv4/conf/default/send_redirects", "0"],
    ["ipv4/conf/all/accept_redirects", "0"],
    ["ipv4/conf/default/accept_redirects", "0"],
    ["ipv6/conf/default/accept_redirects", "0"],
    ["ipv4/conf/default/rp_filter", "0"],
    ["ipv4/ip_forward", flag(machine?.sysctl.ipForward)],
    ["ipv4/conf/all/route_localnet", flag(machine?.sysctl.routeLocalnet)],
    ["ipv6/conf/default/accept_dad", "0"],
    ["ipv6/conf/default/dad_transmits", "0"],
    ["ipv6/conf/default/router_solicitations", "0"],
    ["ipv6/conf/default/disable_ipv6", flag(version === 4)],
    ["ipv6/conf/all/forwarding", flag(version === 6 && machine?.sysctl.ipv6Forward)],
  ];
  const bridge: readonly (readonly [string, string])[] = [
    ["bridge/bridge-nf-call-iptables", flag(machine?.sysctl.bridgeNfCallIptables)],
    ["bridge/bridge-nf-call-ip6tables", flag(machine?.sysctl.bridgeNfCallIp6tables)],
  ];
  const write = ([path, value]: readonly [string, string]): string => `echo ${value} > /proc/sys/net/${path}`;
  const optional = bridge.map((line) => `[ ! -e /proc/sys/net/${line[0]} ] || ${write(line)}`);
  await sandbox.must(["sh", "-ec", [...values.map(write), ...optional].join("\n")], { netns: name });
}

/** The namespace of a segment's switch. */
function switchOf(segment: string): string {
  return `switch-${segment}`;
}

/** What a segment's switch calls its port to a machine. */
function plug(topology: Topology, machine: Machine): string {
  return `port${topology.machines.indexOf(machine)}`;
}

function plugs(topology: Topology, segment: string): readonly string[] {
  const plugged = topology.machines.filter(({ devices }) =>
    devices.some(({ link }) => link.type === "physical" && link.segment === segment),
  );
  return plugged.map((machine) => plug(topology, machine));
}

function devices(topology: Topology, machine: Machine): readonly string[] {
  const order = (one: string): number => topology.machines.findIndex(({ name }) => name === one);
  const lines = ["link set lo up"];
  for (const [at, device] of machine.devices.entries()) {
    const { name, link } = device;
    const about = `address ${device.mac} mtu ${device.mtu}`;
    if (link.type === "bridge") lines.push(`link add ${name} ${about} type bridge`);
    if (link.type === "vxlan") {
      const { vni, local, underlay, port } = link;
      const tunnel = `id ${vni} local ${local} dev ${underlay} dstport ${port} nolearning`;
      lines.push(`link add ${name} ${about} type vxlan ${tunnel}`);
    }
    if (link.type === "physical") {
      lines.push(
        `link add ${name} ${about} type veth peer name ${plug(topology, machine)} netns ${switchOf(link.segment)}`,
      );
    }
    if (link.type === "veth") {
      const peerAt = machine.devices.findIndex((other) => other.name === link.device);
      const made = link.machine === machine.name ? peerAt < at : order(link.machine) < order(machine.name);
      if (made) continue;
      const end = machineOf(topology, link.machine).devices.find((other) => other.name === link.device);
      if (!end) throw new Error(`${link.machine} has no ${link.device}`);
      const peer = `name ${end.name} address ${end.mac} mtu ${end.mtu} netns ${link.machine}`;
      lines.push(`link add ${name} ${about} type veth peer ${peer}`);
    }
  }
  return [...lines, ...machine.devices.flatMap(raise)];
}

/** A device up, and in its bridge. */
function raise({ name, link, master, hairpin }: DeviceData): readonly string[] {
  if (link.type === "loopback") return [];
  const port = master === undefined ? [] : [`link set ${name} master ${master}`];
  const reflect = hairpin ? [`link set ${name} type bridge_slave hairpin on`] : [];
  return [...port, ...reflect, `link set ${name} up`];
}

function addressing(machine: Machine, version: Version): readonly string[] {
  const nodad = version === 6 ? " nodad" : "";
  const lines: string[] = [];
  for (const { name, addresses, link } of machine.devices) {
    if (link.type === "loopback") continue;
    for (const address of addresses) {
      if (isVersion(address, version)) lines.push(`addr add ${address} dev ${name}${nodad}`);
    }
  }
  const routes = machine.routes.filter(({ to }) => isVersion(to, version));
  // A gateway is believed only if a route to it is there already.
  const ordered = [...routes].sort((one, other) => rank(one) - rank(other));
  lines.push(...ordered.map((route) => `route add ${routeWords(route)}`));
  lines.push(...neighbourLines(machine, version));
  return lines;
}

function rank({ via, scope }: RouteData): number {
  return via === undefined && scope === "link" ? 0 : 1;
}

function routeWords(route: RouteData): string {
  if (route.type !== "unicast") return `${route.type} ${route.to}`;
  const words = [route.to];
  if (route.via !== undefined) words.push("via", route.via);
  if (route.device !== undefined) words.push("dev", route.device);
  if (route.source !== undefined) words.push("src", route.source);
  if (route.metric !== 0) words.push("metric", String(route.metric));
  if (route.scope === "link" && route.to.includes(".")) words.push("scope", "link");
  if (route.onlink) words.push("onlink");
  return words.join(" ");
}
