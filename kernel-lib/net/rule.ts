/** Owns iptables rules as data: what a rule matches, and what it does. */
import type { Cidr, Ip } from "./address";
import type { IcmpKind } from "./icmptypes";
import type { Protocol } from "./packet";
import type { RuleEffect } from "./passage";

export type TableName = "mangle" | "nat" | "filter";

/** A match option, possibly inverted with `!`. */
export interface Inverted<T> {
  readonly not: T;
}
export type Invertible<T> = T | Inverted<T>;

/** A port or an inclusive range of ports. */
export type PortMatch = number | { readonly from: number; readonly to: number };

/** Which field of a packet each part of a set's entry is compared with (`--match-set NAME dst,dst,src`). */
export type SetDirection = "src" | "dst";

export type ConntrackState = "INVALID" | "NEW" | "ESTABLISHED" | "RELATED" | "UNTRACKED" | "SNAT" | "DNAT";

/** Extended matches (`-m …`), in the order in which they are written and printed. */
export type Match =
  | { readonly match: "comment"; readonly comment: string }
  | {
      readonly match: "tcp" | "udp" | "sctp";
      readonly sourcePort?: Invertible<PortMatch>;
      readonly targetPort?: Invertible<PortMatch>;
    }
  /** Of `ip6tables` too, where it is written `icmp6`. */
  | { readonly match: "icmp"; readonly kind: Invertible<IcmpKind> }
  | { readonly match: "addrtype"; readonly source?: Invertible<"LOCAL">; readonly target?: Invertible<"LOCAL"> }
  | { readonly match: "mark"; readonly value: number; readonly mask?: number; readonly not?: boolean }
  | { readonly match: "statistic"; readonly mode: "random"; readonly probability: number }
  | { readonly match: "conntrack"; readonly states: readonly ConntrackState[]; readonly not?: boolean }
  /** The older way to write `conntrack`. */
  | { readonly match: "state"; readonly states: readonly ConntrackState[]; readonly not?: boolean }
  /** Whether an entry of an ipset fits the packet. */
  | {
      readonly match: "set";
      readonly set: string;
      readonly directions: readonly SetDirection[];
      readonly not?: boolean;
    }
  /** Whether it came in by a port of a bridge. */
  | { readonly match: "physdev"; readonly isIn: Invertible<true> }
  /** Whether IPVS has dealt with it, for this virtual server. */
  | { readonly match: "ipvs"; readonly protocol?: Protocol; readonly ip?: Ip; readonly port?: number }
  /** Counts in a named counter; matches always. */
  | { readonly match: "nfacct"; readonly name: string }
  | { readonly match: "recent"; readonly name: string; readonly mode: "set" }
  | {
      readonly match: "recent";
      readonly name: string;
      readonly mode: "rcheck";
      readonly seconds?: number;
      readonly reap?: boolean;
    };

/** What a rule does (`-j …`). A rule without a target only counts. */
export type Target =
  | { readonly target: "ACCEPT" | "DROP" | "RETURN" }
  /** A jump to a chain of the user's. */
  | { readonly target: "jump"; readonly chain: string }
  | { readonly target: "goto"; readonly chain: string }
  | {
      readonly target: "REJECT";
      readonly with?: "icmp-port-unreachable" | "icmp-host-unreachable" | "icmp-admin-prohibited" | "tcp-reset";
    }
  | { readonly target: "DNAT"; readonly ip: Ip; readonly port?: number }
  /** To this host itself: the address of the device it came in by, 127.0.0.1 for its own packets. */
  | { readonly target: "REDIRECT"; readonly port?: number }
  | { readonly target: "SNAT"; readonly ip: Ip }
  | { readonly target: "MASQUERADE"; readonly randomFully?: boolean }
  /** `--set-xmark value/mask`: clear the mask's bits, then XOR the value in. */
  | { readonly target: "MARK"; readonly value: number; readonly mask: number };

export interface Rule {
  readonly source?: Invertible<Cidr>;
  readonly destination?: Invertible<Cidr>;
  readonly input?: Invertible<string>;
  readonly output?: Invertible<string>;
  readonly protocol?: Invertible<Protocol>;
  readonly matches?: readonly Match[];
  readonly target?: Target;
}

/** `--or-mark bits`, which iptables keeps as `--set-xmark bits/bits`. */
export function orMark(bits: number): Target {
  return { target: "MARK", value: bits, mask: bits };
}

/** `--xor-mark bits`, which iptables keeps as `--set-xmark bits/0x0`. */
export function xorMark(bits: number): Target {
  return { target: "MARK", value: bits, mask: 0 };
}

/** `-j chain`. */
export function jump(chain: string): Target {
  return { target: "jump", chain };
}

/** `-m comment --comment text`. */
export function comment(text: string): Match {
  return { match: "comment", comment: text };
}

/** What a rule with this target does with the packets that it matches; undefined: it only counts. */
export function effectOf(target: Target | undefined): RuleEffect | undefined {
  if (!target) return undefined;
  if (target.target === "jump" || target.target === "goto") return { does: target.target, chain: target.chain };
  return { does: target.target.toLowerCase() as Lowercase<typeof target.target> };
}
