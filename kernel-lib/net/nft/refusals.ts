/** Owns what the kernel refuses of chains on hooks. */
import { Loops } from "./links";
import type { BaseChain, Rule } from "./ruleset";
import type { Chain, Table } from "./tables";

/** Why a base chain cannot be; undefined if it can (net/netfilter/nf_tables_api.c, nft_chain_parse_hook). */
export function refusalOfBase({ type, hook, priority }: BaseChain): string | undefined {
  if (type === "nat" && (hook === "forward" || priority <= -200)) return "Operation not supported";
  if (type === "route" && hook !== "output") return "Operation not supported";
  return undefined;
}

/** Whether a base chain cannot have a rule: addresses are changed in `nat` chains, at the hooks that suit (nft_nat_validate). */
export function refusedIn({ base }: Pick<Chain, "base">, { does }: Rule): boolean {
  if (!base) return false;
  return does.some((each) => {
    if (!("nat" in each)) return false;
    const source = each.nat === "snat" || each.nat === "masquerade";
    const hooks = source
      ? each.nat === "snat"
        ? ["postrouting", "input"]
        : ["postrouting"]
      : ["prerouting", "output"];
    return base.type !== "nat" || !hooks.includes(base.hook);
  });
}

/** Whether packets of some hook can come to a rule that does not suit it (nft_table_validate). */
export function isMisplaced(table: Table): boolean {
  const ways = new Loops(table);
  for (const { name, base } of table.chains.values()) {
    if (!base) continue;
    const seen = new Set([name]);
    for (const each of seen) {
      const chain = table.chains.get(each);
      if (chain?.rules.some(({ rule }) => refusedIn({ base }, rule))) return true;
      if (chain) for (const next of ways.from(chain)) seen.add(next);
    }
  }
  return false;
}
