/** Owns the aws-cni plugin: a pod on a wire of its own, with an address of the VPC, and routes to it on the node. */
import { sha1 } from "@noble/hashes/legacy";
import { bytesToHex } from "@noble/hashes/utils";
import { anyIpv4, type Cidr, type Ip, parseIp } from "../../net/address";
import type { NodeNet } from "../node";
import { field } from "./gojson";
import { type Plugin, PluginError } from "./plugin";

/** What ipamd, the daemon of aws-node, does for the plugin: it holds the addresses of the node's interfaces. */
export interface Ipamd {
  /** An address for a sandbox; undefined when there is none. */
  assign(node: NodeNet, id: string): Ip | undefined;
  unassign(node: NodeNet, id: string): Ip | undefined;
}

/** The next hop of every pod. Nobody has it: a permanent neighbour entry leads to the node's end of the wire. */
const gateway = parseIp("169.254.1.1");

/** amazon-vpc-cni-k8s, cmd/routed-eni-cni-plugin and its driver. */
export function awsCni(ipamd: Ipamd): Plugin {
  return {
    add({ node, pod, device, config }) {
      const mtu = Number(field(config, "mtu", "string") ?? "9001");
      const ip = ipamd.assign(node, pod.id);
      if (ip === undefined) throw new PluginError("add cmd: failed to assign an IP address to container");
      const alone: Cidr = { ip, length: 32 };
      const end = hostEnd(pod.key);
      const [host] = node.network.vethPair(
        { netns: node.netns, name: end, mtu },
        { netns: pod.netns, name: device, mtu },
      );
      pod.netns.addAddress(device, alone);
      pod.netns.routes.add({ to: { ip: gateway, length: 32 }, device, scope: "link" });
      pod.netns.routes.add({ to: { ip: anyIpv4, length: 0 }, via: gateway, device });
      pod.netns.neighbors.set(device, gateway, host.mac);
      node.netns.routes.add({ to: alone, device: end, scope: "link" });
      return { ips: [{ address: alone, gateway }], routes: [{ to: { ip: anyIpv4, length: 0 }, via: gateway }] };
    },
    delete({ node, pod, device }) {
      if (pod.netns.devices.has(device)) pod.netns.deleteDevice(device);
      ipamd.unassign(node, pod.id);
    },
  };
}

/** `eni` and eleven digits of a SHA-1 over `namespace.pod` (pkg/utils, GeneratePodHostVethName). */
export function hostEnd(key: string): string {
  return `eni${bytesToHex(sha1(key.replace("/", "."))).slice(0, 11)}`;
}
