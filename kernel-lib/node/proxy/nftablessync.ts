/** Owns a sync of the nftables mode: of the whole table at first, and then of what changed. */
import type { Command, Element, Rule } from "../../net/nft/ruleset";
import type { NamedSet } from "../../net/nft/tables";
import { second, type Time } from "../../sim/clock";
import type { NodeNet } from "../node";
import { Claims } from "./nftablesclaims";
import { addRule, frameCommands } from "./nftablesframe";
import { isAffinitySet, isServiceChain } from "./nftablesnames";
import { type PortPlan, portPlan } from "./nftablesport";
import { type NftablesContext, names } from "./nftableswords";
import type { ServicePort } from "./view";

/** Chains that nothing leads to any more are empty at once, and go at a sync so much later (staleChains). */
const staleAfter: Time = second;

/** What one start of kube-proxy has written into a node's table. */
export class WrittenTable {
  readonly #node: NodeNet;
  readonly #context: NftablesContext;
  readonly #plans = new Map<ServicePort, PortPlan>();
  readonly #claims = new Claims();
  /** Chains to be deleted, with when they became stale. */
  readonly #stale = new Map<string, Time>();
  #first = true;

  constructor(node: NodeNet, context: NftablesContext) {
    this.#node = node;
    this.#context = context;
  }

  sync(view: readonly ServicePort[]): void {
    this.#deleteStale();
    const commands: Command[] = this.#first ? [...frameCommands(this.#context)] : [];
    const come = view.filter((port) => !this.#plans.has(port));
    const gone = this.#gone(view, come.length);
    const before = gone.flatMap((port) => this.#plans.get(port) ?? []);
    for (const port of gone) this.#forget(port);
    const plans = come.map((port) => this.#plan(port));

    if (this.#first) commands.push(...this.#flushShared());
    // Chains and sets come before what leads to them.
    for (const { chains, affinity } of plans) {
      for (const [name] of chains) {
        commands.push({ do: "add", what: "chain", ...this.#place, chain: { name } });
        commands.push({ do: "flush", what: "chain", ...this.#place, name });
        this.#stale.delete(name);
      }
      for (const set of affinity) commands.push({ do: "add", what: "set", ...this.#place, set });
    }
    for (const { chains } of plans) for (const [name, rules] of chains) this.#addRules(commands, name, rules);
    for (const { set, gone: out, come: into } of this.#claims.takeChanges()) {
      this.#elements(commands, "delete", set, this.#first ? [] : out);
      this.#elements(commands, "add", set, into);
    }
    commands.push(...this.#leftovers(before, plans));
    this.#first = false;
    if (commands.length > 0) this.#node.netns.nft.apply(commands);
  }

  get #place() {
    return { family: this.#context.words.family, table: names.table };
  }

  /** Ports of the last sync that the view no longer has. */
  #gone(view: readonly ServicePort[], come: number): readonly ServicePort[] {
    if (this.#plans.size + come === view.length) return [];
    const now = new Set(view);
    return [...this.#plans.keys()].filter((port) => !now.has(port));
  }

  #plan(port: ServicePort): PortPlan {
    const plan = portPlan(port, this.#context);
    this.#plans.set(port, plan);
    this.#claims.change(plan, "add");
    return plan;
  }

  #forget(port: ServicePort): void {
    const plan = this.#plans.get(port);
    if (plan) this.#claims.change(plan, "remove");
    this.#plans.delete(port);
  }

  #addRules(commands: Command[], chain: string, rules: readonly Rule[]): void {
    for (const each of rules) commands.push(addRule(this.#place, chain, each));
  }

  #elements(commands: Command[], how: "add" | "delete", name: string, elements: readonly Element[]): void {
    if (elements.length > 0) commands.push({ do: how, what: "element", ...this.#place, name, elements });
  }

  /** What an earlier start put into the shared sets goes, and is put in again where it is still right. */
  #flushShared(): readonly Command[] {
    const shared = [
      ...[names.clusterIps, names.serviceIps, names.serviceNodePorts, names.firewallIps],
      ...[names.noEndpointServices, names.noEndpointNodePorts],
      ...(this.#context.release === "1.35" ? [] : [names.hairpin]),
    ];
    return shared.map((name) => ({ do: "flush", what: "set", ...this.#place, name }));
  }

  /** Chains without a port are emptied, affinity sets without one deleted. */
  #leftovers(before: readonly PortPlan[], plans: readonly PortPlan[]): readonly Command[] {
    const chains = new Set(this.#first ? this.#existingChains() : chainsOf(before));
    const sets = new Set(this.#first ? this.#existingSets() : setsOf(before));
    for (const name of chainsOf(plans)) chains.delete(name);
    for (const name of setsOf(plans)) sets.delete(name);
    const { now } = this.#node.sim.clock;
    for (const name of chains) this.#stale.set(name, now);
    return [
      ...[...chains].map((name): Command => ({ do: "flush", what: "chain", ...this.#place, name })),
      ...[...sets].map((name): Command => ({ do: "delete", what: "set", ...this.#place, name })),
    ];
  }

  #existingChains(): readonly string[] {
    return [...(this.#table?.chains.keys() ?? [])].filter(isServiceChain);
  }

  #existingSets(): readonly string[] {
    const sets: Iterable<NamedSet> = this.#table?.sets.values() ?? [];
    return [...sets].map(({ spec }) => spec.name).filter(isAffinitySet);
  }

  get #table() {
    return this.#node.netns.nft.table(this.#context.words.family, names.table);
  }

  #deleteStale(): void {
    const { now } = this.#node.sim.clock;
    const old = [...this.#stale].filter(([, since]) => since < now - staleAfter).map(([name]) => name);
    for (const name of old) this.#stale.delete(name);
    if (old.length === 0) return;
    this.#node.netns.nft.apply(old.map((name) => ({ do: "destroy", what: "chain", ...this.#place, name })));
  }
}

function* chainsOf(plans: readonly PortPlan[]): IterableIterator<string> {
  for (const { chains } of plans) for (const [name] of chains) yield name;
}

function* setsOf(plans: readonly PortPlan[]): IterableIterator<string> {
  for (const { affinity } of plans) for (const { name } of affinity) yield name;
}
