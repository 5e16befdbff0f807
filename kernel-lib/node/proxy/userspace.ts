/** Owns kube-proxy's userspace mode, as it was until v1.25: packets are led to kube-proxy itself, which makes connections of its own. */
import { family as familyOf, parseIp } from "../../net/address";
import type { Iptables } from "../../net/iptables";
import type { Netns } from "../../net/netns";
import type { Rule } from "../../net/rule";
import { SocketError, type TcpListener, type UdpSocket } from "../../net/socket";
import { ephemeralPorts } from "../../net/sockets";
import { millisecond, type Time } from "../../sim/clock";
import type { Random } from "../../sim/random";
import type { NodeNet } from "../node";
import type { ModeOptions, ProxyMode } from "./mode";
import { RoundRobin } from "./roundrobin";
import { type PortalChain, type PortalRules, portalChains, portalJumps, portalRules } from "./userspacerules";
import { type ProxySocket, proxyOwner, tcpProxySocket, udpProxySocket } from "./userspacesockets";
import type { ServicePort, ServicePortInfo } from "./view";

/** How the mode is set up. */
export type UserspaceOptions = Pick<ModeOptions, "udpIdleTimeout" | "portRange">;

const udpIdle: Time = 250 * millisecond;

/** A service port that is being proxied. */
interface Proxied {
  readonly info: ServicePortInfo;
  readonly balancer: RoundRobin;
  readonly socket: ProxySocket;
  readonly rules: PortalRules;
  /** Holds the node port, so that nobody else takes it; packets for it are led elsewhere. */
  readonly claim: TcpListener | UdpSocket | undefined;
}

/** What a kube-proxy in this mode has on a node: its process's sockets, which end with it. */
interface Running {
  readonly random: Random;
  readonly ports: Map<ServicePort, Proxied>;
}

/** By node, for every mode object: a new start of kube-proxy means that the old process is gone, and its sockets too. */
const running = new WeakMap<NodeNet, { readonly mode: ProxyMode; readonly state: Running }>();

/** A mode that proxies by itself. One address family only: that of the node's first address. */
export function userspaceMode(options: UserspaceOptions = {}): ProxyMode {
  const mode: ProxyMode = {
    name: "userspace",
    sync(view, node, family) {
      if (family !== familyOf(node.ip)) return;
      const known = running.get(node);
      const state = known?.mode === mode ? known.state : begin(node, mode, known?.state);
      const changed = syncPorts(view, node, state, options);
      if (changed || known?.mode !== mode) writeRules(tablesOf(node), state);
      if (known?.mode !== mode) {
        const tables = tablesOf(node);
        for (const { table, from, rule, where } of portalJumps) tables.ensure(table, from, rule, where);
      }
      for (const { balancer } of state.ports.values()) balancer.sweep();
    },
    cleanup(node) {
      const known = running.get(node);
      if (known) stop(known.state);
      running.delete(node);
      cleanRules(tablesOf(node));
    },
  };
  return mode;
}

function begin(node: NodeNet, mode: ProxyMode, before: Running | undefined): Running {
  if (before) stop(before);
  const random = node.sim.random.fork(`userspace proxy/${node.name}`);
  const state: Running = { random, ports: new Map() };
  running.set(node, { mode, state });
  return state;
}

function stop({ ports }: Running): void {
  for (const proxied of ports.values()) closePort(proxied);
  ports.clear();
}

function closePort({ socket, claim }: Proxied): void {
  socket.close();
  claim?.close();
}

/** True if rules have to be written anew. Ports that changed in more than their endpoints are opened anew (sameConfig). */
function syncPorts(
  view: readonly ServicePort[],
  node: NodeNet,
  { ports, random }: Running,
  options: UserspaceOptions,
): boolean {
  let changed = false;
  const wanted = new Set(view);
  const former = new Map<string, Proxied>();
  for (const [port, proxied] of ports) {
    if (wanted.has(port)) continue;
    ports.delete(port);
    former.set(keyOf(port), proxied);
  }
  for (const port of view) {
    if (ports.has(port)) continue;
    const before = former.get(keyOf(port));
    const same = before !== undefined && sameConfig(before.info, port);
    if (before && !same) closePort(before);
    former.delete(keyOf(port));
    const proxied = same ? before : open(port, node, random, options);
    changed ||= !same;
    if (!proxied) continue;
    proxied.balancer.affinity = port.affinity;
    const ready = port.endpoints.filter((endpoint) => endpoint.ready);
    proxied.balancer.set(ready.map(({ ip, port: at }) => ({ ip: parseIp(ip), port: at })));
    ports.set(port, proxied);
  }
  for (const gone of former.values()) closePort(gone);
  return changed || former.size > 0;
}

/** A random port for the service port, where kube-proxy listens; none for SCTP, which it does not speak. */
function open(port: ServicePort, node: NodeNet, random: Random, options: UserspaceOptions): Proxied | undefined {
  const { netns } = node;
  if (port.protocol === "SCTP") return undefined;
  const balancer = new RoundRobin(node.sim.clock, random);
  const socket = freeSocket(random, options.portRange, (at) =>
    port.protocol === "TCP"
      ? tcpProxySocket(netns, at, balancer)
      : udpProxySocket(netns, at, balancer, options.udpIdleTimeout ?? udpIdle),
  );
  if (!socket) return undefined;
  const ips = {
    cluster: port.clusterIps.map(parseIp),
    external: port.externalIps.map(parseIp),
    loadBalancer: port.loadBalancerIps.map(parseIp),
  };
  const claim = port.nodePort === undefined ? undefined : claimPort(netns, port.protocol, port.nodePort);
  const rules = portalRules(port, ips, { proxyPort: socket.port, hostIp: node.ip });
  return { info: port, balancer, socket, rules, claim };
}

/** `40000-41000`, or `40000+1000`; without a range any ephemeral port. */
function rangeOf(text: string | undefined): readonly [number, number] {
  const [, low, sign, high] = /^(\d+)([-+])(\d+)$/.exec(text ?? "") ?? [];
  if (low === undefined || high === undefined) return [ephemeralPorts.low, ephemeralPorts.high];
  return [Number(low), sign === "+" ? Number(low) + Number(high) : Number(high)];
}

function freeSocket<Socket>(
  random: Random,
  range: string | undefined,
  openAt: (port: number) => Socket,
): Socket | undefined {
  const [low, high] = rangeOf(range);
  const start = random.integer(low, high);
  for (let step = 0; step <= high - low; step++) {
    const port = low + ((start - low + step) % (high - low + 1));
    try {
      return openAt(port);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
    }
  }
  return undefined;
}

function claimPort(netns: Netns, protocol: "TCP" | "UDP", port: number): TcpListener | UdpSocket | undefined {
  try {
    const options = { port, owner: proxyOwner };
    return protocol === "TCP" ? netns.sockets.listenTcp(options, () => ({})) : netns.sockets.openUdp(options, {});
  } catch (error) {
    // Somebody else has it; upstream logs that it cannot open the node port.
    if (error instanceof SocketError) return undefined;
    throw error;
  }
}

function tablesOf({ ip, netns }: NodeNet): Iptables {
  return familyOf(ip) === "IPv4" ? netns.iptables : netns.ip6tables;
}

function writeRules(tables: Iptables, { ports }: Running): void {
  const all = [...ports.values()];
  const chains = (names: readonly PortalChain[]): { [chain: string]: readonly Rule[] } =>
    Object.fromEntries(names.map((chain) => [chain, all.flatMap(({ rules }) => rules[chain])]));
  tables.restore({ nat: chains(portalChains.nat), filter: chains(portalChains.filter) });
}

function cleanRules(tables: Iptables): void {
  for (const table of ["nat", "filter"] as const) {
    const chains = tables.chains(table);
    const own: readonly string[] = portalChains[table];
    const found = chains.filter((chain) => own.includes(chain));
    if (found.length === 0) continue;
    for (const jump of portalJumps) if (jump.table === table) tables.delete(table, jump.from, jump.rule);
    tables.deleteChains(table, found);
  }
}

/** Upstream tells ports apart by name alone; two ports of one Service without names cannot be. */
function keyOf({ name, protocol }: ServicePortInfo): string {
  return `${name}/${protocol}`;
}

function sameConfig(one: ServicePortInfo, other: ServicePortInfo): boolean {
  const parts = (info: ServicePortInfo): string =>
    [
      info.protocol,
      info.port,
      info.nodePort,
      info.clusterIps.join(),
      info.externalIps.join(),
      info.loadBalancerIps.join(),
      info.affinity !== undefined,
    ].join(" ");
  return parts(one) === parts(other);
}
