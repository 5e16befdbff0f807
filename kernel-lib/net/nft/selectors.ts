/** Owns what nftables rules can look at: things of a packet, of its connection, of the way it goes. */
import { type Ip, isMulticast } from "../address";
import type { PacketState } from "../conntrack";
import { icmpTypeNumber } from "../icmptypes";
import type { Netns } from "../netns";
import { type Packet, packetSize, sourcePort, targetPort } from "../packet";
import type { Passage } from "../passage";
import type { DataTypeName, Value } from "./types";

/** A selector, written as `nft` prints it. */
export type SelectorName = keyof typeof selectors;

interface Selector {
  readonly type: DataTypeName;
  /** What it is of this packet; undefined: it has none, and the rule does not match. */
  read(passage: Passage, netns: Netns): Value | undefined;
}

const states: { readonly [State in PacketState]: number } = { INVALID: 1, ESTABLISHED: 2, RELATED: 4, NEW: 8 };
const unicast = 1;
const local = 2;
const broadcast = 3;
const multicast = 5;

function addressType(ip: Ip, { routes }: Netns): number {
  if (routes.isLocal(ip)) return local;
  if (routes.isBroadcast(ip)) return broadcast;
  return isMulticast(ip) ? multicast : unicast;
}

/** The number of the protocol above IP. */
function protocolNumber({ body, source }: Packet): number {
  switch (body.protocol) {
    case "tcp":
      return 6;
    case "udp":
      return 17;
    case "sctp":
      return 132;
    case "icmp":
      return typeof source === "number" ? 1 : 58;
  }
}

function port(protocol: "tcp" | "udp" | "sctp" | "any", end: "source" | "target"): Selector {
  return {
    type: "inet_service",
    read({ packet: { body } }) {
      if (protocol === "any" ? body.protocol === "icmp" : body.protocol !== protocol) return undefined;
      return end === "source" ? sourcePort(body) : targetPort(body);
    },
  };
}

function ofIpv4(type: DataTypeName, read: (packet: Packet) => Value): Selector {
  return { type, read: ({ packet }) => (typeof packet.source === "number" ? read(packet) : undefined) };
}

function ofIpv6(type: DataTypeName, read: (packet: Packet) => Value): Selector {
  return { type, read: ({ packet }) => (typeof packet.source === "bigint" ? read(packet) : undefined) };
}

function ctStatus({ connection }: Passage): number | undefined {
  if (!connection) return undefined;
  const { seenReply, assured, confirmed, sourceNat, targetNat } = connection;
  return (
    (seenReply ? 2 : 0) |
    (assured ? 4 : 0) |
    (confirmed ? 8 : 0) |
    (sourceNat === "changed" ? 16 : 0) |
    (targetNat === "changed" ? 32 : 0)
  );
}

const selectors = {
  "ip saddr": ofIpv4("ipv4_addr", (packet) => packet.source),
  "ip daddr": ofIpv4("ipv4_addr", (packet) => packet.target),
  "ip protocol": ofIpv4("inet_proto", protocolNumber),
  "ip ttl": ofIpv4("integer", (packet) => packet.ttl),
  "ip length": ofIpv4("integer", packetSize),
  "ip6 saddr": ofIpv6("ipv6_addr", (packet) => packet.source),
  "ip6 daddr": ofIpv6("ipv6_addr", (packet) => packet.target),
  "ip6 nexthdr": ofIpv6("inet_proto", protocolNumber),
  "ip6 hoplimit": ofIpv6("integer", (packet) => packet.ttl),
  "tcp sport": port("tcp", "source"),
  "tcp dport": port("tcp", "target"),
  "udp sport": port("udp", "source"),
  "udp dport": port("udp", "target"),
  "sctp sport": port("sctp", "source"),
  "sctp dport": port("sctp", "target"),
  "th sport": port("any", "source"),
  "th dport": port("any", "target"),
  "icmp type": {
    type: "icmp_type",
    read: ({ packet }) => (typeof packet.source === "number" ? icmpType(packet) : undefined),
  },
  "icmpv6 type": {
    type: "icmpv6_type",
    read: ({ packet }) => (typeof packet.source === "bigint" ? icmpType(packet) : undefined),
  },
  "meta l4proto": { type: "inet_proto", read: ({ packet }) => protocolNumber(packet) },
  "meta nfproto": { type: "nf_proto", read: ({ packet }) => (typeof packet.source === "number" ? 2 : 10) },
  "meta mark": { type: "mark", read: ({ mark }) => mark },
  "meta length": { type: "integer", read: ({ packet }) => packetSize(packet) },
  iifname: { type: "ifname", read: ({ input }) => input ?? "" },
  oifname: { type: "ifname", read: ({ output }) => output ?? "" },
  iif: { type: "ifname", read: ({ input }) => input },
  oif: { type: "ifname", read: ({ output }) => output },
  "ct state": { type: "ct_state", read: ({ state }) => states[state ?? "INVALID"] },
  "ct status": { type: "ct_status", read: ctStatus },
  "ct mark": { type: "mark", read: ({ connection }) => connection?.mark },
  "ct direction": {
    type: "ct_dir",
    read: ({ direction }) => (direction === undefined ? undefined : direction === "original" ? 0 : 1),
  },
  "fib daddr type": { type: "fib_addrtype", read: ({ packet }, netns) => addressType(packet.target, netns) },
  "fib saddr type": { type: "fib_addrtype", read: ({ packet }, netns) => addressType(packet.source, netns) },
} as const satisfies { readonly [name: string]: Selector };

function icmpType(packet: Packet): number | undefined {
  const { body, source } = packet;
  return body.protocol === "icmp" ? icmpTypeNumber(body, typeof source === "number" ? "IPv4" : "IPv6") : undefined;
}

/** What a selector of this name looks at. */
export function selector(name: SelectorName): Selector {
  return selectors[name];
}

/** Whether rules can look at something of this name. */
export function isSelector(name: string): name is SelectorName {
  return Object.hasOwn(selectors, name);
}

/** The protocol that a selector takes for granted (`tcp dport`), by its number. */
export function impliedProtocol(name: SelectorName): number | undefined {
  return { tcp: 6, udp: 17, sctp: 132, icmp: 1, icmpv6: 58 }[name.split(" ")[0] ?? ""];
}

/** The family whose packets alone have it. */
export function impliedFamily(name: SelectorName): "ip" | "ip6" | undefined {
  if (name.startsWith("ip ") || name === "icmp type") return "ip";
  return name.startsWith("ip6 ") || name === "icmpv6 type" ? "ip6" : undefined;
}
