/** Owns the design in which the nodes know nothing: the default gateway has a route to each node's pods. */

import type { Controller } from "../../api/controller";
import type { Store } from "../../api/store";
import { formatCidr, type Ip } from "../../net/address";
import type { Netns } from "../../net/netns";
import { type Cni, type ConfigText, configTextFor } from "./cni";
import { peersOf, syncHops } from "./flannel";
import { configFolder } from "./netconf";
import { PodNetworks } from "./runtime";

/** What the design is made with. */
export interface RoutesOptions {
  readonly store: Store;
  /** The nodes' default gateway. */
  readonly router: Netns;
  /** Another configuration than the design's own, for every node. */
  readonly config?: ConfigText | undefined;
}

/**
 * ```
 * pod eth0 ─ veth ─ kube-bridge 10.1.1.1/24 ─ default via 192.168.1.1 ─ router: 10.1.2.0/24 via 192.168.1.12 ─ node-2
 * ```
 * The router's table follows the Nodes, as a cloud's route controller does it (pkg/controller/route).
 */
export function createRoutesCni({ store, router, config }: RoutesOptions): Cni {
  const pods = new PodNetworks();
  return {
    name: "routes",
    ready: (node) => pods.state(node).ready,
    addPod: (pod, node) => pods.add(pod, node),
    deletePod: (pod, node) => pods.delete(pod, node),
    syncPeers(_nodes, node) {
      const path = `${configFolder}/10-mynet.conf`;
      if (node.podCidrs.length === 0 || node.files.read(path) !== undefined) return;
      node.files.write(
        path,
        configTextFor(node, config, () => ownConfig(node.podCidrs.map(formatCidr))),
      );
    },
    beside: [routeController(store, router)],
  };
}

function routeController(store: Store, router: Netns): Controller {
  const known = new Map<string, Ip>();
  return {
    name: "route-controller",
    watches: { Node: () => ["nodes"] },
    reconcile() {
      syncHops(router.routes, known, peersOf(store.list("Node"), undefined), "eth0");
      return undefined;
    },
  };
}

/** The bridge plugin with the node's own range. */
function ownConfig(ranges: readonly string[]): string {
  const [first = "", ...others] = ranges;
  const more = others.length === 0 ? "" : `,\n    "ranges": ${JSON.stringify(others.map((subnet) => [{ subnet }]))}`;
  return `{
  "cniVersion": "1.0.0",
  "name": "mynet",
  "type": "bridge",
  "bridge": "kube-bridge",
  "isDefaultGateway": true,
  "hairpinMode": true,
  "ipam": {
    "type": "host-local",
    "subnet": "${first}"${more}
  }
}
`;
}
