/** Owns the bridge plugin: a pod's veth pair on a bridge of the node, which may be the pod's gateway. */
import { addToIp, type Cidr, contains, formatCidr, type Ip, macOfIp, networkOf } from "../../net/address";
import type { Device } from "../../net/device";
import type { NodeNet } from "../node";
import { field, type JsonObject } from "./gojson";
import { addRoutes, defaultFor, ipamOf, removeIpMasq, vethName, writeIpMasq } from "./interface";
import { type CniAddress, type CniResult, type Plugin, type PluginCall, PluginError } from "./plugin";

interface BridgeConfig {
  readonly bridge: string;
  readonly isGateway: boolean;
  readonly isDefaultGateway: boolean;
  readonly forceAddress: boolean;
  readonly ipMasq: boolean;
  readonly hairpinMode: boolean;
  readonly mtu: number | undefined;
}

/**
 * containernetworking plugins, plugins/main/bridge. A bridge of that name is taken as it is, and made where there is none.
 * Left out: VLANs, `macspoofchk`. `promiscMode` changes nothing that can be seen here.
 */
export const bridge: Plugin = {
  add(call) {
    const config = configOf(call);
    const { node, pod } = call;
    if (pod.lazy && node.later.asleep && steady.get(node) === call.config) return addLater(call, config);
    const result = addNow(call, config);
    if (node.later.asleep) steady.set(node, call.config);
    return result;
  },
  delete(call) {
    const config = configOf(call);
    const { pod, device } = call;
    if (pod.netns.devices.has(device)) pod.netns.deleteDevice(device);
    ipamOf(call)?.delete(call);
    if (config.ipMasq) removeIpMasq(call);
  },
};

/**
 * Nodes that nobody has looked at since their bridge was made and given its address by this configuration: there a further
 * pod cannot fail but for want of an address.
 */
const steady = new WeakMap<NodeNet, JsonObject>();

/** Gives the pod its address at once, and its wire when somebody looks. */
function addLater(call: PluginCall, config: BridgeConfig): CniResult {
  const ipam = ipamOf(call);
  const given = ipam ? ipam.add(call) : { ips: [], routes: [] };
  const result = ipam ? withGateways(given, config) : given;
  const { node, pod } = call;
  node.later.add(() => {
    connect(call, config, node.netns.device(config.bridge), result.ips[0]?.address.ip);
    for (const { address } of result.ips) pod.netns.addAddress(call.device, address);
    addRoutes(call, result);
    if (config.ipMasq) writeIpMasq(call, result);
  });
  return result;
}

function addNow(call: PluginCall, config: BridgeConfig): CniResult {
  const device = bridgeOf(call.node, config);
  const ipam = ipamOf(call);
  if (!ipam) {
    connect(call, config, device, undefined);
    return { ips: [], routes: [] };
  }
  const given = ipam.add(call);
  try {
    if (given.ips.length === 0) throw new PluginError("IPAM plugin returned missing IP config");
    const result = withGateways(given, config);
    if (config.isGateway) for (const ip of result.ips) ensureAddress(device, ip, config);
    connect(call, config, device, result.ips[0]?.address.ip);
    // The connected route of an IPv6 address comes with it, as that of an IPv4 one does.
    for (const { address } of result.ips) call.pod.netns.addAddress(call.device, address);
    addRoutes(call, result);
    if (config.ipMasq) writeIpMasq(call, result);
    return result;
  } catch (error) {
    ipam.delete(call);
    throw error;
  }
}

const read = new WeakMap<JsonObject, BridgeConfig>();

function configOf({ config }: PluginCall): BridgeConfig {
  const known = read.get(config) ?? readConfig(config);
  read.set(config, known);
  return known;
}

function readConfig(config: JsonObject): BridgeConfig {
  const isDefaultGateway = field(config, "isDefaultGateway", "bool") ?? false;
  const hairpinMode = field(config, "hairpinMode", "bool") ?? false;
  const promiscMode = field(config, "promiscMode", "bool") ?? false;
  if (hairpinMode && promiscMode) {
    throw new PluginError("cannot set hairpin mode and promiscuous mode at the same time");
  }
  const mtu = field(config, "mtu", "int") ?? 0;
  return {
    bridge: field(config, "bridge", "string") || "cni0",
    isGateway: isDefaultGateway || (field(config, "isGateway", "bool") ?? false),
    isDefaultGateway,
    forceAddress: field(config, "forceAddress", "bool") ?? false,
    ipMasq: field(config, "ipMasq", "bool") ?? false,
    hairpinMode,
    mtu: mtu === 0 ? undefined : mtu,
  };
}

function bridgeOf({ netns }: NodeNet, { bridge: name, mtu }: BridgeConfig): Device {
  const found = netns.devices.get(name);
  if (!found) return netns.addBridge(name, mtu === undefined ? {} : { mtu });
  if (found.link.type === "bridge") return found;
  throw new PluginError(`failed to create bridge "${name}": "${name}" already exists but is not a bridge`);
}

/** calcGateways: the gateway is the first address of the network, if nobody says another. */
function withGateways({ ips, routes }: CniResult, { isGateway, isDefaultGateway }: BridgeConfig): CniResult {
  const complete = ips.map(({ address, gateway }): CniAddress => {
    const first = gateway ?? (isGateway ? addToIp(networkOf(address).ip, 1) : undefined);
    return { address, ...(first !== undefined && { gateway: first }) };
  });
  if (!isDefaultGateway) return { ips: complete, routes };
  const missing = complete.filter(({ address }, at) => {
    const same = (to: Cidr): boolean => to.length === 0 && typeof to.ip === typeof address.ip;
    const before = complete.slice(0, at).some((other) => typeof other.address.ip === typeof address.ip);
    return !before && !routes.some(({ to, via }) => via !== undefined && same(to));
  });
  const defaults = missing.map(({ address, gateway }) => ({
    to: defaultFor(address),
    ...(gateway !== undefined && { via: gateway }),
  }));
  return { ips: complete, routes: [...routes, ...defaults] };
}

/** The bridge's own address: another one of the family must not be there already (ensureAddr). */
function ensureAddress(device: Device, { address, gateway }: CniAddress, { forceAddress }: BridgeConfig): void {
  if (gateway === undefined) return;
  const wanted = { ip: gateway, length: address.length };
  for (const has of [...device.addresses]) {
    if (typeof has.ip !== typeof gateway) continue;
    if (has.ip === wanted.ip && has.length === wanted.length) return;
    const overlaps = typeof has.ip === "number" || contains(has, wanted.ip) || contains(wanted, has.ip);
    if (!overlaps) continue;
    if (!forceAddress) {
      const why = `"${device.name}" already has an IP address different from ${formatCidr(wanted)}`;
      throw new PluginError(`failed to set bridge addr: ${why}`);
    }
    device.netns.deleteAddress(device.name, has);
  }
  device.netns.addAddress(device.name, wanted);
}

function connect(call: PluginCall, config: BridgeConfig, device: Device, ip: Ip | undefined): void {
  const { node, pod } = call;
  const end = vethName(node);
  const mtu = config.mtu === undefined ? {} : { mtu: config.mtu };
  node.network.vethPair(
    { netns: node.netns, name: end, ...mtu },
    { netns: pod.netns, name: call.device, ...mtu, ...(ip !== undefined && { mac: macOfIp(ip) }) },
  );
  // Hairpin: a pod that reaches itself through its Service gets its own frame back.
  node.netns.attach(end, device.name, { hairpin: config.hairpinMode });
}
