/** Owns the words of a case: what is changed in a network, and what is asked of it; a simulator and a kernel both understand them. */
import type { Version } from "./topology";

/** A change. Addresses and machines go by their names in the topology. */
export type Step =
  /** Answers on TCP port 80 and UDP port 7000 with its name and what it sees of the client. */
  | { readonly step: "serve"; readonly at: string }
  | { readonly step: "link"; readonly at: string; readonly device: string; readonly up: boolean }
  | {
      readonly step: "add route";
      readonly at: string;
      readonly to: string;
      readonly via?: string;
      readonly device?: string;
      readonly onlink?: boolean;
      readonly type?: "blackhole";
    }
  | { readonly step: "delete route"; readonly at: string; readonly to: string }
  | { readonly step: "delete neighbour"; readonly at: string; readonly device: string; readonly ip: string }
  /** All that were asked for, on all devices. */
  | { readonly step: "forget neighbours"; readonly at: string }
  | { readonly step: "clear fdb"; readonly at: string; readonly device: string }
  /** Lets time pass: a kernel looks after lost carriers once a second. */
  | { readonly step: "wait"; readonly at: string; readonly seconds: number }
  /** Strict reverse-path filtering, and ICMP redirects: only a kernel has them, see differences.ts. */
  | { readonly step: "rp_filter"; readonly at: string; readonly on: boolean }
  | { readonly step: "redirects"; readonly at: string; readonly on: boolean }
  /** Writes a tunnel's neighbours and forwarding entries again, as they were. */
  | { readonly step: "restore tunnel"; readonly at: string; readonly device: string }
  | { readonly step: "forwarding"; readonly at: string; readonly on: boolean }
  | { readonly step: "bridge-nf-call-iptables"; readonly at: string; readonly on: boolean }
  | { readonly step: "hairpin"; readonly at: string; readonly device: string; readonly on: boolean }
  | { readonly step: "mtu"; readonly at: string; readonly device: string; readonly mtu: number }
  | { readonly step: "add address"; readonly at: string; readonly device: string; readonly address: string }
  | { readonly step: "delete address"; readonly at: string; readonly device: string; readonly address: string }
  /** Inserts a rule at the head of a chain of the filter table. */
  | { readonly step: "rule"; readonly at: string; readonly chain: string; readonly rule: string }
  | { readonly step: "delete rule"; readonly at: string; readonly chain: string; readonly rule: string };

/** A question. What it gives is text, the same from both, with names for addresses. */
export type Ask =
  /** `b1 saw a1` | `refused` | `timeout` | `no route to host` | `network is unreachable` */
  | {
      readonly ask: "tcp";
      readonly from: string;
      readonly to: string;
      readonly port?: number;
    }
  /** `b1 saw a1, ttl 62, 3 octets` | as above */
  | { readonly ask: "udp"; readonly from: string; readonly to: string; readonly size?: number; readonly port?: number }
  /** `b1, ttl 62` | `nothing` | `node-1 says host-unreachable` | `message too long, mtu 1450` | … */
  | {
      readonly ask: "ping";
      readonly from: string;
      readonly to: string;
      readonly size?: number;
      readonly dontFragment?: boolean;
    }
  /** Who says that the time to live is over, hop by hop: `node-1 > node-2 > b1`. */
  | { readonly ask: "hops"; readonly from: string; readonly to: string }
  /** `via X dev eth0 src Y` | `dev cni0 src Y` | `local` | `network is unreachable` | `blackhole` */
  | { readonly ask: "route"; readonly at: string; readonly to: string }
  /**
   * `b1 KNOWN, node-1 PERMANENT`: REACHABLE, STALE, DELAY and PROBE follow one another by the clock, and are KNOWN unless
   * the `exact` state is asked for.
   */
  | { readonly ask: "neighbours"; readonly at: string; readonly device: string; readonly exact?: true }
  | { readonly ask: "mtu"; readonly at: string; readonly device: string }
  /** Which pods' MAC addresses a bridge has learnt, and behind which port: `a1 behind veth…`. */
  | { readonly ask: "learnt"; readonly at: string; readonly device: string }
  /** `tcp a1 > web:80, answered b1:80 > a1` for each connection to that port; ephemeral ports are left out. */
  | { readonly ask: "connections"; readonly at: string; readonly port: number };

export const servedTcp = 80;
export const servedUdp = 7000;
/** How many seconds an answer may take: longer than three requests of ARP, one a second, that nobody answers. */
export const patience = 3.8;

/** One question with what both must say. */
export interface Expectation {
  readonly ask: Ask;
  /** What both say. Without it, only that both say the same. */
  readonly gives?: string;
}

/** One case of the table: its changes and questions, in this order. It leaves the network as it found it, unless it is the last. */
export interface Case {
  readonly name: string;
  /** Needs the kernel's iptables, or its list of connections. */
  readonly needs?: "iptables" | "conntrack" | "nft";
  readonly script: readonly Part[];
}

/** `together`: questions that a kernel is asked at once, for each of them waits for nothing but time. */
export type Part = Step | Expectation | { readonly together: readonly Expectation[] };

/** Cases that share a network, one after the other. */
export interface Group {
  readonly name: string;
  readonly version: Version;
  /** With the iptables rules that the topology has; without, the tables are empty. */
  readonly rules: boolean;
  readonly cases: readonly Case[];
}

/** A network that can be changed and asked. */
export interface World {
  change(step: Step): Promise<void>;
  /** Asks all of it at once. */
  ask(asks: readonly Ask[]): Promise<readonly string[]>;
  stop(): void;
}

/**
 * One line of the neighbour table. Link-local neighbours are talked to when a kernel likes, and who FAILED is forgotten when it
 * likes (with 128 neighbours in all namespaces of the machine together): both are left out.
 */
export function neighbourWords(ip: string, state: string, exact: true | undefined): string | undefined {
  if (state === "NOARP" || state === "FAILED" || ip.startsWith("fe80:") || ip.startsWith("ff02:")) return undefined;
  const known = exact === undefined && /REACHABLE|STALE|DELAY|PROBE/.test(state);
  return `${ip} ${known ? "KNOWN" : state}`;
}
