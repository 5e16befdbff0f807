/** Owns the words in which neighbours ask for each other's addresses: ARP (RFC 826) and neighbour discovery (RFC 4861). */
import { broadcastMac, formatIp, groupMac, type Ip, type Mac, solicitedNode, zeroMac } from "./address";
import type { Device } from "./device";
import type { Frame } from "./packet";

/** What both protocols say, in the same words. */
export interface Solicitation {
  /** Who asks; 0.0.0.0 or :: in a probe. */
  readonly senderIp: Ip;
  readonly senderMac: Mac;
  /** Who is asked for. */
  readonly target: Ip;
  /** Asked of one (to see whether it is still there), not of all. */
  readonly unicast: boolean;
}

export interface Advertisement {
  /** Whose address it is, and what it is. */
  readonly ip: Ip;
  readonly mac: Mac;
  /** An answer to whom it was sent; else (gratuitous) it is told to all. */
  readonly solicited: boolean;
}

/** `who has TARGET?`, to all on the link or to one. */
export function solicitation(device: Device, senderIp: Ip, target: Ip, to: Mac | undefined): Frame {
  if (typeof target === "bigint") {
    const group = solicitedNode(target);
    const nd = {
      operation: "solicitation",
      source: senderIp,
      destination: to ? target : group,
      target,
      mac: device.mac,
    } as const;
    return { type: "nd", source: device.mac, target: to ?? groupMac(group), nd };
  }
  const arp = { operation: "request", senderIp, senderMac: device.mac, targetIp: target, targetMac: zeroMac } as const;
  return { type: "arp", source: device.mac, target: to ?? broadcastMac, arp };
}

/** `IP is at MAC`, to who asked. */
export function advertisement(device: Device, ip: Ip, asked: Solicitation): Frame {
  const { senderIp, senderMac } = asked;
  if (typeof ip === "bigint") {
    const nd = {
      operation: "advertisement",
      source: ip,
      destination: senderIp,
      target: ip,
      mac: device.mac,
      solicited: true,
    } as const;
    return { type: "nd", source: device.mac, target: senderMac, nd };
  }
  const arp = {
    operation: "reply",
    senderIp: ip,
    senderMac: device.mac,
    targetIp: senderIp,
    targetMac: senderMac,
  } as const;
  return { type: "arp", source: device.mac, target: senderMac, arp };
}

/** Told to all without being asked: a gratuitous ARP request, an unsolicited advertisement to all nodes. */
export function announcement(device: Device, ip: Ip): Frame {
  if (typeof ip === "bigint") {
    const destination = (0xff02n << 112n) | 1n;
    const nd = { operation: "advertisement", source: ip, destination, target: ip, mac: device.mac } as const;
    return { type: "nd", source: device.mac, target: groupMac(destination), nd };
  }
  const arp = { operation: "request", senderIp: ip, senderMac: device.mac, targetIp: ip, targetMac: zeroMac } as const;
  return { type: "arp", source: device.mac, target: broadcastMac, arp };
}

/** Reads a frame of either protocol; undefined for any other. */
export function readSolicitation(
  frame: Frame,
): ({ readonly kind: "ask" } & Solicitation) | ({ readonly kind: "tell" } & Advertisement) | undefined {
  if (frame.type === "arp") {
    const { operation, senderIp, senderMac, targetIp } = frame.arp;
    if (senderIp === targetIp) return { kind: "tell", ip: senderIp, mac: senderMac, solicited: false };
    const unicast = frame.target !== broadcastMac;
    if (operation === "request") return { kind: "ask", senderIp, senderMac, target: targetIp, unicast };
    return { kind: "tell", ip: senderIp, mac: senderMac, solicited: unicast };
  }
  if (frame.type !== "nd") return undefined;
  const { operation, source, target, mac, solicited, destination } = frame.nd;
  if (operation === "advertisement") return { kind: "tell", ip: target, mac, solicited: solicited ?? false };
  return { kind: "ask", senderIp: source, senderMac: mac, target, unicast: destination === target };
}

/** The protocol's name, and the line that tcpdump would print. */
export function describeSolicitation(frame: Frame): string | undefined {
  const read = readSolicitation(frame);
  if (!read) return undefined;
  const name = frame.type === "nd" ? "ND" : "ARP";
  if (read.kind === "tell") return `${name}: ${formatIp(read.ip)} is at ${read.mac}`;
  return `${name}: who has ${formatIp(read.target)}? Tell ${formatIp(read.senderIp)}`;
}
