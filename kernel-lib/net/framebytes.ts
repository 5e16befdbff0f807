/** Owns a frame as octets, with the lengths and checksums that a real kernel would write. */
import type { Ip, Mac } from "./address";
import { checksum, Octets, utf8 } from "./bytes";
import {
  type Arp,
  type Frame,
  type Icmp,
  type IcmpError,
  isVxlan,
  type Message,
  type NeighborDiscovery,
  type Packet,
  type Tcp,
} from "./packet";

/** The octets of a message of a protocol above (DNS); undefined: it is not one that the encoder knows. */
export type Encode = (message: Message) => Uint8Array | undefined;

/**
 * The frame as it would be on the wire, without its check sequence. A message that `encode` does not know becomes as many
 * zeros as it is long. Not on the wire here: IP and TCP options, window scaling (a fixed window stands there).
 */
export function frameBytes(frame: Frame, encode: Encode = () => undefined): Uint8Array {
  const { source, target } = frame;
  switch (frame.type) {
    case "arp":
      return header(target, source, 0x0806).raw(arpBytes(frame.arp)).bytes();
    case "nd":
      return header(target, source, 0x86dd).raw(neighborDiscovery(frame.nd)).bytes();
    case "ip": {
      const type = typeof frame.packet.source === "number" ? 0x0800 : 0x86dd;
      return header(target, source, type).raw(packetBytes(frame.packet, encode)).bytes();
    }
  }
}

function header(target: Mac, source: Mac, type: number): Octets {
  return new Octets().raw(macBytes(target)).raw(macBytes(source)).u16(type);
}

function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(":"), (digits) => Number.parseInt(digits, 16));
}

function ipBytes(ip: Ip): Uint8Array {
  const octets = new Octets();
  if (typeof ip === "number") return octets.u32(ip).bytes();
  for (let shift = 96n; shift >= 0n; shift -= 32n) octets.u32(Number((ip >> shift) & 0xffff_ffffn));
  return octets.bytes();
}

/** RFC 826. */
function arpBytes({ operation, senderMac, senderIp, targetMac, targetIp }: Arp): Uint8Array {
  const octets = new Octets()
    .u16(1, 0x0800)
    .u8(6, 4)
    .u16(operation === "request" ? 1 : 2);
  return octets.raw(macBytes(senderMac)).raw(ipBytes(senderIp)).raw(macBytes(targetMac)).raw(ipBytes(targetIp)).bytes();
}

const icmpv6 = 58;
const fragmentHeader = 44;

/** RFC 4861 sections 4.3 and 4.4: with the sender's link-layer address, unless it asks without an address of its own. */
function neighborDiscovery({ operation, source, destination, target, mac, solicited }: NeighborDiscovery): Uint8Array {
  const asks = operation === "solicitation";
  // Override, and whether somebody had asked.
  const flags = asks ? 0 : solicited ? 0x6000_0000 : 0x2000_0000;
  const body = new Octets()
    .u8(asks ? 135 : 136, 0)
    .u16(0)
    .u32(flags)
    .raw(ipBytes(target));
  if (!asks || BigInt(source) !== 0n) body.u8(asks ? 1 : 2, 1).raw(macBytes(mac));
  return ipv6(source, destination, icmpv6, 255, closed(source, destination, icmpv6, body, 2));
}

/** The packet from its IP header on. */
function packetBytes(packet: Packet, encode: Encode): Uint8Array {
  const { source, target, ttl, id, dontFragment, fragment } = packet;
  const { next, bytes: whole } = bodyBytes(packet, encode);
  const bytes = fragment ? whole.slice(fragment.offset, fragment.offset + fragment.length) : whole;
  const place = fragment ? fragment.offset / 8 : 0;
  if (typeof source === "bigint" || typeof target === "bigint") {
    if (!fragment) return ipv6(source, target, next, ttl, bytes);
    const piece = new Octets()
      .u8(next, 0)
      .u16(place * 8 + (fragment.more ? 1 : 0))
      .u32(id);
    return ipv6(source, target, fragmentHeader, ttl, piece.raw(bytes).bytes());
  }
  const flags = (dontFragment ? 0x4000 : 0) | (fragment?.more ? 0x2000 : 0);
  const octets = new Octets().u8(0x45, 0).u16(20 + bytes.length, id & 0xffff);
  octets
    .u16(flags | place)
    .u8(ttl, next)
    .u16(0)
    .raw(ipBytes(source))
    .raw(ipBytes(target));
  return octets.setU16(10, checksum(octets.bytes())).raw(bytes).bytes();
}

function ipv6(source: Ip, target: Ip, next: number, hops: number, body: Uint8Array): Uint8Array {
  const octets = new Octets().u32(0x6000_0000).u16(body.length).u8(next, hops);
  return octets.raw(ipBytes(source)).raw(ipBytes(target)).raw(body).bytes();
}

function carriesFrame({ body }: Packet): boolean {
  return body.protocol === "udp" && isVxlan(body.payload);
}

function bodyBytes(packet: Packet, encode: Encode): { readonly next: number; readonly bytes: Uint8Array } {
  const { source, target, body } = packet;
  switch (body.protocol) {
    case "tcp":
      return { next: 6, bytes: closed(source, target, 6, tcp(body), 16) };
    case "udp":
      return { next: 17, bytes: udp(packet, encode) };
    case "sctp":
      return { next: 132, bytes: new Octets().u16(body.sourcePort, body.targetPort).u32(0).u32(0).bytes() };
    case "icmp": {
      if (typeof source === "number") {
        const octets = icmp(body, 4, encode);
        return { next: 1, bytes: octets.setU16(2, checksum(octets.bytes())).bytes() };
      }
      return { next: icmpv6, bytes: closed(source, target, icmpv6, icmp(body, 6, encode), 2) };
    }
  }
}

const flagBits: Readonly<Record<string, number>> = { F: 0x01, S: 0x02, R: 0x04, P: 0x08, ".": 0x10 };

/** RFC 9293. A Linux socket's first window, unscaled. */
function tcp({ sourcePort, targetPort, sequence, acknowledgement, flags, payload }: Tcp): Octets {
  const bits = [...flags].reduce((sum, flag) => sum | (flagBits[flag] ?? 0), 0);
  const octets = new Octets().u16(sourcePort, targetPort).u32(sequence);
  octets.u32((bits & 0x10) === 0 ? 0 : acknowledgement).u8(0x50, bits);
  return octets.u16((bits & 0x04) === 0 ? 64_240 : 0, 0, 0).raw(utf8(payload));
}

/** RFC 768; a tunnel over IPv4 writes no checksum, as Linux's does. */
function udp(packet: Packet, encode: Encode): Uint8Array {
  const { source, target, body } = packet;
  if (body.protocol !== "udp") throw new RangeError("only a datagram has a UDP header");
  const { payload, sourcePort, targetPort } = body;
  const data = typeof payload === "string" ? utf8(payload) : messageBytes(payload, encode);
  const octets = new Octets().u16(sourcePort, targetPort, 8 + data.length, 0).raw(data);
  if (carriesFrame(packet) && typeof source === "number") return octets.bytes();
  return closed(source, target, 17, octets, 6);
}

function messageBytes(message: Message, encode: Encode): Uint8Array {
  if (!isVxlan(message)) return encode(message) ?? new Uint8Array(message.size);
  return new Octets()
    .u8(8, 0, 0, 0)
    .u32(message.vni * 256)
    .raw(frameBytes(message.frame, encode))
    .bytes();
}

/** Type and code (RFC 792; RFC 4443). */
const errorCodes: { readonly [E in IcmpError]: { readonly 4: readonly number[]; readonly 6: readonly number[] } } = {
  "net-unreachable": { 4: [3, 0], 6: [1, 0] },
  "host-unreachable": { 4: [3, 1], 6: [1, 3] },
  "port-unreachable": { 4: [3, 3], 6: [1, 4] },
  "admin-prohibited": { 4: [3, 13], 6: [1, 1] },
  "time-exceeded": { 4: [11, 0], 6: [3, 0] },
  "fragmentation-needed": { 4: [3, 4], 6: [2, 0] },
  "packet-too-big": { 4: [3, 4], 6: [2, 0] },
};

function icmp(body: Icmp, version: 4 | 6, encode: Encode): Octets {
  if ("cause" in body) {
    // The error quotes as much of its cause as fits into the smallest packet that every link must carry.
    const quoted = packetBytes(body.cause, encode).slice(0, version === 4 ? 548 : 1232);
    return new Octets()
      .u8(...errorCodes[body.type][version])
      .u16(0)
      .u32(body.mtu ?? 0)
      .raw(quoted);
  }
  const types = { echo: { 4: 8, 6: 128 }, "echo-reply": { 4: 0, 6: 129 } };
  const octets = new Octets().u8(types[body.type][version], 0).u16(0, body.identifier, body.sequence);
  // ping fills its request with the numbers from 0 up.
  return octets.raw(Uint8Array.from({ length: body.size }, (_, at) => at & 0xff));
}

/** The body with its checksum over itself and the pseudo-header, written at octet `at`. */
function closed(source: Ip, target: Ip, next: number, body: Octets, at: number): Uint8Array {
  const pseudo = new Octets().raw(ipBytes(source)).raw(ipBytes(target)).u32(body.length).u32(next);
  const sum = checksum(pseudo.bytes(), body.bytes());
  return body.setU16(at, next === 17 && sum === 0 ? 0xffff : sum).bytes();
}
