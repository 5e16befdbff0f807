/** Owns the host-local plugin: addresses of ranges, given out on one node, that knows nothing of the other nodes. */
import {
  addToIp,
  type Cidr,
  contains,
  formatCidr,
  formatIp,
  type Ip,
  lastOf,
  networkOf,
  tryParseCidr,
  tryParseIp,
  widthOf,
} from "../../net/address";
import { field, isObject, type JsonObject, listField, objectField } from "./gojson";
import { type CniAddress, type CniResult, type CniRoute, type Plugin, type PluginCall, PluginError } from "./plugin";

const dataFolder = "/var/lib/cni/networks";

/** A part of a subnet that addresses come from; both ends are given too. */
interface Range {
  readonly subnet: Cidr;
  readonly start: Ip;
  readonly end: Ip;
  readonly gateway: Ip;
}

/**
 * containernetworking plugins, plugins/ipam/host-local. What is given is a file: /var/lib/cni/networks/NETWORK/ADDRESS holds
 * who has it, last_reserved_ip.N the newest of the range set N. So the reader may look, and may take a file away.
 */
export const hostLocal: Plugin = {
  add(call) {
    const { ranges, routes, folder } = configOf(call);
    const ips: CniAddress[] = [];
    for (const [at, set] of ranges.entries()) {
      try {
        ips.push(give(call, folder, set, at));
      } catch (error) {
        if (!(error instanceof PluginError)) throw error;
        release(call, folder);
        throw new PluginError(`failed to allocate for range ${at}: ${error.message}`);
      }
    }
    return { ips, routes } satisfies CniResult;
  },
  delete(call) {
    release(call, configOf(call).folder);
  },
};

/** The next free address after the one that was given last, so that none is used again at once. */
function give({ pod, node, device }: PluginCall, folder: string, set: readonly Range[], at: number): CniAddress {
  const { files } = node;
  const newest = `${folder}/last_reserved_ip.${at}`;
  for (const { ip, range } of candidates(set, tryParseIp(files.read(newest)?.trim() ?? ""))) {
    const path = `${folder}/${formatIp(ip)}`;
    if (files.entry(path)) continue;
    files.write(path, `${pod.id}\r\n${device}`, 0o644);
    files.write(newest, formatIp(ip), 0o644);
    return { address: { ip, length: range.subnet.length }, gateway: range.gateway };
  }
  const shown = set.map(({ start, end }) => `${formatIp(start)}-${formatIp(end)}`).join(",");
  throw new PluginError(`no IP addresses available in range set: ${shown}`);
}

/** Once around all ranges of a set, without the gateways. */
function* candidates(set: readonly Range[], newest: Ip | undefined): Generator<{ ip: Ip; range: Range }> {
  const holds = (range: Range): boolean => newest !== undefined && within(range, newest);
  const from = Math.max(0, set.findIndex(holds));
  const first = set[from] as Range;
  const begin = newest !== undefined && holds(first) ? newest : undefined;
  if (begin !== undefined) yield* span(first, addToIp(begin, 1), first.end);
  for (let step = begin === undefined ? 0 : 1; step < set.length; step++) {
    const range = set[(from + step) % set.length] as Range;
    yield* span(range, range.start, range.end);
  }
  if (begin !== undefined) yield* span(first, first.start, begin);
}

function* span(range: Range, from: Ip, to: Ip): Generator<{ ip: Ip; range: Range }> {
  for (let ip = from; ip <= to; ip = addToIp(ip, 1)) if (ip !== range.gateway) yield { ip, range };
}

function within({ start, end }: Range, ip: Ip): boolean {
  return typeof ip === typeof start && ip >= start && ip <= end;
}

function release({ pod, node, device }: PluginCall, folder: string): void {
  const { files } = node;
  const owner = `${pod.id}\r\n${device}`;
  for (const name of files.list(folder) ?? []) {
    if (tryParseIp(name) !== undefined && files.read(`${folder}/${name}`) === owner) files.remove(`${folder}/${name}`);
  }
}

interface Config {
  readonly ranges: readonly (readonly Range[])[];
  readonly routes: readonly CniRoute[];
  readonly folder: string;
}

const known = new WeakMap<JsonObject, Config>();

/** allocator.LoadIPAMConfig: an old-style `subnet` comes before `ranges`. */
function configOf({ config, network }: PluginCall): Config {
  const before = known.get(config);
  if (before) return before;
  const ipam = objectField(config, "ipam", "allocator.IPAMConfig");
  if (!ipam) throw new PluginError("IPAM config missing 'ipam' key");
  const sets = listField(ipam, "ranges", "[]allocator.RangeSet").map((set) => (Array.isArray(set) ? set : [set]));
  if (ipam.subnet !== undefined) sets.unshift([ipam]);
  if (sets.length === 0) throw new PluginError("no IP ranges specified");
  const ranges = sets.map((set: readonly unknown[], at) => {
    try {
      if (set.length === 0) throw new PluginError("empty range set");
      const read = set.map(rangeOf);
      checkSet(read);
      return read;
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      throw new PluginError(`invalid range set ${at}: ${error.message}`);
    }
  });
  checkOverlaps(ranges);
  const routes = listField(ipam, "routes", "[]types.Route").map(routeOf);
  const read = { ranges, routes, folder: `${field(ipam, "dataDir", "string") ?? dataFolder}/${network}` };
  known.set(config, read);
  return read;
}

/** allocator.Range.Canonicalize. */
function rangeOf(value: unknown): Range {
  const given = isObject(value) ? value : {};
  const text = field(given, "subnet", "string", "Range") ?? "";
  const subnet = text.includes("/") ? tryParseCidr(text) : undefined;
  if (!subnet) throw new PluginError(`invalid CIDR address: ${text}`);
  const network = networkOf(subnet);
  const shown = formatCidr(network);
  if (subnet.length > widthOf(subnet.ip) - 2) throw new PluginError(`Network ${shown} too small to allocate from`);
  const gateway = addressOf(given, "gateway") ?? addToIp(network.ip, 1);
  if (!contains(network, gateway)) throw new PluginError(`gateway ${formatIp(gateway)} not in network ${shown}`);
  const start = addressOf(given, "rangeStart") ?? addToIp(network.ip, 1);
  if (!contains(network, start)) throw new PluginError(`${formatIp(start)} not in network ${shown}`);
  const last = lastOf(network);
  const end = addressOf(given, "rangeEnd") ?? (typeof last === "number" ? last - 1 : last);
  if (!contains(network, end)) throw new PluginError(`${formatIp(end)} not in network ${shown}`);
  if (end < start) {
    throw new PluginError(`${formatIp(end)} is in network ${shown} but before start ${formatIp(start)}`);
  }
  return { subnet: network, start, end, gateway };
}

function addressOf(given: JsonObject, name: string): Ip | undefined {
  const text = field(given, name, "string", "Range");
  if (text === undefined || text === "") return undefined;
  const ip = tryParseIp(text);
  if (ip === undefined) throw new PluginError(`invalid IP address: ${text}`);
  return ip;
}

function routeOf(value: unknown): CniRoute {
  const given = isObject(value) ? value : {};
  const text = field(given, "dst", "string", "Route") ?? "";
  const to = text.includes("/") ? tryParseCidr(text) : undefined;
  if (!to) throw new PluginError(`invalid CIDR address: ${text}`);
  const via = addressOf(given, "gw");
  return { to: networkOf(to), ...(via !== undefined && { via }) };
}

/** All of a set are of one family, and none holds what another holds. */
function checkSet(set: readonly Range[]): void {
  for (const [at, range] of set.entries()) {
    for (const other of set.slice(at + 1)) {
      if (typeof range.start !== typeof other.start) throw new PluginError("mixed address families");
      if (overlap(range, other)) {
        const shown = [range, other].map(({ start, end }) => `${formatIp(start)}-${formatIp(end)}`);
        throw new PluginError(`subnets ${shown.join(" and ")} overlap`);
      }
    }
  }
}

function checkOverlaps(sets: readonly (readonly Range[])[]): void {
  for (const [at, set] of sets.entries()) {
    for (const [more, other] of sets.slice(at + 1).entries()) {
      if (!set.some((one) => other.some((two) => overlap(one, two)))) continue;
      throw new PluginError(`range set ${at} overlaps with ${at + more + 1}`);
    }
  }
}

function overlap(one: Range, other: Range): boolean {
  return within(one, other.start) || within(other, one.start);
}
