/** Owns how the nftables mode says what a node should do for one service port: its chains, sets and elements. */
import { contains, parseCidr, parseIp } from "../../net/address";
import { prefixPart } from "../../net/nft/intervals";
import type { Element, Part, Rule, SetSpec, Statement, Verdict } from "../../net/nft/ruleset";
import { endpointNames, type PortNames, portNames } from "./nftablesnames";
import { commented, goto, markRule, type NftablesContext, names, protocolNumbers, rule } from "./nftableswords";
import type { Endpoint, ServicePort } from "./view";

/** An element of a shared set or map, and a text that no other key of that set has. */
export interface Claim {
  readonly port: ServicePort;
  readonly set: string;
  readonly id: string;
  readonly element: Element;
}

/** All that is written for one service port. */
export interface PortPlan {
  readonly chains: readonly (readonly [name: string, rules: readonly Rule[]])[];
  /** Who stays with which endpoint. */
  readonly affinity: readonly SetSpec[];
  readonly claims: readonly Claim[];
}

/** What is decided about a service port before rules are made of it (syncProxyRules). */
interface PortContext {
  readonly port: ServicePort;
  readonly context: NftablesContext;
  readonly chains: PortNames;
  readonly hasInternal: boolean;
  readonly hasExternal: boolean;
  readonly usesExternal: boolean;
  readonly usesFirewall: boolean;
}

/**
 * The plan of a service port, as kube-proxy v1.36 (or v1.35) writes it.
 *
 * ```
 * @service-ips ─ cluster IP ─► service- or local- (internal policy) ─► dnat to one of the endpoints
 *              └ other IPs  ─► external- ─► service- or local- (external policy)
 * with affinity: service- ─► endpoint-: remember the client, dnat
 * ```
 */
export function portPlan(port: ServicePort, context: NftablesContext): PortPlan {
  const { local = [], hasAnyEndpoints } = port;
  const it: PortContext = {
    port,
    context,
    chains: portNames(port),
    hasInternal: hasAnyEndpoints && (!port.internalLocal || (local?.length ?? 0) > 0),
    hasExternal: hasAnyEndpoints && (!port.externalLocal || (local?.length ?? 0) > 0),
    usesExternal: hasAnyEndpoints && port.externallyAccessible,
    usesFirewall: port.loadBalancerIps.length > 0 && port.sourceRanges.length > 0,
  };
  const separate = port.affinity !== undefined || context.release === "1.35";
  const endpoints = separate ? port.reachable : [];
  const chains: (readonly [string, readonly Rule[]])[] = [
    ...endpoints.map((endpoint) => [endpointNames(port, endpoint).chain, endpointRules(it, endpoint)] as const),
    ...policyChains(it, separate),
  ];
  if (it.usesExternal) chains.push([it.chains.external, externalRules(it)]);
  if (it.usesFirewall) chains.push([it.chains.firewall, [firewallRule(it)]]);
  return { chains, affinity: affinitySets(it), claims: [...captures(it), ...refusals(it), ...hairpins(it)] };
}

// ── Elements ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const numbered = (protocol: ServicePort["protocol"]): number => protocolNumbers[protocol];

function serviceClaim(port: ServicePort, set: string, ip: string, verdict: Verdict, comment?: string): Claim {
  const key = [parseIp(ip), numbered(port.protocol), port.port];
  const element = { key, verdict, ...(comment !== undefined && { comment }) };
  return { port, set, id: `${ip} . ${port.protocol} . ${port.port}`, element };
}

function nodePortClaim(port: ServicePort, set: string, verdict: Verdict, comment?: string): readonly Claim[] {
  if (port.nodePort === undefined) return [];
  const key = [numbered(port.protocol), port.nodePort];
  const element = { key, verdict, ...(comment !== undefined && { comment }) };
  return [{ port, set, id: `${port.protocol} . ${port.nodePort}`, element }];
}

function* captures({ port, chains, hasInternal, usesFirewall }: PortContext): IterableIterator<Claim> {
  const inner = port.internalLocal ? chains.local : chains.cluster;
  const external: Verdict = { do: "goto", chain: chains.external };
  for (const ip of port.clusterIps) {
    yield { port, set: names.clusterIps, id: ip, element: { key: [parseIp(ip)] } };
    if (hasInternal) yield serviceClaim(port, names.serviceIps, ip, { do: "goto", chain: inner });
  }
  if (port.hasAnyEndpoints) {
    for (const ip of port.externalIps) yield serviceClaim(port, names.serviceIps, ip, external);
    for (const ip of port.loadBalancerIps) yield serviceClaim(port, names.serviceIps, ip, external);
    yield* nodePortClaim(port, names.serviceNodePorts, external);
  }
  if (!usesFirewall) return;
  for (const ip of port.loadBalancerIps) {
    yield serviceClaim(port, names.firewallIps, ip, { do: "goto", chain: chains.firewall });
  }
}

/** Told so where there is no endpoint anywhere, dropped where there are only some elsewhere. */
function* refusals({ port, hasInternal, hasExternal }: PortContext): IterableIterator<Claim> {
  const verdict: Verdict = port.hasAnyEndpoints ? { do: "drop" } : { do: "goto", chain: names.reject };
  const { noEndpointServices: set } = names;
  if (!hasInternal) for (const ip of port.clusterIps) yield serviceClaim(port, set, ip, verdict, port.name);
  if (hasExternal) return;
  for (const ip of port.externalIps) yield serviceClaim(port, set, ip, verdict, port.name);
  for (const ip of port.loadBalancerIps) yield serviceClaim(port, set, ip, verdict, port.name);
  yield* nodePortClaim(port, names.noEndpointNodePorts, verdict, port.name);
}

/** Endpoints on this node may reach themselves, and then must be masqueraded. */
function* hairpins({ port, context }: PortContext): IterableIterator<Claim> {
  if (context.release === "1.35") return;
  for (const { ip, port: number, node } of port.reachable) {
    if (node !== context.node) continue;
    const address = parseIp(ip);
    const key = [address, address, numbered(port.protocol), number];
    yield { port, set: names.hairpin, id: `${ip} . ${port.protocol} . ${number}`, element: { key } };
  }
}

// ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The chains that pick an endpoint: one for all of the cluster's, one for this node's. */
function* policyChains(it: PortContext, separate: boolean): IterableIterator<readonly [string, readonly Rule[]]> {
  const { port, chains, hasInternal } = it;
  const inner = port.internalLocal ? chains.local : chains.cluster;
  for (const [chain, endpoints = []] of [
    [chains.cluster, port.cluster],
    [chains.local, port.local],
  ] as const) {
    if (endpoints.length === 0) continue;
    const masquerade = chain === inner && hasInternal ? masqueradeRules(it) : [];
    const picks = separate ? endpointJumps(it, endpoints) : [endpointDnat(it, endpoints)];
    yield [chain, [...masquerade, ...picks]];
  }
}

/** Until v1.35, service port by service port, what v1.36 has one rule for. */
function masqueradeRules({ port, context }: PortContext): readonly Rule[] {
  const { words, release, masqueradeAll, local } = context;
  if (release !== "1.35" || (!masqueradeAll && !local)) return [];
  const from = masqueradeAll || !local ? [] : [local.outside];
  return port.clusterIps.map((ip) => {
    return rule({ match: words.target, op: "==", to: parseIp(ip) }, ...from, markRule(context));
  });
}

function protocolIs(port: ServicePort): Statement {
  return { match: "meta l4proto", op: "==", to: numbered(port.protocol) };
}

/** One rule that picks an endpoint and sends the packet there. */
function endpointDnat({ port, context }: PortContext, endpoints: readonly Endpoint[]): Rule {
  const elements = endpoints.map((endpoint, index): Element => {
    return { key: indexKey(index), data: [parseIp(endpoint.ip), endpoint.port] };
  });
  const key = { numgen: "random", mod: endpoints.length } as const;
  const family = context.words.family === "ip6" ? "ip6" : "ip";
  return rule(protocolIs(port), { nat: "dnat", to: { key, in: { elements } }, family });
}

const indexKeys: (readonly number[])[] = [];

/** `[0]`, `[1]`, …: the same for all rules. */
function indexKey(index: number): readonly number[] {
  const known = indexKeys[index] ?? [index];
  indexKeys[index] = known;
  return known;
}

/** First the endpoint that a client had before, if it is to stay with it; then one by chance, each equally likely. */
function endpointJumps({ port, context }: PortContext, endpoints: readonly Endpoint[]): readonly Rule[] {
  const named = endpoints.map((endpoint) => endpointNames(port, endpoint));
  const { source } = context.words;
  const stay = port.affinity === undefined ? [] : named;
  const elements = named.map(({ chain }, index): Element => ({ key: indexKey(index), verdict: { do: "goto", chain } }));
  return [
    ...stay.map(({ chain, affinity }) => rule({ match: source, op: "==", to: { set: affinity } }, goto(chain))),
    rule({ vmap: { numgen: "random", mod: named.length }, in: { elements } }),
  ];
}

/** What is done for one endpoint: remember the client, change the target; until v1.35 also mark what comes back to itself. */
function endpointRules({ port, context }: PortContext, endpoint: Endpoint): readonly Rule[] {
  const { source } = context.words;
  const ip = parseIp(endpoint.ip);
  const rules: Rule[] = [];
  if (context.release === "1.35") rules.push(rule({ match: source, op: "==", to: ip }, markRule(context)));
  if (port.affinity !== undefined) {
    rules.push(rule({ update: "update", set: endpointNames(port, endpoint).affinity, key: source }));
  }
  rules.push(rule(protocolIs(port), { nat: "dnat", to: { ip, port: endpoint.port } }));
  return rules;
}

function affinitySets({ port, context }: PortContext): readonly SetSpec[] {
  const { affinity: timeout } = port;
  if (timeout === undefined) return [];
  const key = [context.words.address];
  return port.reachable.map((endpoint): SetSpec => {
    return { name: endpointNames(port, endpoint).affinity, key, flags: ["dynamic", "timeout"], timeout };
  });
}

/** The chain for what comes from outside. */
function externalRules({ port, context, chains, hasExternal }: PortContext): readonly Rule[] {
  const rules: Rule[] = [];
  const masquerade = markRule(context);
  if (!port.externalLocal) {
    // The endpoint may be on another node, whose answer must come back through this one.
    rules.push(context.release === "1.35" ? rule(masquerade) : commented("masquerade", masquerade));
  } else {
    // Pods and the node itself may use every endpoint: the policy is about what comes from outside.
    const ours: Statement = { match: "fib saddr type", op: "==", to: 2 };
    const all = goto(chains.cluster);
    if (context.local) rules.push(commented("short-circuit pod traffic", context.local.inside, all));
    rules.push(commented("masquerade local traffic", ours, masquerade));
    rules.push(commented("short-circuit local traffic", ours, all));
  }
  if (hasExternal) rules.push(rule(goto(port.externalLocal ? chains.local : chains.cluster)));
  return rules;
}

/** What comes to a load balancer's IP from nowhere that may. */
function firewallRule({ port, context }: PortContext): Rule {
  const ranges = port.sourceRanges.map(parseCidr);
  const keys: Part[] = ranges.map(prefixPart);
  // Where the node has the load balancer's IP itself, its own packets come from that IP.
  if (ranges.some((range) => contains(range, parseIp(context.nodeIp)))) {
    keys.push(...port.loadBalancerIps.map(parseIp));
  }
  const elements = keys.map((key): Element => ({ key: [key] }));
  return rule({ match: context.words.source, op: "!=", to: { elements } }, { verdict: { do: "drop" } });
}
