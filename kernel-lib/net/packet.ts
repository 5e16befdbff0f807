/** Owns what travels: packets, the segments and messages in them, and the Ethernet frames around them. */
import type { Ip, Mac } from "./address";

/** An IP packet. Never changed in place: NAT and a hop make a new one with the same id. */
export interface Packet {
  readonly id: number;
  readonly source: Ip;
  readonly target: Ip;
  readonly ttl: number;
  readonly body: Tcp | Udp | Sctp | Icmp;
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
  | "time-exceeded";

/** RFC 792. An error carries the packet that caused it, by which the sender's socket is found and NAT undone. */
export type Icmp =
  | {
      readonly protocol: "icmp";
      readonly type: "echo" | "echo-reply";
      readonly identifier: number;
      readonly sequence: number;
      /** Octets of data; `ping` sends 56. */
      readonly size: number;
    }
  | { readonly protocol: "icmp"; readonly type: IcmpError; readonly cause: Packet };

/** RFC 826. */
export interface Arp {
  readonly operation: "request" | "reply";
  readonly senderIp: Ip;
  readonly senderMac: Mac;
  readonly targetIp: Ip;
  readonly targetMac: Mac;
}

/** An Ethernet frame. */
export type Frame =
  | { readonly type: "ip"; readonly source: Mac; readonly target: Mac; readonly packet: Packet }
  | { readonly type: "arp"; readonly source: Mac; readonly target: Mac; readonly arp: Arp };

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
  const { body } = packet;
  const header = typeof packet.source === "number" ? 20 : 40;
  switch (body.protocol) {
    case "tcp":
      return header + 20 + utf8Length(body.payload);
    case "udp":
      return header + 8 + payloadSize(body.payload);
    case "sctp":
      return header + 12;
    case "icmp":
      return header + 8 + ("cause" in body ? Math.min(packetSize(body.cause), 548) : body.size);
  }
}

/** Octets of a frame without its check sequence. */
export function frameSize(frame: Frame): number {
  return 14 + (frame.type === "arp" ? 28 : packetSize(frame.packet));
}

/** How many octets UTF-8 needs for the text. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) length += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && at + 1 < text.length) {
      length += 2;
      at++;
    } else length += 2;
  }
  return length;
}
