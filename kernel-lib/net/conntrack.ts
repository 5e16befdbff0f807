/** Owns connection tracking: which packets belong together, and what NAT has decided for them. */
import type { Clock, Time } from "../sim/clock";
import { second } from "../sim/clock";
import type { Ip } from "./address";
import { type Packet, type Protocol, sourcePort, type TcpFlags, targetPort } from "./packet";

/** Who talks to whom. For ICMP echo both ports are the identifier. */
export interface Tuple {
  readonly protocol: Protocol;
  readonly source: Ip;
  readonly sourcePort: number;
  readonly target: Ip;
  readonly targetPort: number;
}

/** `original`: the way of the first packet. */
export type Direction = "original" | "reply";

/** What `-m conntrack --ctstate` asks of a packet. */
export type PacketState = "NEW" | "ESTABLISHED" | "RELATED" | "INVALID";

/** The states that `conntrack -L` prints for TCP. */
export type TcpTrack =
  | "SYN_SENT"
  | "SYN_RECV"
  | "ESTABLISHED"
  | "FIN_WAIT"
  | "CLOSE_WAIT"
  | "LAST_ACK"
  | "TIME_WAIT"
  | "CLOSE";

/**
 * A connection: the tuple of its first packet, and the tuple its replies have when they come in.
 * NAT changes the reply tuple only: a packet of one direction must look, once translated, like the inverse of the other's.
 */
export interface Connection {
  readonly original: Tuple;
  reply: Tuple;
  /** In the table; a connection whose first packet was dropped never is. */
  confirmed: boolean;
  seenReply: boolean;
  /** UDP: more than one exchange; TCP: established. Printed as `[ASSURED]`. */
  assured: boolean;
  tcp?: TcpTrack;
  expires: Time;
  readonly began: Time;
  mark: number;
  /** Whether the rules have been asked for the target (DNAT) and the source (SNAT), and whether they changed it. */
  targetNat: NatStatus;
  sourceNat: NatStatus;
}

export type NatStatus = "undecided" | "kept" | "changed";
