/** Owns which chains can be taken away while rules of somebody else stay. */
import type { Iptables } from "../../net/iptables";

/**
 * Those of `doomed` that no chain which stays leads to: iptables mode and ipvs mode share some (KUBE-MARK-MASQ), and the
 * kernel takes away none that is jumped to.
 */
export function withoutLinked(tables: Iptables, table: "nat" | "filter", doomed: readonly string[]): readonly string[] {
  const going = new Set(doomed);
  const keep = (from: string): void => {
    for (const { target } of tables.rules(table, from) ?? []) {
      const next = target?.target === "jump" || target?.target === "goto" ? target.chain : undefined;
      if (next !== undefined && going.delete(next)) keep(next);
    }
  };
  for (const chain of tables.chains(table)) if (!going.has(chain)) keep(chain);
  return [...going];
}
