/** Owns where rules jump to: every target must be there, and no chain may lead back to itself. */
import type { Rule, Target } from "./rule";

/** The chain that a target leads to. */
export function chainOf(target: Target | undefined): string | undefined {
  return target?.target === "jump" || target?.target === "goto" ? target.chain : undefined;
}

/**
 * Every jump leads to a chain that is there, and none leads back (the kernel refuses both). Only what the changed chains
 * lead to is looked at: a new loop must pass through one of them.
 */
export function checkJumps(changed: Iterable<string>, rulesOf: (chain: string) => readonly Rule[] | undefined): void {
  const done = new Set<string>();
  const open = new Set<string>();
  const visit = (chain: string): void => {
    if (done.has(chain)) return;
    if (open.has(chain))
      throw new RangeError(`iptables: Too many levels of symbolic links (chain ${chain} leads to itself).`);
    open.add(chain);
    for (const rule of rulesOf(chain) ?? []) {
      const next = chainOf(rule.target);
      if (next === undefined) continue;
      if (rulesOf(next) === undefined)
        throw new RangeError(`iptables-restore: Couldn't load target \`${next}':No such file or directory`);
      visit(next);
    }
    open.delete(chain);
    done.add(chain);
  };
  for (const chain of changed) visit(chain);
}
