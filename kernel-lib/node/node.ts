/** Owns a node's machine: its network namespace and those of its pods, its addresses, and what it is made of. */
import type { Key } from "../api/meta";
import type { Cidr, Ip } from "../net/address";
import type { Netns } from "../net/netns";
import type { Network } from "../net/network";
import type { Sim } from "../sim/sim";

/** What a node is made with. */
export interface NodeOptions {
  readonly name: string;
  /** Its InternalIP, on `eth0`. */
  readonly ip: Ip;
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
  /** By `namespace/name`. */
  readonly pods: ReadonlyMap<Key, PodNet>;
}
