/** Owns iptables: the tables of a namespace, running their rules on packets, and printing them. */
import type { Family } from "./address";
import { chainOf, checkJumps } from "./jumps";
import { decide, describeNat, type Manipulation, type NatRequest, translate } from "./nat";
import { type Hook, priority, type Verdict } from "./netfilter";
import type { Netns } from "./netns";
import { packetSize } from "./packet";
import type { Passage } from "./passage";
import { effectOf, type Rule, type TableName, type Target } from "./rule";
import { compile, type RecentLists, type Test } from "./rulematch";
import { ruleText } from "./ruletext";
import { trackConnections } from "./tracking";

/** Chains with their rules, by table: what `iptables-restore` is fed. */
export type Chains = { readonly [chain: string]: readonly Rule[] };
export type TableChains = { readonly [Table in TableName]?: Chains };

interface CompiledRule {
  readonly rule: Rule;
  readonly test: Test;
  text: string | undefined;
  packets: number;
  bytes: number;
}

interface Chain {
  readonly name: string;
  /** Only built-in chains have one. */
  policy: "ACCEPT" | "DROP" | undefined;
  rules: CompiledRule[];
  packets: number;
  bytes: number;
}

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

/** How deep chains may jump: a loop is refused when rules are loaded; this guards against our own mistakes. */
const jumpLimit = 64;

type Outcome = Verdict | "return" | "next";

export class Iptables {
  readonly #netns: Netns;
  readonly #family: Family;
  readonly #tables = new Map<TableName, Map<string, Chain>>();
  readonly #recent: RecentLists = new Map();
  #tracking = false;

  /** @param family `IPv6`: these are the tables of `ip6tables` */
  constructor(netns: Netns, family: Family = "IPv4") {
    this.#netns = netns;
    this.#family = family;
  }

  // ── Writing rules ────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * `iptables-restore --noflush`: every chain that is named is made, or emptied, and gets these rules; others stay.
   * Nothing is changed if a rule is refused (a jump to a chain that is not there, or one that would lead back).
   */
  restore(tables: TableChains): void {
    for (const [name, chains] of entriesOf(tables)) {
      const table = this.#table(name);
      checkJumps(Object.keys(chains), (chain) => chains[chain] ?? table.get(chain)?.rules.map(({ rule }) => rule));
    }
    for (const [name, chains] of entriesOf(tables)) {
      const table = this.#table(name);
      for (const [chain, rules] of Object.entries(chains)) {
        const target = table.get(chain) ?? newChain(chain, undefined);
        table.set(chain, target);
        target.rules = rules.map((rule) => this.#compile(rule));
      }
    }
  }

  /** Adds a rule to a chain unless it is there already (`-C`, then `-A` or `-I`). */
  ensure(table: TableName, chain: string, rule: Rule, where: "append" | "prepend"): void {
    const text = ruleText(chain, rule, this.#family);
    const target = this.#chain(table, chain);
    if (target.rules.some((other) => ruleText(chain, other.rule, this.#family) === text)) return;
    this.insert(table, chain, rule, where === "append" ? target.rules.length + 1 : 1);
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
    const rules = target.rules.map((other) => other.rule);
    rules.splice(number - 1, 0, rule);
    const chains = this.#table(table);
    checkJumps([chain], (name) => (name === chain ? rules : chains.get(name)?.rules.map((other) => other.rule)));
    target.rules.splice(number - 1, 0, this.#compile(rule));
  }

  /** `-D`: takes away the first rule that reads the same; false if there is none. */
  delete(table: TableName, chain: string, rule: Rule): boolean {
    const text = ruleText(chain, rule, this.#family);
    const { rules } = this.#chain(table, chain);
    const at = rules.findIndex((other) => ruleText(chain, other.rule, this.#family) === text);
    if (at >= 0) rules.splice(at, 1);
    return at >= 0;
  }

  /** `-Z [CHAIN]`: counters back to 0. */
  zero(table: TableName, chain?: string): void {
    const chains = chain === undefined ? [...this.#table(table).values()] : [this.#chain(table, chain)];
    for (const counted of chains.flatMap((one) => [one, ...one.rules])) {
      counted.packets = 0;
      counted.bytes = 0;
    }
  }

  /** `-N`. */
  newChain(table: TableName, chain: string): void {
    const chains = this.#table(table);
    if (chains.has(chain)) throw new RangeError(`${this.#tool()}: Chain already exists.`);
    chains.set(chain, newChain(chain, undefined));
  }

  /** `-X`: only an empty chain that nothing jumps to. */
  deleteChain(table: TableName, chain: string): void {
    const chains = this.#table(table);
    const target = this.#chain(table, chain);
    if (target.rules.length > 0) throw new RangeError(`${this.#tool()}: Directory not empty.`);
    for (const { rules } of chains.values()) {
      if (rules.some(({ rule }) => chainOf(rule.target) === chain))
        throw new RangeError(`${this.#tool()}: Too many links.`);
    }
    if (target.policy === undefined) chains.delete(chain);
  }

  /** As `iptables-restore` with many `-X`: the chains are emptied, then taken away; all of them or none. */
  deleteChains(table: TableName, chains: Iterable<string>): void {
    const known = this.#table(table);
    const doomed = new Set(chains);
    for (const { name, rules } of known.values()) {
      if (doomed.has(name)) continue;
      if (rules.some(({ rule }) => doomed.has(chainOf(rule.target) ?? "")))
        throw new RangeError(`${this.#tool()}: Too many links.`);
    }
    for (const chain of doomed) if (this.#chain(table, chain).policy === undefined) known.delete(chain);
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
    return this.#tables
      .get(table)
      ?.get(chain)
      ?.rules.map(({ rule }) => rule);
  }

  /** The names of a table's chains, built-in ones first, then by name. */
  chains(table: TableName): readonly string[] {
    return sorted(this.#tables.get(table) ?? new Map()).map(({ name }) => name);
  }

  /** How often each rule of a chain has matched, in order. */
  counters(table: TableName, chain: string): readonly { readonly packets: number; readonly bytes: number }[] {
    return this.#chain(table, chain).rules.map(({ packets, bytes }) => ({ packets, bytes }));
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
        for (const compiled of chain.rules) {
          const count = options.counters ? `[${compiled.packets}:${compiled.bytes}] ` : "";
          lines.push(count + textOf(chain.name, compiled, this.#family));
        }
      }
      lines.push("COMMIT");
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }

  // ── Running rules ────────────────────────────────────────────────────────────────────────────────────────────────

  #runTable(table: TableName, chains: Map<string, Chain>, chain: Chain, passage: Passage): Verdict {
    const outcome = this.#runChain(table, chains, chain, passage, 0);
    if (outcome !== "return" && outcome !== "next") return outcome;
    if (!passage.dry) {
      chain.packets++;
      chain.bytes += packetSize(passage.packet);
    }
    if (chain.policy !== "DROP") return "accept";
    passage.why = `policy DROP of ${table}/${chain.name}`;
    return "drop";
  }

  #runChain(table: TableName, chains: Map<string, Chain>, chain: Chain, passage: Passage, depth: number): Outcome {
    if (depth > jumpLimit) throw new Error(`iptables: chains of ${table} jump more than ${jumpLimit} deep`);
    const { rules } = chain;
    for (let index = 0; index < rules.length; index++) {
      const compiled = rules[index] as CompiledRule;
      if (!compiled.test(passage)) continue;
      if (!passage.dry) {
        compiled.packets++;
        compiled.bytes += packetSize(passage.packet);
      }
      const { target } = compiled.rule;
      if (passage.watched) noteRule(table, chain.name, index, compiled, this.#family, passage);
      if (!target) continue;
      if (target.target === "jump" || target.target === "goto") {
        const next = chains.get(target.chain);
        if (!next) throw new Error(`iptables: ${table}/${chain.name} jumps to ${target.chain}, which is not there`);
        const outcome = this.#runChain(table, chains, next, passage, depth + 1);
        if (outcome !== "return" && outcome !== "next") return outcome;
        if (target.target === "goto") return "next";
        continue;
      }
      const outcome = this.#perform(target, passage);
      if (outcome === "next") continue;
      if (outcome === "drop" || outcome === "reject") {
        passage.why = `${outcome === "drop" ? "dropped" : "rejected"} by ${table}/${chain.name}: ${textOf(chain.name, compiled, this.#family)}`;
      }
      return outcome;
    }
    return "next";
  }

  #perform(target: Target, passage: Passage): Outcome {
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
        return this.#nat(passage, "target", target);
      case "SNAT":
        return this.#nat(passage, "source", target);
      case "MASQUERADE":
        return this.#masquerade(passage, target.randomFully ?? false);
      default:
        return "next";
    }
  }

  /** The address of the device that the packet leaves by, towards its next hop (net/netfilter/nf_nat_masquerade.c). */
  #masquerade(passage: Passage, random: boolean): Outcome {
    const { target } = passage.packet;
    const nextHop = this.#netns.routes.lookup(target)?.nextHop ?? target;
    const device = this.#netns.devices.get(passage.output ?? "");
    const ip = device && this.#netns.sourceOn(device, nextHop);
    if (ip === undefined) return "drop";
    return this.#nat(passage, "source", { ip, random });
  }

  #nat(passage: Passage, manipulation: Manipulation, request: NatRequest | undefined): Outcome {
    const { connection } = passage;
    if (!connection) return "drop";
    const draw = (low: number, high: number): number => passage.draw(low, high);
    return decide(this.#netns.conntrack, connection, manipulation, request, draw) ? "accept" : "drop";
  }

  /** Only the first packet of a connection meets the rules of the nat table; what they decide holds for all others. */
  #runNat(chains: Map<string, Chain>, chain: Chain, manipulation: Manipulation, passage: Passage): Verdict {
    const { connection, direction } = passage;
    if (!connection || !direction) return "accept";
    const undecided = (): boolean =>
      (manipulation === "target" ? connection.targetNat : connection.sourceNat) === "undecided";
    if (passage.state === "NEW" && undecided()) {
      const verdict = this.#runTable("nat", chains, chain, passage);
      if (verdict !== "accept") return verdict;
      if (undecided() && this.#nat(passage, manipulation, undefined) === "drop") return "drop";
    }
    const before = passage.packet;
    const after = translate(before, connection, direction, manipulation);
    if (after === before) return "accept";
    passage.packet = after;
    if (passage.watched) {
      passage.note("nat", "nat", () => describeNat(manipulation, before, after, direction), { before });
    }
    return "accept";
  }

  // ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A table comes to be, with its built-in chains on their hooks, when it is first written to. */
  #table(name: TableName): Map<string, Chain> {
    const known = this.#tables.get(name);
    if (known) return known;
    const chains = new Map<string, Chain>();
    this.#tables.set(name, chains);
    if (name === "nat") this.#track();
    for (const [chainName, hook, at] of tableHooks[name]) {
      const chain = newChain(chainName, "ACCEPT");
      chains.set(chainName, chain);
      const manipulation = at === priority.dnat ? "target" : "source";
      const run =
        name === "nat"
          ? (passage: Passage) => this.#runNat(chains, chain, manipulation, passage)
          : (passage: Passage) => this.#runTable(name, chains, chain, passage);
      this.#netns.netfilter.add({
        name: `${this.#tool()} ${name}/${chainName}`,
        hook,
        priority: at,
        family: this.#family,
        run,
      });
    }
    return chains;
  }

  #chain(table: TableName, chain: string): Chain {
    const found = this.#table(table).get(chain);
    if (!found) throw new RangeError(`${this.#tool()}: No chain/target/match by that name.`);
    return found;
  }

  #compile(rule: Rule): CompiledRule {
    if (rule.matches?.some(({ match }) => match === "conntrack")) this.#track();
    return { rule, test: compile(rule, this.#netns, this.#recent), text: undefined, packets: 0, bytes: 0 };
  }

  #tool(): "iptables" | "ip6tables" {
    return this.#family === "IPv4" ? "iptables" : "ip6tables";
  }

  /** Connections are tracked from when a rule first needs them, as in Linux. */
  #track(): void {
    if (!this.#tracking) trackConnections(this.#netns, this.#family);
    this.#tracking = true;
  }
}

const rejectWords = {
  "icmp-port-unreachable": "port-unreachable",
  "icmp-host-unreachable": "host-unreachable",
  "icmp-admin-prohibited": "admin-prohibited",
  "tcp-reset": "tcp-reset",
} as const;

function newChain(name: string, policy: Chain["policy"]): Chain {
  return { name, policy, rules: [], packets: 0, bytes: 0 };
}

function textOf(chain: string, compiled: CompiledRule, family: Family): string {
  compiled.text ??= ruleText(chain, compiled.rule, family);
  return compiled.text;
}

function sorted(chains: ReadonlyMap<string, Chain>): readonly Chain[] {
  const all = [...chains.values()];
  const own = all.filter(({ policy }) => policy === undefined);
  own.sort((one, other) => (one.name < other.name ? -1 : 1));
  return [...all.filter(({ policy }) => policy !== undefined), ...own];
}

function entriesOf(tables: TableChains): readonly (readonly [TableName, Chains])[] {
  return Object.entries(tables) as [TableName, Chains][];
}

function noteRule(table: TableName, chain: string, index: number, rule: CompiledRule, f: Family, at: Passage): void {
  const text = textOf(chain, rule, f);
  const effect = effectOf(rule.rule.target);
  const matched = { table, chain, number: index + 1, text, ...(effect && { effect }) };
  at.note("rule", `${table}/${chain}`, () => text, { rule: matched });
}
