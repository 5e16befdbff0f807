/** Owns a frame as octets, with the lengths and checksums that a real kernel would write. */
import { addToIp, broadcastMac, type Ip, type Mac } from "./address";
import { checksum, Octets, utf8 } from "./bytes";
import {
  type Arp,
  type Frame,
  type Icmp,
  type IcmpError,
  isVxlan,
  type Message,
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
  const ethernet = new Octets();
  if (frame.type === "arp") {
    const { arp } = frame;
    if (typeof arp.targetIp === "bigint" || typeof arp.senderIp === "bigint") {
      const solicited = frame.target === broadcastMac ? solicitedMac(BigInt(arp.targetIp)) : frame.target;
      return header(ethernet, solicited, frame.source, 0x86dd).raw(neighborDiscovery(arp)).bytes();
    }
    return header(ethernet, frame.target, frame.source, 0x0806).raw(arpBytes(arp)).bytes();
  }
  const type = typeof frame.packet.source === "number" ? 0x0800 : 0x86dd;
  return header(ethernet, frame.target, frame.source, type).raw(packetBytes(frame.packet, encode)).bytes();
}

function header(octets: Octets, target: Mac, source: Mac, type: number): Octets {
  return octets.raw(macBytes(target)).raw(macBytes(source)).u16(type);
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

/** ARP of IPv6 (RFC 4861): a solicitation to the group of the wanted address, an advertisement back. */
function neighborDiscovery(arp: Arp): Uint8Array {
  const [sender, target] = [BigInt(arp.senderIp), BigInt(arp.targetIp)];
  const solicits = arp.operation === "request";
  const body = new Octets().u8(solicits ? 135 : 136, 0).u16(0);
  body.u32(solicits ? 0 : 0x6000_0000).raw(ipBytes(solicits ? target : sender));
  // Who asks without an address (duplicate address detection) names no link-layer address.
  if (sender !== 0n) body.u8(solicits ? 1 : 2, 1).raw(macBytes(arp.senderMac));
  const to = solicits ? addToIp(0xff02_0000_0000_0000_0000_0001_ff00_0000n, Number(target & 0xff_ffffn)) : target;
  return ipv6(sender, to, icmpv6, 255, closed(sender, to, icmpv6, body, 2));
}

function solicitedMac(target: bigint): Mac {
  const low = (target & 0xff_ffffn).toString(16).padStart(6, "0");
  return `33:33:ff:${low.slice(0, 2)}:${low.slice(2, 4)}:${low.slice(4)}`;
}

/** The packet from its IP header on. */
function packetBytes(packet: Packet, encode: Encode): Uint8Array {
  const { source, target, ttl, id } = packet;
  const { next, bytes } = bodyBytes(packet, encode);
  if (typeof source === "bigint" || typeof target === "bigint") return ipv6(source, target, next, ttl, bytes);
  const octets = new Octets().u8(0x45, 0).u16(20 + bytes.length, id & 0xffff);
  // Linux does not set "don't fragment" on what a tunnel device sends, but on nearly all else.
  octets
    .u16(carriesFrame(packet) ? 0 : 0x4000)
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
};

function icmp(body: Icmp, version: 4 | 6, encode: Encode): Octets {
  if ("cause" in body) {
    // The error quotes as much of its cause as fits into the smallest packet that every link must carry.
    const quoted = packetBytes(body.cause, encode).slice(0, version === 4 ? 548 : 1232);
    return new Octets()
      .u8(...errorCodes[body.type][version])
      .u16(0)
      .u32("mtu" in body ? Number(body.mtu) : 0)
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
