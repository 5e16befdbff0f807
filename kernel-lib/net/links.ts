/** Owns what `ip link` and `ip addr` change in a namespace, with the routes that follow from an address. */
import { type Cidr, contains, type Ip, isLoopback, lastOf, networkOf, widthOf } from "./address";
import type { Device } from "./device";
import type { Netns } from "./netns";

/** Makes a device a port of a bridge. */
export function attachPort(port: Device, master: Device, hairpin: boolean): void {
  if (master.link.type !== "bridge") throw new RangeError("Error: Device can not be enslaved.");
  port.master = master;
  port.hairpin = hairpin;
  master.link.addPort(port);
}

/** `ip link delete NAME`: with its addresses, routes and neighbours; the other end of a veth pair goes too. */
export function deleteDevice(netns: Netns, device: Device): void {
  const { name } = device;
  device.up = false;
  netns.devices.delete(name);
  netns.routes.deleteDevice(name);
  netns.neighbors.deleteDevice(name);
  if (device.master?.link.type === "bridge") device.master.link.removePort(device);
  const { link } = device;
  if (link.type === "physical") link.segment.unplug(device);
  if (link.type === "bridge") for (const port of link.ports) port.master = undefined;
  if (link.type === "veth" && link.peer) {
    const { peer } = link;
    link.peer = undefined;
    if (peer.link.type === "veth") peer.link.peer = undefined;
    if (peer.netns.devices.get(peer.name) === peer) peer.netns.deleteDevice(peer.name);
  }
}

/** `ip addr add ADDRESS dev NAME`, with the routes that the kernel adds by itself. */
export function addAddress(netns: Netns, device: Device, address: Cidr): void {
  const { name } = device;
  if (device.addresses.some((other) => other.ip === address.ip && other.length === address.length)) {
    throw new RangeError("RTNETLINK answers: File exists");
  }
  device.addresses.push(address);
  const { ip, length } = address;
  const whole = name === "lo" && isLoopback(ip) ? networkOf(address) : { ip, length: widthOf(ip) };
  netns.routes.add({ to: whole, type: "local", device: name, source: ip, protocol: "kernel" });
  if (name === "lo" || length === widthOf(ip)) return;
  const to = networkOf(address);
  netns.routes.add({ to, device: name, source: ip, protocol: "kernel", scope: "link" });
  if (typeof ip === "number" && length < 31) {
    const last = { ip: lastOf(address), length: 32 };
    netns.routes.add({ to: last, type: "broadcast", device: name, source: ip, protocol: "kernel", scope: "link" });
  }
}

/** `ip addr del ADDRESS dev NAME`. */
export function deleteAddress(netns: Netns, device: Device, address: Cidr): void {
  const { name } = device;
  const at = device.addresses.findIndex((other) => other.ip === address.ip && other.length === address.length);
  if (at < 0) throw new RangeError("RTNETLINK answers: Cannot assign requested address");
  device.addresses.splice(at, 1);
  netns.routes.delete({ ip: address.ip, length: widthOf(address.ip) }, name, "local");
  if (address.length === widthOf(address.ip)) return;
  netns.routes.delete(networkOf(address), name);
  netns.routes.delete({ ip: lastOf(address), length: 32 }, name, "broadcast");
}

/** The address of a device to speak to a neighbour with: one of the same network, else the first, else another device's. */
export function sourceOn(netns: Netns, device: Device, neighbour: Ip): Ip | undefined {
  // Addresses of lo are the host's own business: nobody is spoken to with them.
  const own = device.name === "lo" ? [] : device.addresses;
  const same = own.filter((address) => typeof address.ip === typeof neighbour);
  const found = same.find((address) => contains(address, neighbour)) ?? same[0];
  if (found) return found.ip;
  for (const other of netns.devices.values()) {
    if (other.name === "lo") continue;
    for (const address of other.addresses) if (typeof address.ip === typeof neighbour) return address.ip;
  }
  return undefined;
}
