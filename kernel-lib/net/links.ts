/** Owns what `ip link` and `ip addr` change in a namespace, with the routes that follow from an address. */
import {
  type Cidr,
  contains,
  type Ip,
  isLinkLocal,
  isLoopback,
  lastOf,
  linkLocalOf,
  networkOf,
  widthOf,
} from "./address";
import type { Device } from "./device";
import type { Netns } from "./netns";

/** Makes a device a port of a bridge. */
export function attachPort(port: Device, master: Device, hairpin: boolean): void {
  if (master.link.type !== "bridge" || port === master || port.link.type === "bridge") {
    throw new RangeError("Error: Device can not be enslaved.");
  }
  detachPort(port);
  port.master = master;
  port.hairpin = hairpin;
  master.link.addPort(port);
}

/** `ip link set NAME nomaster`. */
export function detachPort(port: Device): void {
  if (port.master?.link.type === "bridge") port.master.link.removePort(port);
  port.master = undefined;
}

/** `ip link delete NAME`: with its addresses, routes and neighbours; the other end of a veth pair goes too. */
export function deleteDevice(netns: Netns, device: Device): void {
  const { name } = device;
  const had = [...device.writtenAddresses];
  device.up = false;
  netns.devices.delete(name);
  netns.routes.deleteDevice(name);
  for (const { ip } of had) keepLocal(netns, ip);
  netns.neighbors.deleteDevice(device);
  // It stays known whose port it was: frames that are still under way to it were not for itself.
  if (device.master?.link.type === "bridge") device.master.link.removePort(device);
  const { link } = device;
  if (link.type === "physical") link.segment.unplug(device);
  if (link.type === "bridge") for (const port of [...link.ports]) detachPort(port);
  if (link.type === "veth" && link.peer) {
    const { peer } = link;
    link.peer = undefined;
    if (peer.link.type === "veth") peer.link.peer = undefined;
    if (peer.netns.devices.get(peer.name) === peer) peer.netns.deleteDevice(peer.name);
  }
}

/**
 * `ip link set NAME up|down`. Down: its routes, neighbours and IPv6 addresses are gone, IPv4 addresses stay (net/ipv4/
 * fib_frontend.c, fib_disable_ip). Up: what follows from the addresses comes back, routes by hand do not.
 */
export function linkChanged(netns: Netns, device: Device): void {
  const { name, writtenAddresses, link } = device;
  if (!device.up && link.type === "veth" && link.peer) carrierLost(link.peer);
  if (device.up) {
    for (const address of writtenAddresses) connect(netns, device, address);
    netns.giveLinkLocal(device);
    return;
  }
  for (const address of [...writtenAddresses]) {
    if (typeof address.ip === "bigint" && name !== "lo") deleteAddress(netns, device, address);
  }
  netns.routes.deleteDevice(name, true);
  netns.neighbors.deleteDevice(device);
  if (device.master?.link.type === "bridge") device.master.link.forget(device);
}

/** Nothing is at the other end any more: whom it has heard there is forgotten (neigh_carrier_down, br_fdb_delete_by_port). */
export function carrierLost(device: Device): void {
  device.netns.neighbors.flush(device.name);
  if (device.master?.link.type === "bridge") device.master.link.forget(device);
}

/** `ip addr add ADDRESS dev NAME`, with the routes that the kernel adds by itself. */
export function addAddress(netns: Netns, device: Device, address: Cidr): void {
  const { writtenAddresses, name } = device;
  const known = typeof address.ip === "bigint" || netns.routes.isLocal(address.ip);
  if (known && writtenAddresses.some((other) => other.ip === address.ip && other.length === address.length)) {
    throw new RangeError("RTNETLINK answers: File exists");
  }
  // IPv4 first, then IPv6 with the link-local one last, as `ip addr` shows them.
  const rank = ({ ip }: Cidr): number => (typeof ip === "number" ? 0 : isLinkLocal(ip) ? 2 : 1);
  // Most come last: a device with the addresses of ten thousand Services is not searched for each.
  const last = writtenAddresses.at(-1);
  if (!last || rank(last) <= rank(address)) writtenAddresses.push(address);
  else {
    const at = writtenAddresses.findIndex((other) => rank(other) > rank(address));
    writtenAddresses.splice(at, 0, address);
  }
  const { ip } = address;
  const whole = name === "lo" && isLoopback(ip) ? networkOf(address) : { ip, length: widthOf(ip) };
  netns.routes.add({ to: whole, type: "local", device: name, source: ip, protocol: "kernel" });
  if (device.up) connect(netns, device, address);
}

/** The routes that follow from an address on a device that is up. */
function connect(netns: Netns, device: Device, address: Cidr): void {
  const { ip, length } = address;
  const { name } = device;
  if (name === "lo" || length === widthOf(ip)) return;
  const to = networkOf(address);
  if (typeof ip === "bigint") {
    netns.routes.add({ to, device: name, protocol: "kernel", scope: "link", metric: 256, append: true });
    return;
  }
  netns.routes.add({ to, device: name, source: ip, protocol: "kernel", scope: "link", append: true });
  if (length >= 31) return;
  const last = { ip: lastOf(address), length: 32 };
  netns.routes.add({ to: last, type: "broadcast", device: name, source: ip, protocol: "kernel", scope: "link" });
}

/** `ip addr del ADDRESS dev NAME`. */
export function deleteAddress(netns: Netns, device: Device, address: Cidr): void {
  const { name, writtenAddresses } = device;
  const at = writtenAddresses.findIndex((other) => other.ip === address.ip && other.length === address.length);
  if (at < 0) throw new RangeError("RTNETLINK answers: Cannot assign requested address");
  writtenAddresses.splice(at, 1);
  netns.routes.delete({ ip: address.ip, length: widthOf(address.ip) }, name, "local");
  keepLocal(netns, address.ip);
  if (address.length === widthOf(address.ip)) return;
  netns.routes.delete(networkOf(address), name);
  netns.routes.delete({ ip: lastOf(address), length: 32 }, name, "broadcast");
}

/** An address that went with one device is the host's own as long as another has it: the ptp plugin gives one to many. */
function keepLocal(netns: Netns, ip: Ip): void {
  for (const { name, writtenAddresses } of netns.devices.values()) {
    if (!writtenAddresses.some((address) => address.ip === ip)) continue;
    netns.routes.add({ to: { ip, length: widthOf(ip) }, type: "local", device: name, source: ip, protocol: "kernel" });
    return;
  }
}

/** The address that IPv6 gives every device but `lo` (fe80::/64, from its MAC address). Duplicates are not looked for. */
export function giveLinkLocal(netns: Netns, device: Device): void {
  if (device.link.type === "loopback" || !device.up) return;
  if (device.writtenAddresses.some(({ ip }) => typeof ip === "bigint" && isLinkLocal(ip))) return;
  addAddress(netns, device, { ip: linkLocalOf(device.mac), length: 64 });
}

/** The address of a device to speak to a neighbour with: one of the same network, else the first, else another device's. */
export function sourceOn(netns: Netns, device: Device, neighbour: Ip): Ip | undefined {
  const suits = ({ ip }: Cidr): boolean =>
    typeof ip === typeof neighbour && (typeof ip === "number" || isLinkLocal(ip) === isLinkLocal(neighbour));
  // Addresses of lo are the host's own business: nobody is spoken to with them.
  const same = device.name === "lo" ? [] : addressesFor(device, neighbour).filter(suits);
  const found = same.find((address) => contains(address, neighbour)) ?? same[0];
  if (found) return found.ip;
  for (const other of netns.devices.values()) {
    if (other.name === "lo") continue;
    const any = addressesFor(other, neighbour).find(suits);
    if (any) return any.ip;
  }
  return undefined;
}

/** IPv6 is not woken for the sake of an IPv4 packet. */
function addressesFor(device: Device, neighbour: Ip): readonly Cidr[] {
  return typeof neighbour === "number" ? device.writtenAddresses : device.addresses;
}
