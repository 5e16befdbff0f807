import { expect, test } from "vitest";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { clusterDns } from "../../kernel-lib/apps/clusterdns";
import type { RecordType } from "../../kernel-lib/apps/dns";
import { reverseName } from "../../kernel-lib/apps/dns";
import { checkDnsCase, storeWith } from "../cases/dns";
import type { CaseObject } from "../cases/endpointslice";
import { readCases } from "../node/cases";

test("every case of the Kubernetes DNS specification is answered as it says", (context) => {
  const { cases } = readCases<{ cases: readonly CaseObject[] }>(context, "dns.json");
  expect(cases.length).toBeGreaterThan(10);
  expect(cases.flatMap((one) => checkDnsCase(one).map((line) => `${one.name}: ${line}`))).toEqual([]);
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
