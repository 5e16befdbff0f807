/** Owns what a cluster can be made with, and the words for what it cannot. */

import type { Propagation } from "../api/propagation";
import { labelValue } from "../api/validation/names";
import type { Family } from "../net/address";
import type { ConfigText } from "../node/cni/cni";
import { type DesignName, designNames } from "../node/cni/design";
import { type ModeName, modeNames, type Scheduler, schedulers } from "../node/proxy/mode";
import { machinesOf } from "./machines";
import { checkPropagation, type PropagationOptions } from "./propagation";

/** How a cluster is made. Every option is the same word on the command line. */
export interface ClusterOptions {
  /** Worker nodes, beside the control plane. Default 3. */
  readonly nodes?: number;
  /** Decides all chance: the same seed gives the same run, byte for byte. Default 1. */
  readonly seed?: number;
  /** The design of the pods' network. Default `vxlan` (flannel's). */
  readonly cni?: DesignName;
  /**
   * Another CNI configuration than the design's own: the text that lies in /etc/cni/net.d of every node from the start, or a
   * function that makes it for each node. Default: the design's own.
   */
  readonly cniConfig?: ConfigText | undefined;
  /** `["IPv4"]`, or `["IPv4", "IPv6"]` for dual-stack: nodes and pods have an address of each. Default IPv4. */
  readonly ipFamilies?: readonly Family[];
  /** Zones that the nodes are in, in turn: their label topology.kubernetes.io/zone. Default none. */
  readonly zones?: readonly string[];
  /** How kube-proxy does it. Default `iptables`. `userspace` is how it was done until v1.25. */
  readonly mode?: ModeName;
  /** How IPVS chooses, with mode `ipvs`. Default `rr`. */
  readonly scheduler?: Scheduler;
  /**
   * What makes Services of type LoadBalancer work: `none` (they stay pending), `metallb` (with a pool of the nodes' network,
   * 192.168.1.240 to .250, announced by ARP), `cloud` (a packet forwarder that keeps the client's address, as Google's), or
   * `cloud-proxy` (one that takes connections itself, as Amazon's). Default `metallb`; with hundreds of nodes `none` starts much
   * sooner, for MetalLB's speakers all talk to each other.
   */
  readonly lb?: LoadBalancerName;
  /** How long news takes on its way through the cluster, hop by hop. Default: the figures of api/propagation.ts. */
  readonly propagation?: PropagationOptions;
}

const loadBalancerNames = ["none", "metallb", "cloud", "cloud-proxy"] as const;
export type LoadBalancerName = (typeof loadBalancerNames)[number];

/** All options, with their defaults filled in. */
export interface CheckedOptions extends Required<Omit<ClusterOptions, "propagation">> {
  readonly propagation: Propagation;
}

const defaults: Required<ClusterOptions> = {
  nodes: 3,
  seed: 1,
  cni: "vxlan",
  cniConfig: undefined,
  ipFamilies: ["IPv4"],
  zones: [],
  mode: "iptables",
  scheduler: "rr",
  lb: "metallb",
  propagation: {},
};

const choices = { cni: designNames, mode: modeNames, scheduler: schedulers, lb: loadBalancerNames } as const;

/** Kubernetes' own published limit (kubernetes.io, "Considerations for large clusters"). */
const mostNodes = 5_000;

/** @throws Error that says which option is wrong, and what it may be */
export function checkOptions(given: ClusterOptions = {}): CheckedOptions {
  if (typeof given !== "object" || given === null) throw new Error("options must be an object, such as { seed: 5 }");
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(defaults, name)) {
      throw new Error(
        `there is no option ${JSON.stringify(name)}: the options are ${Object.keys(defaults).join(", ")}`,
      );
    }
  }
  const options: Required<ClusterOptions> = { ...defaults, ...given };
  if (!Number.isInteger(options.nodes) || options.nodes < 1 || options.nodes > mostNodes) {
    throw new Error(`nodes must be a whole number from 1 to ${mostNodes}, not ${JSON.stringify(options.nodes)}`);
  }
  if (!Number.isSafeInteger(options.seed)) {
    throw new Error(`seed must be a whole number, not ${JSON.stringify(options.seed)}`);
  }
  for (const name of ["cni", "mode", "scheduler", "lb"] as const) {
    const known: readonly string[] = choices[name];
    if (!known.includes(options[name])) {
      throw new Error(`${name} must be ${known.join(" or ")}, not ${JSON.stringify(options[name])}`);
    }
  }
  const { cniConfig, ipFamilies, zones } = options;
  if (
    !Array.isArray(zones) ||
    zones.some((zone) => typeof zone !== "string" || labelValue(zone).length > 0 || zone === "")
  ) {
    throw new Error(`zones must be a list of label values, such as ["a", "b"], not ${JSON.stringify(zones)}`);
  }
  if (cniConfig !== undefined && typeof cniConfig !== "string" && typeof cniConfig !== "function") {
    throw new Error("cniConfig must be the text of a CNI configuration, or a function that makes it for a node");
  }
  const families = Array.isArray(ipFamilies) ? ipFamilies.join() : String(ipFamilies);
  if (families !== "IPv4" && families !== "IPv4,IPv6") {
    throw new Error(`ipFamilies must be ["IPv4"] or ["IPv4", "IPv6"], not ${JSON.stringify(ipFamilies)}`);
  }
  if (families === "IPv4,IPv6" && options.cni === "vpc") {
    throw new Error('ipFamilies must be ["IPv4"] with cni vpc: a VPC cluster has one family');
  }
  const machines = machinesOf(options.nodes).map(({ name }) => name);
  return { ...options, propagation: checkPropagation(options.propagation, machines) };
}
