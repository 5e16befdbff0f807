/** Owns where rules jump to: every target must be there, and no chain may lead back to itself. */
import type { Chain } from "./chain";
import type { Rule, Target } from "./rule";

/** The chain that a target leads to. */
export function chainOf(target: Target | undefined): string | undefined {
  return target?.target === "jump" || target?.target === "goto" ? target.chain : undefined;
}

type ChainsByName = ReadonlyMap<string, Chain>;

interface Check {
  readonly chains: ChainsByName;
  /** By which a chain tells whether this check has come by (`visit`; negative while it is still at it). */
  readonly number: number;
  /** Whether the heights that were known still hold. */
  fits: boolean;
}

let checks = 0;

function newCheck(chains: ChainsByName): Check {
  return { chains, number: ++checks, fits: true };
}

/**
 * Checks the rules that chains are about to get, and counts their jumps (`Chain.links`): every one leads to a chain that
 * is there, and none leads back (the kernel refuses both). Where every chain is higher than those it leads to there is
 * no loop; only when new rules do not fit the heights that are known are all chains measured anew.
 * @param changed the chains that change: they are in `chains` already, with their new rules as `planned`
 * @throws RangeError as iptables-restore says it; counts and heights are wrong then, until `relinkJumps`
 */
export function linkJumps(chains: ChainsByName, changed: readonly Chain[]): void {
  const check = newCheck(chains);
  // The height of a chain that nothing leads to is free.
  for (const chain of changed) if (chain.links === 0 && chain.visit !== check.number) link(check, chain, true);
  for (const chain of changed) if (chain.visit !== check.number) link(check, chain, false);
  for (const chain of changed) {
    for (const { target } of chain.rules) {
      const next = targetOf(chains, target);
      if (next) next.links--;
    }
  }
  if (!check.fits) measureAll(chains);
}

/** Counts and measures everything anew, by the rules that are there. */
export function relinkJumps(chains: ChainsByName): void {
  for (const chain of chains.values()) {
    chain.links = 0;
    chain.planned = undefined;
  }
  for (const { rules } of chains.values()) {
    for (const { target } of rules) {
      const next = targetOf(chains, target);
      if (next) next.links++;
    }
  }
  measureAll(chains);
}

/** Counts the jumps of one chain; those that it leads to are measured first, if they are free. */
function link(check: Check, chain: Chain, free: boolean): void {
  chain.visit = -check.number;
  let height = 0;
  for (const { target } of chain.planned ?? noRules) {
    const next = targetOf(check.chains, target);
    if (!next) continue;
    if (next.visit === -check.number) throw leadsBack(next);
    if (next.links === 0 && next.visit !== check.number && next.planned) link(check, next, true);
    next.links++;
    height = Math.max(height, next.height + 1);
  }
  chain.visit = check.number;
  if (free) chain.height = height;
  else if (height > chain.height) check.fits = false;
}

function measureAll(chains: ChainsByName): void {
  const check = newCheck(chains);
  for (const chain of chains.values()) measure(check, chain);
}

/** One more than the highest chain that it leads to. */
function measure(check: Check, chain: Chain): number {
  if (chain.visit === check.number) return chain.height;
  if (chain.visit === -check.number) throw leadsBack(chain);
  chain.visit = -check.number;
  let height = 0;
  for (const { target } of chain.planned ?? chain.rules) {
    const next = targetOf(check.chains, target);
    if (next) height = Math.max(height, measure(check, next) + 1);
  }
  chain.visit = check.number;
  chain.height = height;
  return height;
}

const noRules: readonly Rule[] = [];

function leadsBack({ name }: Chain): RangeError {
  return new RangeError(`iptables: Too many levels of symbolic links (chain ${name} leads to itself).`);
}

function targetOf(chains: ChainsByName, target: Target | undefined): Chain | undefined {
  const name = chainOf(target);
  if (name === undefined) return undefined;
  const next = chains.get(name);
  if (next) return next;
  throw new RangeError(`iptables-restore: Couldn't load target \`${name}':No such file or directory`);
}
