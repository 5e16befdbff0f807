/** Owns judging the texts of rules and the names of chains: iptables_texts, nftables_texts, chain_names. */
import { viewFor } from "../../kernel-lib/cluster/flows/mode";
import type { Rule, TableName } from "../../kernel-lib/net/rule";
import { parseRules } from "../../kernel-lib/net/ruleparse";
import { ruleText } from "../../kernel-lib/net/ruletext";
import { endpointChain, servicePortChains } from "../../kernel-lib/node/proxy/chains";
import { type IptablesOptions, iptablesTables } from "../../kernel-lib/node/proxy/iptables";
import { endpointNames, portNames } from "../../kernel-lib/node/proxy/nftablesnames";
import { probabilityText } from "../../kernel-lib/node/proxy/probability";
import { flowCase, type Json, type Judge, type Judged, judged, judgeEach, listOf, same, unknownKeys } from "./judge";

/** A whole rule set, a single chain, a probability each. What is only told in words (`largeCluster`) is not counted. */
export const judgeIptablesTexts: Judge = (content) => [
  ...unknownKeys(content, ["format", "cases", "chainRules", "probabilities", "largeCluster"], "the part").map(
    (what): Judged => ({ name: "iptables_texts", differences: [what] }),
  ),
  ...judgeEach(content, "cases", judgeRules),
  ...((content.chainRules ?? []) as readonly Json[]).map((one) => judged(String(one.name), () => judgeChain(one))),
  ...Object.entries((content.probabilities as { values?: object } | undefined)?.values ?? {}).map(([count, text]) =>
    judged(`probability of ${count}`, () => same("text", text, probabilityText(Number(count)))),
  ),
];

type Chains = Readonly<Record<string, readonly Rule[]>>;

/** Chains whose rules are of many Services: their order is the Services'. */
const shared: ReadonlySet<string> = new Set([
  ...["KUBE-NODEPORTS", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"],
]);

function judgeRules(one: Json): readonly string[] {
  const { config, objects } = flowCase(one);
  const {
    family,
    clusterCidr,
    masqueradeAll,
    masqueradeBit,
    localhostNodePorts,
    nodePortAddresses,
    counters,
    conntrackLiberal,
  } = config;
  const all = config.nodeIps.filter((ip) => ip.includes(":") === (family === "IPv6"));
  const options: IptablesOptions = {
    ...{ clusterCidr, masqueradeAll, masqueradeBit, localhostNodePorts, nodePortAddresses, counters, conntrackLiberal },
    randomFully: false,
  };
  const made = iptablesTables(viewFor(config, objects), { family, ip: config.nodeIp, all }, options);
  const wanted = parseRules(String(one.expectText), family === "IPv4" ? "iptables" : "ip6tables");
  return (["nat", "filter"] as const).flatMap((table) => {
    return compareTables(table, wanted[table] ?? {}, Object.fromEntries(made[table]), family);
  });
}

function compareTables(table: TableName, wanted: Chains, made: Chains, family: "IPv4" | "IPv6"): readonly string[] {
  return [...new Set([...Object.keys(wanted), ...Object.keys(made)])].flatMap((chain) => {
    const texts = (rules: readonly Rule[] | undefined): readonly string[] | undefined => {
      const lines = rules?.map((rule) => ruleText(chain, rule, family));
      return lines && shared.has(chain) ? [...lines.slice(0, -1).sort(), ...lines.slice(-1)] : lines;
    };
    return same(`${table} ${chain}`, texts(wanted[chain]), texts(made[chain]));
  });
}

/** What a chain depends on, and the ways in which it may be so. */
type When = { readonly [name: string]: unknown };

const conditions = [
  ...["ipFamily", "localhostNodePorts", "nodePortAddresses", "conntrackTCPLiberal", "nfacctCounters"],
  ...["iptablesHasRandomFully", "masqueradeAll", "masqueradeMark", "clusterCIDR"],
];

function judgeChain(one: Json): readonly string[] {
  const when = (one.when ?? {}) as When;
  const { anyOf, ...rest } = when;
  const ways = Array.isArray(anyOf) ? (anyOf as readonly When[]).map((way) => ({ ...rest, ...way })) : [rest];
  return ways.flatMap((way) => [...unknownKeys(way, conditions, "the condition"), ...judgeChainWhen(one, way)]);
}

function judgeChainWhen({ table, chain, expectRules }: Json, when: When): readonly string[] {
  const family = when.ipFamily === "IPv6" ? "IPv6" : "IPv4";
  const node = family === "IPv4" ? "192.168.0.2" : "2001:db8::1";
  const options: IptablesOptions = {
    localhostNodePorts: when.localhostNodePorts !== false,
    nodePortAddresses: (when.nodePortAddresses as readonly string[] | null | undefined) ?? undefined,
    conntrackLiberal: when.conntrackTCPLiberal === true,
    counters: (when.nfacctCounters as readonly string[] | undefined) ?? [],
    randomFully: when.iptablesHasRandomFully === true,
    masqueradeAll: when.masqueradeAll === true,
    ...(typeof when.masqueradeMark === "string" && { masqueradeBit: Math.log2(Number(when.masqueradeMark)) }),
    ...(typeof when.clusterCIDR === "string" && { clusterCidr: when.clusterCIDR }),
  };
  const name = table as "nat" | "filter";
  const made = iptablesTables([], { family, ip: node, all: [node] }, options)[name].get(String(chain)) ?? [];
  const text = `*${name}\n:${chain} - [0:0]\n${(expectRules as readonly string[]).join("\n")}\nCOMMIT\n`;
  const wanted = parseRules(text, family === "IPv4" ? "iptables" : "ip6tables")[name]?.[String(chain)] ?? [];
  const lines = (rules: readonly Rule[]): readonly string[] =>
    rules.map((rule) => ruleText(String(chain), rule, family));
  return same(`${table} ${chain}`, lines(wanted), lines(made));
}

/** A pair of input and name each. */
export const judgeChainNames: Judge = (content) =>
  listOf(content, "pairs").map((pair) => {
    const input = (pair.input ?? {}) as Readonly<Record<string, string | number>>;
    return judged(`${pair.kind} ${JSON.stringify(input)}`, () => {
      const make = Object.hasOwn(names, String(pair.kind)) ? names[String(pair.kind)] : undefined;
      if (!make) return [`the kind ${pair.kind} is not known`];
      return same("name", pair.expect, make(input));
    });
  });

type NameInput = Readonly<Record<string, string | number>>;

function iptablesPort({ servicePortName, protocol }: NameInput) {
  return { name: String(servicePortName), protocol: String(protocol).toUpperCase() as "TCP" };
}

function nftablesPort({ namespace, name, port, protocol }: NameInput) {
  return { service: `${namespace}/${name}`, portName: String(port), protocol: String(protocol).toUpperCase() as "TCP" };
}

const names: Readonly<Record<string, (input: NameInput) => string>> = {
  "iptables.servicePortChain": (input) => servicePortChains(iptablesPort(input)).cluster,
  "iptables.localChain": (input) => servicePortChains(iptablesPort(input)).local,
  "iptables.externalChain": (input) => servicePortChains(iptablesPort(input)).external,
  "iptables.firewallChain": (input) => servicePortChains(iptablesPort(input)).firewall,
  "iptables.endpointChain": (input) => endpointChain(iptablesPort(input), String(input.endpoint)),
  "nftables.servicePortChainNameBase": (input) => portNames(nftablesPort(input)).cluster.replace(/^service-/, ""),
  "nftables.servicePortEndpointChainNameBase": (input) => {
    const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(String(input.endpoint)) ?? [];
    const endpoint = { ip: bracketed ?? plain ?? "", port: Number(port) };
    return endpointNames(nftablesPort(input), endpoint).chain.replace(/^endpoint-/, "");
  },
};
