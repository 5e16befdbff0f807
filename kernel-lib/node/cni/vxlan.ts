/** Owns flannel's VXLAN design: one bridge a node, and a tunnel between nodes whose tables follow the Nodes. */
import type { Store } from "../../api/store";
import { type Cidr, formatCidr, type Ip, type Mac, parseCidr, widthOf } from "../../net/address";
import type { NodeNet } from "../node";
import type { Cni, ConfigText } from "./cni";
import {
  flannelAnnotation,
  flannelAnnotations,
  hopsOf,
  installFlannel,
  type Peer,
  peersOf,
  whenRead,
  writeFlannelRules,
} from "./flannel";
import { PodNetworks } from "./runtime";

/** What a flannel network is made with. */
export interface FlannelOptions {
  readonly store: Store;
  /** Where all pods live; default 10.244.0.0/16. */
  readonly clusterCidrs?: readonly string[];
  /** Another configuration than flannel's own, for every node. */
  readonly config?: ConfigText | undefined;
}

const vni = 1;

/** The tunnel's device, and where its MAC address is written down, by the family of what it carries. */
const kinds = {
  number: { device: `flannel.${vni}`, data: "backend-data" },
  bigint: { device: `flannel-v6.${vni}`, data: "backend-v6-data" },
} as const;

/**
 * ```
 * pod eth0 ─ veth ─ cni0 10.244.1.1/24 ─ route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
 *   neighbour 10.244.2.0 → MAC of node-2's flannel.1 ─ FDB: that MAC → 192.168.1.12 ─ UDP 8472, VNI 1 ─ eth0
 * ```
 * Each node's daemon writes its tunnel's MAC into its Node's annotations; the others read it there.
 */
export function createVxlanCni({ store, clusterCidrs = ["10.244.0.0/16"], config }: FlannelOptions): Cni {
  const networks = clusterCidrs.map(parseCidr);
  const pods = new PodNetworks();
  const daemons = new WeakMap<NodeNet, Daemon>();
  return {
    name: "vxlan",
    ready: (node) => pods.state(node).ready,
    addPod: (pod, node) => pods.add(pod, node),
    deletePod: (pod, node) => pods.delete(pod, node),
    syncPeers(nodes, node) {
      if (node.podCidrs.length === 0) return;
      const daemon = daemons.get(node) ?? begin(node, networks);
      announce(node, daemon, store);
      if (!daemons.has(node)) {
        daemons.set(node, daemon);
        installFlannel(node, networks, node.podCidrs.some(({ ip }) => typeof ip === "bigint") ? 1430 : 1450, config);
      }
      whenRead(node, () => syncTunnels(node, daemon.tunnels, peersOf(nodes(), node)));
    },
  };
}

/** A peer's range as it was written into the tables. */
interface Tunnel {
  readonly to: Cidr;
  readonly via: Ip;
  readonly mac: Mac;
}

/** What the daemon of one node holds. */
interface Daemon {
  readonly tunnels: Map<string, Tunnel>;
  /** What it says of itself in its Node. */
  readonly annotations: { readonly [name: string]: string };
}

function begin(node: NodeNet, networks: readonly Cidr[]): Daemon {
  const data: Record<string, string> = {};
  for (const range of node.podCidrs) {
    const local = node.ips.find((ip) => typeof ip === typeof range.ip);
    if (local === undefined) continue;
    const kind = kindOf(range.ip);
    // 20 octets more around each frame, for the longer header of IPv6.
    const mtu = typeof local === "bigint" ? { mtu: node.netns.device("eth0").mtu - 70 } : {};
    const device = node.netns.addVxlan(kind.device, { vni, local, underlay: "eth0", ...mtu });
    node.netns.addAddress(device.name, { ip: range.ip, length: widthOf(range.ip) });
    data[kind.data] = JSON.stringify({ VNI: vni, VtepMAC: device.mac });
  }
  if (node.later.asleep) node.netns.netfilter.defer("flannel", () => writeFlannelRules(node, networks));
  else writeFlannelRules(node, networks);
  return { tunnels: new Map(), annotations: flannelAnnotations(node, "vxlan", data) };
}

/** Says where the node's tunnel ends; again, if its Node is a new one. */
function announce(node: NodeNet, { annotations }: Daemon, store: Store): void {
  const said = store.get("Node", node.name)?.metadata.annotations ?? {};
  if (Object.entries(annotations).every(([name, text]) => said[name] === text)) return;
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
  const wanted = new Map(peers.flatMap(tunnelsTo).map((tunnel) => [formatCidr(tunnel.to), tunnel]));
  for (const [prefix, tunnel] of known) {
    const now = wanted.get(prefix);
    if (now && now.mac === tunnel.mac && now.via === tunnel.via) continue;
    removeTunnel(node, tunnel);
    known.delete(prefix);
  }
  for (const [prefix, tunnel] of wanted) {
    if (known.has(prefix)) continue;
    addTunnel(node, tunnel);
    known.set(prefix, tunnel);
  }
}

const tunnels = new WeakMap<Peer, readonly Tunnel[]>();

/** The same for all nodes: a peer is read once. */
function tunnelsTo(peer: Peer): readonly Tunnel[] {
  const before = tunnels.get(peer);
  if (before) return before;
  const read = hopsOf(peer).flatMap(({ to, via }): readonly Tunnel[] => {
    const data = peer.annotations[`${flannelAnnotation}/${kindOf(to.ip).data}`];
    const mac = data === undefined ? undefined : /"VtepMAC":"([0-9a-f:]{17})"/.exec(data)?.[1];
    return mac === undefined ? [] : [{ to, via, mac }];
  });
  tunnels.set(peer, read);
  return read;
}

function kindOf(ip: Ip): (typeof kinds)[keyof typeof kinds] {
  return typeof ip === "number" ? kinds.number : kinds.bigint;
}

function addTunnel(node: NodeNet, { to, via, mac }: Tunnel): void {
  const { device } = kindOf(to.ip);
  node.netns.neighbors.set(device, to.ip, mac);
  const link = node.netns.devices.get(device)?.link;
  if (link?.type === "vxlan") link.fdb.set(mac, via);
  node.netns.routes.add({ to, via: to.ip, device, onlink: true });
}

function removeTunnel(node: NodeNet, { to, mac }: Tunnel): void {
  const { device } = kindOf(to.ip);
  node.netns.neighbors.delete(device, to.ip);
  const link = node.netns.devices.get(device)?.link;
  if (link?.type === "vxlan") link.fdb.delete(mac);
  node.netns.routes.delete(to);
}
