/** Owns kube-proxy's iptables mode: what a node should do for Services, as chains of the nat and filter tables. */
import {
  type Cidr,
  contains,
  type Family,
  family as familyOfIp,
  formatIp,
  type Ip,
  isLoopback,
  localhost,
  parseCidr,
  parseIp,
  widthOf,
} from "../../net/address";
import type { Iptables } from "../../net/iptables";
import { comment, jump, type Match, orMark, type Rule, xorMark } from "../../net/rule";
import type { NodeNet } from "../node";
import { cidrOf } from "./config";
import { allTables, changesSince, type Frame, type IptablesTables, type Written } from "./iptablessync";
import { withoutLinked } from "./linked";
import type { ModeOptions, ProxyMode } from "./mode";
import { type LocalTraffic, markMasq, type PortRules, portRules, type RuleOptions } from "./rules";
import type { ServicePort } from "./view";

/** How the mode is set up; what is left out is as kubeadm's default. */
export interface IptablesOptions
  extends Pick<
    ModeOptions,
    | "clusterCidr"
    | "localInterface"
    | "masqueradeAll"
    | "masqueradeBit"
    | "localhostNodePorts"
    | "nodePortAddresses"
    | "conntrackLiberal"
    | "counters"
  > {
  /** Whether this iptables knows `--random-fully` (1.6.2 and later do). */
  readonly randomFully?: boolean;
}

export type { IptablesTables } from "./iptablessync";

const invalidDropped = "ct_state_invalid_dropped_pkts";
const localhostAccepted = "localhost_nps_accepted_pkts";

/** A node as its rules of one family need to know it. */
export interface NodeAddresses {
  readonly family?: Family;
  /** Its own (primary) address. */
  readonly ip: string;
  /** All of them: `nodePortAddresses` picks some. */
  readonly all: readonly string[];
}

const canaryChain = "KUBE-PROXY-CANARY";

/** What the chains of single service ports and endpoints begin with (isServiceChainName). */
const serviceChains = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-XLB-"];

/** The chains of all Services together. */
const ownChains = {
  nat: new Set(["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", markMasq, canaryChain]),
  filter: new Set([
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-FORWARD",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-FIREWALL",
    canaryChain,
  ]),
};

/** From so many endpoints on, rules of single Services carry no comments (largeClusterEndpointsThreshold). */
const largeCluster = 1000;

/** A mode that writes iptables rules. One object serves all nodes. */
export function iptablesMode(options: IptablesOptions = {}): ProxyMode {
  const written = { IPv4: new WeakMap<NodeNet, Written>(), IPv6: new WeakMap<NodeNet, Written>() };
  return {
    name: "iptables",
    sync(view, node, family) {
      const addresses = addressesOf(node, family);
      const tables = family === "IPv4" ? node.netns.iptables : node.netns.ip6tables;
      // Without it the kernel takes what comes from 127.0.0.1 and is sent to a pod for a martian.
      if (usesLocalhost(addresses, options) && opensLoopback(options)) node.netns.sysctl.routeLocalnet = true;
      const rules = ruleOptions(addresses, options, usesComments(view));
      const means = meaningOf(options, rules);
      const make = (port: ServicePort): PortRules => madeRules(port, rules, means);
      const frame = frameRules(addresses, options);
      const before = written[family].get(node);
      written[family].set(node, writeTables(before, view, tables, frame, rules.comments, make));
    },
    forget(node) {
      written.IPv4.delete(node);
      written.IPv6.delete(node);
    },
    cleanup(node) {
      for (const family of ["IPv4", "IPv6"] as const) {
        written[family].delete(node);
        cleanTables(family === "IPv4" ? node.netns.iptables : node.netns.ip6tables);
      }
    },
  };
}

/** The rules of ports that several nodes see alike, and with what they were made. */
const made = new WeakMap<ServicePort, { readonly means: string; readonly nodeIp: string; readonly rules: PortRules }>();

/** All that rules of a port depend on beside it and the node's address. */
function meaningOf({ clusterCidr, localInterface }: IptablesOptions, rules: RuleOptions): string {
  const { masqueradeAll, comments, localhostCounter } = rules;
  return [clusterCidr, localInterface, masqueradeAll, comments, localhostCounter].join(" ");
}

/** A port that is the same object for other nodes has the same rules there, but where these name the node itself. */
function madeRules(port: ServicePort, options: RuleOptions, means: string): PortRules {
  const { nodeIp } = options;
  const known = made.get(port);
  if (known?.means === means && (port.sourceRanges.length === 0 || known.nodeIp === nodeIp)) return known.rules;
  const rules = portRules(port, options);
  made.set(port, { means, nodeIp, rules });
  return rules;
}

/** Writes the chains of ports that are new or changed, takes away those that are gone, and writes the shared ones that differ. */
function writeTables(
  before: Written | undefined,
  view: readonly ServicePort[],
  tables: Iptables,
  frame: Frame,
  comments: boolean,
  make: (port: ServicePort) => PortRules,
): Written {
  const { nat, filter, stale, now } = changesSince(before, view, comments, frame, make);
  // What an earlier start of kube-proxy wrote for ports that are gone since goes too.
  const left = new Set(before ? [] : tables.chains("nat").filter(isServiceChain));
  if (left.size > 0) for (const [chain] of nat) left.delete(chain);
  // The chains by which kube-proxy notices that somebody flushed its rules.
  const canary = { [canaryChain]: [] };
  if (!before) tables.restore({ mangle: canary, nat: canary, filter: canary });
  if (nat.length + filter.length > 0) tables.restore({ nat, filter });
  if (stale.size + left.size > 0) tables.deleteChains("nat", [...stale, ...left]);
  if (!before) for (const { table, from, rule } of jumps) tables.ensure(table, from, rule, "prepend");
  return now;
}

function isServiceChain(chain: string): boolean {
  return serviceChains.some((prefix) => chain.startsWith(prefix));
}

/** Takes the rules of kube-proxy away (pkg/proxy/iptables/cleanup.go); KUBE-FIREWALL stays, as it is the kubelet's too. */
function cleanTables(tables: Iptables): void {
  for (const table of ["nat", "filter"] as const) {
    const chains = tables.chains(table);
    if (chains.length === 0) continue;
    for (const { from, rule, stays } of jumps.filter((one) => one.table === table)) {
      if (!stays) tables.delete(table, from, rule);
    }
    const own = chains.filter((chain) => ownChains[table].has(chain) || (table === "nat" && isServiceChain(chain)));
    tables.deleteChains(table, withoutLinked(tables, table, own));
  }
  if (tables.chains("mangle").includes(canaryChain)) tables.deleteChains("mangle", [canaryChain]);
}

/** The node's addresses of a family; `""` as the primary one where it has none. */
function addressesOf(node: NodeNet, family: Family): NodeAddresses {
  const ofFamily = (ip: Ip): boolean => familyOfIp(ip) === family;
  const devices = [...node.netns.devices.values()].filter(({ name }) => name !== "lo");
  const all = devices.flatMap(({ addresses }) => addresses.map(({ ip }) => ip)).filter(ofFamily);
  const own = node.ips.find(ofFamily);
  return { family, ip: own === undefined ? "" : formatIp(own), all: all.map(formatIp) };
}

/** Node ports on localhost need route_localnet, which IPv6 has not: there they never work. */
function usesLocalhost({ family = "IPv4" }: NodeAddresses, options: IptablesOptions): boolean {
  return family === "IPv4" && (options.localhostNodePorts ?? true);
}

function opensLoopback({ nodePortAddresses }: IptablesOptions): boolean {
  const prefixes = prefixesOf(nodePortAddresses, "IPv4");
  return prefixes.length === 0 || prefixes.some((prefix) => contains(prefix, localhost));
}

function prefixesOf(cidrs: readonly string[] | undefined, family: Family): readonly Cidr[] {
  return (cidrs ?? []).map(parseCidr).filter(({ ip }) => familyOfIp(ip) === family);
}

/** All that kube-proxy's iptables mode writes for a view: a pure function. */
export function iptablesTables(
  view: readonly ServicePort[],
  node: NodeAddresses,
  options: IptablesOptions = {},
): IptablesTables {
  const made = ruleOptions(node, options, usesComments(view));
  const ports = view.map((port) => portRules(port, made));
  return allTables(ports, frameRules(node, options));
}

function usesComments(view: readonly ServicePort[]): boolean {
  let endpoints = 0;
  for (const { reachable } of view) endpoints += reachable.length;
  return endpoints <= largeCluster;
}

function ruleOptions(node: NodeAddresses, options: IptablesOptions, comments: boolean): RuleOptions {
  return {
    local: localTraffic(node, options),
    masqueradeAll: options.masqueradeAll ?? false,
    nodeIp: node.ip,
    comments,
    localhostCounter:
      usesLocalhost(node, options) && options.counters?.includes(localhostAccepted) ? localhostAccepted : undefined,
  };
}

function localTraffic({ family = "IPv4" }: NodeAddresses, options: IptablesOptions): LocalTraffic | undefined {
  const { clusterCidr, localInterface } = options;
  if (localInterface !== undefined)
    return { inside: { input: localInterface }, outside: { input: { not: localInterface } } };
  const text = cidrOf(clusterCidr, family);
  if (text === undefined) return undefined;
  const cidr = parseCidr(text);
  return { inside: { source: cidr }, outside: { source: { not: cidr } } };
}

/** The rules that do not depend on Services. */
function frameRules(node: NodeAddresses, options: IptablesOptions): Frame {
  const bit = 2 ** (options.masqueradeBit ?? 14);
  const onLocalhost = usesLocalhost(node, options);
  const loopback = parseCidr("127.0.0.0/8");
  const counted: Match[] = options.counters?.includes(invalidDropped)
    ? [{ match: "nfacct", name: invalidDropped }]
    : [];
  const tracked = (states: Extract<Match, { match: "conntrack" }>["states"], not = false): Match => {
    return { match: "conntrack", states, ...(not && { not }) };
  };
  return {
    toNodePorts: nodePortRules(node, options),
    postrouting: [
      { matches: [{ match: "mark", value: bit, mask: bit, not: true }], target: { target: "RETURN" } },
      // The mark is taken off, so that a packet that passes here again is not masqueraded twice.
      { target: xorMark(bit) },
      {
        matches: [comment("kubernetes service traffic requiring SNAT")],
        target: { target: "MASQUERADE", ...((options.randomFully ?? true) && { randomFully: true }) },
      },
    ],
    mark: [{ target: orMark(bit) }],
    firewall: onLocalhost
      ? [
          {
            source: { not: loopback },
            destination: loopback,
            matches: [
              comment("block incoming localnet connections"),
              tracked(["RELATED", "ESTABLISHED", "DNAT"], true),
            ],
            target: { target: "DROP" },
          },
        ]
      : [],
    forward: [
      ...(options.conntrackLiberal
        ? []
        : [{ matches: [tracked(["INVALID"]), ...counted], target: { target: "DROP" } } as const]),
      {
        matches: [comment("kubernetes forwarding rules"), { match: "mark", value: bit, mask: bit }],
        target: { target: "ACCEPT" },
      },
      {
        matches: [comment("kubernetes forwarding conntrack rule"), tracked(["RELATED", "ESTABLISHED"])],
        target: { target: "ACCEPT" },
      },
    ],
  };
}

/** The last rules of nat KUBE-SERVICES: what is meant for this node itself may be meant for a node port. */
function nodePortRules(node: NodeAddresses, options: IptablesOptions): readonly Rule[] {
  const { family = "IPv4" } = node;
  const why = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain");
  const prefixes = prefixesOf(options.nodePortAddresses, family);
  const onLocalhost = usesLocalhost(node, options);
  if (prefixes.length === 0 || prefixes.some((prefix) => prefix.length === 0)) {
    const loopback = parseCidr(family === "IPv4" ? "127.0.0.0/8" : "::1/128");
    const elsewhere = onLocalhost ? {} : { destination: { not: loopback } };
    const matches: Match[] = [why, { match: "addrtype", target: "LOCAL" }];
    return [{ ...elsewhere, matches, target: jump("KUBE-NODEPORTS") }];
  }
  return [...node.all.map(parseIp), ...(family === "IPv4" ? [localhost] : [])]
    .filter((ip) => prefixes.some((prefix) => contains(prefix, ip)))
    .filter((ip) => onLocalhost || !isLoopback(ip))
    .map((ip): Rule => {
      const destination: Cidr = { ip, length: widthOf(ip) };
      return { destination, matches: [why], target: jump("KUBE-NODEPORTS") };
    });
}

interface Jump {
  readonly table: "nat" | "filter";
  readonly from: string;
  readonly rule: Rule;
  /** Not taken away again: the kubelet makes it too. */
  readonly stays: boolean;
}

/** From the built-in chains into kube-proxy's. Each is put in front, so the last of a chain comes first. */
const jumps: readonly Jump[] = [
  into("filter", "KUBE-FIREWALL", ["INPUT", "OUTPUT"], undefined, false),
  into("filter", "KUBE-EXTERNAL-SERVICES", ["INPUT", "FORWARD"], "kubernetes externally-visible service portals"),
  into("filter", "KUBE-NODEPORTS", ["INPUT"], "kubernetes health check service ports", false),
  into("filter", "KUBE-SERVICES", ["FORWARD", "OUTPUT"], "kubernetes service portals"),
  into("filter", "KUBE-FORWARD", ["FORWARD"], "kubernetes forwarding rules", false),
  into("filter", "KUBE-PROXY-FIREWALL", ["INPUT", "OUTPUT", "FORWARD"], "kubernetes load balancer firewall"),
  into("nat", "KUBE-SERVICES", ["OUTPUT", "PREROUTING"], "kubernetes service portals", false),
  into("nat", "KUBE-POSTROUTING", ["POSTROUTING"], "kubernetes postrouting rules", false),
].flat();

function into(
  table: Jump["table"],
  chain: string,
  from: readonly string[],
  why: string | undefined,
  onlyNew = true,
): readonly Jump[] {
  const matches: Match[] = [];
  if (onlyNew) matches.push({ match: "conntrack", states: ["NEW"] });
  if (why !== undefined) matches.push(comment(why));
  const stays = chain === "KUBE-FIREWALL";
  return from.map((builtin) => ({ table, from: builtin, rule: { matches, target: jump(chain) }, stays }));
}
