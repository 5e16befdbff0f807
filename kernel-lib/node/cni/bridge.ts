/** Owns the design with one L2 network: the pods of all nodes are neighbours, through the bridges of their nodes. */
import { addToIp, type Cidr, formatIp, lastOf, networkOf, parseCidr } from "../../net/address";
import type { NodeNet } from "../node";
import { type Cni, type ConfigText, configTextFor } from "./cni";
import { configFolder } from "./netconf";
import { PodNetworks } from "./runtime";

/** What the design is made with. */
export interface BridgeOptions {
  /** Where all pods live; default 10.1.0.0/16. */
  readonly clusterCidrs?: readonly string[];
  /** Another configuration than the design's own, for every node. */
  readonly config?: ConfigText | undefined;
}

/** The bridge that has the node's wire and its address, the one that has the pods, and the two ends that join them. */
export const wires = { node: "br0", pods: "kube-bridge", up: "veth-node", down: "veth-kube" } as const;

/**
 * ```
 * pod eth0 ─ veth ─ kube-bridge ─ veth-kube ═ veth-node ─ br0 192.168.1.11 ─ eth0 ─ the nodes' network
 * ```
 * ARP goes out on the wire, so a pod asks for a pod of another node as for one of its own.
 */
export function createBridgeCni({ clusterCidrs = ["10.1.0.0/16"], config }: BridgeOptions = {}): Cni {
  const networks = clusterCidrs.map(parseCidr);
  const pods = new PodNetworks();
  return {
    name: "bridge",
    prepare: joinBridges,
    ready: (node) => pods.state(node).ready,
    addPod: (pod, node) => pods.add(pod, node),
    deletePod: (pod, node) => pods.delete(pod, node),
    syncPeers(_nodes, node) {
      const path = `${configFolder}/10-mynet.conf`;
      if (node.podCidrs.length === 0 || node.files.read(path) !== undefined) return;
      node.files.write(
        path,
        configTextFor(node, config, () => ownConfig(networks, node.podCidrs)),
      );
    },
  };
}

/** Puts the node's wire and its address on a bridge, and hooks the pods' bridge to it. */
function joinBridges({ netns, network }: NodeNet): void {
  const wire = netns.device("eth0");
  // The address of the link itself (fe80::/64) stays with its device.
  const addresses = wire.addresses.filter(({ ip }) => typeof ip === "number" || ip >> 118n !== 0x3fan);
  const gateways = (["IPv4", "IPv6"] as const).flatMap((family) => {
    const route = netns.routes.list(family).find(({ to }) => to.length === 0);
    return route?.via === undefined ? [] : [{ to: route.to, via: route.via }];
  });
  for (const { to } of gateways) netns.routes.delete(to, "eth0");
  for (const address of addresses) netns.deleteAddress("eth0", address);
  // A bridge takes the MAC address of its first port.
  netns.addBridge(wires.node, { mac: wire.mac });
  netns.attach("eth0", wires.node);
  for (const address of addresses) netns.addAddress(wires.node, address);
  for (const gateway of gateways) netns.routes.add({ ...gateway, device: wires.node });
  netns.addBridge(wires.pods);
  network.vethPair({ netns, name: wires.up }, { netns, name: wires.down });
  netns.attach(wires.up, wires.node);
  netns.attach(wires.down, wires.pods);
}

/** One subnet for all nodes, and of it a part a node: else two nodes would give the same addresses. */
function ownConfig(networks: readonly Cidr[], parts: readonly Cidr[]): string {
  const ranges = parts.flatMap((part) => {
    const subnet = networks.find(({ ip }) => typeof ip === typeof part.ip);
    return subnet ? [rangeOf(subnet, part)] : [];
  });
  const lines = (range: readonly string[], indent: string): string => range.join(`,\n${indent}`);
  const ipam =
    ranges.length === 1
      ? lines(ranges[0] ?? [], "    ")
      : `"ranges": [\n${ranges.map((range) => `      [{\n        ${lines(range, "        ")}\n      }]`).join(",\n")}\n    ]`;
  return `{
  "cniVersion": "1.0.0",
  "name": "mynet",
  "type": "bridge",
  "bridge": "${wires.pods}",
  "isDefaultGateway": true,
  "hairpinMode": true,
  "ipam": {
    "type": "host-local",
    ${ipam}
  }
}
`;
}

function rangeOf(subnet: Cidr, part: Cidr): readonly string[] {
  const first = networkOf(part).ip;
  const gateway = addToIp(first, 1);
  const last = lastOf(part);
  return [
    `"subnet": "${formatIp(networkOf(subnet).ip)}/${subnet.length}"`,
    `"rangeStart": "${formatIp(gateway)}"`,
    `"rangeEnd": "${formatIp(typeof last === "number" ? last - 1 : last)}"`,
    `"gateway": "${formatIp(gateway)}"`,
  ];
}
