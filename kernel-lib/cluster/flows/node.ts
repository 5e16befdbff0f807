/** Owns one node with its kube-proxy, in a world that takes whatever it sends: what a flow case is asked of. */
import type { Kinds } from "../../api/kinds";
import { Files } from "../../apps/files";
import { anyIpv4, anyIpv6, type Ip, macOfIp, parseCidr, parseIp, widthOf } from "../../net/address";
import type { Segment } from "../../net/device";
import type { Netns } from "../../net/netns";
import { Network } from "../../net/network";
import { Later } from "../../node/later";
import type { NodeNet } from "../../node/node";
import type { ProxyMode } from "../../node/proxy/mode";
import { createSim } from "../../sim/sim";
import type { FlowConfig, NodeInterface } from "./config";
import { modeOf, viewFor } from "./mode";

/** What the rules of a node are made of. */
export interface RuleObjects {
  readonly services: readonly Kinds["Service"][];
  readonly slices: readonly Kinds["EndpointSlice"][];
}

/** A node whose every packet that leaves it is taken by the world. */
export interface LoneNode {
  readonly node: NodeNet;
  readonly world: Netns;
  /** The device that everybody else is behind. */
  readonly uplink: string;
}

const gateways: readonly Ip[] = [parseIp("169.254.1.1"), parseIp("100::1")];

/** Makes the node, and has its kube-proxy write what it makes of the objects. */
export function loneNode(config: FlowConfig, objects: RuleObjects, mode: ProxyMode = modeOf(config)): LoneNode {
  const sim = createSim(1);
  const network = new Network(sim);
  const segment = network.segment("network");
  const world = worldOn(network, segment);
  const netns = network.netns(config.nodeName);
  const uplink = addInterfaces(netns, segment, config);
  for (const [at, via] of gateways.entries()) {
    netns.neighbors.set(uplink, via, world.device("eth0").mac);
    netns.routes.add({ to: { ip: at === 0 ? anyIpv4 : anyIpv6, length: 0 }, via, device: uplink, onlink: true });
  }
  // kube-proxy sets what its mode needs; a node forwards for its pods.
  Object.assign(netns.sysctl, { ipForward: true, ipv6Forward: true });
  const ip = parseIp(config.nodeIp);
  const node: NodeNet = {
    ...{ sim, network, name: config.nodeName, ip, netns },
    ips: [ip],
    later: new Later(sim.clock, false, () => {}),
    files: new Files(sim.clock),
    podCidrs: [],
  };
  mode.sync(viewFor(config, objects), node, config.family);
  return { node, world, uplink };
}

/** Everybody else: it has every address. */
function worldOn(network: Network, segment: Segment): Netns {
  const world = network.netns("the rest of the world");
  world.addPhysical("eth0", segment, { mac: macOfIp(parseIp("169.254.1.1")) });
  for (const ip of [anyIpv4, anyIpv6]) world.routes.add({ to: { ip, length: 0 }, type: "local", device: "lo" });
  return world;
}

/** The primary address is the first of its device: what leaves masqueraded has it. Gives the device that leads out. */
function addInterfaces(netns: Netns, segment: Segment, { interfaces, nodeIp, nodeIps }: FlowConfig): string {
  const bare = (address: string): string => address.replace(/\/.*/, "");
  const named = new Set(interfaces.flatMap(({ addresses }) => addresses.map(bare)));
  const rest = nodeIps.filter((ip) => !named.has(ip));
  const physical = interfaces.filter(({ name }) => name !== "lo");
  const first: NodeInterface = physical.find(({ addresses }) => addresses.map(bare).includes(nodeIp)) ??
    physical[0] ?? { name: "eth0", addresses: [] };
  const others = physical.filter((each) => each !== first);
  for (const { name, addresses } of [{ name: first.name, addresses: [...first.addresses, ...rest] }, ...others]) {
    netns.addPhysical(name, segment);
    const inOrder = [...addresses.map(bare)].sort((one, other) => Number(other === nodeIp) - Number(one === nodeIp));
    for (const ip of new Set(inOrder)) netns.addAddress(name, parseCidr(`${ip}/${widthOf(parseIp(ip))}`));
  }
  return first.name;
}
