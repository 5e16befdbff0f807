/** Owns the configuration of a flow case: which kube-proxy on which node the flows are asked of. */
import { type Cidr, type Family, type Ip, tryParseCidr, tryParseIp } from "../../net/address";
import { type ModeName, modeNames, type Scheduler, schedulers } from "../../node/proxy/mode";
import type { Value } from "./input";

export interface NodeInterface {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** All of it, defaults filled in. */
export interface FlowConfig {
  readonly mode: ModeName;
  readonly family: Family;
  readonly nodeName: string;
  /** Of the family first. */
  readonly nodeIp: string;
  /** All that count as the node's own, besides loopback. */
  readonly nodeIps: readonly string[];
  readonly interfaces: readonly NodeInterface[];
  readonly clusterCidr: string | undefined;
  readonly masqueradeAll: boolean;
  readonly masqueradeBit: number;
  readonly localhostNodePorts: boolean;
  /** Undefined: the mode's own default. */
  readonly nodePortAddresses: readonly string[] | undefined;
  readonly serviceCidrs: readonly string[];
  readonly counters: readonly string[];
  /** Packets out of order are let through (net.netfilter.nf_conntrack_tcp_be_liberal). */
  readonly conntrackLiberal: boolean;
  readonly scheduler: Scheduler;
  readonly featureGates: Readonly<Record<string, boolean>>;
  /** The node's zone, by which hints are read. */
  readonly zone: string | undefined;
}

const names = [
  ...["proxyMode", "ipFamily", "nodeName", "nodeIP", "nodeIPs", "interfaces", "detectLocal", "masqueradeAll"],
  ...["masqueradeMark", "localhostNodePorts", "nodePortAddresses", "serviceCIDRs", "nfacctCounters", "featureGates"],
  ...["scheduler", "zone", "conntrackTCPLiberal"],
];

/** Reads a configuration; all of it may be left out. @throws InputError about the first thing that is wrong */
export function readConfig(value: Value): FlowConfig {
  if (value.exists) value.mapping(names);
  const read = <T>(name: string, reader: (field: Value) => T, otherwise: T): T => {
    const field = value.exists ? value.at(name) : undefined;
    return field?.exists ? reader(field) : otherwise;
  };
  const family = read("ipFamily", (field) => field.oneOf(["IPv4", "IPv6"] as const), "IPv4");
  const given = read("nodeIP", ipText, undefined);
  const all = read("nodeIPs", (field) => field.list().map(ipText), given === undefined ? [] : [given]);
  const ofFamily = (ip: string | undefined): boolean => ip !== undefined && ip.includes(":") === (family === "IPv6");
  const nodeIp = ofFamily(given) ? given : all.find(ofFamily);
  const primary = nodeIp ?? (family === "IPv4" ? "192.168.0.2" : "2001:db8::1");
  return {
    mode: read("proxyMode", (field) => field.oneOf(modeNames), "iptables"),
    family,
    nodeName: read("nodeName", (field) => field.text(), "this-node"),
    nodeIp: primary,
    nodeIps: nodeIp === undefined ? [...all, primary] : all,
    interfaces: read("interfaces", readInterfaces, []),
    clusterCidr: read("detectLocal", (field) => readDetectLocal(field, family), undefined),
    masqueradeAll: read("masqueradeAll", (field) => field.bool(), false),
    masqueradeBit: read("masqueradeMark", readMark, 14),
    localhostNodePorts: read("localhostNodePorts", (field) => field.bool(), true),
    nodePortAddresses: read("nodePortAddresses", (field) => readNodePortAddresses(field, primary), undefined),
    serviceCidrs: read("serviceCIDRs", (field) => field.list().map(cidrText), []),
    counters: read("nfacctCounters", (field) => field.list().map((each) => each.text()), []),
    conntrackLiberal: read("conntrackTCPLiberal", (field) => field.bool(), false),
    scheduler: read("scheduler", (field) => field.oneOf(schedulers), "rr"),
    featureGates: read("featureGates", readGates, {}),
    zone: read("zone", (field) => field.text(), undefined),
  };
}

/** An IP address as Kubernetes reads it, `010.0.0.1` too. */
export function ipText(field: Value): string {
  return readIp(field) === undefined ? field.fail("no IP address") : field.text();
}

/** The address that a text means. */
export function readIp(field: Value): Ip {
  const text = field.text();
  const canonical = text.includes(":") ? text : text.replace(/\b0+(?=\d)/g, "");
  return tryParseIp(canonical) ?? field.fail(`must be an IP address, not ${JSON.stringify(text)}`);
}

function cidrText(field: Value): string {
  readCidr(field);
  return field.text();
}

function readCidr(field: Value): Cidr {
  const text = field.text();
  return tryParseCidr(text.trim()) ?? field.fail(`must be a prefix like 10.0.0.0/8, not ${JSON.stringify(text)}`);
}

/** `primary` is kube-proxy's own word for the node's own addresses; no prefix at all leaves it to the mode. */
function readNodePortAddresses(field: Value, nodeIp: string): readonly string[] | undefined {
  const list = field.list();
  if (list.length === 1 && list[0]?.value === "primary") return [`${nodeIp}/${nodeIp.includes(":") ? 128 : 32}`];
  return list.length === 0 ? undefined : list.map(cidrText);
}

function readInterfaces(field: Value): readonly NodeInterface[] {
  return field.list().map((each) => {
    each.mapping(["name", "addresses"]);
    return { name: each.at("name").text(), addresses: each.at("addresses").list().map(cidrText) };
  });
}

/** Where pods live: of a list (`10.0.0.0/8,fd00::/48`) the prefix of this family. */
function readDetectLocal(field: Value, family: Family): string | undefined {
  field.mapping(["mode", "clusterCIDR"]);
  const mode = field.at("mode").exists
    ? field.at("mode").oneOf(["ClusterCIDR", "none", "None"] as const)
    : "ClusterCIDR";
  const cidr = field.at("clusterCIDR");
  if (mode !== "ClusterCIDR" || !cidr.exists) return undefined;
  const texts = cidr
    .text()
    .split(",")
    .filter((text) => text.trim() !== "");
  for (const text of texts) {
    if (!tryParseCidr(text.trim())) cidr.fail(`must be a prefix like 10.0.0.0/8, not ${JSON.stringify(text)}`);
  }
  return texts.map((text) => text.trim()).find((text) => text.includes(":") === (family === "IPv6"));
}

/** `0x4000` → 14. */
function readMark(field: Value): number {
  const mark = typeof field.value === "number" ? field.value : Number(field.text());
  const bit = Math.log2(mark);
  if (!Number.isInteger(bit) || bit < 0 || bit > 31) field.fail(`must be one bit like 0x4000, not ${field.value}`);
  return bit;
}

function readGates(field: Value): Readonly<Record<string, boolean>> {
  field.mapping(Object.keys((field.value as object | null) ?? {}));
  return Object.fromEntries(Object.keys(field.value as object).map((name) => [name, field.at(name).bool()]));
}
