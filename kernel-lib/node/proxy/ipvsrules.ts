/** Owns the iptables rules of kube-proxy's ipvs mode: few, for sets and virtual servers hold what is many (pkg/proxy/ipvs). */
import { type Cidr, type Family, type Ip, parseCidr, widthOf } from "../../net/address";
import type { Chains } from "../../net/iptables";
import { comment, jump, type Match, orMark, type Rule, type SetDirection, type Target, xorMark } from "../../net/rule";
import { type IpvsSetKey, ipvsSets, setName } from "./ipvssets";
import { markMasq } from "./rules";

/** What the rules depend on beside the sets. */
export interface IpvsRuleOptions {
  readonly family: Family;
  readonly masqueradeAll: boolean;
  readonly masqueradeBit: number;
  /** How traffic of pods is told from other traffic; undefined: it is not. */
  readonly local: { readonly cidr: Cidr } | { readonly device: string } | undefined;
}

/** A virtual server of a load balancer that this node itself may not use. */
export interface NodeRefused {
  readonly ip: Ip;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly port: number;
}

export const ipvsChains = {
  nat: ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", markMasq],
  filter: [
    "KUBE-FORWARD",
    "KUBE-NODE-PORT",
    "KUBE-PROXY-FIREWALL",
    "KUBE-SOURCE-RANGES-FIREWALL",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER",
  ],
} as const;

/** From the built-in chains; each is put in front. */
export const ipvsJumps: readonly { readonly table: "nat" | "filter"; readonly from: string; readonly rule: Rule }[] = [
  into("nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
  into("nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
  into("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
  into("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
  into("filter", "INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
  into("filter", "INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
  into("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
  into("filter", "INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
  into("filter", "OUTPUT", "KUBE-IPVS-OUT-FILTER", "kubernetes ipvs access filter"),
];

function into(table: "nat" | "filter", from: string, to: string, why: string) {
  return { table, from, rule: { matches: [comment(why)], target: jump(to) } };
}

/** Rules that there are only while a set is not empty; what must come first stands first. */
const ofSets: readonly (readonly [IpvsSetKey, "nat" | "filter", string, Target, string, Rule["protocol"]?])[] = [
  ["loopBack", "nat", "KUBE-POSTROUTING", { target: "MASQUERADE" }, "dst,dst,src"],
  ["loadBalancer", "nat", "KUBE-SERVICES", jump("KUBE-LOAD-BALANCER"), "dst,dst"],
  ["loadBalancerLocal", "nat", "KUBE-LOAD-BALANCER", { target: "RETURN" }, "dst,dst"],
  ["nodePortLocalTcp", "nat", "KUBE-NODE-PORT", { target: "RETURN" }, "dst", "tcp"],
  ["nodePortTcp", "nat", "KUBE-NODE-PORT", jump(markMasq), "dst", "tcp"],
  ["nodePortLocalUdp", "nat", "KUBE-NODE-PORT", { target: "RETURN" }, "dst", "udp"],
  ["nodePortUdp", "nat", "KUBE-NODE-PORT", jump(markMasq), "dst", "udp"],
  ["nodePortLocalSctp", "nat", "KUBE-NODE-PORT", { target: "RETURN" }, "dst,dst", "sctp"],
  ["nodePortSctp", "nat", "KUBE-NODE-PORT", jump(markMasq), "dst,dst", "sctp"],
  ["loadBalancerFirewall", "filter", "KUBE-PROXY-FIREWALL", jump("KUBE-SOURCE-RANGES-FIREWALL"), "dst,dst"],
  ["loadBalancerSourceCidr", "filter", "KUBE-SOURCE-RANGES-FIREWALL", { target: "RETURN" }, "dst,dst,src"],
  ["loadBalancerSourceIp", "filter", "KUBE-SOURCE-RANGES-FIREWALL", { target: "RETURN" }, "dst,dst,src"],
];

/** A rule and the chain that it is for. */
type Placed = readonly ["nat" | "filter", string, Rule];
type SetMatch = (key: IpvsSetKey, directions?: string) => Match;

const accept: Target = { target: "ACCEPT" };

/** All chains of the mode. @param filled whether a set has entries */
export function ipvsRules(
  options: IpvsRuleOptions,
  filled: (key: IpvsSetKey) => boolean,
  refused: readonly NodeRefused[],
): { readonly nat: Chains; readonly filter: Chains } {
  const tables = {
    nat: Object.fromEntries(ipvsChains.nat.map((chain): [string, Rule[]] => [chain, []])),
    filter: Object.fromEntries(ipvsChains.filter.map((chain): [string, Rule[]] => [chain, []])),
  };
  const set: SetMatch = (key, directions = "dst,dst") => ({
    match: "set",
    set: setName(key, options.family),
    directions: directions.split(",") as SetDirection[],
  });
  const all = [...serviceRules(options, filled, set), ...frameRules(options.masqueradeBit, set)];
  for (const [table, chain, rule] of all) tables[table][chain]?.push(rule);
  for (const { ip, protocol, port } of refused) {
    const matches: readonly Match[] = [{ match: "ipvs", protocol, ip, port }];
    const rule: Rule = { source: { ip, length: widthOf(ip) }, matches, target: { target: "DROP" } };
    tables.filter["KUBE-IPVS-OUT-FILTER"]?.push(rule);
  }
  return tables;
}

function why(key: IpvsSetKey): Match {
  return comment(ipvsSets[key].comment);
}

/** The rules that depend on which sets have entries, in the order of writeIptablesRules. */
function serviceRules(
  options: IpvsRuleOptions,
  filled: (key: IpvsSetKey) => boolean,
  set: SetMatch,
): readonly Placed[] {
  const loopback = parseCidr(options.family === "IPv4" ? "127.0.0.0/8" : "::1/128");
  const rules: Placed[] = [["nat", "KUBE-SERVICES", { source: loopback, target: { target: "RETURN" } }]];
  const add = (rule: Rule): void => {
    rules.push(["nat", "KUBE-SERVICES", rule]);
  };
  for (const [key, table, chain, target, directions, protocol] of ofSets) {
    if (!filled(key)) continue;
    rules.push([table, chain, { ...(protocol && { protocol }), matches: [why(key), set(key, directions)], target }]);
  }
  if (filled("clusterIp")) add(clusterIpRule(options, set));
  for (const key of ["externalIp", "externalIpLocal"] as const) {
    if (!filled(key)) continue;
    const matches = [why(key), set(key)];
    const elsewhere: readonly Match[] = [
      { match: "physdev", isIn: { not: true } },
      { match: "addrtype", source: { not: "LOCAL" } },
    ];
    if (key === "externalIp") add({ matches, target: jump(markMasq) });
    add({ matches: [...matches, ...elsewhere], target: accept });
    add({ matches: [...matches, { match: "addrtype", target: "LOCAL" }], target: accept });
  }
  add({ matches: [{ match: "addrtype", target: "LOCAL" }], target: jump("KUBE-NODE-PORT") });
  rules.push(["nat", "KUBE-LOAD-BALANCER", { target: jump(markMasq) }]);
  for (const key of ["clusterIp", "loadBalancer"] as const)
    if (filled(key)) add({ matches: [set(key)], target: accept });
  return rules;
}

/** The rules that are always there. */
function frameRules(masqueradeBit: number, set: SetMatch): readonly Placed[] {
  const bit = 2 ** masqueradeBit;
  const marked: Match = { match: "mark", value: bit, mask: bit };
  const known: Match = { match: "conntrack", states: ["RELATED", "ESTABLISHED"] };
  const masquerade: Target = { target: "MASQUERADE", randomFully: true };
  return [
    ["filter", "KUBE-SOURCE-RANGES-FIREWALL", { target: { target: "DROP" } }],
    ["filter", "KUBE-FORWARD", { matches: [comment("kubernetes forwarding rules"), marked], target: accept }],
    ["filter", "KUBE-FORWARD", { matches: [comment("kubernetes forwarding conntrack rule"), known], target: accept }],
    ["filter", "KUBE-NODE-PORT", { matches: [why("healthCheck"), set("healthCheck", "dst")], target: accept }],
    ...accessFilter(set).map((rule): Placed => ["filter", "KUBE-IPVS-FILTER", rule]),
    ["nat", "KUBE-POSTROUTING", { matches: [{ ...marked, not: true }], target: { target: "RETURN" } }],
    ["nat", "KUBE-POSTROUTING", { target: xorMark(bit) }],
    [
      "nat",
      "KUBE-POSTROUTING",
      { matches: [comment("kubernetes service traffic requiring SNAT")], target: masquerade },
    ],
    ["nat", markMasq, { target: orMark(bit) }],
  ];
}

/** Which traffic to cluster IPs is masqueraded: all of it, what comes from no pod, or what a virtual server seems to send. */
function clusterIpRule({ masqueradeAll, local }: IpvsRuleOptions, set: SetMatch): Rule {
  const target = jump(markMasq);
  const about = why("clusterIp");
  if (masqueradeAll) return { matches: [about, set("clusterIp")], target };
  if (!local) return { matches: [about, set("clusterIp", "src,dst")], target };
  const elsewhere = "cidr" in local ? { source: { not: local.cidr } } : { input: { not: local.device } };
  return { ...elsewhere, matches: [about, set("clusterIp")], target };
}

/** Addresses of Services are the host's own, but its other ports are not to be reached by them (issue 72236). */
function accessFilter(set: SetMatch): readonly Rule[] {
  const served = (["loadBalancer", "clusterIp", "externalIp", "externalIpLocal"] as const).map((key) => set(key));
  return [
    ...[...served, set("healthCheck", "dst")].map(
      (match): Rule => ({ matches: [match], target: { target: "RETURN" } }),
    ),
    {
      matches: [{ match: "conntrack", states: ["NEW"] }, set("bound", "dst")],
      target: { target: "REJECT" },
    },
  ];
}
