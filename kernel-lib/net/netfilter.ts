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
  readonly #deferred = new Map<string, () => void>();
  #filling = false;

  /** Adds a function: before those of the same priority, as Linux (nf_hook_entries_grow). Gives back what removes it. */
  add(added: HookFunction): () => void {
    const lists = [this.#ipv4, this.#ipv6].map((hooks) => hooks[added.hook]);
    const chosen = lists.filter(
      (_, index) => added.family === undefined || (added.family === "IPv4") === (index === 0),
    );
    for (const list of chosen) {
      const at = list.findIndex((other) => other.priority >= added.priority);
      list.splice(at < 0 ? list.length : at, 0, added);
    }
    return () => {
      for (const list of chosen) {
        const index = list.indexOf(added);
        if (index >= 0) list.splice(index, 1);
      }
    };
  }

  /**
   * Puts off writing rules until a packet or a reader first needs them: of thousands of nodes that keep step with the
   * Services few are ever asked. A writer that writes all it owns anew has only its last word kept.
   * @param writer whose rules they are (`kube-proxy IPv4`)
   */
  defer(writer: string, write: () => void): void {
    // What was put off first is written first, but in its newest words.
    this.#deferred.set(writer, write);
  }

  /** Writes what was put off. Whoever shows rules or changes them calls it first. */
  fill(): void {
    if (this.#deferred.size === 0 || this.#filling) return;
    this.#filling = true;
    try {
      for (const [writer, write] of this.#deferred) {
        this.#deferred.delete(writer);
        write();
      }
    } finally {
      this.#filling = false;
    }
  }

  /** The functions of a hook, in the order in which they run. */
  functions(hook: Hook, family: Family = "IPv4"): readonly HookFunction[] {
    if (this.#deferred.size > 0) this.fill();
    return (family === "IPv4" ? this.#ipv4 : this.#ipv6)[hook];
  }

  /** Runs a hook: the first verdict that is not `accept` ends it. */
  run(hook: Hook, passage: Passage): Verdict {
    if (this.#deferred.size > 0) this.fill();
    const list = (typeof passage.packet.source === "number" ? this.#ipv4 : this.#ipv6)[hook];
    for (let index = 0; index < list.length; index++) {
      const verdict = (list[index] as HookFunction).run(passage);
      if (verdict !== "accept") return verdict;
    }
    return "accept";
  }
}
