/** Owns a node's bridge `cni0`: each pod hangs on it by a veth pair, with an address of the node's range. */
import { anyIpv4, type Cidr, type Ip, macOfIp } from "../../net/address";
import type { NodeNet } from "../node";
import { CniError, type PodToConnect } from "./cni";
import { HostLocal } from "./ipam";

/** How the bridge is set up. */
export interface BridgeOptions {
  /** The plugin's name, as errors say it. */
  readonly plugin: string;
  readonly mtu: number;
  /** Where all pods of the cluster live: pods get a route to it beside their default route, as flannel's plugin gives. */
  readonly clusterCidr: Cidr;
}

interface Wire {
  readonly ipam: HostLocal;
  /** Pod uid → its end on the node. */
  readonly ends: Map<string, string>;
}

/** The bridge plugin, for all nodes (containernetworking plugins, plugins/main/bridge, as flannel delegates to it). */
export class BridgePlugin {
  readonly #options: BridgeOptions;
  readonly #wires = new WeakMap<NodeNet, Wire>();

  constructor(options: BridgeOptions) {
    this.#options = options;
  }

  /** Connects a pod: veth pair, address, default route. The bridge comes with the first pod. @throws CniError */
  addPod(pod: PodToConnect, node: NodeNet): Ip {
    const { plugin, mtu, clusterCidr } = this.#options;
    if (!node.podCidr)
      throw new CniError(
        plugin,
        "loadFlannelSubnetEnv failed: open /run/flannel/subnet.env: no such file or directory",
      );
    const wire = this.#wires.get(node) ?? this.#newWire(node, node.podCidr);
    const { ipam } = wire;
    const ip = ipam.give(pod.uid);
    const end = vethName(node);
    wire.ends.set(pod.uid, end);
    node.network.vethPair(
      { netns: node.netns, name: end, mtu },
      { netns: pod.netns, name: "eth0", mac: macOfIp(ip), mtu },
    );
    // Hairpin: a pod that reaches itself through its Service gets its own frame back.
    node.netns.attach(end, "cni0", { hairpin: true });
    pod.netns.addAddress("eth0", { ip, length: node.podCidr.length });
    pod.netns.routes.add({ to: { ip: anyIpv4, length: 0 }, via: ipam.gateway, device: "eth0" });
    if (clusterCidr.length < node.podCidr.length) {
      pod.netns.routes.add({ to: clusterCidr, via: ipam.gateway, device: "eth0" });
    }
    return ip;
  }

  /** Takes a pod's veth pair and address away. */
  deletePod(uid: string, node: NodeNet): void {
    const wire = this.#wires.get(node);
    const end = wire?.ends.get(uid);
    if (!wire || end === undefined) return;
    wire.ends.delete(uid);
    wire.ipam.take(uid);
    if (node.netns.devices.has(end)) node.netns.deleteDevice(end);
  }

  #newWire(node: NodeNet, podCidr: Cidr): Wire {
    const wire = { ipam: new HostLocal(this.#options.plugin, podCidr), ends: new Map<string, string>() };
    node.netns.addBridge("cni0", { mtu: this.#options.mtu });
    node.netns.addAddress("cni0", { ip: wire.ipam.gateway, length: podCidr.length });
    this.#wires.set(node, wire);
    return wire;
  }
}

/** `veth` and eight hexadecimal digits, as the plugin's library names them. */
function vethName(node: NodeNet): string {
  for (;;) {
    const digits = Array.from({ length: 8 }, () => node.netns.random.integer(0, 15).toString(16)).join("");
    if (!node.netns.devices.has(`veth${digits}`)) return `veth${digits}`;
  }
}
