/** Owns how a topology becomes simulated namespaces. */
import { parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { Netns } from "../../kernel-lib/net/netns";
import { Network } from "../../kernel-lib/net/network";
import { parseCommands } from "../../kernel-lib/net/nft/parse";
import type { Command } from "../../kernel-lib/net/nft/ruleset";
import { parseRules } from "../../kernel-lib/net/ruleparse";
import { createSim } from "../../kernel-lib/sim/sim";
import { isFor, isVersion, type Machine, machineOf, type Topology, type Version } from "./topology";

/** Builds the topology anew, with one address family only, as the kernel's side does. */
export function buildNetwork(topology: Topology, version: Version, options: { readonly rules: boolean }): Network {
  const network = new Network(createSim(1));
  for (const name of topology.segments) network.segment(name);
  for (const { name, sysctl } of topology.machines) {
    Object.assign(network.netns(name).sysctl, sysctl, { disableIpv6: version === 4 });
  }
  for (const machine of topology.machines) addDevices(network, topology, machine, version);
  for (const machine of topology.machines) {
    const netns = machineIn(network, machine.name);
    for (const device of machine.devices.filter((one) => isFor(one, version))) {
      if (device.master !== undefined) netns.attach(device.name, device.master, { hairpin: device.hairpin ?? false });
      if (device.link.type === "loopback") continue;
      netns.device(device.name).proxyArp = device.proxyArp ?? false;
      for (const address of device.addresses) {
        if (isVersion(address, version)) netns.addAddress(device.name, parseCidr(address));
      }
    }
    addRoutes(netns, machine, version);
    if (!options.rules) continue;
    const rules = machine.rules[version];
    if (rules !== undefined) (version === 4 ? netns.iptables : netns.ip6tables).restore(parseRules(rules));
    netns.nft.apply(parseCommands(machine.nft[version] ?? "", netns.nft) as readonly Command[]);
  }
  return network;
}

export function machineIn(network: Network, name: string): Netns {
  const netns = network.namespaces.get(name);
  if (!netns) throw new Error(`no machine ${name}`);
  return netns;
}

function addDevices(network: Network, topology: Topology, machine: Machine, version: Version): void {
  const netns = machineIn(network, machine.name);
  for (const { name, mac, mtu, link } of machine.devices.filter((device) => isFor(device, version))) {
    if (netns.devices.has(name)) continue;
    if (link.type === "bridge") netns.addBridge(name, { mac, mtu });
    if (link.type === "vxlan") {
      const { vni, local, underlay, port, fdb } = link;
      const device = netns.addVxlan(name, { vni, local: parseIp(local), underlay, port, mac, mtu });
      if (device.link.type !== "vxlan") throw new Error(`${name} is no tunnel`);
      for (const [target, peer] of fdb) device.link.fdb.append(target, parseIp(peer));
    }
    if (link.type === "physical") {
      const segment = network.segments.get(link.segment);
      if (!segment) throw new Error(`no segment ${link.segment}`);
      netns.addPhysical(name, segment, { mac, mtu });
    }
    if (link.type === "veth") {
      const end = machineOf(topology, link.machine).devices.find((other) => other.name === link.device);
      if (!end) throw new Error(`${link.machine} has no ${link.device}`);
      const peer = { netns: machineIn(network, link.machine), name: end.name, mac: end.mac, mtu: end.mtu };
      network.vethPair({ netns, name, mac, mtu }, peer);
    }
  }
}

function addRoutes(netns: Netns, machine: Machine, version: Version): void {
  const routes = machine.routes.filter(({ to }) => isVersion(to, version));
  const near = routes.filter(({ via }) => via === undefined);
  for (const route of [...near, ...routes.filter(({ via }) => via !== undefined)]) {
    const { to, type, device, via, onlink, source, metric } = route;
    netns.routes.add({
      to: parseCidr(to),
      type,
      metric,
      ...(device === undefined ? {} : { device }),
      ...(via === undefined ? {} : { via: parseIp(via) }),
      ...(onlink ? { onlink } : {}),
      ...(source === undefined ? {} : { source: parseIp(source) }),
    });
  }
  restoreNeighbours(netns, machine, version);
}

function restoreNeighbours(netns: Netns, machine: Machine, version: Version): void {
  for (const { device, ip, mac } of machine.neighbours) {
    if (isVersion(ip, version)) netns.neighbors.set(device, parseIp(ip), mac);
  }
}

export function restoreTunnel(netns: Netns, machine: Machine, name: string, version: Version): void {
  const data = machine.devices.find((device) => device.name === name)?.link;
  const { link } = netns.device(name);
  if (link.type !== "vxlan" || data?.type !== "vxlan") throw new Error(`${name} is no tunnel`);
  for (const [mac, peer] of data.fdb) link.fdb.append(mac, parseIp(peer));
  restoreNeighbours(netns, machine, version);
}
