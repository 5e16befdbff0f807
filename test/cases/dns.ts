/** Owns the judgement of one case of dns.json: what the Kubernetes DNS specification says, against ours. */
import type { Kind, Kinds } from "../../kernel-lib/api/kinds";
import { Store } from "../../kernel-lib/api/store";
import { clusterDns } from "../../kernel-lib/apps/clusterdns";
import type { DnsAnswer, DnsRecord, Question } from "../../kernel-lib/apps/dns";
import { createSim } from "../../kernel-lib/sim/sim";
import { differences, only } from "./compare";
import type { CaseObject } from "./endpointslice";

/** A store that holds these objects as they are, and the namespace `default`. */
export function storeWith(objects: readonly Kinds[Kind][]): Store {
  const store = new Store(createSim(1));
  store.create("Namespace", { kind: "Namespace", metadata: { name: "default" }, spec: {} }, "test");
  for (const object of objects) store.create(object.kind as "Service", object as Kinds["Service"], "test");
  return store;
}

/**
 * What the specification fixes of a record: not TTLs, SRV priorities and weights, nor the names that the system gives to
 * endpoints without a host name.
 */
function fixed({ name, type, data }: DnsRecord, hostnames: ReadonlySet<string>): string {
  const [target = "", ...rest] = (type === "SRV" ? data.split(" ").slice(2) : [data]).reverse();
  const labels = target.split(".");
  const isEndpoint = labels[3] === "svc" && !hostnames.has(labels[0] ?? "");
  const kept = isEndpoint ? ["<assigned>", ...labels.slice(1)].join(".") : target;
  return [name, type, ...rest.reverse(), kept].join(" ");
}

function hostnamesOf(objects: unknown): ReadonlySet<string> {
  const endpoints = only(objects, "EndpointSlice").flatMap((slice) => slice.endpoints ?? []);
  return new Set(endpoints.flatMap(({ hostname }) => hostname ?? []));
}

/** What differs from what the specification says; nothing: it passes. */
export function checkDnsCase(one: CaseObject & { readonly notes?: unknown }): readonly string[] {
  const { clusterDomain } = one.config as { readonly clusterDomain: string };
  const wanted = one.expect as { readonly rcode?: string; readonly answers?: readonly DnsRecord[] | null };
  const outside = (one.upstream ?? []) as readonly DnsRecord[];
  const upstream = ({ name, type }: Question): DnsAnswer => ({
    ...{ rcode: "NOERROR", authoritative: false, authority: [], additional: [] },
    answers: outside.filter((record) => record.name === name && record.type === type),
  });
  const store = storeWith(one.objects as readonly Kinds[Kind][]);
  const got = clusterDns({ store, domain: clusterDomain, upstream })(one.query as Question);
  const unknown = Object.keys(wanted).filter((key) => !["rcode", "answers"].includes(key));
  const hostnames = hostnamesOf(one.objects);
  const texts = (records: readonly DnsRecord[]): readonly string[] =>
    records.map((each) => fixed(each, hostnames)).sort();
  return [
    ...unknown.map((key) => `unknown expectation ${key}`),
    ...differences("rcode", wanted.rcode, got.rcode),
    ...(wanted.answers ? differences("answers", texts(wanted.answers), texts(got.answers)) : []),
    ...(one.expectCount === undefined ? [] : differences("count", one.expectCount, got.answers.length)),
  ];
}
