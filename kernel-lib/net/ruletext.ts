/** Owns the text of iptables rules, exactly as `iptables-save` (1.8.9) prints them. */
import { type Cidr, type Family, formatCidr, formatIp, formatSocketAddress, networkOf } from "./address";
import { icmpKindText } from "./icmptypes";
import type { Inverted, Invertible, Match, PortMatch, Rule, Target } from "./rule";

/** A rule as its line in `iptables-save`, without counters: `-A CHAIN … -j …`. */
export function ruleText(chain: string, rule: Rule, family: Family = "IPv4"): string {
  const words = [`-A ${chain}`];
  if (rule.source && !isEverywhere(rule.source)) words.push(option("-s", rule.source, cidrText));
  if (rule.destination && !isEverywhere(rule.destination)) words.push(option("-d", rule.destination, cidrText));
  if (rule.input) words.push(option("-i", rule.input, String));
  if (rule.output) words.push(option("-o", rule.output, String));
  if (rule.protocol)
    words.push(option("-p", rule.protocol, (name) => (name === "icmp" && family === "IPv6" ? "ipv6-icmp" : name)));
  for (const match of rule.matches ?? []) words.push(matchText(match, family));
  if (rule.target) words.push(targetText(rule.target, family));
  return words.join(" ");
}

/** How the kernel keeps a probability: a fraction of 2^31 (net/netfilter/xt_statistic.c). */
export function keptProbability(probability: number): number {
  return Math.round(probability * 0x80000000) / 0x80000000;
}

export function isInverted<T>(value: Invertible<T>): value is Inverted<T> {
  return typeof value === "object" && value !== null && "not" in value;
}

function isEverywhere(value: Invertible<Cidr>): boolean {
  return !isInverted(value) && value.length === 0;
}

function option<T>(name: string, value: Invertible<T>, text: (value: T) => string): string {
  return isInverted(value) ? `! ${name} ${text(value.not)}` : `${name} ${text(value)}`;
}

function cidrText(cidr: Cidr): string {
  return formatCidr(networkOf(cidr));
}

function portText(port: PortMatch): string {
  if (typeof port === "number") return String(port);
  return port.from === port.to ? String(port.from) : `${port.from}:${port.to}`;
}

function matchText(match: Match, family: Family): string {
  const words = [`-m ${match.match === "icmp" && family === "IPv6" ? "icmp6" : match.match}`];
  switch (match.match) {
    case "comment":
      words.push(`--comment ${quoted(match.comment)}`);
      break;
    case "tcp":
    case "udp":
    case "sctp":
      if (match.sourcePort !== undefined) words.push(option("--sport", match.sourcePort, portText));
      if (match.targetPort !== undefined) words.push(option("--dport", match.targetPort, portText));
      break;
    case "icmp":
      words.push(option(family === "IPv4" ? "--icmp-type" : "--icmpv6-type", match.kind, icmpKindText));
      break;
    case "addrtype":
      if (match.source !== undefined) words.push(option("--src-type", match.source, String));
      if (match.target !== undefined) words.push(option("--dst-type", match.target, String));
      break;
    case "mark":
      words.push(`${match.not ? "! " : ""}--mark ${hex(match.value)}${maskText(match.mask)}`);
      break;
    case "statistic":
      words.push(`--mode random --probability ${keptProbability(match.probability).toFixed(11)}`);
      break;
    case "conntrack":
      words.push(`${match.not ? "! " : ""}--ctstate ${stateOrder.filter((s) => match.states.includes(s)).join(",")}`);
      break;
    case "state":
      words.push(`${match.not ? "! " : ""}--state ${stateOrder.filter((s) => match.states.includes(s)).join(",")}`);
      break;
    case "set":
      words.push(`${match.not ? "! " : ""}--match-set ${match.set} ${match.directions.join(",")}`);
      break;
    case "physdev":
      words.push(`${isInverted(match.isIn) ? "! " : ""}--physdev-is-in`);
      break;
    case "ipvs":
      if (match.protocol) words.push(`--vproto ${protocolNumbers[match.protocol]}`);
      if (match.ip !== undefined) words.push(`--vaddr ${formatIp(match.ip)}`);
      if (match.port !== undefined) words.push(`--vport ${match.port}`);
      break;
    case "nfacct":
      words.push(`--nfacct-name ${match.name}`);
      break;
    case "recent":
      words.push(`--${match.mode}`);
      if (match.mode === "rcheck" && match.seconds !== undefined) words.push(`--seconds ${match.seconds}`);
      if (match.mode === "rcheck" && match.reap) words.push("--reap");
      words.push(`--name ${match.name} --mask ${family === "IPv4" ? "255.255.255.255" : allOnes} --rsource`);
      break;
  }
  return words.join(" ");
}

/** /etc/protocols */
const protocolNumbers = { icmp: 1, tcp: 6, udp: 17, sctp: 132 } as const;

/** The order in which iptables prints states (extensions/libxt_conntrack.c). */
const stateOrder = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"] as const;

function targetText(target: Target, family: Family): string {
  switch (target.target) {
    case "jump":
      return `-j ${target.chain}`;
    case "goto":
      return `-g ${target.chain}`;
    case "REJECT":
      return `-j REJECT --reject-with ${rejectText(target.with ?? "icmp-port-unreachable", family)}`;
    case "DNAT":
      return `-j DNAT --to-destination ${
        target.port === undefined ? formatIp(target.ip) : formatSocketAddress(target.ip, target.port)
      }`;
    case "REDIRECT":
      return `-j REDIRECT${target.port === undefined ? "" : ` --to-ports ${target.port}`}`;
    case "SNAT":
      return `-j SNAT --to-source ${formatIp(target.ip)}`;
    case "MASQUERADE":
      return `-j MASQUERADE${target.randomFully ? " --random-fully" : ""}`;
    case "MARK":
      return `-j MARK --set-xmark ${hex(target.value)}/${hex(target.mask)}`;
    default:
      return `-j ${target.target}`;
  }
}

const allOnes = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

/** What ip6tables calls the same answers. */
const rejectTexts6 = {
  "icmp-port-unreachable": "icmp6-port-unreachable",
  "icmp-host-unreachable": "icmp6-addr-unreachable",
  "icmp-admin-prohibited": "icmp6-adm-prohibited",
  "tcp-reset": "tcp-reset",
} as const;

function rejectText(how: keyof typeof rejectTexts6, family: Family): string {
  return family === "IPv4" ? how : rejectTexts6[how];
}

function maskText(mask: number | undefined): string {
  return mask === undefined || mask >>> 0 === 0xffffffff ? "" : `/${hex(mask)}`;
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

/** Quotes are left out around letters, digits, `_` and `-` only (libxtables/xtables.c, xtables_save_string). */
function quoted(text: string): string {
  return /^[-_0-9A-Za-z]+$/.test(text) ? text : `"${text.replace(/["\\']/g, "\\$&")}"`;
}
