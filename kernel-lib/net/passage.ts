/** Owns the words for one packet's way through one network namespace: the passage, and what the journal says of it. */
import type { Connection, Direction, PacketState } from "./conntrack";
import type { IpvsConnection } from "./ipvs/connection";
import type { Hook } from "./netfilter";
import type { Packet, Protocol } from "./packet";
import type { PassesOn } from "./socket";

/** One packet on its way through one namespace (Linux: sk_buff). Hook functions read and change it. */
export interface Passage {
  /** NAT replaces it by another with the same id. */
  packet: Packet;
  /** The firewall mark, 32 bits. */
  mark: number;
  /** The namespace's name. */
  readonly netns: string;
  /** The device it came in by; none for a packet of a local socket. */
  input?: string;
  /** The device it will leave by, once it is routed. */
  output?: string;
  /** Set by conntrack, and left alone when it meets conntrack again. */
  connection?: Connection;
  /** The port of a bridge that it came in by, where the bridge shows iptables what it forwards (nf_bridge). */
  bridgePort?: string;
  /** Set once IPVS has dealt with it, so that it does so once only (skb->ipvs_property). */
  ipvs?: IpvsConnection;
  /** Which way of the connection this packet goes. */
  direction?: Direction;
  /** What conntrack says of this packet; not set where nothing is tracked. */
  state?: PacketState;
  /** How a hook function that says `reject` wants the sender to be told; default: ICMP port unreachable. */
  rejectWith?: "port-unreachable" | "host-unreachable" | "admin-prohibited" | "tcp-reset";
  /** What the giver of a `drop` or `reject` says about it, for the journal. */
  why?: string;
  /** True when a hook function may change nothing by looking: a walk that only asks where a packet would go. */
  readonly dry: boolean;
  /** Where to count what a Linux kernel would have tested on the way; undefined when nobody asks. */
  readonly walked: Walked | undefined;
  /** An index into `weights`, each as likely as its share. The only way in which chance enters. */
  choose(weights: readonly number[]): number;
  /** A random whole number, both bounds inclusive, where which one it is makes no difference to where the packet goes. */
  draw(low: number, high: number): number;
  /**
   * Whoever begins to remember a connection hands in how that ends. Nobody asks in a live run, where later packets say
   * so; in a flow-level run (flow.ts) there are none, and `conclude` is called instead.
   */
  began(conclude: Conclude): void;
  /** Whether anybody reads notes: ask before what is not free. */
  readonly watched: boolean;
  /** Says in the journal, if somebody reads, what happened and why. */
  note(kind: PacketEventKind, about: string, what: () => string, more?: PacketEventMore): void;
}

/** How much a Linux kernel would have done for a packet, however the rules are compiled here. */
export interface Walked {
  /** Rules tested, one after another: iptables' and nftables'. */
  rules: number;
  /** Lookups in hashes: nftables' sets and maps, ipsets, IPVS's tables of services. */
  lookups: number;
}

/** What becomes of what is remembered of a connection, after its first packet. */
export type ConnectionEnd =
  /** It was answered, and stays open. */
  | "established"
  /** It was answered, and both sides have closed it. */
  | "closed"
  /** It was refused by a reset, or an ICMP error: what is remembered is what that leaves. */
  | "refused";
export type Conclude = (end: ConnectionEnd) => void;

/** What can happen to a packet in a namespace. Every packet ends with one of `Fate`. */
export type PacketEventKind =
  /** A socket, or the kernel itself (ICMP, RST), made it. */
  | "send"
  /** It came in by a device. */
  | "receive"
  /** A bridge or VXLAN device took the frame further; `about` is the device. */
  | "bridge"
  | "encapsulate"
  | "decapsulate"
  /** The routing decision. */
  | "route"
  /** A rule of a chain matched; `rule` holds its text and chain. */
  | "rule"
  /** Which connection it belongs to. */
  | "conntrack"
  /** The addresses changed; `before` holds them as they were. */
  | "nat"
  /** The next hop's MAC address was found, asked for or not found. */
  | "neighbor"
  /** It left by a device. */
  | "transmit"
  /** A local socket took it. */
  | "deliver"
  /** The kernel itself took it (echo request, ICMP error without a socket, VXLAN). */
  | "consume"
  | "drop"
  /** Dropped, and the sender is told. */
  | "reject";

/** How a packet can end: `deliver` to a socket, `consume` by the kernel itself, or not at all. */
export type Fate = "deliver" | "consume" | "drop" | "reject";

/** The end of a packet's way. */
export interface Ended extends EndedMore {
  readonly fate: Fate;
  readonly netns: string;
  readonly packet: Packet;
  readonly why: string;
}

export interface EndedMore {
  /** Rejected because nobody listens, not by a rule. */
  readonly refused?: boolean;
  /** Who holds the socket that took it. */
  readonly owner?: string;
  /** Set if that socket is a proxy's. */
  readonly passesOn?: PassesOn | undefined;
}

/** A rule that matched, as a reader wants to see it. */
export interface MatchedRule {
  readonly table: string;
  readonly chain: string;
  /** Position in its chain, from 1, as `iptables -L --line-numbers` counts. */
  readonly number: number;
  /** The rule as its tool prints it (`iptables-save`, `nft list`, …). */
  readonly text: string;
  /** Whose rule it is; default: iptables'. */
  readonly tool?: "iptables" | "nft" | "ipvs";
  /** What it did with this packet; absent: it only counted, or wrote something down. */
  readonly effect?: RuleEffect;
}

/** What a rule did with the packet that it matched. Of a verdict map it is the element that was found. */
export type RuleEffect =
  | { readonly does: "jump" | "goto"; readonly chain: string }
  | { readonly does: "accept" | "drop" | "reject" | "return" | "mark" | "dnat" | "redirect" | "snat" | "masquerade" };

/** A packet as plain data, addresses as text. */
export interface PacketData {
  readonly id: number;
  readonly source: string;
  readonly target: string;
  readonly sourcePort?: number;
  readonly targetPort?: number;
  readonly protocol: Protocol;
  readonly ttl: number;
  readonly flags?: string;
  readonly icmp?: string;
  /** Octets of the IP packet. */
  readonly size: number;
  readonly payload?: string;
  /** The packet inside, if this one carries a VXLAN frame, or the cause of an ICMP error. */
  readonly inner?: PacketData;
  readonly vni?: number;
}

/** `Entry.detail` of every journal line that the network writes about a packet. */
export interface PacketEvent {
  readonly type: "packet";
  readonly kind: PacketEventKind;
  readonly netns: string;
  readonly device?: string;
  readonly hook?: Hook;
  readonly packet: PacketData;
  /** The packet before NAT, encapsulation or the way through a bridge changed it. */
  readonly before?: PacketData;
  readonly rule?: MatchedRule;
  readonly sourceMac?: string;
  readonly targetMac?: string;
}

/** What a note may add to its event. */
export interface PacketEventMore {
  readonly device?: string;
  readonly before?: Packet;
  readonly rule?: MatchedRule;
  readonly sourceMac?: string;
  readonly targetMac?: string;
}
