/** Owns a packet's way through the chains of an nftables table. */
import type { Verdict as HookVerdict } from "../netfilter";
import type { Passage, RuleEffect } from "../passage";
import type { StepOutcome } from "./compile";
import type { Rule } from "./ruleset";
import { ruleText } from "./ruletext";
import type { Chain, HeldRule, Table } from "./tables";

/** How deep chains may lead into each other (NFT_JUMP_STACK_SIZE). */
export const jumpLimit = 16;

type Outcome = HookVerdict | undefined;

/** Runs a base chain; its policy decides what no rule has decided. */
export function runBaseChain(table: Table, chain: Chain, passage: Passage): HookVerdict {
  const outcome = runChain(table, chain, passage, 0);
  if (outcome !== undefined) return outcome;
  if (chain.base?.policy !== "drop") return "accept";
  passage.why = `policy drop of ${table.title}/${chain.name}`;
  return "drop";
}

/** Undefined: it ran to its end, or returned. */
function runChain(table: Table, chain: Chain, passage: Passage, depth: number): Outcome {
  if (depth > jumpLimit) throw new Error(`nftables: chains of ${table.title} lead more than ${jumpLimit} deep`);
  const { rules } = chain;
  for (let index = 0; index < rules.length; index++) {
    const held = rules[index] as HeldRule;
    if (passage.walked) passage.walked.rules++;
    const outcome = runRule(held, passage);
    if (outcome === "break") continue;
    if (passage.watched) noteRule(table, chain, index, held, outcome, passage);
    if (outcome === undefined) continue;
    if (outcome === "reject") {
      passage.why = blame("rejected", table, chain, held);
      return "reject";
    }
    switch (outcome.do) {
      case "accept":
        return "accept";
      case "drop":
        passage.why ??= blame("dropped", table, chain, held);
        return "drop";
      case "return":
        return undefined;
      case "continue":
        continue;
      case "goto":
        return runChain(table, chainOf(table, outcome.chain), passage, depth + 1);
      case "jump": {
        const inner = runChain(table, chainOf(table, outcome.chain), passage, depth + 1);
        if (inner !== undefined) return inner;
      }
    }
  }
  return undefined;
}

function runRule(held: HeldRule, passage: Passage): StepOutcome {
  const { steps } = held;
  for (let at = 0; at < steps.length; at++) {
    const outcome = (steps[at] as (passage: Passage) => StepOutcome)(passage);
    if (outcome !== undefined) return outcome;
  }
  return undefined;
}

function chainOf(table: Table, name: string): Chain {
  const found = table.chains.get(name);
  if (!found) throw new Error(`nftables: ${table.title} has no chain ${name}, which a rule leads to`);
  return found;
}

function blame(done: string, table: Table, chain: Chain, held: HeldRule): string {
  return `${done} by ${table.title}/${chain.name}: ${textOf(table, held)}`;
}

/** A rule as `nft -s list` prints it: once made, kept. */
export function textOf({ family }: Table, held: HeldRule): string {
  held.text ??= ruleText(held.rule, family, { stateless: true });
  return held.text;
}

function noteRule(
  table: Table,
  chain: Chain,
  index: number,
  held: HeldRule,
  outcome: StepOutcome,
  passage: Passage,
): void {
  const text = textOf(table, held);
  const effect = effectOf(held.rule, outcome);
  const led = effect && "chain" in effect && held.rule.does.some((each) => "vmap" in each);
  const what = led ? `${text} → ${effect.does} ${effect.chain}` : text;
  passage.note("rule", `${table.title}/${chain.name}`, () => what, {
    rule: {
      tool: "nft",
      table: table.title,
      chain: chain.name,
      number: index + 1,
      text,
      ...(effect && { effect }),
    },
  });
}

/** What a rule did: what its last word was; of a verdict map, the element's. */
function effectOf({ does }: Rule, outcome: StepOutcome): RuleEffect | undefined {
  if (outcome === "reject") return { does: "reject" };
  for (const each of does) {
    if (!("nat" in each)) continue;
    if (each.nat !== "redirect") return { does: each.nat };
    return { does: "dnat" };
  }
  if (typeof outcome === "object" && outcome.do !== "continue") {
    return "chain" in outcome ? { does: outcome.do, chain: outcome.chain } : { does: outcome.do };
  }
  return does.some((each) => "assign" in each && each.assign === "meta mark") ? { does: "mark" } : undefined;
}
