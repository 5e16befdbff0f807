/** Owns what rules and elements refer to: chains that they lead to and sets that they look into; and that none leads back. */
import { isRange, type Operand, type Rule, type SetReference, type Verdict } from "./ruleset";
import { jumpLimit } from "./run";
import type { Chain, NamedSet, Table } from "./tables";

export interface References {
  readonly chains: readonly string[];
  readonly sets: readonly string[];
  /** It needs to know the packet's connection. */
  readonly tracks: boolean;
}

const known = new WeakMap<Rule, References>();
const none: readonly string[] = [];
const nothing: References = { chains: none, sets: none, tracks: false };
const onlyTracks: References = { ...nothing, tracks: true };

/** What a rule refers to: found out once. */
export function referencesOf(rule: Rule): References {
  const found = known.get(rule) ?? references(rule);
  if (found !== nothing && found !== onlyTracks) known.set(rule, found);
  return found;
}

function references({ does }: Rule): References {
  const chains: string[] = [];
  const sets: string[] = [];
  let tracks = false;
  const led = (verdict: Verdict | undefined): void => {
    if (verdict && "chain" in verdict) chains.push(verdict.chain);
  };
  const looked = (reference: SetReference): void => {
    if ("set" in reference) sets.push(reference.set);
    else for (const { verdict } of reference.elements) led(verdict);
  };
  const asked = (operand: Operand): void => {
    const names = typeof operand === "string" ? [operand] : "concat" in operand ? operand.concat : [];
    if (names.some((name) => name.startsWith("ct "))) tracks = true;
  };
  for (const statement of does) {
    if ("match" in statement) {
      asked(statement.match);
      if (typeof statement.to === "object" && !isRange(statement.to)) looked(statement.to);
    } else if ("vmap" in statement) {
      asked(statement.vmap);
      looked(statement.in);
    } else if ("verdict" in statement) led(statement.verdict);
    else if ("update" in statement) sets.push(statement.set);
    else if ("nat" in statement) {
      tracks = true;
      if ("to" in statement && "in" in statement.to) looked(statement.to.in);
    } else if ("assign" in statement && statement.assign === "ct mark") tracks = true;
  }
  if (chains.length === 0 && sets.length === 0) return tracks ? onlyTracks : nothing;
  return { chains, sets, tracks };
}

/** How a table's chains lead into each other, as far as somebody has come. */
export class Loops {
  readonly #table: Table;
  readonly #depth = new Map<Chain, number>();
  readonly #open = new Set<Chain>();

  constructor(table: Table) {
    this.#table = table;
  }

  /** Whether nothing leads from a chain back to itself, nor more than 16 deep. */
  sound(chain: Chain): boolean {
    return this.#depthOf(chain) <= jumpLimit;
  }

  #depthOf(chain: Chain): number {
    const known = this.#depth.get(chain);
    if (known !== undefined) return known;
    if (this.#open.has(chain)) return Number.POSITIVE_INFINITY;
    this.#open.add(chain);
    let depth = 0;
    for (const name of this.from(chain)) {
      const next = this.#table.chains.get(name);
      if (next) depth = Math.max(depth, 1 + this.#depthOf(next));
      if (depth > jumpLimit) break;
    }
    this.#open.delete(chain);
    this.#depth.set(chain, depth);
    return depth;
  }

  /** The chains to which a chain leads, by its rules and the maps that they look into. */
  *from(chain: Chain): IterableIterator<string> {
    for (const { rule } of chain.rules) {
      const { chains, sets } = referencesOf(rule);
      yield* chains;
      for (const name of sets) {
        const set = this.#table.sets.get(name);
        if (set?.spec.data === "verdict") yield* chainsOf(set);
      }
    }
  }
}

function* chainsOf(set: NamedSet): IterableIterator<string> {
  for (const { element } of set.elements.all()) {
    if (element.verdict && "chain" in element.verdict) yield element.verdict.chain;
  }
}

/** Counts a rule (`by` 1), or no longer (-1), among those that use its chains and sets. */
export function link(table: Table, rule: Rule, by: 1 | -1): void {
  const { chains, sets } = referencesOf(rule);
  for (const name of chains) use(table.chains.get(name), by);
  for (const name of sets) use(table.sets.get(name), by);
}

/** The same for an element's verdict. */
export function linkVerdict(table: Table, verdict: Verdict | undefined, by: 1 | -1): void {
  if (verdict && "chain" in verdict) use(table.chains.get(verdict.chain), by);
}

function use(used: { uses: number } | undefined, by: number): void {
  if (used) used.uses += by;
}

/** How many sets without a name a rule has. */
export function namelessSets({ does }: Rule): number {
  let count = 0;
  for (const each of does) {
    const to = "match" in each ? each.to : "vmap" in each ? each.in : "to" in each && "in" in each.to ? each.to.in : 0;
    if (typeof to === "object" && "elements" in to) count++;
  }
  return count;
}
