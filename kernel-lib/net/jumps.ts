/** Owns where rules jump to: every target must be there, and no chain may lead back to itself. */
import type { Chain } from "./chain";
import type { Rule, Target } from "./rule";

/** The chain that a target leads to. */
export function chainOf(target: Target | undefined): string | undefined {
  return target?.target === "jump" || target?.target === "goto" ? target.chain : undefined;
}

type ChainsByName = ReadonlyMap<string, Chain>;
type Planned = ReadonlyMap<Chain, readonly Rule[]>;

/**
 * Checks the rules that chains are about to get, and notes their jumps: every one leads to a chain that is there, and
 * none leads back (the kernel refuses both). Where every chain is higher than those it leads to there is no loop; only
 * when new rules do not fit the heights that are known, all are measured anew.
 * @param planned the chains that change, with their new rules; they are in `chains` already
 * @throws RangeError as iptables-restore says it; no jump is noted then
 */
export function linkJumps(chains: ChainsByName, planned: Planned): void {
  const measuring = { chains, planned, measured: new Set<Chain>(), open: new Set<Chain>() };
  // Where nothing leads to, the height is free.
  for (const chain of planned.keys()) if (chain.links === 0) measure(measuring, chain, isFree);
  for (const [chain, rules] of planned) {
    if (chain.links === 0 || rules.every(({ target }) => (targetOf(chains, target)?.height ?? -1) < chain.height)) {
      continue;
    }
    measureAll(chains, planned);
    break;
  }
  for (const [chain, rules] of planned) move(chains, chain.rules, rules);
}

/** Takes back what `linkJumps` noted, before the rules are there. */
export function unlinkJumps(chains: ChainsByName, planned: Planned): void {
  for (const [chain, rules] of planned) move(chains, rules, chain.rules);
}

function move(chains: ChainsByName, from: readonly Rule[], to: readonly Rule[]): void {
  for (const { target } of from) addLink(chains, target, -1);
  for (const { target } of to) addLink(chains, target, 1);
}

function isFree({ links }: Chain, planned: boolean): boolean {
  return planned && links === 0;
}

function addLink(chains: ChainsByName, target: Target | undefined, by: number): void {
  const name = chainOf(target);
  const next = name === undefined ? undefined : chains.get(name);
  if (next) next.links += by;
}

function targetOf(chains: ChainsByName, target: Target | undefined): Chain | undefined {
  const name = chainOf(target);
  if (name === undefined) return undefined;
  const next = chains.get(name);
  if (next) return next;
  throw new RangeError(`iptables-restore: Couldn't load target \`${name}':No such file or directory`);
}

function measureAll(chains: ChainsByName, planned: Planned): void {
  const measureBy = (rules: Planned): void => {
    const measuring = { chains, planned: rules, measured: new Set<Chain>(), open: new Set<Chain>() };
    for (const chain of chains.values()) measure(measuring, chain, () => true);
  };
  try {
    measureBy(planned);
  } catch (error) {
    measureBy(new Map());
    throw error;
  }
}

interface Measuring {
  readonly chains: ChainsByName;
  readonly planned: Planned;
  readonly measured: Set<Chain>;
  readonly open: Set<Chain>;
}

/** Makes a chain one higher than the highest that it leads to; those that are not `wanted` keep the height they have. */
function measure(to: Measuring, chain: Chain, wanted: (chain: Chain, planned: boolean) => boolean): number {
  const planned = to.planned.get(chain);
  if (to.measured.has(chain) || !wanted(chain, planned !== undefined)) return chain.height;
  if (to.open.has(chain))
    throw new RangeError(`iptables: Too many levels of symbolic links (chain ${chain.name} leads to itself).`);
  to.open.add(chain);
  let height = 0;
  for (const { target } of planned ?? chain.rules) {
    const next = targetOf(to.chains, target);
    if (next) height = Math.max(height, measure(to, next, wanted) + 1);
  }
  to.open.delete(chain);
  chain.height = height;
  to.measured.add(chain);
  return height;
}
