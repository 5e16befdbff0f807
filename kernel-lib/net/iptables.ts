/** Owns iptables: the tables of a namespace, running their rules on packets, and printing them. */
import type { Family } from "./address";
import { Chain } from "./chain";
import { type RunningTable, runBuiltIn } from "./iptablesrun";
import { chainOf, linkJumps, relinkJumps } from "./jumps";
import { natHooks } from "./nathooks";
import { type Hook, priority, type Verdict } from "./netfilter";
import type { Netns } from "./netns";
import type { Passage } from "./passage";
import type { Rule, TableName } from "./rule";
import type { RecentLists } from "./rulematch";
import { ruleText } from "./ruletext";
import { trackConnections } from "./tracking";

/** Chains with their rules, by table: what `iptables-restore` is fed. */
export type Chains = { readonly [chain: string]: readonly Rule[] };
export type TableChains = { readonly [Table in TableName]?: Chains };
/** The same where there are a hundred thousand of them, each named once. */
export type ChainList = Iterable<readonly [string, readonly Rule[]]>;

/** Which hooks a table sits on, at which priority. In the order in which `iptables-save` prints the tables. */
const tableHooks: { readonly [Table in TableName]: readonly (readonly [string, Hook, number])[] } = {
  mangle: [
    ["PREROUTING", "prerouting", priority.mangle],
    ["INPUT", "input", priority.mangle],
    ["FORWARD", "forward", priority.mangle],
    ["OUTPUT", "output", priority.mangle],
    ["POSTROUTING", "postrouting", priority.mangle],
  ],
  filter: [
    ["INPUT", "input", priority.filter],
    ["FORWARD", "forward", priority.filter],
    ["OUTPUT", "output", priority.filter],
  ],
  nat: [
    ["PREROUTING", "prerouting", priority.dnat],
    ["INPUT", "input", priority.snat],
    ["OUTPUT", "output", priority.dnat],
    ["POSTROUTING", "postrouting", priority.snat],
  ],
};

/** What a restore is about to write to a table. */
interface Plan {
  readonly table: Map<string, Chain>;
  readonly changed: readonly Chain[];
  readonly made: readonly Chain[];
}

export class Iptables {
  readonly #netns: Netns;
  readonly #family: Family;
  readonly #tables = new Map<TableName, Map<string, Chain>>();
  readonly #recent: RecentLists = new Map();
  readonly #indexedFrom: number | undefined;
  #tracking = false;

  /**
   * @param family `IPv6`: these are the tables of `ip6tables`
   * @param indexedFrom chains of so many rules and more are not walked one by one (see RuleIndex); default: 8
   */
  constructor(netns: Netns, family: Family = "IPv4", indexedFrom?: number) {
    this.#netns = netns;
    this.#family = family;
    this.#indexedFrom = indexedFrom;
  }

  // ── Writing rules ────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * `iptables-restore --noflush`: every chain that is named is made, or emptied, and gets these rules; others stay.
   * Nothing is changed if a rule is refused (a jump to a chain that is not there, or one that would lead back). The
   * lists are kept as they are, not copied: nobody may change them later.
   */
  restore(tables: { readonly [Table in TableName]?: Chains | ChainList }): void {
    const plans: Plan[] = [];
    try {
      for (const [name, chains] of entriesOf(tables)) plans.push(this.#plan(name, chains));
      for (const { table, changed } of plans) linkJumps(table, changed);
    } catch (error) {
      for (const { table, made } of plans) {
        for (const chain of made) table.delete(chain.name);
        relinkJumps(table);
      }
      throw error;
    }
    for (const { changed } of plans) {
      for (const chain of changed) {
        chain.replace(chain.planned ?? chain.rules);
        this.#trackFor(chain.rules);
      }
    }
  }

  /** Which chains of a table get which rules; those that are missing are made. */
  #plan(name: TableName, chains: Chains | ChainList): Plan {
    const table = this.#table(name);
    const changed: Chain[] = [];
    const made: Chain[] = [];
    for (const [chain, rules] of isList(chains) ? chains : Object.entries(chains)) {
      let target = table.get(chain);
      if (!target) {
        target = this.#newChain(chain);
        table.set(chain, target);
        made.push(target);
      }
      target.planned = rules;
      changed.push(target);
    }
    return { table, changed, made };
  }

  /** Adds a rule to a chain unless it is there already (`-C`, then `-A` or `-I`). */
  ensure(table: TableName, chain: string, rule: Rule, where: "append" | "prepend"): void {
    if (this.#numberOf(table, chain, rule) >= 0) return;
    this.insert(table, chain, rule, where === "append" ? this.#chain(table, chain).rules.length + 1 : 1);
  }

  /** `-A`. */
  append(table: TableName, chain: string, rule: Rule): void {
    this.insert(table, chain, rule, this.#chain(table, chain).rules.length + 1);
  }

  /** `-I CHAIN NUMBER`, numbers from 1. */
  insert(table: TableName, chain: string, rule: Rule, number: number): void {
    const target = this.#chain(table, chain);
    if (number < 1 || number > target.rules.length + 1)
      throw new RangeError(`${this.#tool()}: Index of insertion too big.`);
    this.#splice(table, target, number - 1, 0, rule);
    this.#trackFor([rule]);
  }

  /** `-D`: takes away the first rule that reads the same; false if there is none. */
  delete(table: TableName, chain: string, rule: Rule): boolean {
    const at = this.#numberOf(table, chain, rule);
    if (at >= 0) this.#splice(table, this.#chain(table, chain), at, 1);
    return at >= 0;
  }

  /** Where in a chain a rule stands that reads the same, from 0; −1: nowhere. */
  #numberOf(table: TableName, chain: string, rule: Rule): number {
    const text = ruleText(chain, rule, this.#family);
    return this.#chain(table, chain).rules.findIndex((other) => ruleText(chain, other, this.#family) === text);
  }

  #splice(table: TableName, chain: Chain, at: number, remove: number, ...added: readonly Rule[]): void {
    const rules = [...chain.rules];
    rules.splice(at, remove, ...added);
    const chains = this.#table(table);
    try {
      chain.planned = rules;
      linkJumps(chains, [chain]);
    } catch (error) {
      relinkJumps(chains);
      throw error;
    }
    chain.splice(at, remove, ...added);
  }

  /** `-Z [CHAIN]`: counters back to 0. */
  zero(table: TableName, chain?: string): void {
    const chains = chain === undefined ? this.#table(table).values() : [this.#chain(table, chain)];
    for (const counted of chains) counted.zero();
  }

  /** `-N`. */
  newChain(table: TableName, chain: string): void {
    const chains = this.#table(table);
    if (chains.has(chain)) throw new RangeError(`${this.#tool()}: Chain already exists.`);
    chains.set(chain, this.#newChain(chain));
  }

  /** `-X`: only an empty chain that nothing jumps to. */
  deleteChain(table: TableName, chain: string): void {
    const target = this.#chain(table, chain);
    if (target.rules.length > 0) throw new RangeError(`${this.#tool()}: Directory not empty.`);
    this.deleteChains(table, [chain]);
  }

  /** As `iptables-restore` with many `-X`: the chains are emptied, then taken away; all of them or none. */
  deleteChains(table: TableName, names: Iterable<string>): void {
    const chains = this.#table(table);
    const doomed = new Set<Chain>();
    for (const name of names) doomed.add(this.#chain(table, name));
    const among = new Map<Chain, number>();
    for (const { rules } of doomed) {
      for (const { target } of rules) {
        const next = chains.get(chainOf(target) ?? "");
        if (next && doomed.has(next)) among.set(next, (among.get(next) ?? 0) + 1);
      }
    }
    for (const chain of doomed) {
      if (chain.links > (among.get(chain) ?? 0)) throw new RangeError(`${this.#tool()}: Too many links.`);
    }
    for (const chain of doomed) chain.planned = [];
    linkJumps(chains, [...doomed]);
    for (const chain of doomed) {
      chain.replace([]);
      if (chain.policy === undefined) chains.delete(chain.name);
    }
  }

  /** `-P`. */
  setPolicy(table: TableName, chain: string, policy: "ACCEPT" | "DROP"): void {
    const target = this.#chain(table, chain);
    if (target.policy === undefined) throw new RangeError(`${this.#tool()}: Bad built-in chain name.`);
    target.policy = policy;
  }

  // ── Reading rules ────────────────────────────────────────────────────────────────────────────────────────────────

  /** The rules of a chain; undefined if there is no such chain. */
  rules(table: TableName, chain: string): readonly Rule[] | undefined {
    return this.#tables.get(table)?.get(chain)?.rules;
  }

  /** The names of a table's chains, built-in ones first, then by name. */
  chains(table: TableName): readonly string[] {
    return sorted(this.#tables.get(table) ?? new Map()).map(({ name }) => name);
  }

  /** How often each rule of a chain has matched, in order. */
  counters(table: TableName, chain: string): readonly { readonly packets: number; readonly bytes: number }[] {
    const found = this.#chain(table, chain);
    return found.rules.map((_, at) => ({ ...found.counted(at) }));
  }

  /**
   * What `iptables-save` prints, without its two lines of comment per table (they hold a date).
   * @param options `counters` as with `-c`; `tables` only these
   */
  save(options: { readonly counters?: boolean; readonly tables?: readonly TableName[] } = {}): string {
    const lines: string[] = [];
    for (const name of Object.keys(tableHooks) as TableName[]) {
      const table = this.#tables.get(name);
      if (!table || (options.tables && !options.tables.includes(name))) continue;
      lines.push(`*${name}`);
      const chains = sorted(table);
      for (const { name: chain, policy, packets, bytes } of chains) {
        lines.push(`:${chain} ${policy ?? "-"} ${policy && options.counters ? `[${packets}:${bytes}]` : "[0:0]"}`);
      }
      for (const chain of chains) {
        for (const [at, rule] of chain.rules.entries()) {
          const { packets, bytes } = chain.counted(at);
          lines.push((options.counters ? `[${packets}:${bytes}] ` : "") + ruleText(chain.name, rule, this.#family));
        }
      }
      lines.push("COMMIT");
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }

  // ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A table comes to be, with its built-in chains on their hooks, when it is first written to. */
  #table(name: TableName): Map<string, Chain> {
    const known = this.#tables.get(name);
    if (known) return known;
    const chains = new Map<string, Chain>();
    this.#tables.set(name, chains);
    const running: RunningTable = {
      ...{ name, chains, netns: this.#netns, family: this.#family, recent: this.#recent },
    };
    for (const [chainName, hook, at] of tableHooks[name]) {
      const chain = this.#newChain(chainName, "ACCEPT");
      chains.set(chainName, chain);
      const run = (passage: Passage): Verdict => runBuiltIn(running, chain, passage);
      const added = { name: `${this.#tool()} ${name}/${chainName}`, priority: at, run };
      if (name === "nat" && hook !== "forward") natHooks(this.#netns, this.#family).add({ ...added, hook });
      else this.#netns.netfilter.add({ ...added, hook, family: this.#family });
    }
    return chains;
  }

  #chain(table: TableName, chain: string): Chain {
    const found = this.#table(table).get(chain);
    if (!found) throw new RangeError(`${this.#tool()}: No chain/target/match by that name.`);
    return found;
  }

  #newChain(name: string, policy?: "ACCEPT"): Chain {
    return new Chain(name, policy, this.#indexedFrom);
  }

  /** Connections are tracked from when a rule first needs them, as in Linux. */
  #trackFor(rules: readonly Rule[]): void {
    if (this.#tracking) return;
    if (rules.some(({ matches }) => matches?.some(({ match }) => match === "conntrack" || match === "state")))
      this.#track();
  }

  #tool(): "iptables" | "ip6tables" {
    return this.#family === "IPv4" ? "iptables" : "ip6tables";
  }

  #track(): void {
    if (!this.#tracking) trackConnections(this.#netns, this.#family);
    this.#tracking = true;
  }
}

function sorted(chains: ReadonlyMap<string, Chain>): readonly Chain[] {
  const all = [...chains.values()];
  const own = all.filter(({ policy }) => policy === undefined);
  own.sort((one, other) => (one.name < other.name ? -1 : 1));
  return [...all.filter(({ policy }) => policy !== undefined), ...own];
}

function isList(chains: Chains | ChainList): chains is ChainList {
  return Symbol.iterator in chains;
}

function entriesOf(tables: Parameters<Iptables["restore"]>[0]): readonly (readonly [TableName, Chains | ChainList])[] {
  return Object.entries(tables) as [TableName, Chains | ChainList][];
}
