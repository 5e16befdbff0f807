/** Owns flannel's VXLAN design: one bridge a node, and a tunnel between nodes whose tables follow the Nodes. */
import type { Store } from "../../api/store";
import { type Cidr, formatCidr, type Mac, parseCidr } from "../../net/address";
import type { NodeNet } from "../node";
import { BridgePlugin } from "./bridge";
import type { Cni } from "./cni";
import { flannelAnnotation, flannelAnnotations, type Peer, peersOf, writeFlannelRules } from "./flannel";

/** What a flannel network is made with. */
export interface FlannelOptions {
  readonly store: Store;
  /** Where all pods live; default 10.244.0.0/16. */
  readonly clusterCidr?: string;
}

const vni = 1;

/**
 * ```
 * pod eth0 ─ veth ─ cni0 10.244.1.1/24 ─ route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
 *   neighbour 10.244.2.0 → MAC of node-2's flannel.1 ─ FDB: that MAC → 192.168.1.12 ─ UDP 8472, VNI 1 ─ eth0
 * ```
 * Each node's daemon writes its tunnel's MAC into its Node's annotations; the others read it there.
 */
export function createVxlanCni({ store, clusterCidr = "10.244.0.0/16" }: FlannelOptions): Cni {
  const cluster = parseCidr(clusterCidr);
  const bridge = new BridgePlugin({ plugin: "flannel", mtu: 1450, clusterCidr: cluster });
  const known = new WeakMap<NodeNet, Map<string, Tunnel>>();
  return {
    name: "vxlan",
    ready: (node) => known.has(node),
    addPod: (pod, node) => [bridge.addPod(pod, node)],
    deletePod: (pod, node) => bridge.deletePod(pod.uid, node),
    syncPeers(nodes, node) {
      if (!node.podCidr) return;
      if (!known.has(node)) {
        begin(node, node.podCidr, cluster, store);
        known.set(node, new Map());
      }
      syncTunnels(node, known.get(node) ?? new Map(), peersOf(nodes, node));
    },
  };
}

/** A peer as it was written into the tables. */
interface Tunnel {
  readonly peer: Peer;
  readonly mac: Mac;
}

function begin(node: NodeNet, podCidr: Cidr, cluster: Cidr, store: Store): void {
  const device = node.netns.addVxlan(`flannel.${vni}`, { vni, local: node.ip, underlay: "eth0" });
  node.netns.addAddress(device.name, { ip: podCidr.ip, length: 32 });
  writeFlannelRules(node, cluster, podCidr);
  const data = JSON.stringify({ VNI: vni, VtepMAC: device.mac });
  const annotations = flannelAnnotations(node, "vxlan", data);
  store.update(
    "Node",
    node.name,
    (current) => ({
      ...current,
      metadata: { ...current.metadata, annotations: { ...current.metadata.annotations, ...annotations } },
    }),
    "flanneld",
  );
}

function syncTunnels(node: NodeNet, known: Map<string, Tunnel>, peers: readonly Peer[]): void {
  const wanted = new Map(peers.flatMap((peer) => tunnelTo(peer) ?? []).map((tunnel) => [tunnel.peer.name, tunnel]));
  for (const [name, tunnel] of known) {
    if (same(tunnel, wanted.get(name))) continue;
    removeTunnel(node, tunnel);
    known.delete(name);
  }
  for (const [name, tunnel] of wanted) {
    if (known.has(name)) continue;
    addTunnel(node, tunnel);
    known.set(name, tunnel);
  }
}

function tunnelTo(peer: Peer): Tunnel | undefined {
  const data = peer.annotations[`${flannelAnnotation}/backend-data`];
  const mac = data === undefined ? undefined : /"VtepMAC":"([0-9a-f:]{17})"/.exec(data)?.[1];
  return mac === undefined ? undefined : { peer, mac };
}

function same(one: Tunnel, other: Tunnel | undefined): boolean {
  if (!other || one.mac !== other.mac || one.peer.ip !== other.peer.ip) return false;
  return formatCidr(one.peer.podCidr) === formatCidr(other.peer.podCidr);
}

function addTunnel(node: NodeNet, { peer, mac }: Tunnel): void {
  const device = `flannel.${vni}`;
  node.netns.neighbors.set(device, peer.podCidr.ip, mac);
  const link = node.netns.devices.get(device)?.link;
  if (link?.type === "vxlan") link.fdb.set(mac, peer.ip);
  node.netns.routes.add({ to: peer.podCidr, via: peer.podCidr.ip, device, onlink: true });
}

function removeTunnel(node: NodeNet, { peer, mac }: Tunnel): void {
  const device = `flannel.${vni}`;
  node.netns.neighbors.delete(device, peer.podCidr.ip);
  const link = node.netns.devices.get(device)?.link;
  if (link?.type === "vxlan") link.fdb.delete(mac);
  node.netns.routes.delete(peer.podCidr);
}
