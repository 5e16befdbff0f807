/** Owns one transaction of nftables: each command carried out, and how to take it back. */
import { ElementChanges } from "./elementchanges";
import { dynamicLimit } from "./elements";
import { Loops, link, namelessSets, referencesOf } from "./links";
import type { Nftables } from "./nftables";
import { normalRule, normalSet } from "./normal";
import { isMisplaced, refusalOfBase, refusedIn } from "./refusals";
import {
  type BaseChain,
  type Command,
  kernelError,
  NftError,
  type Rule,
  type SetFlag,
  type SetSpec,
  type Span,
  type Spans,
} from "./ruleset";
import { Chain, HeldRule, NamedSet, type Table } from "./tables";

type CommandOn<What extends Command["what"]> = Extract<Command, { what: What }>;

const missing = "No such file or directory";
const exists = "File exists";
const busy = "Device or resource busy";
const unsupported = "Operation not supported";

/** Commands that are carried out all, or not at all. */
export class Transaction {
  readonly #nft: Nftables;
  readonly #undo: (() => void)[] = [];
  /** Chains to which something leads since this transaction, with who said so. */
  readonly #led = new Map<Table, Map<string, Span | undefined>>();

  /** Tables that it has changed, and by which command last. */
  readonly #changed = new Map<Table, Span | undefined>();
  /** Sets that it has made. */
  readonly #fresh = new Set<NamedSet>();
  readonly #inSets = new ElementChanges(
    (back) => this.#undo.push(back),
    (table, chain, span) => this.#leads(table, chain, span),
  );

  constructor(nft: Nftables) {
    this.#nft = nft;
  }

  /** Takes back all that was done. */
  undo(): void {
    for (let at = this.#undo.length - 1; at >= 0; at--) this.#undo[at]?.();
  }

  /**
   * Whether the chains lead nowhere in a circle, after all commands.
   * @param whole also whether every rule suits the hooks from which packets come to it: that takes a look at all rules
   */
  check(whole = false): void {
    for (const [table, names] of this.#led) {
      const loops = new Loops(table);
      for (const [name, span] of names) {
        const chain = table.chains.get(name);
        if (chain && !loops.sound(chain)) throw kernelError("Too many links", span);
      }
    }
    for (const [table, span] of whole ? this.#changed : [])
      if (isMisplaced(table)) throw kernelError(unsupported, span);
  }

  perform(command: Command): void {
    const table = this.#nft.table(command.family, command.table);
    if (table && command.what !== "table") this.#changed.set(table, command.at?.all);
    if (command.what === "table") this.#table(command);
    else if (command.what === "chain") this.#chain(command);
    else if (command.what === "set") this.#set(command);
    else if (command.what === "element") this.#inSets.change(this.#find(command), command);
    else this.#rule(command);
  }

  #find({ do: verb, what, family, table, at }: Command): Table {
    const found = this.#nft.table(family, table);
    if (found) return found;
    // Where a chain or a set is to be made, nft itself looks for the table.
    const made = what !== "rule" && what !== "element" && (verb === "add" || verb === "create");
    throw made ? new NftError(missing, at?.table) : kernelError(missing, at?.table);
  }

  // ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #table(command: CommandOn<"table">): void {
    const nft = this.#nft;
    const known = nft.table(command.family, command.table);
    switch (command.do) {
      case "add":
      case "create": {
        if (known && command.do === "create") throw kernelError(exists, command.at?.table);
        if (known) return;
        const made = nft.addTable(command.family, command.table, command.comment);
        this.#undo.push(() => nft.removeTable(made));
        return;
      }
      case "flush":
        for (const chain of this.#find(command).chains.values()) this.#flushChain(this.#find(command), chain);
        return;
      default: {
        if (!known && command.do === "destroy") return;
        const gone = this.#find(command);
        nft.removeTable(gone);
        this.#undo.push(() => nft.restoreTable(gone));
      }
    }
  }

  // ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #chain(command: CommandOn<"chain">): void {
    const table = this.#find(command);
    if ("chain" in command) {
      this.#addChain(table, command);
      return;
    }
    const chain = table.chains.get(command.name);
    if (!chain && command.do === "destroy") return;
    if (!chain) throw kernelError(missing, command.at?.name);
    if (command.do === "flush") this.#flushChain(table, chain);
    else if (command.do === "rename") this.#rename(table, chain, command.to, command.at);
    else this.#deleteChain(table, chain, command.at);
  }

  #addChain(table: Table, { do: how, chain: spec, at }: Extract<CommandOn<"chain">, { do: "add" | "create" }>): void {
    const known = table.chains.get(spec.name);
    if (known) {
      if (how === "create") throw kernelError(exists, at?.name);
      if (spec.base) this.#changeBase(known, spec.base, at);
      return;
    }
    const chain = new Chain(spec, table.nextHandle());
    const refusal = spec.base && refusalOfBase(spec.base);
    if (refusal) throw kernelError(refusal, at?.all);
    table.chains.set(chain.name, chain);
    this.#nft.hook(table, chain);
    this.#undo.push(() => {
      chain.unhook();
      table.chains.delete(chain.name);
    });
  }

  /** Only the policy of a chain that is there can be changed. */
  #changeBase(chain: Chain, base: BaseChain, at: Spans | undefined): void {
    const before = chain.base;
    if (before?.type !== base.type || before.hook !== base.hook) throw kernelError(exists, at?.name);
    if (before.priority !== base.priority) throw kernelError(unsupported, at?.all);
    chain.base = base;
    this.#undo.push(() => {
      chain.base = before;
    });
  }

  #deleteChain(table: Table, chain: Chain, at: Spans | undefined): void {
    if (chain.uses > 0) throw kernelError(busy, at?.name);
    this.#flushChain(table, chain);
    chain.unhook();
    table.chains.delete(chain.name);
    this.#undo.push(() => {
      table.chains.set(chain.name, chain);
      this.#nft.hook(table, chain);
    });
  }

  #rename(table: Table, chain: Chain, to: string, at: Spans | undefined): void {
    if (table.chains.has(to)) throw kernelError(exists, at?.name);
    // Rules that lead to it know it by name.
    if (chain.uses > 0) throw kernelError(busy, at?.name);
    const { name } = chain;
    const give = (from: string, next: string): void => {
      table.chains.delete(from);
      chain.name = next;
      table.chains.set(next, chain);
    };
    give(name, to);
    this.#undo.push(() => give(to, name));
  }

  #flushChain(table: Table, chain: Chain): void {
    const { rules } = chain;
    if (rules.length === 0) return;
    for (const { rule } of rules) this.#unlink(table, rule);
    chain.rules = [];
    this.#undo.push(() => {
      chain.rules = rules;
      for (const { rule } of rules) link(table, rule, 1);
    });
  }

  // ── Rules ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #rule(command: CommandOn<"rule">): void {
    const table = this.#find(command);
    const chain = table.chains.get(command.chain);
    if (!chain) throw kernelError(missing, command.at?.name);
    const { rules } = chain;
    const { handle } = command;
    const other = handle === undefined ? -1 : rules.findIndex((rule) => rule.handle === handle);
    if (handle !== undefined && other < 0) {
      if (command.do === "destroy") return;
      throw kernelError(missing, command.at?.handle);
    }
    const changed = [...rules];
    if (!("rule" in command)) changed.splice(other, 1);
    else {
      const held = this.#make(table, chain, command.rule, command.at);
      if (command.do === "add" && handle === undefined) {
        this.#append(table, chain, held);
        return;
      }
      if (command.do === "replace") changed[other] = held;
      else changed.splice(command.do === "insert" ? Math.max(other, 0) : other + 1, 0, held);
    }
    for (const held of rules) if (!changed.includes(held)) this.#unlink(table, held.rule);
    chain.rules = changed;
    this.#undo.push(() => {
      chain.rules = rules;
    });
  }

  /** The usual way, which looks at no other rule. */
  #append(table: Table, chain: Chain, held: HeldRule): void {
    const { rules } = chain;
    rules.push(held);
    this.#undo.push(() => {
      rules.splice(rules.indexOf(held), 1);
    });
    if (chain.uses > 0) this.#leads(table, chain.name, undefined);
  }

  #make(table: Table, chain: Chain, written: Rule, at: Spans | undefined): HeldRule {
    const rule = normalRule(written, table.family);
    const { chains, sets, tracks } = referencesOf(rule);
    for (const name of sets) if (!table.sets.has(name)) throw new NftError(missing, at?.names?.get(`@${name}`));
    // A set without a name has a handle of its own. What is refused below has had its handle all the same.
    for (let count = namelessSets(rule); count > 0; count--) table.nextHandle();
    const handle = table.nextHandle();
    for (const name of chains) {
      const target = table.chains.get(name);
      if (!target) throw kernelError(missing, at?.names?.get(name));
      if (target.base) throw kernelError(unsupported, at?.names?.get(name));
      this.#leads(table, name, at?.all);
    }
    if (refusedIn(chain, rule)) throw kernelError(unsupported, at?.all);
    if (tracks) this.#nft.track(table.family);
    this.#makeDynamic(table, rule);
    link(table, rule, 1);
    if (chains.length + sets.length > 0) this.#undo.push(() => link(table, rule, -1));
    return new HeldRule(table, rule, handle);
  }

  #unlink(table: Table, rule: Rule): void {
    link(table, rule, -1);
    this.#undo.push(() => link(table, rule, 1));
  }

  #leads(table: Table, name: string, span: Span | undefined): void {
    const names = this.#led.get(table) ?? new Map<string, Span | undefined>();
    this.#led.set(table, names.set(name, span ?? names.get(name)));
  }

  // ── Sets, maps and their elements ────────────────────────────────────────────────────────────────────────────────

  #set(command: CommandOn<"set">): void {
    const table = this.#find(command);
    if ("set" in command) {
      this.#addSet(table, command);
      return;
    }
    const { name } = command;
    const set = table.sets.get(name);
    if (!set && command.do === "destroy") return;
    if (!set) throw kernelError(missing, command.at?.name);
    if (command.do !== "flush" && set.uses > 0) throw kernelError(busy, command.at?.name);
    this.#inSets.flush(table, set);
    if (command.do === "flush") return;
    table.sets.delete(name);
    this.#undo.push(() => table.sets.set(name, set));
  }

  #addSet(table: Table, { do: how, set: written, at }: Extract<CommandOn<"set">, { do: "add" | "create" }>): void {
    const spec = normalSet(written);
    const known = table.sets.get(spec.name);
    if (known) {
      if (how === "create" || !sameSet(known.spec, spec)) throw kernelError(exists, at?.name);
      this.#respecify(known, { ...known.spec, ...(spec.timeout !== undefined && { timeout: spec.timeout }) });
      return;
    }
    const set = new NamedSet(spec, table.nextHandle(), table.netns);
    table.sets.set(spec.name, set);
    this.#fresh.add(set);
    this.#undo.push(() => table.sets.delete(spec.name));
  }

  #respecify(set: NamedSet, spec: SetSpec): void {
    const before = set.spec;
    set.spec = spec;
    this.#undo.push(() => {
      set.spec = before;
    });
  }

  /** A set that the same transaction makes, and whose elements a rule enters, is made for that. */
  #makeDynamic(table: Table, { does }: Rule): void {
    for (const each of does) {
      const set = "update" in each ? table.sets.get(each.set) : undefined;
      if (!set || !this.#fresh.has(set)) continue;
      const flags = [...new Set<SetFlag>([...(set.spec.flags ?? []), "dynamic"])];
      this.#respecify(set, { ...set.spec, flags, size: set.spec.size ?? dynamicLimit });
    }
  }
}

/** Whether a set that is there can be what `add set` asks for; its timeout may differ, and is changed. */
function sameSet(one: SetSpec, other: SetSpec): boolean {
  const text = ({ key, data, flags }: SetSpec): string => JSON.stringify([key, data, [...(flags ?? [])].sort()]);
  return text(one) === text(other);
}
