import { expect, test } from "vitest";
import type { Kinds } from "../../../kernel-lib/api/kinds";
import { ruleText } from "../../../kernel-lib/net/ruletext";
import { endpointChain } from "../../../kernel-lib/node/proxy/chains";
import { iptablesTables } from "../../../kernel-lib/node/proxy/iptables";
import { servicePortOn, sharedPorts } from "../../../kernel-lib/node/proxy/view";

test("with more than a thousand endpoints the rules of endpoints carry no comments", () => {
  const endpoints = Array.from({ length: 1001 }, (_, index) => `10.${index >> 8}.${index & 255}.1`);
  const comments = (count: number): boolean => {
    const service = {
      kind: "Service",
      metadata: { namespace: "ns1", name: "svc1" },
      spec: { clusterIP: "172.30.0.41", ports: [{ port: 80 }] },
      status: {},
    };
    const slice = {
      kind: "EndpointSlice",
      metadata: { namespace: "ns1", name: "svc1-1", labels: { "kubernetes.io/service-name": "svc1" } },
      addressType: "IPv4",
      ports: [{ name: "", port: 80, protocol: "TCP" }],
      endpoints: endpoints.slice(0, count).map((ip) => ({ addresses: [ip] })),
    };
    const [port] = sharedPorts(service as unknown as Kinds["Service"], [slice as unknown as Kinds["EndpointSlice"]]);
    if (!port) throw new Error("no service port");
    const view = [servicePortOn({ node: "n" }, port)];
    const tables = iptablesTables(view, { ip: "192.168.0.2", all: [] });
    const chain = endpointChain({ name: "ns1/svc1", protocol: "TCP" }, `${endpoints[0]}:80`);
    return (tables.nat.get(chain) ?? []).some((rule) => ruleText(chain, rule).includes("comment"));
  };
  expect([comments(1000), comments(1001)]).toEqual([true, false]);
});
