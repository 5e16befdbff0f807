/** Owns nftables rules as data: tables, chains, sets and maps with their elements, and what a rule tests and does. */
import type { Time } from "../../sim/clock";
import type { Hook } from "../netfilter";
import type { SelectorName } from "./selectors";
import type { DataTypeName, Value } from "./types";

/** `inet` holds rules for both address families. */
export type TableFamily = "ip" | "ip6" | "inet";

/** `ip kube-proxy`. */
export interface TableName {
  readonly family: TableFamily;
  readonly table: string;
}

/** What a base chain may do: `nat` chains see only the first packet of a connection. */
export type ChainType = "filter" | "nat" | "route";

/** Where a base chain sits. */
export interface BaseChain {
  readonly type: ChainType;
  readonly hook: Hook;
  readonly priority: number;
  readonly policy: "accept" | "drop";
}

export interface ChainSpec {
  readonly name: string;
  /** Absent: a regular chain, run only when a rule leads there. */
  readonly base?: BaseChain;
  readonly comment?: string;
}

export type SetFlag = "constant" | "dynamic" | "interval" | "timeout";

/** A set, or a map from keys to data or verdicts. */
export interface SetSpec {
  readonly name: string;
  /** The types of the key's parts: one, or several for a concatenation. */
  readonly key: readonly DataTypeName[];
  /** A map: the types of its data. A verdict map leads rules on. */
  readonly data?: readonly DataTypeName[] | "verdict";
  readonly flags?: readonly SetFlag[];
  /** How long an element stays, unless it says so itself. */
  readonly timeout?: Time;
  readonly gcInterval?: Time;
  readonly size?: number;
  readonly autoMerge?: boolean;
  readonly comment?: string;
}

/** A value, or an inclusive range. */
export interface Range {
  readonly from: Value;
  readonly to: Value;
  /** The length of the prefix that it is written as. */
  readonly prefix?: number;
}
export type Part = Value | Range;

export interface Element {
  /** One part for each of the set's types. */
  readonly key: readonly Part[];
  readonly data?: readonly Value[];
  readonly verdict?: Verdict;
  readonly comment?: string;
  readonly timeout?: Time;
  /** How long it has left, when it is not all of its timeout. */
  readonly expires?: Time;
}

export type Verdict =
  | { readonly do: "accept" | "drop" | "return" | "continue" }
  | { readonly do: "jump" | "goto"; readonly chain: string };

/** What is looked at: something of the packet, several such things, some bits of one, or chance. */
export type Operand =
  | SelectorName
  | { readonly concat: readonly SelectorName[] }
  | { readonly of: SelectorName; readonly mask: number }
  | { readonly numgen: "random" | "inc"; readonly mod: number };

/** A named set or map, or the elements of one that has no name. */
export type SetReference = { readonly set: string } | { readonly elements: readonly Element[] };

export type Comparison = "==" | "!=" | "<" | ">" | "<=" | ">=";

/** The flags of `dnat`, `snat` and `masquerade`. */
export interface NatFlags {
  readonly random?: boolean;
  readonly fullyRandom?: boolean;
  readonly persistent?: boolean;
}

export type RejectWith =
  | "tcp-reset"
  | "port-unreachable"
  | "host-unreachable"
  | "net-unreachable"
  | "admin-prohibited"
  | "no-route"
  | "addr-unreachable";

/** A mark that is written: a number, another mark with bits changed, or chance. */
export type MarkValue =
  | number
  | { readonly of: "meta mark" | "ct mark"; readonly op?: "&" | "|" | "^"; readonly bits?: number }
  | { readonly numgen: "random" | "inc"; readonly mod: number };

export type Statement =
  /** Goes on only if it holds. */
  | { readonly match: Operand; readonly op: Comparison; readonly to: Part | SetReference }
  /** Goes where the element that is found says; on only if none is found. */
  | { readonly vmap: Operand; readonly in: SetReference }
  | { readonly verdict: Verdict }
  | { readonly assign: "meta mark" | "ct mark"; readonly value: MarkValue }
  | {
      readonly nat: "dnat" | "snat";
      readonly to:
        | { readonly ip: Value; readonly port?: number }
        /** Address, or address and port, by a map. */
        | { readonly key: Operand; readonly in: SetReference };
      readonly flags?: NatFlags;
      /** Written `dnat ip to`, `dnat ip6 to`: in `inet` tables, and where a map gives both address and port. */
      readonly family?: "ip" | "ip6";
    }
  | { readonly nat: "masquerade"; readonly flags?: NatFlags }
  | { readonly nat: "redirect"; readonly port?: number; readonly flags?: NatFlags }
  /** `by`: in `inet` tables, where it is for packets of one family only. */
  | { readonly reject: RejectWith; readonly by?: "icmp" | "icmpv6" }
  | {
      readonly update: "add" | "update" | "delete";
      readonly set: string;
      readonly key: Operand;
      readonly timeout?: Time;
    }
  | { readonly counter: { readonly packets: number; readonly bytes: number } }
  | { readonly log: { readonly prefix?: string; readonly level?: string } };

export interface Rule {
  readonly does: readonly Statement[];
  readonly comment?: string;
}

/** Where in a text a command's word stands: for errors in nft's way. */
export interface Span {
  readonly line: number;
  /** Columns from 0; `to` is behind the last one. */
  readonly from: number;
  readonly to: number;
}

/** What is said to nftables, as `nft` does: all commands of a transaction, or none. */
export type Command = TableName & { readonly at?: Spans } & (
    | { readonly do: "add" | "create" | "delete" | "destroy"; readonly what: "table"; readonly comment?: string }
    | { readonly do: "flush"; readonly what: "table" }
    | { readonly do: "add" | "create"; readonly what: "chain"; readonly chain: ChainSpec }
    | { readonly do: "delete" | "destroy" | "flush"; readonly what: "chain"; readonly name: string }
    | { readonly do: "rename"; readonly what: "chain"; readonly name: string; readonly to: string }
    | { readonly do: "add" | "create"; readonly what: "set"; readonly set: SetSpec }
    | { readonly do: "delete" | "destroy" | "flush"; readonly what: "set"; readonly name: string }
    | {
        readonly do: "add" | "create" | "delete" | "destroy";
        readonly what: "element";
        readonly name: string;
        readonly elements: readonly Element[];
      }
    | {
        readonly do: "add" | "insert" | "replace";
        readonly what: "rule";
        readonly chain: string;
        readonly rule: Rule;
        /** Of another rule: behind it (`add`), before it (`insert`), instead of it (`replace`). */
        readonly handle?: number;
      }
    | { readonly do: "delete" | "destroy"; readonly what: "rule"; readonly chain: string; readonly handle: number }
  );

/** The places of a command's words. */
export interface Spans {
  readonly all: Span;
  readonly table?: Span;
  readonly name?: Span;
  readonly handle?: Span;
  readonly elements?: readonly Span[];
  /** Of chains and sets that a rule names. */
  readonly names?: ReadonlyMap<string, Span>;
}

/** What went wrong, in the kernel's or nft's words; `at` says where in the text. */
export class NftError extends Error {
  constructor(
    message: string,
    readonly at?: Span,
  ) {
    super(message);
  }
}

const refused = "Could not process rule";

/** An error of the kernel as `nft` words it. */
export function kernelError(why: string, at?: Span): NftError {
  return new NftError(`${refused}: ${why}`, at);
}

/** Whether it is a range, and not one value. */
export function isRange(part: Part | SetReference): part is Range {
  return typeof part === "object" && "to" in part;
}

/** Whether it is several selectors at once, `ip saddr . tcp dport`. */
export function isConcat(operand: Operand): operand is { readonly concat: readonly SelectorName[] } {
  return typeof operand === "object" && "concat" in operand;
}
