/** Owns netfilter: the five hooks of a namespace, and the functions on each in the order of their priority. */
import type { Family } from "./address";
import type { Passage } from "./passage";

/**
 * ```
 * receive ─► prerouting ─► for me? ─┬─ yes ─► input ─► socket
 *                                   └─ no ──► forward ─┐
 * socket ─────────────────────────────────► output ────┴─► route ─► postrouting ─► neighbor ─► device
 * ```
 */
export type Hook = "prerouting" | "input" | "forward" | "output" | "postrouting";

/** `reject`: the sender is told; `stolen`: taken, and sent on by the function itself (IPVS). */
export type Verdict = "accept" | "drop" | "reject" | "stolen";

/** Linux's own priorities (include/uapi/linux/netfilter_ipv4.h); lower runs first. */
export const priority = {
  raw: -300,
  conntrack: -200,
  mangle: -150,
  dnat: -100,
  filter: 0,
  security: 50,
  snat: 100,
  confirm: 2_147_483_647,
} as const;

/** A function on a hook. A new mode of kube-proxy adds some; nothing else of the namespace changes. */
export interface HookFunction {
  readonly name: string;
  readonly hook: Hook;
  readonly priority: number;
  /** Only for packets of this family; default: for both. */
  readonly family?: Family;
  run(passage: Passage): Verdict;
}

type Hooks = Record<Hook, HookFunction[]>;

function emptyHooks(): Hooks {
  return { prerouting: [], input: [], forward: [], output: [], postrouting: [] };
}

/** The hook functions of one namespace. */
export class Netfilter {
  readonly #ipv4 = emptyHooks();
  readonly #ipv6 = emptyHooks();

  /** Adds a function: after those of the same priority. Gives back what removes it. */
  add(added: HookFunction): () => void {
    const lists = [this.#ipv4, this.#ipv6].map((hooks) => hooks[added.hook]);
    const chosen = lists.filter(
      (_, index) => added.family === undefined || (added.family === "IPv4") === (index === 0),
    );
    for (const list of chosen) {
      const at = list.findIndex((other) => other.priority > added.priority);
      list.splice(at < 0 ? list.length : at, 0, added);
    }
    return () => {
      for (const list of chosen) {
        const index = list.indexOf(added);
        if (index >= 0) list.splice(index, 1);
      }
    };
  }

  /** The functions of a hook, in the order in which they run. */
  functions(hook: Hook, family: Family = "IPv4"): readonly HookFunction[] {
    return (family === "IPv4" ? this.#ipv4 : this.#ipv6)[hook];
  }

  /** Runs a hook: the first verdict that is not `accept` ends it. */
  run(hook: Hook, passage: Passage): Verdict {
    const list = (typeof passage.packet.source === "number" ? this.#ipv4 : this.#ipv6)[hook];
    for (let index = 0; index < list.length; index++) {
      const verdict = (list[index] as HookFunction).run(passage);
      if (verdict !== "accept") return verdict;
    }
    return "accept";
  }
}
