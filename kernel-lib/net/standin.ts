/** Owns answers to "who has …?" that a program gives in the kernel's place, by a raw socket: for addresses not its host's. */
import type { Ip } from "./address";
import type { Device } from "./device";

const answered = new WeakMap<Device, Set<Ip>>();

/** From now on whoever asks on this device for the address is told the device's own, until `stop`. */
export function standIn(device: Device, ip: Ip): { stop(): void } {
  const all = answered.get(device) ?? new Set();
  answered.set(device, all.add(ip));
  return { stop: () => void all.delete(ip) };
}

/** Whether a program answers for the address on this device. */
export function standsIn(device: Device, ip: Ip): boolean {
  return answered.get(device)?.has(ip) ?? false;
}
