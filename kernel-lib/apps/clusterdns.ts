/** Owns the names of a cluster: what the Kubernetes DNS specification says of Services and pods, from the store. */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import { type DnsAnswer, type DnsRecord, type Question, reverseName } from "./dns";

/** What the names are made from. */
export interface ClusterDnsOptions {
  readonly store: Store;
  /** Default `cluster.local`. */
  readonly domain?: string;
  /** Asked for every name outside; undefined: there is nobody to ask. */
  readonly upstream?: (question: Question) => DnsAnswer | undefined;
}

type Service = Kinds["Service"];
type EndpointSlice = Kinds["EndpointSlice"];

/** CoreDNS' kubernetes plugin answers with this time to live, as kubeadm sets it. */
const ttl = 30;

/** An endpoint with a name of its own under its Service. */
interface Named {
  readonly host: string;
  readonly ip: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

interface Zone {
  readonly store: Store;
  readonly domain: string;
  readonly upstream: ClusterDnsOptions["upstream"];
}

/** Records of a name, or undefined where there is no such name (which an empty list does not say). */
type Found = { readonly answers: readonly DnsRecord[]; readonly additional?: readonly DnsRecord[] } | undefined;

/**
 * Answers a question about the cluster (kubernetes/dns docs/specification.md, 1.1.0): NXDOMAIN for a name that is not
 * there, NOERROR without answers for a name that has no record of the type.
 */
export function clusterDns({
  store,
  domain = "cluster.local",
  upstream,
}: ClusterDnsOptions): (q: Question) => DnsAnswer {
  const zone: Zone = { store, domain, upstream };
  return (question) => {
    const name = question.name.toLowerCase();
    const labels = name.replace(/\.$/, "").split(".");
    const found = isReverse(name) ? reverse(zone, question, name) : undefined;
    if (found) return authoritative(zone, found, question);
    const domainLabels = domain.split(".");
    const inside = labels.slice(-domainLabels.length).join(".") === domain;
    if (!inside) return upstream?.(question) ?? refused(isReverse(name) ? "NXDOMAIN" : "SERVFAIL");
    return authoritative(zone, lookUp(zone, question, labels.slice(0, -domainLabels.length)), question);
  };
}

function isReverse(name: string): boolean {
  return name.endsWith(".in-addr.arpa.") || name.endsWith(".ip6.arpa.");
}

function refused(rcode: "NXDOMAIN" | "SERVFAIL"): DnsAnswer {
  return { rcode, authoritative: false, answers: [], authority: [], additional: [] };
}

/** Without answers the zone's SOA goes along: it says how long the "no" may be remembered. */
function authoritative({ domain }: Zone, found: Found, { name, type }: Question): DnsAnswer {
  const soa: DnsRecord = {
    name: `${domain}.`,
    type: "SOA",
    ttl,
    data: `ns.dns.${domain}. hostmaster.${domain}. 1767225600 7200 1800 86400 ${ttl}`,
  };
  const additional = found?.additional ?? [];
  if (found && found.answers.length > 0) {
    // CoreDNS echoes the name as it was asked, case and all.
    const answers = found.answers.map((record) => (record.name === name.toLowerCase() ? { ...record, name } : record));
    return { rcode: "NOERROR", authoritative: true, answers, authority: [], additional };
  }
  if (found && type === "SOA")
    return { rcode: "NOERROR", authoritative: true, answers: [soa], authority: [], additional };
  return { rcode: found ? "NOERROR" : "NXDOMAIN", authoritative: true, answers: [], authority: [soa], additional: [] };
}

/** @param labels what stands before the cluster's domain */
function lookUp(zone: Zone, question: Question, labels: readonly string[]): Found {
  const { name, type } = question;
  if (labels.length === 0) return { answers: [] };
  if (labels.length === 1 && labels[0] === "dns-version") {
    return { answers: type === "TXT" ? [{ name, type, ttl: 28_800, data: '"1.1.0"' }] : [] };
  }
  const last = labels[labels.length - 1];
  if (last === "pod") return podName(zone, question, labels.slice(0, -1));
  if (last !== "svc") return undefined;
  const [namespace, service, ...rest] = labels.slice(0, -1).reverse();
  if (namespace === undefined) return { answers: [] };
  if (!zone.store.get("Namespace", namespace) && zone.store.list("Service", { namespace }).length === 0)
    return undefined;
  if (service === undefined) return { answers: [] };
  const object = zone.store.get("Service", `${namespace}/${service}`);
  return object ? serviceName(zone, question, object, rest.reverse()) : undefined;
}

/** `10-244-1-2.default.pod.cluster.local`: CoreDNS (`pods insecure`) answers without asking whether there is such a pod. */
function podName({ store }: Zone, { name, type }: Question, labels: readonly string[]): Found {
  const [namespace, ip] = [...labels].reverse();
  if (namespace === undefined || !store.get("Namespace", namespace)) return undefined;
  if (ip === undefined || labels.length > 2) return labels.length > 2 ? undefined : { answers: [] };
  const address = ip.replace(/-/g, ".");
  if (!/^(\d{1,3}\.){3}\d{1,3}$/.test(address)) return undefined;
  return { answers: type === "A" ? [{ name: name.toLowerCase(), type, ttl, data: address }] : [] };
}

/** @param before what stands before the Service's name: nothing, an endpoint's host name, or `_port._protocol` */
function serviceName(zone: Zone, question: Question, service: Service, before: readonly string[]): Found {
  const { type } = question;
  const name = question.name.toLowerCase();
  const own = ownName(zone, service);
  if (service.spec.type === "ExternalName") return before.length > 0 ? undefined : external(zone, question, service);
  const headless = service.spec.clusterIP === "None";
  const endpoints = headless ? namedEndpoints(zone, service) : [];
  if (headless && endpoints.length === 0) return undefined;
  const addresses = headless ? endpoints.map(({ ip }) => ip) : clusterIps(service);

  if (before.length === 0) {
    if (type === "SRV") return serviceRecords(name, own, service, endpoints, undefined);
    return { answers: addressRecords(name, type, addresses) };
  }
  const [first = "", second] = before;
  if (first.startsWith("_") && second?.startsWith("_") && before.length === 2) {
    const port = { name: first.slice(1), protocol: second.slice(1) };
    const records = serviceRecords(name, own, service, endpoints, port);
    if (!records || type === "SRV") return records;
    return { answers: [] };
  }
  if (before.length > 1) return undefined;
  const named = (headless ? endpoints : namedEndpoints(zone, service)).filter(({ host }) => host === first);
  return named.length === 0
    ? undefined
    : {
        answers: addressRecords(
          name,
          type,
          named.map(({ ip }) => ip),
        ),
      };
}

function addressRecords(name: string, type: string, ips: readonly string[]): readonly DnsRecord[] {
  if (type !== "A" && type !== "AAAA") return [];
  const fitting = [...new Set(ips)].filter((ip) => ip.includes(":") === (type === "AAAA"));
  return fitting.map((data) => ({ name, type, ttl, data }));
}

/** One record an endpoint and port; a Service with a cluster IP is its own target. Undefined: no such port. */
function serviceRecords(
  name: string,
  own: string,
  service: Service,
  endpoints: readonly Named[],
  wanted: { readonly name: string; readonly protocol: string } | undefined,
): Found {
  const fits = (port: { readonly name?: string | undefined; readonly protocol?: string | undefined }): boolean =>
    !wanted || (port.name === wanted.name && (port.protocol ?? "TCP").toLowerCase() === wanted.protocol);
  const targets =
    service.spec.clusterIP === "None"
      ? endpoints.flatMap(({ host, ip, ports }) =>
          ports.filter(fits).map((port) => ({ port: port.port, target: `${host}.${own}`, ip })),
        )
      : (service.spec.ports ?? []).filter(fits).flatMap((port) =>
          clusterIps(service)
            .slice(0, 1)
            .map((ip) => ({ port: port.port, target: own, ip })),
        );
  if (targets.length === 0) return undefined;
  const weight = Math.max(1, Math.floor(100 / targets.length));
  const additional = targets.flatMap(({ target, ip }) => addressRecords(target, ip.includes(":") ? "AAAA" : "A", [ip]));
  const answers = targets.map(({ port, target }): DnsRecord => {
    return { name, type: "SRV", ttl, data: `0 ${weight} ${port} ${target}` };
  });
  return {
    answers,
    additional: additional.filter(
      (one, at) => additional.findIndex((other) => other.name === one.name && other.data === one.data) === at,
    ),
  };
}

/** A CNAME, and what the name outside leads to. */
function external({ upstream }: Zone, question: Question, service: Service): Found {
  const target = `${(service.spec.externalName ?? "").replace(/\.$/, "")}.`;
  const alias: DnsRecord = { name: question.name.toLowerCase(), type: "CNAME", ttl, data: target };
  if (question.type === "CNAME") return { answers: [alias] };
  const outside = upstream?.({ name: target, type: question.type });
  return { answers: [alias, ...(outside?.answers ?? [])] };
}

function reverse(zone: Zone, { name, type }: Question, lower: string): Found {
  const records: DnsRecord[] = [];
  for (const service of zone.store.list("Service")) {
    if (clusterIps(service).some((ip) => reverseName(ip) === lower)) {
      records.push({ name, type: "PTR", ttl, data: ownName(zone, service) });
    }
  }
  if (records.length === 0) {
    for (const slice of zone.store.list("EndpointSlice")) {
      const service = serviceOf(zone.store, slice);
      if (service?.spec.clusterIP !== "None") continue;
      for (const { host, ip } of namedOf(slice)) {
        if (reverseName(ip) === lower)
          records.push({ name, type: "PTR", ttl, data: `${host}.${ownName(zone, service)}` });
      }
    }
  }
  return records.length === 0 ? undefined : { answers: type === "PTR" ? records : [] };
}

function ownName({ domain }: Zone, service: Service): string {
  return `${service.metadata.name}.${service.metadata.namespace}.svc.${domain}.`;
}

function clusterIps(service: Service): readonly string[] {
  const { clusterIP, clusterIPs, type } = service.spec;
  if (!clusterIP || clusterIP === "None" || type === "ExternalName") return [];
  return clusterIPs ?? [clusterIP];
}

function serviceOf(store: Store, slice: EndpointSlice): Service | undefined {
  const name = slice.metadata.labels?.["kubernetes.io/service-name"];
  return name === undefined ? undefined : store.get("Service", `${slice.metadata.namespace}/${name}`);
}

function namedEndpoints({ store }: Zone, service: Service): readonly Named[] {
  const labels = { "kubernetes.io/service-name": service.metadata.name };
  return store.list("EndpointSlice", { namespace: service.metadata.namespace ?? "default", labels }).flatMap(namedOf);
}

/** Ready endpoints (a Service that publishes unready ones has them marked ready), named by host name or by address. */
function namedOf(slice: EndpointSlice): readonly Named[] {
  const ports = (slice.ports ?? []).flatMap((port) =>
    port.port === undefined ? [] : [{ name: port.name ?? "", protocol: port.protocol ?? "TCP", port: port.port }],
  );
  return (slice.endpoints ?? [])
    .filter((endpoint) => endpoint.conditions?.ready ?? true)
    .flatMap((endpoint) =>
      endpoint.addresses.map((ip) => ({ host: endpoint.hostname ?? ip.replace(/[.:]/g, "-"), ip, ports })),
    );
}
