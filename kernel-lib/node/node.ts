/** Owns a node's machine: its network namespace and those of its pods, its addresses, and what it is made of. */
import type { Key } from "../api/meta";
import { addToIp, anyIpv4, type Cidr, type Ip, networkOf } from "../net/address";
import type { Segment } from "../net/device";
import type { Netns } from "../net/netns";
import type { Network } from "../net/network";
import type { Sim } from "../sim/sim";

/** What a node is made with. */
export interface NodeOptions {
  readonly name: string;
  /** Its InternalIP, on `eth0`. */
  readonly ip: Ip;
  /** Of its network; default 24. */
  readonly prefix?: number;
  /** Default: the first address of its network. */
  readonly gateway?: Ip;
  readonly zone?: string;
  /** A control-plane node: tainted, with the role's label. */
  readonly controlPlane?: boolean;
  /** Default 4 CPUs. */
  readonly cpus?: number;
  /** Default 8 GiB, in KiB. */
  readonly memoryKib?: number;
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
  readonly ip: Ip;
  readonly netns: Netns;
  /** Given by the controller manager once the Node exists (`spec.podCIDR`). */
  podCidr: Cidr | undefined;
}

/** A machine plugged into the nodes' network, set up as kubeadm asks for: forwarding on, bridged packets shown to iptables. */
export function createNode(sim: Sim, network: Network, segment: Segment, options: NodeOptions): NodeNet {
  const netns = network.netns(options.name);
  const { ip, prefix = 24, gateway } = options;
  netns.addPhysical("eth0", segment);
  netns.addAddress("eth0", { ip, length: prefix });
  const router = gateway ?? addToIp(networkOf({ ip, length: prefix }).ip, 1);
  netns.routes.add({ to: { ip: anyIpv4, length: 0 }, via: router, device: "eth0" });
  netns.sysctl.ipForward = true;
  netns.sysctl.bridgeNfCallIptables = true;
  netns.iptables.restore(kubeletChains);
  return { sim, network, name: options.name, ip, netns, podCidr: undefined };
}

/** What the kubelet leaves in iptables: a hint for others which kind of iptables it uses, and a canary per table. */
const kubeletChains = {
  mangle: { "KUBE-IPTABLES-HINT": [], "KUBE-KUBELET-CANARY": [] },
  nat: { "KUBE-KUBELET-CANARY": [] },
  filter: { "KUBE-KUBELET-CANARY": [] },
};
