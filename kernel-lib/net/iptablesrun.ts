/** Owns running iptables rules on packets: from chain to chain, to a verdict. */
import type { Family } from "./address";
import type { Chain, Step } from "./chain";
import { chainOf } from "./jumps";
import { masquerade, redirect, setUpNat } from "./nathooks";
import type { Verdict } from "./netfilter";
import type { Netns } from "./netns";
import { packetSize } from "./packet";
import type { Passage } from "./passage";
import { effectOf, type Rule, type TableName, type Target } from "./rule";
import { compile, type RecentLists } from "./rulematch";

/** A table's chains, and where they are. */
export interface RunningTable {
  readonly name: TableName;
  readonly chains: ReadonlyMap<string, Chain>;
  readonly netns: Netns;
  readonly family: Family;
  readonly recent: RecentLists;
}

/** How deep chains may jump: a loop is refused when rules are loaded; this guards against our own mistakes. */
const jumpLimit = 64;

type Outcome = Verdict | "return" | "next";

/** Runs a built-in chain: what its rules say, or else its policy. */
export function runBuiltIn(table: RunningTable, chain: Chain, passage: Passage): Verdict {
  const outcome = chain.rules.length === 0 ? "next" : runChain(table, chain, passage, 0);
  if (outcome !== "return" && outcome !== "next") return outcome;
  if (!passage.dry) {
    chain.packets++;
    chain.bytes += packetSize(passage.packet);
  }
  if (chain.policy !== "DROP") return "accept";
  passage.why = `policy DROP of ${table.name}/${chain.name}`;
  return "drop";
}

/**
 * Tests the rules of a chain one after another, as Linux does, but for those that an index rules out: they are only
 * counted (`walked`), and nothing else tells the difference.
 */
function runChain(table: RunningTable, chain: Chain, passage: Passage, depth: number): Outcome {
  if (depth > jumpLimit) throw new Error(`iptables: chains of ${table.name} jump more than ${jumpLimit} deep`);
  const { steps, index } = chain;
  const { length } = chain.rules;
  const candidates = index?.candidates(passage.packet);
  for (let at = candidates?.next() ?? 0; at < length; at = candidates?.next() ?? at + 1) {
    const step = steps[at] ?? makeStep(table, chain, at);
    if (!step.test(passage)) continue;
    const outcome = takeRule(table, chain, at, step, passage, depth);
    if (outcome === undefined) continue;
    if (passage.walked) passage.walked.rules += at + 1;
    return outcome;
  }
  if (passage.walked) passage.walked.rules += length;
  return "next";
}

function makeStep(table: RunningTable, chain: Chain, at: number): Step {
  const rule = chain.rules[at] as Rule;
  const jump = chainOf(rule.target);
  const next = jump === undefined ? undefined : table.chains.get(jump);
  if (jump !== undefined && !next) {
    throw new Error(`iptables: ${table.name}/${chain.name} jumps to ${jump}, which is not there`);
  }
  const step = { rule, test: compile(rule, table.netns, table.recent), next, count: { packets: 0, bytes: 0 } };
  chain.steps[at] = step;
  return step;
}

/** A rule matched; undefined: the next one is asked. */
function takeRule(
  table: RunningTable,
  chain: Chain,
  at: number,
  { rule: { target }, next, count }: Step,
  passage: Passage,
  depth: number,
): Outcome | undefined {
  if (!passage.dry) {
    count.packets++;
    count.bytes += packetSize(passage.packet);
  }
  if (passage.watched) noteRule(table, chain, at, target, passage);
  if (!target) return undefined;
  if (next) {
    if (next.rules.length === 0 && target.target === "jump") return undefined;
    const outcome = runChain(table, next, passage, depth + 1);
    if (outcome !== "return" && outcome !== "next") return outcome;
    return target.target === "goto" ? "next" : undefined;
  }
  const outcome = perform(table, target, passage);
  if (outcome === "next") return undefined;
  if (outcome === "drop" || outcome === "reject") {
    const verb = outcome === "drop" ? "dropped" : "rejected";
    passage.why = `${verb} by ${table.name}/${chain.name}: ${chain.text(at, table.family)}`;
  }
  return outcome;
}

function noteRule(
  { name, family }: RunningTable,
  chain: Chain,
  at: number,
  target: Target | undefined,
  passage: Passage,
): void {
  const text = chain.text(at, family);
  const effect = effectOf(target);
  passage.note("rule", `${name}/${chain.name}`, () => text, {
    rule: { table: name, chain: chain.name, number: at + 1, text, ...(effect && { effect }) },
  });
}

function perform(table: RunningTable, target: Target, passage: Passage): Outcome {
  switch (target.target) {
    case "ACCEPT":
      return "accept";
    case "DROP":
      return "drop";
    case "RETURN":
      return "return";
    case "MARK":
      passage.mark = ((passage.mark & ~target.mask) ^ target.value) >>> 0;
      return "next";
    case "REJECT":
      passage.rejectWith = rejectWords[target.with ?? "icmp-port-unreachable"];
      return "reject";
    case "DNAT":
      return setUpNat(table.netns, passage, "target", target);
    case "REDIRECT":
      return redirect(table.netns, passage, target.port);
    case "SNAT":
      return setUpNat(table.netns, passage, "source", target);
    case "MASQUERADE":
      return masquerade(table.netns, passage, target.randomFully ?? false);
    default:
      return "next";
  }
}

const rejectWords = {
  "icmp-port-unreachable": "port-unreachable",
  "icmp-host-unreachable": "host-unreachable",
  "icmp-admin-prohibited": "admin-prohibited",
  "tcp-reset": "tcp-reset",
} as const;
