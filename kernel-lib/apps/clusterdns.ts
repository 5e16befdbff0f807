/**
 * Owns the names of a cluster: what the Kubernetes DNS specification says of Services and pods, as CoreDNS' plugin
 * `kubernetes` answers it from the store (coredns plugin/kubernetes, plugin/backend_lookup.go).
 */
import type { Store } from "../api/store";
import { backendOf, type Entry, type ZoneOptions } from "./clusternames";
import { type DnsAnswer, type DnsRecord, type Question, reverseName } from "./dns";

/** What the names are made from. */
export interface ClusterDnsOptions {
  readonly store: Store;
  /** Default `cluster.local`. */
  readonly domain?: string;
  /** Asked for every name outside; undefined: there is nobody to ask. */
  readonly upstream?: (question: Question) => DnsAnswer | undefined;
}

/** What the plugin says: an answer, an answer that needs one from outside first, or that somebody else should answer. */
export type ZoneReply =
  | { readonly kind: "answer"; readonly answer: DnsAnswer }
  | {
      readonly kind: "outside";
      readonly question: Question;
      readonly finish: (outside: DnsAnswer | undefined) => DnsAnswer;
    }
  | { readonly kind: "next" };

const next: ZoneReply = { kind: "next" };

/** Answers a question at once; a name outside the cluster is what `upstream` says, or a failure without one. */
export function clusterDns(given: ClusterDnsOptions): (question: Question) => DnsAnswer {
  const { store, domain = "cluster.local", upstream } = given;
  const zones = [`${domain}.`, "in-addr.arpa.", "ip6.arpa."];
  const options: ZoneOptions = { store, zones, pods: "insecure", ttl: 30, fallthrough: zones.slice(1) };
  return (question) => {
    const reply = kubernetesReply(options, question);
    if (reply.kind === "answer") return reply.answer;
    if (reply.kind === "outside") return reply.finish(upstream?.(reply.question));
    const nobody = { authoritative: false, answers: [], authority: [], additional: [] };
    const isReverse = question.name.toLowerCase().endsWith(".arpa.");
    return upstream?.(question) ?? { ...nobody, rcode: isReverse ? "NXDOMAIN" : "SERVFAIL" };
  };
}

/** The zone that a name is in: the longest of them. */
export function zoneOf(zones: readonly string[], name: string): string | undefined {
  const lower = name.toLowerCase();
  const fitting = zones.filter((zone) => zone === "." || lower === zone || lower.endsWith(`.${zone}`));
  return fitting.sort((a, b) => b.length - a.length)[0];
}

/** A name does not exist: unlike an empty list, which says that it has no such record. */
const nameError = Symbol("NXDOMAIN");
type Found = readonly DnsRecord[] | typeof nameError | { readonly alias: DnsRecord; readonly target: string };
type Extra = readonly DnsRecord[];

/** NXDOMAIN for a name that is not there, NOERROR without answers for a name that has no record of the type. */
export function kubernetesReply(options: ZoneOptions, question: Question): ZoneReply {
  const zone = zoneOf(options.zones, question.name);
  if (zone === undefined) return next;
  const { found, extra } = lookUp(options, zone, question);
  if (found === nameError && zoneOf(options.fallthrough, question.name) !== undefined) return next;
  const soa = soaOf(zone, options.ttl);
  const reply = (rcode: "NOERROR" | "NXDOMAIN", answers: readonly DnsRecord[], additional: Extra): DnsAnswer => {
    if (answers.length === 0) return { rcode, authoritative: true, answers, authority: [soa], additional: [] };
    // CoreDNS echoes the name as it was asked, case and all.
    const lower = question.name.toLowerCase();
    const echoed = answers.map((record) => (record.name === lower ? { ...record, name: question.name } : record));
    return { rcode, authoritative: true, answers: echoed, authority: [], additional };
  };
  if (found === nameError) return { kind: "answer", answer: reply("NXDOMAIN", [], []) };
  if ("alias" in found) {
    const finish = (outside: DnsAnswer | undefined): DnsAnswer => {
      return reply("NOERROR", outside ? [found.alias, ...outside.answers] : [], []);
    };
    return { kind: "outside", question: { name: found.target, type: question.type }, finish };
  }
  return { kind: "answer", answer: reply("NOERROR", found, extra) };
}

function soaOf(zone: string, ttl: number): DnsRecord {
  const data = `ns.dns.${zone} hostmaster.${zone} 1767225600 7200 1800 86400 ${ttl}`;
  return { name: zone, type: "SOA", ttl, data };
}

function lookUp(options: ZoneOptions, zone: string, question: Question): { found: Found; extra: Extra } {
  const { type } = question;
  const name = question.name.toLowerCase();
  const plain = (found: Found): { found: Found; extra: Extra } => ({ found, extra: [] });
  switch (type) {
    case "A":
    case "AAAA":
      return plain(addresses(options, zone, name, type, []));
    case "CNAME":
      return plain(aliases(options, zone, name));
    case "TXT":
      return plain(texts(options, zone, name));
    case "PTR":
      return plain(pointers(options, zone, name));
    case "SRV":
      return services(options, zone, name);
    case "SOA":
      if (name === zone) return plain([soaOf(zone, options.ttl)]);
      break;
    case "NS":
      if (name === zone) return nameServers(options, zone);
      break;
  }
  // A lookup of addresses tells whether there is such a name at all.
  const found = addresses(options, zone, name, "A", []);
  return plain(found === nameError ? nameError : []);
}

/** More aliases than these in a row are not followed. */
const longestChain = 8;

/**
 * Addresses, aliases within the cluster followed. An alias that leads to itself, or in a circle, is left out: what is
 * then left is no record at all, but the name is there.
 */
function addresses(
  options: ZoneOptions,
  zone: string,
  name: string,
  type: "A" | "AAAA",
  before: readonly DnsRecord[],
): Found {
  const entries = backendOf(options, zone, name);
  if (!entries) return nameError;
  const records: DnsRecord[] = [];
  for (const entry of entries) {
    if (entry.kind === "alias") {
      const { ttl } = options;
      const target = `${entry.host.replace(/\.$/, "")}.`;
      const lower = target.toLowerCase();
      const loops = lower === name || lower.endsWith(`.${name}`) || before.some(({ data }) => data === target);
      if (loops || before.length >= longestChain) continue;
      const alias: DnsRecord = { name, type: "CNAME", ttl, data: target };
      if (zoneOf([zone], lower) === undefined) return before.length === 0 ? { alias, target } : [];
      const rest = addresses(options, zone, lower, type, [...before, alias]);
      if (rest !== nameError && !("alias" in rest) && rest.length > 0) records.push(alias, ...rest);
    } else if (entry.host.includes(":") === (type === "AAAA")) {
      if (records.every(({ data }) => data !== entry.host)) {
        records.push({ name, type, ttl: options.ttl, data: entry.host });
      }
    }
  }
  return records;
}

function aliases(options: ZoneOptions, zone: string, name: string): Found {
  const entries = backendOf(options, zone, name);
  if (!entries) return nameError;
  const [first] = entries;
  if (first?.kind !== "alias") return [];
  return [{ name, type: "CNAME", ttl: options.ttl, data: `${first.host.replace(/\.$/, "")}.` }];
}

function texts(_options: ZoneOptions, zone: string, name: string): Found {
  if (name !== `dns-version.${zone}`) return [];
  return [{ name, type: "TXT", ttl: 28_800, data: '"1.1.0"' }];
}

/** One record an endpoint and port; a Service with a cluster IP is its own target. */
function services(options: ZoneOptions, zone: string, name: string): { found: Found; extra: Extra } {
  const entries = backendOf(options, zone, name);
  if (!entries) return { found: nameError, extra: [] };
  const inside = entries.filter((entry): entry is Entry & { kind: "address" } => entry.kind === "address");
  const weight = Math.max(1, Math.floor(100 / inside.length));
  const found = new Map<string, DnsRecord>();
  const extra = new Map<string, DnsRecord>();
  for (const { host, port, key } of inside) {
    if (port === undefined) continue;
    const data = `0 ${weight} ${port} ${key}`;
    found.set(`${port} ${key}`, { name, type: "SRV", ttl: options.ttl, data });
    const type = host.includes(":") ? "AAAA" : "A";
    extra.set(`${key} ${host}`, { name: key, type, ttl: options.ttl, data: host });
  }
  return { found: [...found.values()], extra: [...extra.values()] };
}

/** The name of a cluster IP; else of all ready endpoints with that address, each under its Service. */
function pointers(options: ZoneOptions, zone: string, name: string): Found {
  if (!zone.endsWith("arpa.")) {
    const entries = backendOf(options, zone, name);
    return entries ? [] : nameError;
  }
  const primary = options.zones.find((each) => !each.endsWith("arpa.")) ?? "cluster.local.";
  const pointer = (data: string): DnsRecord => ({ name, type: "PTR", ttl: options.ttl, data });
  const { store } = options;
  for (const { spec, metadata } of store.list("Service")) {
    const ips = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []);
    if (ips.some((ip) => ip !== "None" && reverseName(ip) === name)) {
      return [pointer(`${metadata.name}.${metadata.namespace}.svc.${primary}`)];
    }
  }
  const found = new Map<string, DnsRecord>();
  for (const slice of store.list("EndpointSlice")) {
    const service = slice.metadata.labels?.["kubernetes.io/service-name"];
    if (service === undefined) continue;
    for (const { addresses: ips, conditions, hostname } of slice.endpoints ?? []) {
      if (conditions?.ready === false) continue;
      for (const ip of ips) {
        if (reverseName(ip) !== name) continue;
        const host = hostname ?? ip.replace(/[.:]/g, "-");
        const data = `${host}.${service}.${slice.metadata.namespace}.svc.${primary}`;
        found.set(data, pointer(data));
      }
    }
  }
  return found.size > 0 ? [...found.values()] : nameError;
}

/** The server itself: the Service that it is behind. */
function nameServers(options: ZoneOptions, zone: string): { found: Found; extra: Extra } {
  const { ttl, store } = options;
  const service = store.get("Service", "kube-system/kube-dns");
  const ips = service?.spec.clusterIPs ?? [];
  const target = service ? `kube-dns.kube-system.svc.${zone}` : `ns.dns.${zone}`;
  const extra = ips.map((data): DnsRecord => ({ name: target, type: data.includes(":") ? "AAAA" : "A", ttl, data }));
  return { found: ips.length > 0 ? [{ name: zone, type: "NS", ttl, data: target }] : [], extra };
}
