/** Owns the ptp plugin: a pod on a wire of its own, with a route to it on the node, and no bridge. */
import { macOfIp, networkOf, widthOf } from "../../net/address";
import { field } from "./gojson";
import { addRoutes, ipamOf, removeIpMasq, vethName, writeIpMasq } from "./interface";
import { type Plugin, PluginError } from "./plugin";

/**
 * containernetworking plugins, plugins/main/ptp: the node's end has the gateway's address, and the pod reaches even its own
 * network through it.
 */
export const ptp: Plugin = {
  add(call) {
    const { node, pod, device, config } = call;
    const ipam = ipamOf(call);
    if (!ipam) throw new PluginError('no plugin name provided for "ipam"');
    const result = ipam.add(call);
    const end = vethName(node);
    const mtu = field(config, "mtu", "int") ?? 0;
    const size = mtu === 0 ? {} : { mtu };
    const first = result.ips[0];
    const mac = first && macOfIp(first.address.ip);
    node.network.vethPair(
      { netns: node.netns, name: end, ...size },
      { netns: pod.netns, name: device, ...size, ...(mac && { mac }) },
    );
    for (const { address, gateway } of result.ips) {
      if (gateway === undefined) continue;
      const alone = widthOf(address.ip);
      pod.netns.addAddress(device, address);
      pod.netns.routes.delete(networkOf(address), device);
      pod.netns.routes.add({ to: { ip: gateway, length: alone }, device, scope: "link" });
      pod.netns.routes.add({ to: networkOf(address), via: gateway, device });
      node.netns.addAddress(end, { ip: gateway, length: alone });
      node.netns.routes.add({ to: { ip: address.ip, length: alone }, device: end, scope: "link" });
    }
    addRoutes(call, result);
    if (field(config, "ipMasq", "bool")) writeIpMasq(call, result);
    return result;
  },
  delete(call) {
    const { pod, device, config } = call;
    if (pod.netns.devices.has(device)) pod.netns.deleteDevice(device);
    ipamOf(call)?.delete(call);
    if (field(config, "ipMasq", "bool")) removeIpMasq(call);
  },
};
