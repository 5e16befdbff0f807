/** Owns kube-proxy's ipvs mode: it keeps virtual servers, sets, addresses and a few rules of a node in step with the view. */
import {
  contains,
  type Family,
  family as familyOf,
  type Ip,
  isLinkLocal,
  isLoopback,
  parseCidr,
} from "../../net/address";
import { newDummy } from "../../net/dummy";
import type { Iptables } from "../../net/iptables";
import type { Netns } from "../../net/netns";
import type { NodeNet } from "../node";
import { cidrOf } from "./config";
import { GracefulTermination } from "./ipvsgrace";
import { type PlanNode, type PortPlan, planPort } from "./ipvsplan";
import { type IpvsRuleOptions, ipvsChains, ipvsJumps, ipvsRules } from "./ipvsrules";
import { ipvsSetKeys, setName } from "./ipvssets";
import { IpvsWriter } from "./ipvswriter";
import { withoutLinked } from "./linked";
import type { ModeOptions, ProxyMode } from "./mode";
import type { ServicePort } from "./view";

/** How the mode is set up; what is left out is as kubeadm's default. */
export type IpvsOptions = Pick<
  ModeOptions,
  | "clusterCidr"
  | "localInterface"
  | "masqueradeAll"
  | "masqueradeBit"
  | "nodePortAddresses"
  | "scheduler"
  | "excludeCidrs"
  | "strictArp"
  | "tcpTimeout"
  | "tcpFinTimeout"
  | "udpTimeout"
>;

/** The device that has the addresses of Services, so that packets to them come to the host itself. */
const dummyDevice = "kube-ipvs0";

/** What was written last on a node for a family, by which only what changed is written next. */
interface Written {
  readonly writer: IpvsWriter;
  readonly plans: Map<ServicePort, PortPlan>;
  node: PlanNode;
  /** The rules' text depends on this only. */
  rulesFrom: string;
}

/** A mode that writes virtual servers. One object serves all nodes. */
export function ipvsMode(options: IpvsOptions = {}): ProxyMode {
  const written = { IPv4: new WeakMap<NodeNet, Written>(), IPv6: new WeakMap<NodeNet, Written>() };
  const ending = new WeakMap<NodeNet, GracefulTermination>();
  return {
    name: "ipvs",
    sync(view, node, family) {
      const known = written[family].get(node);
      if (!known) setUp(node.netns, options);
      const grace = ending.get(node) ?? new GracefulTermination(node.sim.clock, node.netns.ipvs);
      ending.set(node, grace);
      const now = known ?? begin(node, family, grace, options);
      written[family].set(node, now);
      writeView(now, view, planNode(node, family, options));
      writeRules(now, tablesOf(node.netns, family), ruleOptions(family, options));
      now.writer.mend(options.excludeCidrs?.map(parseCidr) ?? []);
    },
    forget(node) {
      for (const family of ["IPv4", "IPv6"] as const) written[family].delete(node);
    },
    end(node) {
      ending.get(node)?.stop();
      ending.delete(node);
    },
    cleanup(node) {
      for (const family of ["IPv4", "IPv6"] as const) written[family].delete(node);
      ending.get(node)?.stop();
      ending.delete(node);
      cleanUp(node.netns);
    },
  };
}

function begin(node: NodeNet, family: Family, grace: GracefulTermination, options: IpvsOptions): Written {
  const writer = new IpvsWriter(node.netns, family, options.scheduler ?? "rr", dummyDevice, grace);
  return { writer, plans: new Map(), node: planNode(node, family, options), rulesFrom: "" };
}

/** Settings of the kernel that the mode needs (NewProxier); `conn_reuse_mode` is left as it is since Linux 5.9. */
function setUp(netns: Netns, { strictArp, tcpTimeout, tcpFinTimeout, udpTimeout }: IpvsOptions): void {
  const { sysctl } = netns;
  sysctl.vsConntrack = true;
  sysctl.vsExpireNodestConn = true;
  sysctl.vsExpireQuiescentTemplate = true;
  sysctl.ipForward = true;
  // Else every node answers ARP for the addresses of Services that its dummy device has.
  if (strictArp) sysctl.arpIgnore = true;
  const { timeouts } = netns.ipvs.connections;
  if (tcpTimeout) timeouts.tcp = tcpTimeout;
  if (tcpFinTimeout) timeouts.tcpFin = tcpFinTimeout;
  if (udpTimeout) timeouts.udp = udpTimeout;
  // Made, and never set up: addresses count as the host's own all the same.
  if (!netns.devices.has(dummyDevice)) netns.addDevice(dummyDevice, newDummy(0)).up = false;
}

/** Only ports that came, changed or went are written; all of them where the node's own addresses changed. */
function writeView(written: Written, view: readonly ServicePort[], node: PlanNode): void {
  const { writer, plans } = written;
  const moved = !sameNode(written.node, node);
  written.node = node;
  const wanted = new Set(view);
  for (const [port, plan] of plans) {
    if (wanted.has(port) && !moved) continue;
    writer.remove(plan);
    plans.delete(port);
  }
  for (const port of view) {
    if (plans.has(port)) continue;
    const plan = planPort(port, node);
    plans.set(port, plan);
    writer.add(plan, port);
  }
  writer.write();
}

function writeRules(written: Written, tables: Iptables, options: IpvsRuleOptions): void {
  const { refused } = written.writer;
  const filled = new Set(ipvsSetKeys.filter((key) => written.writer.filled(key)));
  const from = `${[...filled].join()} ${refused.map(({ ip, protocol, port }) => `${ip}/${protocol}/${port}`).join()}`;
  if (from === written.rulesFrom) return;
  const first = written.rulesFrom === "";
  written.rulesFrom = from;
  tables.restore(ipvsRules(options, (key) => filled.has(key), refused));
  if (first) for (const { table, from: chain, rule } of ipvsJumps) tables.ensure(table, chain, rule, "prepend");
}

function tablesOf(netns: Netns, family: Family): Iptables {
  return family === "IPv4" ? netns.iptables : netns.ip6tables;
}

function ruleOptions(family: Family, options: IpvsOptions): IpvsRuleOptions {
  const cidr = cidrOf(options.clusterCidr, family);
  const { localInterface, masqueradeAll = false, masqueradeBit = 14 } = options;
  const local = localInterface ? { device: localInterface } : cidr ? { cidr: parseCidr(cidr) } : undefined;
  return { family, masqueradeAll, masqueradeBit, local };
}

/** The node's addresses but those of Services; loopback ones are no node ports' (GetAllLocalAddressesExcept). */
function planNode(node: NodeNet, family: Family, { nodePortAddresses = [] }: IpvsOptions): PlanNode {
  const addresses: Ip[] = [];
  for (const device of node.netns.devices.values()) {
    if (device.name === dummyDevice) continue;
    for (const { ip } of device.writtenAddresses) {
      if (familyOf(ip) === family && !isLoopback(ip) && !isLinkLocal(ip) && !addresses.includes(ip)) addresses.push(ip);
    }
  }
  const prefixes = nodePortAddresses.map(parseCidr).filter(({ ip }) => familyOf(ip) === family);
  const open = (ip: Ip): boolean => prefixes.length === 0 || prefixes.some((prefix) => contains(prefix, ip));
  const ip = node.ips.find((each) => familyOf(each) === family);
  return { name: node.name, ip, addresses, nodePortAddresses: addresses.filter(open) };
}

function sameNode(one: PlanNode, other: PlanNode): boolean {
  return (
    one.addresses.join() === other.addresses.join() && one.nodePortAddresses.join() === other.nodePortAddresses.join()
  );
}

/** CleanupLeftovers: virtual servers, the device, the rules, then the sets, which rules must no longer use. */
function cleanUp(netns: Netns): void {
  if (!netns.devices.has(dummyDevice) && !netns.ipsets.get(setName("clusterIp", "IPv4"))) return;
  netns.ipvs.clear();
  if (netns.devices.has(dummyDevice)) netns.deleteDevice(dummyDevice);
  for (const family of ["IPv4", "IPv6"] as const) {
    const tables = tablesOf(netns, family);
    for (const table of ["nat", "filter"] as const) {
      const chains = tables.chains(table);
      if (chains.length === 0) continue;
      for (const { from, rule } of ipvsJumps.filter((each) => each.table === table)) tables.delete(table, from, rule);
      const own: readonly string[] = ipvsChains[table];
      const doomed = chains.filter((chain) => own.includes(chain));
      tables.deleteChains(table, withoutLinked(tables, table, doomed));
    }
    for (const key of ipvsSetKeys) {
      const name = setName(key, family);
      if (netns.ipsets.get(name)) netns.ipsets.destroy(name);
    }
  }
}
