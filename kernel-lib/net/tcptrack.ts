/** Owns how connection tracking follows a TCP connection: its states, their timeouts and what a segment does to them. */
import { hour, minute, second, type Time } from "../sim/clock";
import type { TcpFlags } from "./packet";

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

/** net.netfilter.nf_conntrack_tcp_timeout_* (net/netfilter/nf_conntrack_proto_tcp.c): an open connection is kept five days. */
export const trackTimeouts: { readonly [State in TcpTrack]: Time } = {
  SYN_SENT: 2 * minute,
  SYN_RECV: minute,
  ESTABLISHED: 5 * 24 * hour,
  FIN_WAIT: 2 * minute,
  CLOSE_WAIT: minute,
  LAST_ACK: 30 * second,
  TIME_WAIT: 2 * minute,
  CLOSE: 10 * second,
};

type Segment = "syn" | "synack" | "fin" | "ack" | "rst";

const segmentOf: { readonly [Flags in TcpFlags]: Segment } = {
  S: "syn",
  "S.": "synack",
  ".": "ack",
  "P.": "ack",
  "F.": "fin",
  "FP.": "fin",
  R: "rst",
  "R.": "rst",
};

const afterFin: { readonly [State in TcpTrack]: TcpTrack | undefined } = {
  SYN_SENT: undefined,
  SYN_RECV: "FIN_WAIT",
  ESTABLISHED: "FIN_WAIT",
  FIN_WAIT: "LAST_ACK",
  CLOSE_WAIT: "LAST_ACK",
  LAST_ACK: "LAST_ACK",
  TIME_WAIT: "TIME_WAIT",
  CLOSE: "CLOSE",
};

const afterAck: { readonly [State in TcpTrack]: TcpTrack | undefined } = {
  SYN_SENT: undefined,
  SYN_RECV: "ESTABLISHED",
  ESTABLISHED: "ESTABLISHED",
  FIN_WAIT: "CLOSE_WAIT",
  CLOSE_WAIT: "CLOSE_WAIT",
  LAST_ACK: "TIME_WAIT",
  TIME_WAIT: "TIME_WAIT",
  CLOSE: "CLOSE",
};

/**
 * The state after a segment; undefined if the segment does not fit (INVALID). Without a state only a SYN begins a
 * connection, or an ACK, which is taken for one that was open before (nf_conntrack_tcp_loose).
 */
export function nextTrack(
  state: TcpTrack | undefined,
  direction: "original" | "reply",
  flags: TcpFlags,
): TcpTrack | undefined {
  const segment = segmentOf[flags];
  if (state === undefined) return segment === "syn" ? "SYN_SENT" : segment === "ack" ? "ESTABLISHED" : undefined;
  switch (segment) {
    case "rst":
      return "CLOSE";
    case "syn":
      return state;
    case "synack":
      return state === "SYN_SENT" && direction === "reply" ? "SYN_RECV" : state;
    case "fin":
      return afterFin[state];
    case "ack":
      return state === "SYN_RECV" && direction === "reply" ? state : afterAck[state];
  }
}

/** Whether a SYN on a connection in this state begins another one on the same addresses and ports. */
export function isConnectionStart(state: TcpTrack | undefined, flags: TcpFlags): boolean {
  return flags === "S" && (state === "TIME_WAIT" || state === "CLOSE");
}
