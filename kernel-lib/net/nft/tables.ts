/** Owns what a namespace holds of nftables: its tables with their chains, rules, sets and maps. */
import type { Time } from "../../sim/clock";
import type { Netns } from "../netns";
import { packetSize } from "../packet";
import { type Count, compile, type LookedUp, type Step } from "./compile";
import { dynamicLimit, Elements } from "./elements";
import type { BaseChain, ChainSpec, Element, Rule, SetSpec, TableFamily } from "./ruleset";
import type { Value } from "./types";

const none: readonly Count[] = [];

/** A rule in its chain. */
export class HeldRule {
  /** As the packet meets it: made when the first one does. */
  #steps: readonly Step[] | undefined;
  /** What its counters have counted, in their order. */
  readonly counters: readonly Count[];
  text: string | undefined;

  constructor(
    readonly table: Table,
    readonly rule: Rule,
    readonly handle: number,
  ) {
    const counts = rule.does.some((each) => "counter" in each);
    this.counters = counts ? rule.does.flatMap((each) => ("counter" in each ? [{ ...each.counter }] : [])) : none;
  }

  get steps(): readonly Step[] {
    this.#steps ??= compile(this.rule, this.table, this.counters, ({ packet }) => packetSize(packet));
    return this.#steps;
  }
}

const nothing = (): void => undefined;

/** A chain with its rules; `base` says on which hook it is, if it is on one. */
export class Chain {
  name: string;
  base: BaseChain | undefined;
  readonly comment: string | undefined;
  rules: HeldRule[] = [];
  /** How many rules and elements lead here. */
  uses = 0;
  /** Takes it off its hook. */
  unhook: () => void = nothing;

  constructor(
    spec: ChainSpec,
    readonly handle: number,
  ) {
    this.name = spec.name;
    this.base = spec.base;
    this.comment = spec.comment;
  }
}

/** A named set or map. */
export class NamedSet implements LookedUp {
  readonly elements: Elements;
  /** How many rules look into it. */
  uses = 0;

  constructor(
    public spec: SetSpec,
    readonly handle: number,
    readonly netns: Netns,
  ) {
    this.elements = new Elements(spec.key);
  }

  get isMap(): boolean {
    return this.spec.data !== undefined;
  }

  now(): Time {
    return this.netns.network.sim.clock.now;
  }

  /** Puts an element in; its time begins now. */
  put(element: Element): void {
    const timeout = element.timeout ?? this.spec.timeout;
    this.elements.set(element, timeout === undefined ? undefined : this.now() + (element.expires ?? timeout));
  }

  /** A rule's `add`, `update` or `delete`: an update begins the element's time anew (net/netfilter/nft_dynset.c). */
  update(how: "add" | "update" | "delete", key: readonly Value[], timeout: Time | undefined): boolean {
    if (how === "delete") return this.elements.delete(key);
    const known = this.elements.exact(key, this.now());
    if (known) {
      if (how === "update" && known.until !== undefined) {
        known.until = this.now() + (timeout ?? known.element.timeout ?? this.spec.timeout ?? 0);
      }
      return true;
    }
    const limit = this.spec.size ?? (this.spec.flags?.includes("dynamic") ? dynamicLimit : undefined);
    if (limit !== undefined && this.elements.size >= limit) this.elements.sweep(this.now());
    if (limit !== undefined && this.elements.size >= limit) return false;
    this.put({ key: [...key], ...(timeout !== undefined && { timeout }) });
    return true;
  }
}

/** A table: the chains and sets of one name and family. */
export class Table {
  readonly chains = new Map<string, Chain>();
  readonly sets = new Map<string, NamedSet>();
  #handles = 0;

  constructor(
    readonly netns: Netns,
    readonly family: TableFamily,
    readonly name: string,
    readonly comment: string | undefined,
    readonly handle: number,
  ) {}

  /** `ip kube-proxy`. */
  get title(): string {
    return `${this.family} ${this.name}`;
  }

  nextHandle(): number {
    return ++this.#handles;
  }

  set(name: string): NamedSet {
    const found = this.sets.get(name);
    if (!found) throw new Error(`nftables: ${this.title} has no set ${name}, which a rule names`);
    return found;
  }
}
