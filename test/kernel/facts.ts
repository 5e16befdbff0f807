/** Owns what differs from design to design. */
import type { Design } from "./clusters";
import type { Version } from "./topology";

/** What differs from design to design, as a reader of the design would say it. */
export interface DesignFacts {
  /** The machines that a packet of a1 to b1 is seen by, as traceroute shows them. */
  readonly hops: string;
  /** What is left of 64 at b1. */
  readonly ttl: number;
  /** Whom b1 sees when node-1 itself asks. */
  readonly nodeSource: string;
  /** What is left of 64 at a2 of a packet of a1. */
  readonly nearTtl: number;
}

/** By design, as its author would tell it. */
export function factsOf(design: Design, version: Version): DesignFacts {
  switch (design) {
    case "bridge":
      return { hops: "b1", ttl: 64, nearTtl: 64, nodeSource: "node-1/kube-bridge" };
    case "routes":
      return { hops: "node-1/kube-bridge > router > node-2 > b1", ttl: 61, nearTtl: 64, nodeSource: "node-1" };
    case "host-gw":
      return { hops: "node-1/cni0 > node-2 > b1", ttl: 62, nearTtl: 64, nodeSource: "node-1" };
    case "vxlan": {
      const tunnel = version === 4 ? "flannel.1" : "flannel-v6.1";
      return { hops: `node-1/cni0 > node-2/${tunnel} > b1`, ttl: 62, nearTtl: 64, nodeSource: `node-1/${tunnel}` };
    }
    case "vpc":
      return { hops: "node-1 > router > node-2 > b1", ttl: 61, nearTtl: 63, nodeSource: "node-1" };
  }
}
