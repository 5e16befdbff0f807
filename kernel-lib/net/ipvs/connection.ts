/** Owns what IPVS remembers of one connection, and the states that a TCP connection goes through (ip_vs_proto_tcp.c). */
import { minute, second, type Time, type Timer } from "../../sim/clock";
import type { Ip } from "../address";
import type { TcpFlags } from "../packet";
import type { IpvsProtocol, RealServer } from "./server";

/** The states that `ipvsadm -Lc` prints. */
export type IpvsState =
  | "NONE"
  | "ESTABLISHED"
  | "SYN_SENT"
  | "SYN_RECV"
  | "FIN_WAIT"
  | "TIME_WAIT"
  | "CLOSE"
  | "CLOSE_WAIT"
  | "LAST_ACK"
  | "LISTEN"
  | "SYNACK"
  /** Of UDP. */
  | "UDP"
  /** Of SCTP, of which only the ports are looked at here. */
  | "INIT1";

/** One connection, or (`template`) the promise that a client stays with its real server. */
export interface IpvsConnection {
  readonly protocol: IpvsProtocol;
  readonly clientIp: Ip;
  /** 0 in a template. */
  readonly clientPort: number;
  readonly virtualIp: Ip;
  readonly virtualPort: number;
  readonly server: RealServer;
  readonly template: boolean;
  /** How long a template lives on (`persistent`). */
  readonly persistence: Time;
  state: IpvsState;
  /** Whether its real server counts it as one that does nothing. */
  inactive: boolean;
  expires: Time;
  timer: Timer | undefined;
  /** When the timer looks again. */
  timerAt: Time;
  /** The template that it came by, and how many came by this one: it lives as long as they. */
  readonly control: IpvsConnection | undefined;
  controlled: number;
}

/** What may be set by `ipvsadm --set`. */
export interface IpvsTimeouts {
  tcp: Time;
  tcpFin: Time;
  udp: Time;
}

/** The timeouts that a kernel begins with. */
export function freshTimeouts(): IpvsTimeouts {
  return { tcp: 15 * minute, tcpFin: 2 * minute, udp: 5 * minute };
}

/** How long a connection is kept after its last packet. */
export function timeoutOf({ state, template, persistence }: IpvsConnection, timeouts: IpvsTimeouts): Time {
  if (template) return persistence;
  switch (state) {
    case "NONE":
      return 2 * second;
    case "ESTABLISHED":
      return timeouts.tcp;
    case "FIN_WAIT":
      return timeouts.tcpFin;
    case "SYN_SENT":
    case "TIME_WAIT":
    case "LISTEN":
    case "SYNACK":
      return 2 * minute;
    case "SYN_RECV":
    case "CLOSE_WAIT":
    case "INIT1":
      return minute;
    case "CLOSE":
      return 10 * second;
    case "LAST_ACK":
      return 30 * second;
    case "UDP":
      return timeouts.udp;
  }
}

type TcpState = Exclude<IpvsState, "UDP" | "INIT1">;
const order: readonly TcpState[] = [
  "NONE",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECV",
  "FIN_WAIT",
  "TIME_WAIT",
  "CLOSE",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "SYNACK",
];

/** The states while which a connection counts as active. */
const active: ReadonlySet<IpvsState> = new Set(["ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"]);

/** Whether a connection in this state counts as active (`ActiveConn`). */
export function isActive(state: IpvsState): boolean {
  return active.has(state);
}

type Segment = "syn" | "fin" | "ack" | "rst";

/** After a segment, from each state in order: letters are those of the state's name (E is ESTABLISHED, R is SYN_RECV …). */
const input: { readonly [Kind in Segment]: string } = {
  syn: "REERRRRRRRR",
  fin: "CwSTTTCwLlT",
  ack: "EESEFTCwClE",
  rst: "CCCRCCCCLlR",
};
const output: { readonly [Kind in Segment]: string } = {
  syn: "SESRSSSSSlR",
  fin: "TFSTFTCTLlT",
  ack: "EESEFTCwLEE",
  rst: "CCSCCTCCCCC",
};
const letters: Readonly<Record<string, TcpState>> = {
  E: "ESTABLISHED",
  S: "SYN_SENT",
  R: "SYN_RECV",
  F: "FIN_WAIT",
  T: "TIME_WAIT",
  C: "CLOSE",
  w: "CLOSE_WAIT",
  L: "LAST_ACK",
  l: "LISTEN",
};

/** The state after a segment that came from the client (`in`) or from the real server (`out`). */
export function nextState(state: IpvsState, flags: TcpFlags, way: "in" | "out"): IpvsState {
  const kind: Segment = flags.startsWith("R")
    ? "rst"
    : flags.startsWith("S")
      ? "syn"
      : flags.startsWith("F")
        ? "fin"
        : "ack";
  const row = (way === "in" ? input : output)[kind];
  return letters[row[order.indexOf(state as TcpState)] ?? ""] ?? state;
}
