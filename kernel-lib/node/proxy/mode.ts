/** Owns the contract of a kube-proxy mode: what a node should do goes in, what its kernel holds for that comes out. */
import type { Family } from "../../net/address";
import type { Time } from "../../sim/clock";
import type { NodeNet } from "../node";
import type { ServicePort } from "./view";

/** The ways in which kube-proxy does its work; `userspace` is history (removed in v1.26). */
export const modeNames = ["iptables", "nftables", "ipvs", "userspace"] as const;
export type ModeName = (typeof modeNames)[number];

/** IPVS's ways of choosing (`ipvs.scheduler`). */
export const schedulers = ["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh"] as const;
export type Scheduler = (typeof schedulers)[number];

/** What modes are told; each takes what concerns it, and what is left out is as kubeadm's default. */
export interface ModeOptions {
  /** Where pods live: a prefix, or one of each family with a comma between; undefined: nobody knows. */
  readonly clusterCidr?: string | undefined;
  /** What pods' packets come in by, instead of where pods live: `cni0`, or `veth+` for a prefix of names. */
  readonly localInterface?: string | undefined;
  /** The ranges of cluster IPs, both families (nftables drops what goes to an address that no Service has). */
  readonly serviceCidrs?: readonly string[];
  readonly masqueradeAll?: boolean;
  /** The bit of the mark that asks for masquerading (14 → 0x4000). */
  readonly masqueradeBit?: number;
  /** Prefixes of both families; undefined: the mode's own default (all addresses; nftables: the primary ones). */
  readonly nodePortAddresses?: readonly string[] | undefined;
  /** iptables: whether 127.0.0.1:nodePort works. */
  readonly localhostNodePorts?: boolean;
  /** iptables: packets out of order are let through, not dropped as INVALID. */
  readonly conntrackLiberal?: boolean;
  /** iptables: the counters (nfacct) that the kernel has for kube-proxy. */
  readonly counters?: readonly string[];
  readonly scheduler?: Scheduler;
  /** ipvs: virtual servers in these prefixes are somebody else's. */
  readonly excludeCidrs?: readonly string[];
  readonly strictArp?: boolean;
  /** ipvs: 0 leaves the kernel's own. */
  readonly tcpTimeout?: Time;
  readonly tcpFinTimeout?: Time;
  readonly udpTimeout?: Time;
  /** userspace: how long a UDP client keeps its pod without traffic. */
  readonly udpIdleTimeout?: Time;
  /** userspace: where proxy ports are taken from (`40000-41000`). */
  readonly portRange?: string | undefined;
}

/**
 * A mode as one start of kube-proxy has it; one object may serve several nodes, and keeps by node what it wrote where.
 * A new start is a new object, which finds what the last one wrote: its first sync of a node takes nothing for granted.
 */
export interface ProxyMode {
  readonly name: ModeName;
  /**
   * Makes the node do what the view says, for one address family. In a dual-stack cluster it is called once for each.
   * @param view all service ports of that family, sorted by name; a port that did not change is the same object as the last time
   */
  sync(view: readonly ServicePort[], node: NodeNet, family: Family): void;
  /** Lets go of what it remembers of a node: the next sync takes nothing for granted there. */
  forget?(node: NodeNet): void;
  /** Its process ends: nothing of it goes on by itself on a node; what it wrote stays. */
  end?(node: NodeNet): void;
  /**
   * Takes away all that this mode, in this start or an earlier one, wrote on a node, for both families; does nothing
   * where it wrote nothing. It goes by what the kernel holds, not by what the object remembers (CleanupLeftovers).
   */
  cleanup(node: NodeNet): void;
}
