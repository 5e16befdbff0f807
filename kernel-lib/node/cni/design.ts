/** Owns the list of network designs: what each is called, where its pods live, and how it is made. */
import type { Store } from "../../api/store";
import type { Family } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { Sim } from "../../sim/sim";
import { createBridgeCni } from "./bridge";
import type { Cni, ConfigText } from "./cni";
import { createHostGwCni } from "./hostgw";
import { createRoutesCni } from "./routes";
import { createVpcCni } from "./vpc";
import { createVxlanCni } from "./vxlan";

/** The designs, from the plainest on. */
export const designNames = ["bridge", "routes", "host-gw", "vxlan", "vpc"] as const;

export type DesignName = (typeof designNames)[number];

/** What any design may need. */
export interface DesignParts {
  readonly sim: Sim;
  readonly store: Store;
  /** The nodes' default gateway. */
  readonly router: Netns;
  readonly families: readonly Family[];
  /** How many nodes there are, the control plane among them. */
  readonly nodes: number;
  /** Another configuration than the design's own. */
  readonly config?: ConfigText | undefined;
}

const own = { IPv4: "10.1.0.0/16", IPv6: "fd00:10:1::/56" } as const;
const flannel = { IPv4: "10.244.0.0/16", IPv6: "fd00:10:244::/56" } as const;
/** A /16 has 256 ranges for nodes, and so has a /56: for more of them, these. */
const wide = { IPv4: "10.128.0.0/11", IPv6: "fd00:10:244::/48" } as const;
const fewNodes = 256;

/**
 * Where the pods of a design live, a prefix of each family; in a VPC nowhere of their own: the nodes get no ranges.
 * @param nodes how many there are, the control plane among them
 */
export function podCidrsOf(name: DesignName, families: readonly Family[], nodes: number): readonly string[] {
  if (name === "vpc") return [];
  const ranges = nodes > fewNodes ? wide : name === "bridge" || name === "routes" ? own : flannel;
  return families.map((family) => ranges[family]);
}

/** Makes a design, for all nodes of a cluster. */
export function createCni(name: DesignName, { sim, store, router, families, nodes, config }: DesignParts): Cni {
  const clusterCidrs = podCidrsOf(name, families, nodes);
  switch (name) {
    case "bridge":
      return createBridgeCni({ clusterCidrs, config });
    case "routes":
      return createRoutesCni({ store, router, config });
    case "host-gw":
      return createHostGwCni({ clusterCidrs, config });
    case "vxlan":
      return createVxlanCni({ store, clusterCidrs, config });
    case "vpc":
      return createVpcCni({ router, random: sim.random.fork("vpc"), config });
  }
}
