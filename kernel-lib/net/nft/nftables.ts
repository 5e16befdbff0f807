/** Owns nftables in a namespace: the tables that are there, and changing them by transactions. */
import type { Family } from "../address";
import { type NatHook, natHooks } from "../nathooks";
import type { Netns } from "../netns";
import { trackConnections } from "../tracking";
import type { Command, TableFamily } from "./ruleset";
import { runBaseChain } from "./run";
import { type Chain, Table } from "./tables";
import { Transaction } from "./transaction";

/** Which packets a table's chains see. */
const familiesOf: { readonly [F in TableFamily]: readonly Family[] } = {
  ip: ["IPv4"],
  ip6: ["IPv6"],
  inet: ["IPv4", "IPv6"],
};

/** nftables of one namespace: what `nft` reads and changes. */
export class Nftables {
  readonly netns: Netns;
  readonly #tables = new Map<string, Table>();
  #handles = 0;

  constructor(netns: Netns) {
    this.netns = netns;
  }

  /**
   * Carries out all commands, as `nft -f` does; none of them, if one cannot be.
   * @param whole see Transaction.check: not needed of a writer that knows what it does
   * @throws {NftError} in the kernel's words
   */
  apply(commands: readonly Command[], whole = false): void {
    const transaction = new Transaction(this);
    try {
      for (const command of commands) transaction.perform(command);
      transaction.check(whole);
    } catch (error) {
      transaction.undo();
      throw error;
    }
  }

  /** Whether the commands could be carried out; nothing is changed. @throws {NftError} if not */
  check(commands: readonly Command[]): void {
    const transaction = new Transaction(this);
    try {
      for (const command of commands) transaction.perform(command);
      transaction.check(true);
    } finally {
      transaction.undo();
    }
  }

  /** All tables, in the order in which they were made. */
  tables(family?: TableFamily): readonly Table[] {
    return [...this.#tables.values()].filter((table) => family === undefined || table.family === family);
  }

  table(family: TableFamily, name: string): Table | undefined {
    return this.#tables.get(`${family} ${name}`);
  }

  // ── For transactions ─────────────────────────────────────────────────────────────────────────────────────────────

  addTable(family: TableFamily, name: string, comment: string | undefined): Table {
    const table = new Table(this.netns, family, name, comment, ++this.#handles);
    this.#tables.set(table.title, table);
    return table;
  }

  removeTable(table: Table): void {
    this.#tables.delete(table.title);
    for (const chain of table.chains.values()) chain.unhook();
  }

  restoreTable(table: Table): void {
    this.#tables.set(table.title, table);
    for (const chain of table.chains.values()) this.hook(table, chain);
  }

  /** Puts a base chain on its hook. */
  hook(table: Table, chain: Chain): void {
    const { base } = chain;
    if (!base) return;
    const name = `nft ${table.title}/${chain.name}`;
    const run = runBaseChain.bind(undefined, table, chain);
    const { netns } = this;
    if (base.type === "nat") {
      const at = { name, hook: base.hook as NatHook, priority: base.priority, run };
      const removers = familiesOf[table.family].map((family) => natHooks(netns, family).add(at));
      chain.unhook = () => {
        for (const remove of removers) remove();
      };
      return;
    }
    const only = table.family === "inet" ? {} : { family: familiesOf[table.family][0] as Family };
    chain.unhook = netns.netfilter.add({ name, hook: base.hook, priority: base.priority, ...only, run });
  }

  /** Connections are tracked from when a rule first needs them. */
  track(family: TableFamily): void {
    for (const each of familiesOf[family]) trackConnections(this.netns, each);
  }
}
