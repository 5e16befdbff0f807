/** Owns MetalLB's configuration as its programs read it: pools of addresses, and which nodes announce them how. */
import type { Kinds } from "../../api/kinds";
import type { Immutable } from "../../api/meta";
import type { BGPAdvertisementSpec, L2AdvertisementSpec } from "../../api/metallb";
import { matchesSelector } from "../../api/selectors";
import type { Store } from "../../api/store";
import {
  contains,
  type Family,
  family as familyOf,
  formatIp,
  type Ip,
  lastOf,
  networkOf,
  parseIp,
  tryParseCidr,
} from "../../net/address";

/** A row of addresses, both ends included. */
export interface Range {
  readonly first: Ip;
  readonly last: Ip;
  readonly family: Family;
}

/** An IPAddressPool, read. */
export interface Pool {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ranges: readonly Range[];
  readonly autoAssign: boolean;
  readonly avoidBuggyIps: boolean;
  readonly allocation: Kinds["IPAddressPool"]["spec"]["serviceAllocation"];
}

const namespace = "metallb-system";

export function poolsOf(store: Store): readonly Pool[] {
  const found = store.list("IPAddressPool", { namespace }).map(({ metadata, spec }) => ({
    name: metadata.name,
    labels: metadata.labels ?? {},
    ranges: spec.addresses.map(rangeOf),
    autoAssign: spec.autoAssign ?? true,
    avoidBuggyIps: spec.avoidBuggyIPs ?? false,
    allocation: spec.serviceAllocation,
  }));
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The text has been validated. */
function rangeOf(text: string): Range {
  const cidr = tryParseCidr(text);
  if (cidr) return { first: networkOf(cidr).ip, last: lastOf(cidr), family: familyOf(cidr.ip) };
  const [first = "", last = ""] = text.split("-").map((each) => each.trim());
  return { first: parseIp(first), last: parseIp(last), family: familyOf(parseIp(first)) };
}

/** Whether a pool has all of these addresses. */
export function hasAll({ ranges, avoidBuggyIps }: Pool, ips: readonly string[]): boolean {
  return ips.every((text) => {
    const ip = parseIp(text);
    if (avoidBuggyIps && confusesBuggyFirmwares(text)) return false;
    return ranges.some(({ first, last, family }) => family === familyOf(ip) && first <= ip && ip <= last);
  });
}

export function confusesBuggyFirmwares(ip: string): boolean {
  return /\.(0|255)$/.test(ip);
}

/** An advertisement of a pool as one node reads it. */
interface Advertising {
  readonly ipAddressPools?: readonly string[];
  readonly ipAddressPoolSelectors?: L2AdvertisementSpec["ipAddressPoolSelectors"];
  readonly nodeSelectors?: L2AdvertisementSpec["nodeSelectors"];
}

/** Which pools an advertisement is about: those it names or selects; all, if it does neither. */
function isAbout(spec: Immutable<Advertising>, pool: Pool): boolean {
  const { ipAddressPools = [], ipAddressPoolSelectors = [] } = spec;
  if (ipAddressPools.length === 0 && ipAddressPoolSelectors.length === 0) return true;
  const { name, labels } = pool;
  return ipAddressPools.includes(name) || ipAddressPoolSelectors.some((selector) => matchesSelector(selector, labels));
}

function isFor({ nodeSelectors = [] }: Immutable<Advertising>, labels: Readonly<Record<string, string>>): boolean {
  return nodeSelectors.length === 0 || nodeSelectors.some((selector) => matchesSelector(selector, labels));
}

/** Whether a node with these labels announces a pool by ARP. */
export function announcesByArp(store: Store, pool: Pool, labels: Readonly<Record<string, string>>): boolean {
  return store.list("L2Advertisement", { namespace }).some(({ spec }) => isAbout(spec, pool) && isFor(spec, labels));
}

/** The BGPAdvertisements that a node with these labels makes of a pool. */
export function bgpAdvertisementsOf(
  store: Store,
  pool: Pool,
  labels: Readonly<Record<string, string>>,
): readonly Immutable<BGPAdvertisementSpec>[] {
  const all = store.list("BGPAdvertisement", { namespace }).map(({ spec }) => spec);
  return all.filter((spec) => isAbout(spec, pool) && isFor(spec, labels));
}

/** The peers that a node with these labels speaks to. */
export function bgpPeersOf(store: Store, labels: Readonly<Record<string, string>>): readonly Kinds["BGPPeer"][] {
  return store.list("BGPPeer", { namespace }).filter(({ spec }) => isFor(spec, labels));
}

/** The prefix that an address is announced as. */
export function aggregate(ip: string, length: number): string {
  const prefix = networkOf({ ip: parseIp(ip), length });
  return contains(prefix, parseIp(ip)) ? `${formatIp(prefix.ip)}/${length}` : ip;
}
