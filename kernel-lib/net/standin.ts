/** Owns whom a host answers for when it is asked "who has …?": itself, and others for whom it stands in. */
import { type Ip, isLoopback } from "./address";
import type { Device } from "./device";
import type { Netns } from "./netns";

/** Programs that answer in the kernel's place, by a raw socket: for addresses that are not its host's. */
const answered = new WeakMap<Device, Set<Ip>>();

/** From now on whoever asks on this device for the address is told the device's own, until `stop`. */
export function standIn(device: Device, ip: Ip): { stop(): void } {
  const all = answered.get(device) ?? new Set();
  answered.set(device, all.add(ip));
  return { stop: () => void all.delete(ip) };
}

/** Whether somebody who asks on this device for the address is answered. */
export function answersFor(netns: Netns, device: Device, ip: Ip): boolean {
  return isOwn(netns, device, ip) || (answered.get(device)?.has(ip) ?? false) || proxies(netns, device, ip);
}

/**
 * ARP answers for any address of the host, unless it should only for those of the device asked (net.ipv4.conf.all.arp_ignore
 * 1), as neighbour discovery does.
 */
function isOwn({ routes, sysctl }: Netns, device: Device, ip: Ip): boolean {
  if (typeof ip === "number" && !sysctl.arpIgnore) return routes.isLocal(ip) && !isLoopback(ip);
  return device.addresses.some((address) => address.ip === ip);
}

/** Where this host would forward to by another device (net.ipv4.conf.NAME.proxy_arp). */
function proxies({ routes, sysctl }: Netns, device: Device, ip: Ip): boolean {
  const forwards = typeof ip === "number" ? sysctl.ipForward : sysctl.ipv6Forward;
  if (!device.proxyArp || !forwards) return false;
  const found = routes.lookup(ip);
  return found !== undefined && found.route.type === "unicast" && found.device !== device.name;
}
