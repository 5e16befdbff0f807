/** Owns the contract of a kube-proxy mode: what a node should do goes in, what its kernel holds for that comes out. */
import type { Family } from "../../net/address";
import type { NodeNet } from "../node";
import type { ServicePort } from "./view";

/** The ways in which kube-proxy does its work; `userspace` is history (removed in v1.26). */
export const modeNames = ["iptables", "nftables", "ipvs", "userspace"] as const;
export type ModeName = (typeof modeNames)[number];

/** IPVS's ways of choosing (`ipvs.scheduler`). */
export const schedulers = ["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh"] as const;
export type Scheduler = (typeof schedulers)[number];

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
  /**
   * Takes away all that this mode, in this start or an earlier one, wrote on a node, for both families; does nothing
   * where it wrote nothing. It goes by what the kernel holds, not by what the object remembers (CleanupLeftovers).
   */
  cleanup(node: NodeNet): void;
}
