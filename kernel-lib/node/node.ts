/** Owns a node's machine: its network namespace and those of its pods, its addresses, and what it is made of. */
import type { Key } from "../api/meta";
import { Files } from "../apps/files";
import { addToIp, anyIpv4, anyIpv6, type Cidr, type Ip, networkOf } from "../net/address";
import type { Segment } from "../net/device";
import type { Netns } from "../net/netns";
import type { Network } from "../net/network";
import type { Sim } from "../sim/sim";
import { Later } from "./later";

/** What a node is made with. */
export interface NodeOptions {
  readonly name: string;
  /** Its InternalIP, on `eth0`. */
  readonly ip: Ip;
  /** Of its network; default 24. */
  readonly prefix?: number;
  /** Default: the first address of its network. */
  readonly gateway?: Ip;
  /** Its second InternalIP, in a dual-stack cluster: of a /64 whose first address is the gateway. */
  readonly ipv6?: Ip;
  /** Its address for others than its neighbours, which something on the way translates. */
  readonly externalIp?: Ip;
  readonly zone?: string;
  /** A control-plane node: tainted, with the role's label. */
  readonly controlPlane?: boolean;
  /** Default 4 CPUs. */
  readonly cpus?: number;
  /** Default 8 GiB, in KiB. */
  readonly memoryKib?: number;
  /** One of very many: what nobody looks at is put off. */
  readonly lazy?: boolean;
}

/** A pod's network namespace on this node. */
export interface PodNet {
  /** `namespace/name`. */
  readonly key: Key;
  readonly uid: string;
  readonly netns: Netns;
  /** Set by the CNI plugin. */
  readonly ips: readonly Ip[];
  /** The pod lives in the node's own namespace. */
  readonly hostNetwork: boolean;
}

/** A node as the network sees it. */
export interface NodeNet {
  readonly sim: Sim;
  readonly network: Network;
  readonly name: string;
  /** The first of `ips`. */
  readonly ip: Ip;
  /** Its own addresses: one of each family that the cluster has. */
  readonly ips: readonly Ip[];
  /** Complete: what was put off is done before somebody has it. */
  readonly netns: Netns;
  /** What is put off until somebody looks. */
  readonly later: Later;
  /** The files of the machine itself. */
  readonly files: Files;
  /** Given by the controller manager once the Node exists (`spec.podCIDRs`): none before that. */
  podCidrs: readonly Cidr[];
}

/** A machine plugged into the nodes' network, set up as kubeadm asks for: forwarding on, bridged packets shown to iptables. */
export function createNode(sim: Sim, network: Network, segment: Segment, options: NodeOptions): NodeNet {
  const netns = network.netns(options.name);
  const { ip, prefix = 24, gateway } = options;
  netns.addPhysical("eth0", segment);
  netns.addAddress("eth0", { ip, length: prefix });
  const router = gateway ?? addToIp(networkOf({ ip, length: prefix }).ip, 1);
  netns.routes.add({ to: { ip: anyIpv4, length: 0 }, via: router, device: "eth0" });
  if (options.ipv6 !== undefined) {
    const address = { ip: options.ipv6, length: 64 };
    netns.addAddress("eth0", address);
    netns.routes.add({ to: { ip: anyIpv6, length: 0 }, via: addToIp(networkOf(address).ip, 1), device: "eth0" });
  }
  netns.sysctl.ipv6Forward = options.ipv6 !== undefined;
  netns.sysctl.ipForward = true;
  netns.sysctl.bridgeNfCallIptables = true;
  netns.sysctl.bridgeNfCallIp6tables = true;
  if (options.lazy) netns.netfilter.defer("kubelet", () => netns.iptables.restore(kubeletChains));
  else netns.iptables.restore(kubeletChains);
  const ips = options.ipv6 === undefined ? [ip] : [ip, options.ipv6];
  const later = new Later(sim.clock, options.lazy ?? false, (look) => netns.defer(look));
  return {
    sim,
    network,
    name: options.name,
    ip,
    ips,
    get netns() {
      later.look();
      return netns;
    },
    later,
    files: new Files(sim.clock),
    podCidrs: [],
  };
}

/** What the kubelet leaves in iptables: a hint for others which kind of iptables it uses, and a canary per table. */
const kubeletChains = {
  mangle: { "KUBE-IPTABLES-HINT": [], "KUBE-KUBELET-CANARY": [] },
  nat: { "KUBE-KUBELET-CANARY": [] },
  filter: { "KUBE-KUBELET-CANARY": [] },
};
