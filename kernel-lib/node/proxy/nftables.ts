/** Owns kube-proxy's nftables mode: what a node should do for Services, as one table of nftables for each address family. */
import type { ProxyMode } from "./mode";

/** How the mode is set up; what is left out is as kubeadm's default. */
export interface NftablesOptions {
  /** Where pods live: one prefix, or one of each family with a comma between. */
  readonly clusterCidr?: string | undefined;
  /** Instead of that: pods are what comes in by this device (`cni0`), or by one whose name begins so (`veth+`). */
  readonly localInterface?: string | undefined;
  readonly masqueradeAll?: boolean;
  /** The bit of the mark that asks for masquerading (14 → 0x4000). */
  readonly masqueradeBit?: number;
  /** Node ports are open on addresses in these prefixes, of both families; none: on the node's primary addresses. */
  readonly nodePortAddresses?: readonly string[] | undefined;
  /** All ServiceCIDRs, of both families: traffic to addresses in them that no Service has is dropped. */
  readonly serviceCidrs?: readonly string[];
  /** Which release of kube-proxy writes: v1.36 needs fewer chains than those before it. */
  readonly release?: "1.35" | "1.36";
}

/** A mode that writes nftables rules. One object serves all nodes. */
export function nftablesMode(_options: NftablesOptions = {}): ProxyMode {
  return {
    name: "nftables",
    sync() {
      throw new Error("the nftables mode writes nothing yet");
    },
    cleanup(node) {
      node.netns.nft.apply(
        (["ip", "ip6"] as const).map((family) => ({ do: "destroy", what: "table", family, table: "kube-proxy" })),
      );
    },
  };
}
