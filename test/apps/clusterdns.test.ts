import { expect, test } from "vitest";
import type { Kind, Kinds } from "../../kernel-lib/api/kinds";
import { Store } from "../../kernel-lib/api/store";
import { clusterDns } from "../../kernel-lib/apps/clusterdns";
import type { DnsAnswer, DnsRecord, Question, RecordType } from "../../kernel-lib/apps/dns";
import { reverseName } from "../../kernel-lib/apps/dns";
import { createSim } from "../../kernel-lib/sim/sim";
import { readCases } from "../node/cases";

interface DnsCase {
  readonly name: string;
  readonly config: { readonly clusterDomain: string };
  readonly objects: readonly Kinds[Kind][];
  readonly query: { readonly name: string; readonly type: RecordType };
  readonly expect: { readonly rcode: string; readonly answers: readonly DnsRecord[] | null };
  readonly expectCount?: number;
  readonly upstream?: readonly DnsRecord[];
}

function storeWith(objects: readonly Kinds[Kind][]): Store {
  const store = new Store(createSim(1));
  store.create("Namespace", { kind: "Namespace", metadata: { name: "default" }, spec: {} }, "test");
  for (const object of objects) store.create(object.kind as "Service", object as Kinds["Service"], "test");
  return store;
}

/** What the specification fixes of a record: not TTLs, SRV priorities and weights, nor names that the system assigns. */
function fixed({ name, type, data }: DnsRecord): string {
  const words = type === "SRV" ? data.split(" ").slice(2) : [data];
  return [name, type, ...words.map((word) => word.replace(/^(438934893|10-3-0-102)\./, "<assigned>."))].join(" ");
}

test("every case of the Kubernetes DNS specification is answered as it says", (context) => {
  const { cases } = readCases<{ cases: readonly DnsCase[] }>(context, "dns.json");
  expect(cases.length).toBeGreaterThan(10);
  for (const { name, config, objects, query, expect: wanted, expectCount, upstream } of cases) {
    const outside = ({ name: asked, type }: Question): DnsAnswer => ({
      rcode: "NOERROR",
      authoritative: false,
      answers: (upstream ?? []).filter((record) => record.name === asked && record.type === type),
      authority: [],
      additional: [],
    });
    const answer = clusterDns({ store: storeWith(objects), domain: config.clusterDomain, upstream: outside })(query);
    expect(answer.rcode, name).toBe(wanted.rcode);
    if (wanted.answers) expect(answer.answers.map(fixed), name).toEqual(wanted.answers.map(fixed));
    if (expectCount !== undefined) expect(answer.answers, name).toHaveLength(expectCount);
  }
});

test("names are told apart: a wrong name does not exist, a name without the type has no records, others' names are not ours", () => {
  const spec = {
    type: "ClusterIP",
    clusterIP: "10.96.0.50",
    clusterIPs: ["10.96.0.50"],
    ports: [{ name: "http", port: 80, protocol: "TCP" }],
  };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "default" },
    spec,
    status: {},
  };
  const ask = clusterDns({ store: storeWith([service as unknown as Kinds["Service"]]) });
  const says = (name: string, type: RecordType = "A"): string => {
    const { rcode, answers, authority } = ask({ name, type });
    return [rcode, ...answers.map(({ data }) => data), ...authority.map((record) => record.type)].join(" ");
  };
  expect(says("web.default.svc.cluster.local.")).toBe("NOERROR 10.96.0.50");
  expect(says("WEB.default.svc.cluster.local.")).toBe("NOERROR 10.96.0.50");
  expect(says("web.default.svc.cluster.local.", "AAAA")).toBe("NOERROR SOA");
  expect(says("wbe.default.svc.cluster.local.")).toBe("NXDOMAIN SOA");
  expect(says("web.other.svc.cluster.local.")).toBe("NXDOMAIN SOA");
  expect(says("default.svc.cluster.local.")).toBe("NOERROR SOA");
  expect(says("_http._tcp.web.default.svc.cluster.local.", "SRV")).toBe(
    "NOERROR 0 100 80 web.default.svc.cluster.local.",
  );
  expect(says("_http._udp.web.default.svc.cluster.local.", "SRV")).toBe("NXDOMAIN SOA");
  expect(says("10-244-1-7.default.pod.cluster.local.")).toBe("NOERROR 10.244.1.7");
  expect(says("example.com.")).toBe("SERVFAIL");
  expect(reverseName("fd00::1")).toMatch(/^1\.0\.0\.[0.]+\.0\.0\.d\.f\.ip6\.arpa\.$/);
});
