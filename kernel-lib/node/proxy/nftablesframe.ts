/** Owns what the nftables mode writes whatever Services there are: chains on hooks, the ways between them, sets and maps. */
import { parseCidr, parseIp } from "../../net/address";
import type { Hook } from "../../net/netfilter";
import { prefixPart } from "../../net/nft/intervals";
import type { ChainSpec, ChainType, Command, Element, Rule, SetSpec, Statement } from "../../net/nft/ruleset";
import { commented, jump, markRule, type NftablesContext, names, rule } from "./nftableswords";

type Place = { readonly family: "ip" | "ip6" | "inet"; readonly table: string };

/** Chains on hooks (nftablesBaseChains in pkg/proxy/nftables/proxier.go). */
const baseChains: readonly (readonly [name: string, type: ChainType, hook: Hook, priority: number])[] = [
  // Source ranges of load balancers are about where packets are sent to before DNAT.
  ["filter-prerouting-pre-dnat", "filter", "prerouting", -110],
  ["filter-output-pre-dnat", "filter", "output", -110],
  ["filter-input", "filter", "input", 0],
  ["filter-forward", "filter", "forward", 0],
  ["filter-output", "filter", "output", 0],
  ["nat-prerouting", "nat", "prerouting", -100],
  ["nat-output", "nat", "output", -100],
  ["nat-postrouting", "nat", "postrouting", 100],
];

/** From which chains on hooks packets come to which others; `new`: only a connection's first. */
const jumps: readonly (readonly [to: string, from: string, only?: "new"])[] = [
  ["nodeport-endpoints-check", "filter-input", "new"],
  ["service-endpoints-check", "filter-input", "new"],
  ["service-endpoints-check", "filter-forward", "new"],
  ["service-endpoints-check", "filter-output", "new"],
  ["firewall-check", "filter-prerouting-pre-dnat", "new"],
  ["firewall-check", "filter-output-pre-dnat", "new"],
  [names.services, "nat-output"],
  [names.services, "nat-prerouting"],
  [names.masquerading, "nat-postrouting"],
  ["cluster-ips-check", "filter-forward", "new"],
  ["cluster-ips-check", "filter-output", "new"],
];

const isNew: Statement = { match: "ct state", op: "==", to: 8 };

/**
 * The commands of a first sync, before those for Services.
 *
 * ```
 * prerouting, output  ─► firewall-check: @firewall-ips           (before DNAT)
 * prerouting, output  ─► services: @service-ips, @service-nodeports ─► … dnat
 * input, forward, output ─► *-endpoints-check: @no-endpoint-…  ─► drop, reject
 *          forward, output ─► cluster-ips-check: reject, drop    (what is still for a cluster IP)
 * postrouting         ─► masquerading
 * ```
 */
export function frameCommands(context: NftablesContext): readonly Command[] {
  const { family } = context.words;
  const place: Place = { family, table: names.table };
  const commands: Command[] = [{ do: "add", what: "table", ...place, comment: "rules for kube-proxy" }];
  // Made anew: the properties of a chain that another release made cannot be changed.
  for (const [name] of baseChains) {
    commands.push({ do: "destroy", what: "chain", ...place, name });
  }
  for (const [name, type, hook, priority] of baseChains) {
    commands.push(addChain(place, { name, base: { type, hook, priority, policy: "accept" } }));
  }
  const chains = [...new Set([...jumps.map(([to]) => to), ...Object.keys(frameRules(context))])];
  for (const name of chains) {
    const comment =
      name === names.reject ? { comment: "helper for @no-endpoint-services / @no-endpoint-nodeports" } : {};
    commands.push(addChain(place, { name, ...comment }), { do: "flush", what: "chain", ...place, name });
  }
  for (const set of sets(context)) commands.push({ do: "add", what: "set", ...place, set });
  if (context.nodePortIps) commands.push(...nodePortElements(place, context.nodePortIps));
  else commands.push({ do: "destroy", what: "set", ...place, name: names.nodePortIps });
  for (const [to, from, only] of jumps) {
    commands.push(addRule(place, from, only ? rule(isNew, jump(to)) : rule(jump(to))));
  }
  for (const [chain, rules] of Object.entries(frameRules(context))) {
    for (const each of rules) commands.push(addRule(place, chain, each));
  }
  return commands;
}

function addChain(place: Place, chain: ChainSpec): Command {
  return { do: "add", what: "chain", ...place, chain };
}

/** The command that adds a rule at the end of a chain. */
export function addRule(place: Place, chain: string, added: Rule): Command {
  return { do: "add", what: "rule", ...place, chain, rule: added };
}

function nodePortElements(place: Place, ips: readonly string[]): readonly Command[] {
  const name = names.nodePortIps;
  const elements = ips.map((ip): Element => ({ key: [parseIp(ip)] }));
  const flush: Command = { do: "flush", what: "set", ...place, name };
  return [flush, { do: "add", what: "element", ...place, name, elements }];
}

/** Shared sets and maps, with what they are for. */
function sets({ words: { address }, release, nodePortIps }: NftablesContext): readonly SetSpec[] {
  const service = [address, "inet_proto", "inet_service"] as const;
  const port = ["inet_proto", "inet_service"] as const;
  const map = (name: string, key: SetSpec["key"], comment: string): SetSpec => ({
    name,
    key,
    data: "verdict",
    comment,
  });
  const hairpin: SetSpec = { name: names.hairpin, key: [address, ...service], comment: "service hairpin connections" };
  const refuse = "vmap to drop or reject packets to";
  return [
    ...(release === "1.35" ? [] : [hairpin]),
    { name: names.clusterIps, key: [address], comment: "Active ClusterIPs" },
    ...(nodePortIps
      ? [{ name: names.nodePortIps, key: [address], comment: "IPs that accept NodePort traffic" } as const]
      : []),
    map(names.noEndpointServices, service, `${refuse} services with no endpoints`),
    map(names.noEndpointNodePorts, port, `${refuse} service nodeports with no endpoints`),
    map(names.firewallIps, service, "destinations that are subject to LoadBalancerSourceRanges"),
    map(names.serviceIps, service, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
    map(names.serviceNodePorts, port, "NodePort traffic"),
  ];
}

/** The rules of chains that Services share. */
function frameRules(context: NftablesContext): { readonly [chain: string]: readonly Rule[] } {
  const { words, release, mark, serviceCidrs, nodePortIps } = context;
  const { target } = words;
  const service = { concat: [target, "meta l4proto", "th dport"] } as const;
  const port = { concat: ["meta l4proto", "th dport"] } as const;
  const isNodePortIp: Statement = { match: target, op: "==", to: { set: names.nodePortIps } };
  const toNode = nodePortIps
    ? [isNodePortIp]
    : [{ match: "fib daddr type", op: "==", to: 2 } as const, words.notLoopback];
  const toNodeChecked = nodePortIps ? isNodePortIp : words.notLoopback;
  const unallocated = serviceCidrs.map((cidr): Element => ({ key: [prefixPart(parseCidr(cidr))] }));
  return {
    [names.services]: [
      ...clusterIpMasquerade(context),
      rule({ vmap: service, in: { set: names.serviceIps } }),
      rule(...toNode, { vmap: port, in: { set: names.serviceNodePorts } }),
    ],
    "cluster-ips-check": [
      commented(
        "Reject traffic to invalid ports of ClusterIPs",
        { match: target, op: "==", to: { set: names.clusterIps } },
        { reject: "port-unreachable" },
      ),
      ...(unallocated.length === 0
        ? []
        : [
            commented(
              "Drop traffic to unallocated ClusterIPs",
              { match: target, op: "==", to: { elements: unallocated } },
              { verdict: { do: "drop" } },
            ),
          ]),
    ],
    [names.masquerading]: masqueradingRules(context),
    ...(release === "1.35" && {
      [names.markForMasquerade]: [rule({ assign: "meta mark", value: { of: "meta mark", op: "|", bits: mark } })],
    }),
    [names.reject]: [rule({ reject: "port-unreachable" })],
    "service-endpoints-check": [rule({ vmap: service, in: { set: names.noEndpointServices } })],
    "nodeport-endpoints-check": [rule(toNodeChecked, { vmap: port, in: { set: names.noEndpointNodePorts } })],
    "firewall-check": [rule({ vmap: service, in: { set: names.firewallIps } })],
  };
}

/** What reaches a cluster IP from outside the cluster must come back this way: since v1.36 one rule for all. */
function clusterIpMasquerade(context: NftablesContext): readonly Rule[] {
  const { words, release, masqueradeAll, local } = context;
  if (release === "1.35") return [];
  const toClusterIp: Statement = { match: words.target, op: "==", to: { set: names.clusterIps } };
  if (masqueradeAll) return [commented("masquerade all clusterIP traffic", toClusterIp, markRule(context))];
  if (!local) return [];
  const why = "masquerade clusterIP traffic from outside cluster";
  return [commented(why, toClusterIp, local.outside, markRule(context))];
}

function masqueradingRules({ words, release, mark }: NftablesContext): readonly Rule[] {
  const masquerade: Statement = { nat: "masquerade", flags: { fullyRandom: true } };
  const marked = { of: "meta mark", mask: mark } as const;
  // The mark is taken off, so that a packet that passes here again is not masqueraded twice.
  const unmark: Statement = { assign: "meta mark", value: { of: "meta mark", op: "^", bits: mark } };
  if (release === "1.35") {
    return [rule({ match: marked, op: "==", to: 0 }, { verdict: { do: "return" } }), rule(unmark), rule(masquerade)];
  }
  const { source, target } = words;
  const hairpin = { concat: [source, target, "meta l4proto", "th dport"] } as const;
  return [
    rule({ match: marked, op: "!=", to: 0 }, unmark, masquerade),
    // A pod that reaches itself through a Service.
    rule(
      { match: "ct status", op: "==", to: 32 },
      { match: hairpin, op: "==", to: { set: names.hairpin } },
      masquerade,
    ),
  ];
}
