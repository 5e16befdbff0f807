/** Owns what travels: packets, the segments and messages in them, and the Ethernet frames around them. */
import type { Ip, Mac } from "./address";

/** An IP packet. Never changed in place: NAT and a hop make a new one with the same id. */
export interface Packet {
  readonly id: number;
  readonly source: Ip;
  readonly target: Ip;
  /** IPv6 calls it the hop limit. */
  readonly ttl: number;
  readonly body: Tcp | Udp | Sctp | Icmp;
  /** DF: a router that would have to cut it up drops it and says so. IPv6 packets are never cut up by routers. */
  readonly dontFragment?: boolean;
  /** Set if this is only a piece of a packet; `body` is the whole packet's. */
  readonly fragment?: Fragment;
  /** IPv6, put together on the way for rules to see: the octets of its longest piece, as long as it may be cut again. */
  readonly longestPiece?: number;
}

/** A piece of a packet (RFC 791 section 3.2, RFC 8200 section 4.5): nothing is cut, only the octets are counted. */
export interface Fragment {
  /** The packet that was cut up. One record for all its pieces: the loss of one is the loss of the whole. */
  readonly whole: { readonly packet: Packet; lost: boolean };
  /** Where in the whole's payload it begins, and how many octets of it there are. */
  readonly offset: number;
  readonly length: number;
  /** MF: another one follows. */
  readonly more: boolean;
}

export type Protocol = "tcp" | "udp" | "sctp" | "icmp";

/** The flags of a segment, written as tcpdump writes them (`S.` is SYN and ACK, `.` alone an ACK). */
export type TcpFlags = "S" | "S." | "." | "P." | "F." | "FP." | "R" | "R.";

export interface Tcp {
  readonly protocol: "tcp";
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly flags: TcpFlags;
  /** Position of the first octet of the payload (RFC 9293), counted from 0 at the SYN; not wrapped. */
  readonly sequence: number;
  readonly acknowledgement: number;
  /** Text of the stream. Its length on the wire is its length in UTF-8. */
  readonly payload: string;
  /** The option of a SYN: the longest payload that this side takes in one segment. */
  readonly mss?: number;
}

/** What a datagram may carry beside text: the message of a protocol above, as an object, with its size in octets. */
export interface Message {
  readonly type: string;
  readonly size: number;
}

export interface Udp {
  readonly protocol: "udp";
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly payload: string | Message;
}

/** Only as far as rules and NAT look at it: there are no SCTP sockets here. */
export interface Sctp {
  readonly protocol: "sctp";
  readonly sourcePort: number;
  readonly targetPort: number;
}

/** A frame inside a datagram (RFC 7348). */
export interface Vxlan extends Message {
  readonly type: "vxlan";
  readonly vni: number;
  readonly frame: Frame;
}

export type IcmpError =
  | "net-unreachable"
  | "host-unreachable"
  | "port-unreachable"
  | "admin-prohibited"
  | "time-exceeded"
  /** Of IPv4, with the next hop's MTU. */
  | "fragmentation-needed"
  /** Of IPv6, with the next hop's MTU. */
  | "packet-too-big";

/** RFC 792, RFC 4443. An error carries the packet that caused it, by which the sender's socket is found and NAT undone. */
export type Icmp =
  | {
      readonly protocol: "icmp";
      readonly type: "echo" | "echo-reply";
      readonly identifier: number;
      readonly sequence: number;
      /** Octets of data; `ping` sends 56. */
      readonly size: number;
    }
  | { readonly protocol: "icmp"; readonly type: IcmpError; readonly cause: Packet; readonly mtu?: number };

/** RFC 826. */
export interface Arp {
  readonly operation: "request" | "reply";
  readonly senderIp: Ip;
  readonly senderMac: Mac;
  readonly targetIp: Ip;
  readonly targetMac: Mac;
}

/** RFC 4861: neighbour solicitation and advertisement, IPv6's ARP. It travels in ICMPv6, here in a frame of its own. */
export interface NeighborDiscovery {
  readonly operation: "solicitation" | "advertisement";
  readonly source: Ip;
  /** A solicited-node multicast address, all nodes (ff02::1), or whoever asked. */
  readonly destination: Ip;
  /** Whose link-layer address is asked for, or told. */
  readonly target: Ip;
  /** The sender's (in a solicitation) or the target's (in an advertisement). */
  readonly mac: Mac;
  /** S: an answer to a solicitation. */
  readonly solicited?: boolean;
}

/** An Ethernet frame. */
export type Frame =
  | { readonly type: "ip"; readonly source: Mac; readonly target: Mac; readonly packet: Packet }
  | { readonly type: "arp"; readonly source: Mac; readonly target: Mac; readonly arp: Arp }
  | { readonly type: "nd"; readonly source: Mac; readonly target: Mac; readonly nd: NeighborDiscovery };

/**
 * The same packet one hop further on, or translated. Written out for what most packets are: copying an object whose form
 * is known is several times as fast as spreading one.
 */
export function changed(packet: Packet, source: Ip, target: Ip, ttl: number, body: Packet["body"]): Packet {
  const { id, dontFragment, fragment, longestPiece } = packet;
  if (dontFragment === undefined || fragment || longestPiece !== undefined) {
    return { ...packet, source, target, ttl, body };
  }
  return { id, source, target, ttl, body, dontFragment };
}

/** The port a packet came from; for ICMP the echo identifier, as conntrack counts it; 0 for an ICMP error. */
export function sourcePort(body: Packet["body"]): number {
  if (body.protocol !== "icmp") return body.sourcePort;
  return body.type === "echo" || body.type === "echo-reply" ? body.identifier : 0;
}

/** The port a packet goes to; for ICMP the echo identifier; 0 for an ICMP error. */
export function targetPort(body: Packet["body"]): number {
  if (body.protocol !== "icmp") return body.targetPort;
  return body.type === "echo" || body.type === "echo-reply" ? body.identifier : 0;
}

export function isVxlan(payload: string | Message): payload is Vxlan {
  return typeof payload === "object" && payload.type === "vxlan";
}

/** Octets of a payload. */
export function payloadSize(payload: string | Message): number {
  return typeof payload === "string" ? utf8Length(payload) : payload.size;
}

/** Octets of a packet on the wire: IP header, the protocol's header (RFC 791, 793 without options, 768, 792), payload. */
export function packetSize(packet: Packet): number {
  const { body, fragment } = packet;
  const header = headerSize(packet);
  if (fragment) return header + fragment.length;
  switch (body.protocol) {
    case "tcp":
      return header + 20 + utf8Length(body.payload);
    case "udp":
      return header + 8 + payloadSize(body.payload);
    case "sctp":
      return header + 12;
    case "icmp":
      return header + 8 + ("cause" in body ? Math.min(packetSize(body.cause), header === 20 ? 548 : 1232) : body.size);
  }
}

/** Octets of the IP header; an IPv6 fragment has a header of its own behind it. */
export function headerSize({ source, fragment }: Packet): number {
  return typeof source === "number" ? 20 : fragment ? 48 : 40;
}

/** Whether the packet is at most `size` octets long; quicker than measuring it. */
export function fitsIn(packet: Packet, size: number): boolean {
  const { body } = packet;
  if (body.protocol === "tcp" && !packet.fragment && body.payload.length * 3 + 60 <= size) return true;
  return packetSize(packet) <= size;
}

/** Octets of a frame without its check sequence. */
export function frameSize(frame: Frame): number {
  return 14 + (frame.type === "ip" ? packetSize(frame.packet) : frame.type === "arp" ? 28 : 72);
}

/** A packet is measured at every hop, and its text is the same each time. */
let lastText = "";
let lastLength = 0;
/** Texts of lately: who asks, who answers and who reads the answer measure the same few, each time in a new string. */
const lately = Array.from({ length: 8 }, () => ({ text: "", length: 0 }));
let latest = 0;
/** Shorter ones are counted as quickly as they are found. */
const longText = 64;

/**
 * How many octets the text has on the wire: UTF-8, where a lone U+DC80…U+DCFF stands for the one octet 0x80…0xff that is no
 * text (as Python's surrogateescape has it, PEP 383). So a stream of texts can carry what is none: TLS.
 */
export function utf8Length(text: string): number {
  if (text === "") return 0;
  if (text !== lastText) {
    lastLength = text.length < longText ? countOctets(text) : measured(text);
    lastText = text;
  }
  return lastLength;
}

function measured(text: string): number {
  for (const known of lately) if (known.text.length === text.length && known.text === text) return known.length;
  latest = (latest + 1) % lately.length;
  const length = countOctets(text);
  lately[latest] = { text, length };
  return length;
}

function countOctets(text: string): number {
  let length = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) length += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && at + 1 < text.length) {
      length += 2;
      at++;
    } else if (unit < 0xdc80 || unit > 0xdcff) length += 2;
  }
  return length;
}
