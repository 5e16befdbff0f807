/** Owns what of a node's iptables rules changes from one sync to the next: the chains to write, and those that go. */
import type { Rule } from "../../net/rule";
import { ruleText } from "../../net/ruletext";
import { type ChainRules, markMasq, type PortRules } from "./rules";
import { byName, type ServicePort } from "./view";

/** Chain → rules, per table: everything that kube-proxy owns. */
export interface IptablesTables {
  readonly nat: ReadonlyMap<string, readonly Rule[]>;
  readonly filter: ReadonlyMap<string, readonly Rule[]>;
}

/** The rules that do not depend on Services. */
export interface Frame {
  readonly toNodePorts: readonly Rule[];
  readonly postrouting: readonly Rule[];
  readonly mark: readonly Rule[];
  readonly firewall: readonly Rule[];
  readonly forward: readonly Rule[];
}

/** What was written last, by which only what changed is written next. */
export interface Written {
  readonly view: readonly ServicePort[];
  /** In the order of `view`. */
  readonly ports: readonly PortRules[];
  readonly comments: boolean;
}

const nothingWritten: Written = { view: [], ports: [], comments: true };

/** What a sync has to do. */
export interface Changes {
  /** To be written: each chain once. */
  readonly nat: readonly ChainRules[];
  readonly filter: readonly ChainRules[];
  /** Chains of nat that go. */
  readonly stale: ReadonlySet<string>;
  readonly now: Written;
}

/** The chains that hold rules of many Services: which lists of theirs, and what stands after these. */
interface SharedChain {
  readonly table: "nat" | "filter";
  readonly chain: string;
  readonly of: Exclude<keyof PortRules, "chains">;
  readonly last?: keyof Frame;
}

const sharedChains: readonly SharedChain[] = [
  { table: "nat", chain: "KUBE-SERVICES", of: "services", last: "toNodePorts" },
  { table: "nat", chain: "KUBE-NODEPORTS", of: "nodePorts" },
  { table: "filter", chain: "KUBE-NODEPORTS", of: "filterNodePorts" },
  { table: "filter", chain: "KUBE-SERVICES", of: "filterServices" },
  { table: "filter", chain: "KUBE-EXTERNAL-SERVICES", of: "filterExternal" },
  { table: "filter", chain: "KUBE-PROXY-FIREWALL", of: "filterFirewall" },
];

/** The chains with no Service's rules. */
function frameChains(frame: Frame): IptablesTables {
  return {
    nat: new Map([
      ["KUBE-POSTROUTING", frame.postrouting],
      [markMasq, frame.mark],
    ]),
    filter: new Map([
      ["KUBE-FIREWALL", frame.firewall],
      ["KUBE-FORWARD", frame.forward],
    ]),
  };
}

/** Everything that is to stand there. */
export function allTables(ports: readonly PortRules[], frame: Frame): IptablesTables {
  const { nat, filter } = frameChains(frame);
  const tables = { nat: new Map(nat), filter: new Map(filter) };
  for (const shared of sharedChains) tables[shared.table].set(shared.chain, rulesOf(shared, ports, frame));
  for (const { chains } of ports) for (const [chain, rules] of chains) tables.nat.set(chain, rules);
  return tables;
}

function rulesOf({ of, last }: SharedChain, ports: readonly PortRules[], frame: Frame): readonly Rule[] {
  const rules: Rule[] = [];
  for (const port of ports) for (const rule of port[of]) rules.push(rule);
  if (last) rules.push(...frame[last]);
  return rules;
}

/**
 * Compares a view with the one that was written last; what is the same object means the same rules.
 * @param view sorted by name, as the last one was
 */
export function changesSince(
  before: Written | undefined,
  view: readonly ServicePort[],
  comments: boolean,
  frame: Frame,
  make: (port: ServicePort) => PortRules,
): Changes {
  const known = before?.comments === comments ? before : nothingWritten;
  const stale = new Set<string>();
  if (before && known !== before) for (const { chains } of before.ports) staleChains(stale, chains);
  const nat: ChainRules[] = [];
  const touched = new Set<SharedChain>();
  const ports: PortRules[] = [];
  const gone = (rules: PortRules): void => {
    staleChains(stale, rules.chains);
    for (const shared of sharedChains) if (rules[shared.of].length > 0) touched.add(shared);
  };
  let at = 0;
  for (const port of view) {
    while (known.view[at] !== port && isBefore(known.view[at], port)) gone(known.ports[at++] as PortRules);
    const twin = known.view[at] === port || sameName(known.view[at], port) ? known.ports[at] : undefined;
    const rules = twin && known.view[at] === port ? twin : madeAnew(make(port), twin);
    if (twin) at++;
    ports.push(rules);
    if (rules === twin) continue;
    if (twin) staleChains(stale, twin.chains);
    for (const shared of sharedChains) {
      if (twin ? rules[shared.of] !== twin[shared.of] : rules[shared.of].length > 0) touched.add(shared);
    }
    nat.push(...rules.chains);
  }
  while (at < known.ports.length) gone(known.ports[at++] as PortRules);
  if (stale.size > 0) for (const [chain] of nat) stale.delete(chain);
  const tables = { nat, filter: [] as ChainRules[] };
  for (const shared of known === before ? touched : sharedChains) {
    tables[shared.table].push([shared.chain, rulesOf(shared, ports, frame)]);
  }
  if (!before) {
    const first = frameChains(frame);
    tables.nat.push(...first.nat);
    tables.filter.push(...first.filter);
  }
  return { ...tables, stale, now: { view, ports, comments } };
}

function staleChains(stale: Set<string>, chains: PortRules["chains"]): void {
  for (const [chain] of chains) stale.add(chain);
}

function isBefore(one: ServicePort | undefined, other: ServicePort): boolean {
  return one !== undefined && byName(one, other) < 0;
}

function sameName(one: ServicePort | undefined, other: ServicePort): boolean {
  return one !== undefined && byName(one, other) === 0;
}

/** A port's new rules; lists that read as they did stay the same lists, so that the chain of all Services need not change. */
function madeAnew(rules: PortRules, before: PortRules | undefined): PortRules {
  if (!before) return rules;
  const kept = { ...rules };
  for (const { of } of sharedChains) if (readsTheSame(rules[of], before[of])) kept[of] = before[of];
  return kept;
}

function readsTheSame(one: readonly Rule[], other: readonly Rule[]): boolean {
  return one.length === other.length && one.every((rule, at) => ruleText("", rule) === ruleText("", other[at] ?? {}));
}
