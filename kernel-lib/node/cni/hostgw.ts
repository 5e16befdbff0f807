/** Owns flannel's host-gw design: no tunnel, each node has a route to every other node's pods. */
import { type Ip, parseCidr } from "../../net/address";
import type { NodeNet } from "../node";
import type { Cni, ConfigText } from "./cni";
import { installFlannel, peersOf, syncHops, whenRead, writeFlannelRules } from "./flannel";
import { PodNetworks } from "./runtime";

/** What host-gw is made with. */
export interface HostGwOptions {
  /** Where all pods live; default 10.244.0.0/16. */
  readonly clusterCidrs?: readonly string[];
  /** Another configuration than flannel's own, for every node. */
  readonly config?: ConfigText | undefined;
}

/**
 * ```
 * pod eth0 ─ veth ─ cni0 10.244.1.1/24 ─ route 10.244.2.0/24 via 192.168.1.12 dev eth0 ─ node-2
 * ```
 * Works only where nodes are neighbours on one network.
 */
export function createHostGwCni({ clusterCidrs = ["10.244.0.0/16"], config }: HostGwOptions = {}): Cni {
  const networks = clusterCidrs.map(parseCidr);
  const pods = new PodNetworks();
  const known = new WeakMap<NodeNet, Map<string, Ip>>();
  return {
    name: "host-gw",
    ready: (node) => pods.state(node).ready,
    addPod: (pod, node) => pods.add(pod, node),
    deletePod: (pod, node) => pods.delete(pod, node),
    syncPeers(nodes, node) {
      if (node.podCidrs.length === 0) return;
      const routes = known.get(node) ?? new Map<string, Ip>();
      if (!known.has(node)) {
        installFlannel(node, networks, 1500, config);
        writeFlannelRules(node, networks);
      }
      known.set(node, routes);
      whenRead(node, () => syncHops(node.netns.routes, routes, peersOf(nodes(), node), "eth0"));
    },
  };
}
