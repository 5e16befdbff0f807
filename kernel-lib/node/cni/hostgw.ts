/** Owns flannel's host-gw design: no tunnel, each node is the next hop to its own pods. */
import { parseCidr } from "../../net/address";
import type { NodeNet } from "../node";
import { BridgePlugin } from "./bridge";
import type { Cni } from "./cni";
import { type Peer, peersOf, writeFlannelRules } from "./flannel";

/** Works only where nodes are neighbours on one network. */
export function createHostGwCni({ clusterCidr = "10.244.0.0/16" }: { readonly clusterCidr?: string } = {}): Cni {
  const cluster = parseCidr(clusterCidr);
  const bridge = new BridgePlugin({ plugin: "flannel", mtu: 1500, clusterCidr: cluster });
  const known = new WeakMap<NodeNet, Map<string, Peer>>();
  return {
    name: "host-gw",
    ready: (node) => known.has(node),
    addPod: (pod, node) => [bridge.addPod(pod, node)],
    deletePod: (pod, node) => bridge.deletePod(pod.uid, node),
    syncPeers(nodes, node) {
      if (!node.podCidr) return;
      const routes = known.get(node) ?? new Map<string, Peer>();
      if (!known.has(node)) writeFlannelRules(node, cluster, node.podCidr);
      known.set(node, routes);
      syncRoutes(node, routes, peersOf(nodes, node));
    },
  };
}

function syncRoutes(node: NodeNet, known: Map<string, Peer>, peers: readonly Peer[]): void {
  const route = (peer: Peer) => ({ to: peer.podCidr, via: peer.ip, device: "eth0" });
  for (const [name, peer] of known) {
    const now = peers.find((other) => other.name === name);
    if (now && now.ip === peer.ip && now.podCidr.ip === peer.podCidr.ip) continue;
    node.netns.routes.delete(peer.podCidr);
    known.delete(name);
  }
  for (const peer of peers) {
    if (known.has(peer.name)) continue;
    node.netns.routes.add(route(peer));
    known.set(peer.name, peer);
  }
}
