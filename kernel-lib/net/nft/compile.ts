/** Owns how rules run: each becomes a row of steps, made when a packet first comes to it. */

import type { Ip } from "../address";
import { masquerade, redirect, setUpNat } from "../nathooks";
import type { Netns } from "../netns";
import type { Passage } from "../passage";
import { Elements, holds } from "./elements";
import { typesOf } from "./operands";
import {
  type Element,
  isConcat,
  isRange,
  type MarkValue,
  type Operand,
  type Part,
  type RejectWith,
  type Rule,
  type SetReference,
  type Statement,
  type Verdict,
} from "./ruleset";
import { type SelectorName, selector } from "./selectors";
import type { DataTypeName, Value } from "./types";

/** A set or map as rules use it. */
export interface LookedUp {
  readonly elements: Elements;
  /** Enters or refreshes an element (`update @set`). */
  update(how: "add" | "update" | "delete", key: readonly Value[], timeout: number | undefined): boolean;
}

/** What a step ends a rule with: on (undefined), no match, a verdict, or that the sender is told. */
export type StepOutcome = undefined | "break" | "reject" | Verdict;

export type Step = (passage: Passage) => StepOutcome;

/** What compiling a rule needs of where it stands. */
export interface Place {
  readonly netns: Netns;
  /** A named set of the rule's table. */
  set(name: string): LookedUp;
}

export type Count = { packets: number; bytes: number };

/** A rule's steps, and the counters in it. */
export function compile(
  rule: Rule,
  place: Place,
  counters: readonly Count[],
  size: (passage: Passage) => number,
): Step[] {
  let counted = 0;
  return rule.does.flatMap((statement): Step[] => {
    if ("counter" in statement) {
      const count = counters[counted++] as Count;
      return [
        (passage) => {
          if (passage.dry) return undefined;
          count.packets++;
          count.bytes += size(passage);
          return undefined;
        },
      ];
    }
    const step = compileStatement(statement, place);
    return step ? [step] : [];
  });
}

function compileStatement(statement: Exclude<Statement, { counter: Count }>, place: Place): Step | undefined {
  if ("match" in statement) return compileMatch(statement, place);
  if ("vmap" in statement) {
    const look = lookup(statement.vmap, statement.in, place);
    return (passage) => look(passage)?.verdict ?? "break";
  }
  if ("verdict" in statement) {
    const { verdict } = statement;
    return () => verdict;
  }
  if ("assign" in statement) return compileAssign(statement, place);
  if ("nat" in statement) return compileNat(statement, place);
  if ("reject" in statement) {
    const how = rejectWords[statement.reject];
    return (passage) => {
      passage.rejectWith = how;
      return "reject";
    };
  }
  if ("update" in statement) {
    const key = reader(statement.key, place);
    const set = place.set(statement.set);
    return (passage) => {
      if (passage.dry) return undefined;
      const values = key(passage);
      return values && set.update(statement.update, values, statement.timeout) ? undefined : "break";
    };
  }
  const prefix = statement.log.prefix ?? "";
  return (passage) => {
    if (passage.watched) passage.note("rule", "log", () => `logged: ${prefix}`);
    return undefined;
  };
}

const rejectWords: { readonly [With in RejectWith]: NonNullable<Passage["rejectWith"]> } = {
  "tcp-reset": "tcp-reset",
  "port-unreachable": "port-unreachable",
  "host-unreachable": "host-unreachable",
  "net-unreachable": "host-unreachable",
  "no-route": "host-unreachable",
  "addr-unreachable": "host-unreachable",
  "admin-prohibited": "admin-prohibited",
};

// ── What is looked at ────────────────────────────────────────────────────────────────────────────────────────────────

type Read = (passage: Passage) => readonly Value[] | undefined;
type ReadOne = (passage: Passage) => Value | undefined;

function readOne(name: SelectorName, { netns }: Place): ReadOne {
  const { read } = selector(name);
  return (passage) => read(passage, netns);
}

/** The values of an operand, one for each part; undefined where the packet lacks one. */
function reader(operand: Operand, place: Place): Read {
  if (isConcat(operand)) {
    const reads = operand.concat.map((name) => readOne(name, place));
    return (passage) => {
      const values: Value[] = new Array(reads.length);
      for (let at = 0; at < reads.length; at++) {
        const value = (reads[at] as ReadOne)(passage);
        if (value === undefined) return undefined;
        values[at] = value;
      }
      return values;
    };
  }
  const read = single(operand as Single, place);
  return (passage) => {
    const value = read(passage);
    return value === undefined ? undefined : [value];
  };
}

/** An operand of one part. */
type Single = Exclude<Operand, { concat: readonly SelectorName[] }>;

function single(operand: Single, place: Place): ReadOne {
  if (typeof operand === "string") return readOne(operand, place);
  if ("numgen" in operand) return generator(operand);
  const read = readOne(operand.of, place);
  return (passage) => {
    const value = read(passage);
    return value === undefined ? undefined : (Number(value) & operand.mask) >>> 0;
  };
}

/** A number below `mod`: by chance, or the next one. A question about what comes next has every one for an answer. */
function generator({ numgen, mod }: { readonly numgen: "random" | "inc"; readonly mod: number }): ReadOne {
  const weights = new Array<number>(mod).fill(1);
  if (numgen === "random") return (passage) => passage.choose(weights);
  let next = 0;
  return (passage) => {
    if (passage.dry) return passage.choose(weights);
    const value = next;
    next = (next + 1) % mod;
    return value;
  };
}

/** The element of a set for what the operand is of a packet. */
function lookup(operand: Operand, reference: SetReference, place: Place): (passage: Passage) => Element | undefined {
  const read = reader(operand, place);
  const elements = "set" in reference ? place.set(reference.set).elements : anonymous(operand, reference.elements);
  const { clock } = place.netns.network.sim;
  return (passage) => {
    if (passage.walked) passage.walked.lookups++;
    const values = read(passage);
    return values && elements.find(values, clock.now)?.element;
  };
}

function anonymous(operand: Operand, list: readonly Element[]): Elements {
  const elements = new Elements(typesOf(operand));
  for (const element of list) elements.set(element, undefined);
  return elements;
}

// ── What is tested and done ──────────────────────────────────────────────────────────────────────────────────────────

function compileMatch({ match, op, to }: Extract<Statement, { match: Operand }>, place: Place): Step {
  const not = op === "!=";
  if (typeof to === "object" && !isRange(to)) {
    const read = reader(match, place);
    const look = lookup(match, to, place);
    // What a packet has not got is neither in a set nor outside it.
    return (passage) => (read(passage) !== undefined && (look(passage) !== undefined) !== not ? undefined : "break");
  }
  const read = single(match as Single, place);
  const test = comparison(match, op, to);
  return (passage) => {
    const value = read(passage);
    return value !== undefined && test(value) ? undefined : "break";
  };
}

const flagTypes = new Set<DataTypeName>(["ct_state", "ct_status"]);

function comparison(operand: Operand, op: string, to: Part): (value: Value) => boolean {
  switch (op) {
    case "<":
      return (value) => value < (to as Value);
    case ">":
      return (value) => value > (to as Value);
    case "<=":
      return (value) => value <= (to as Value);
    case ">=":
      return (value) => value >= (to as Value);
  }
  const not = op === "!=";
  // `ct state established,related`: any of these flags.
  if (typeof operand === "string" && flagTypes.has(selector(operand).type) && typeof to === "number") {
    return (value) => ((Number(value) & to) !== 0) !== not;
  }
  if (typeof to === "object" || (typeof to === "string" && to.endsWith("*")))
    return (value) => holds(to, value) !== not;
  return not ? (value) => value !== to : (value) => value === to;
}

function compileAssign({ assign, value }: Extract<Statement, { assign: string }>, place: Place): Step {
  const mark = markReader(value, place);
  if (assign === "meta mark") {
    return (passage) => {
      const now = mark(passage);
      if (now === undefined) return "break";
      passage.mark = now;
      return undefined;
    };
  }
  return (passage) => {
    const now = mark(passage);
    if (now === undefined || !passage.connection) return "break";
    if (!passage.dry) passage.connection.mark = now;
    return undefined;
  };
}

function markReader(value: MarkValue, place: Place): (passage: Passage) => number | undefined {
  if (typeof value === "number") return () => value;
  if ("numgen" in value) return generator(value) as (passage: Passage) => number | undefined;
  const { op, bits = 0 } = value;
  const read = readOne(value.of, place) as (passage: Passage) => number | undefined;
  return (passage) => {
    const before = read(passage);
    if (before === undefined || op === undefined) return before;
    return (op === "|" ? before | bits : op === "&" ? before & bits : before ^ bits) >>> 0;
  };
}

function compileNat(statement: Extract<Statement, { nat: string }>, place: Place): Step {
  const { netns } = place;
  const random = statement.flags?.random === true || statement.flags?.fullyRandom === true;
  const done = (passage: Passage, does: "dnat" | "snat" | "masquerade", verdict: "accept" | "drop"): StepOutcome => {
    if (verdict === "drop") passage.why = `${does}: no address or port is free`;
    return { do: verdict };
  };
  if (statement.nat === "masquerade")
    return (passage) => done(passage, "masquerade", masquerade(netns, passage, random));
  if (statement.nat === "redirect") return (passage) => done(passage, "dnat", redirect(netns, passage, statement.port));
  const { nat, to } = statement;
  const manipulation = nat === "dnat" ? "target" : "source";
  if ("ip" in to) {
    const request = { ip: to.ip as Ip, ...(to.port !== undefined && { port: to.port }), random };
    return (passage) => done(passage, nat, setUpNat(netns, passage, manipulation, request));
  }
  const look = lookup(to.key, to.in, place);
  return (passage) => {
    const found = look(passage)?.data;
    if (!found) return "break";
    const [ip, port] = found as readonly [Ip, number?];
    const request = { ip, ...(port !== undefined && { port }), random };
    return done(passage, nat, setUpNat(netns, passage, manipulation, request));
  };
}
