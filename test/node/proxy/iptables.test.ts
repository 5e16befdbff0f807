import { expect, type TestContext, test } from "vitest";
import type { Kinds } from "../../../kernel-lib/api/kinds";
import { Files } from "../../../kernel-lib/apps/files";
import { parseCidr, parseIp } from "../../../kernel-lib/net/address";
import { explainFlow } from "../../../kernel-lib/net/flow";
import { Network } from "../../../kernel-lib/net/network";
import { parseRules } from "../../../kernel-lib/net/ruleparse";
import { ruleText } from "../../../kernel-lib/net/ruletext";
import type { NodeNet } from "../../../kernel-lib/node/node";
import { endpointChain, servicePortChains } from "../../../kernel-lib/node/proxy/chains";
import {
  type IptablesOptions,
  type IptablesTables,
  iptablesMode,
  iptablesTables,
} from "../../../kernel-lib/node/proxy/iptables";
import { probabilityText } from "../../../kernel-lib/node/proxy/probability";
import { localReadyEndpoints, servicePortOn, sharedPorts, viewOf } from "../../../kernel-lib/node/proxy/view";
import { createSim } from "../../../kernel-lib/sim/sim";
import { readCases } from "../cases";

interface Config {
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly nodeIPs: readonly string[];
  readonly detectLocal: { readonly mode: string; readonly clusterCIDR?: string };
  readonly masqueradeAll: boolean;
  readonly localhostNodePorts: boolean;
  readonly nodePortAddresses: readonly string[] | null;
  readonly nfacctCounters?: readonly string[];
}
type KubeObject = Kinds["Service"] | Kinds["EndpointSlice"];

function viewFor(objects: readonly KubeObject[], node: string) {
  return viewOf(objects.filter(isService), objects.filter(isSlice), { node });
}

function isService(object: KubeObject): object is Kinds["Service"] {
  return object.kind === "Service";
}

function isSlice(object: KubeObject): object is Kinds["EndpointSlice"] {
  return object.kind === "EndpointSlice";
}

function optionsOf(config: Config, more: IptablesOptions = {}): IptablesOptions {
  return {
    ...(config.detectLocal.mode === "ClusterCIDR" && { clusterCidr: config.detectLocal.clusterCIDR }),
    masqueradeAll: config.masqueradeAll,
    localhostNodePorts: config.localhostNodePorts,
    ...(config.nodePortAddresses && { nodePortAddresses: config.nodePortAddresses }),
    counters: config.nfacctCounters ?? [],
    ...more,
  };
}

function texts(tables: IptablesTables): Record<string, Record<string, readonly string[]>> {
  const print = (chains: IptablesTables["nat"]) =>
    Object.fromEntries([...chains].map(([chain, rules]) => [chain, rules.map((rule) => ruleText(chain, rule))]));
  return { nat: print(tables.nat), filter: print(tables.filter) };
}

test("whole rule sets are those of kube-proxy's own tests, rule by rule", (context) => {
  interface TextCase {
    readonly name: string;
    readonly config: Config;
    readonly objects: readonly KubeObject[];
    readonly expectText: string;
  }
  const { cases } = readCases<{ cases: readonly TextCase[] }>(context, "iptables_texts.json");
  expect(cases).toHaveLength(2);
  for (const { name, config, objects, expectText } of cases) {
    const addresses = { ip: config.nodeIP, all: config.nodeIPs.filter((ip) => !ip.includes(":")) };
    const options = optionsOf(config, { randomFully: false });
    const made = texts(iptablesTables(viewFor(objects, config.nodeName), addresses, options));
    const { nat = {}, filter = {} } = parseRules(expectText);
    const wanted = texts({ nat: new Map(Object.entries(nat)), filter: new Map(Object.entries(filter)) });
    expect(made, name).toEqual(wanted);
  }
});

test("single chains follow the options of the node", (context) => {
  interface ChainRules {
    readonly name: string;
    readonly table: "nat" | "filter";
    readonly chain: string;
    readonly when: { readonly [name: string]: unknown };
    readonly expectRules: readonly string[];
  }
  const { chainRules } = readCases<{ chainRules: readonly ChainRules[] }>(context, "iptables_texts.json");
  for (const { name, table, chain, when, expectRules } of chainRules) {
    const options: IptablesOptions = {
      localhostNodePorts: when.anyOf === undefined,
      conntrackLiberal: when.conntrackTCPLiberal === true,
      randomFully: when.iptablesHasRandomFully === true,
      counters: (when.nfacctCounters as readonly string[] | undefined) ?? [],
    };
    const tables = iptablesTables([], { ip: "192.168.0.2", all: [] }, options);
    const made = tables[table].get(chain)?.map((rule) => ruleText(chain, rule));
    const wanted = parseRules(`*${table}\n:${chain} - [0:0]\n${expectRules.join("\n")}\nCOMMIT\n`)[table]?.[chain];
    expect(made, name).toEqual(wanted?.map((rule) => ruleText(chain, rule)));
  }
});

test("probabilities are cut to ten decimals and fall strictly", (context) => {
  const { probabilities } = readCases<{ probabilities: { values: Record<string, string> } }>(
    context,
    "iptables_texts.json",
  );
  for (const [count, text] of Object.entries(probabilities.values)) expect(probabilityText(Number(count))).toBe(text);
});

test("chains are named by the hash that kube-proxy takes", (context) => {
  interface Pair {
    readonly kind: string;
    readonly input: { readonly servicePortName: string; readonly protocol: string; readonly endpoint?: string };
    readonly expect: string;
  }
  const { pairs } = readCases<{ pairs: readonly Pair[] }>(context, "chain_names.json");
  const ours = pairs.filter(({ kind }) => kind.startsWith("iptables."));
  expect(ours.length).toBeGreaterThan(20);
  for (const { kind, input, expect: wanted } of ours) {
    const port = { name: input.servicePortName, protocol: input.protocol.toUpperCase() as "TCP" };
    const chains = servicePortChains(port);
    const made: { readonly [kind: string]: string } = {
      "iptables.servicePortChain": chains.cluster,
      "iptables.localChain": chains.local,
      "iptables.externalChain": chains.external,
      "iptables.firewallChain": chains.firewall,
      "iptables.endpointChain": endpointChain(port, input.endpoint ?? ""),
    };
    expect(made[kind], JSON.stringify(input)).toBe(wanted);
  }
});

interface FlowCase {
  readonly name: string;
  readonly config: Config;
  readonly objects: readonly KubeObject[];
  readonly flows: readonly {
    readonly name: string;
    readonly sourceIP: string;
    readonly destIP: string;
    readonly destPort: number;
    readonly protocol: string;
    readonly expect: {
      readonly endpoints?: readonly string[];
      readonly verdict?: string;
      readonly masquerade: boolean;
    };
  }[];
}

test("packets through the rules of one node end where kube-proxy's own tests say", (context: TestContext) => {
  const { cases } = readCases<{ cases: readonly FlowCase[] }>(context, "flows_iptables.json");
  let flows = 0;
  for (const row of cases) {
    const node = nodeWith(row);
    for (const flow of row.flows) {
      flows++;
      expect(outcome(node, row.config, flow), `${row.name}: ${flow.name}`).toEqual(flow.expect);
    }
  }
  expect(flows).toBeGreaterThan(40);
});

/** A node with the case's addresses and rules; endpoints are somewhere behind its router. */
function nodeWith({ config, objects }: FlowCase): NodeNet {
  const sim = createSim(1);
  const network = new Network(sim);
  const netns = network.netns(config.nodeName);
  netns.addPhysical("eth0", network.segment("lan"));
  const addresses = config.nodeIPs.filter((ip) => !ip.includes(":"));
  for (const ip of addresses) netns.addAddress("eth0", parseCidr(`${ip}/24`));
  netns.routes.add({ to: parseCidr("0.0.0.0/0"), via: parseIp("192.168.0.1"), device: "eth0" });
  Object.assign(netns.sysctl, { ipForward: true, routeLocalnet: true });
  const [ip, files] = [parseIp(config.nodeIP), new Files(sim.clock)];
  const node: NodeNet = { sim, network, name: config.nodeName, ip, ips: [ip], netns, files, podCidrs: [] };
  iptablesMode(optionsOf(config)).sync(viewFor(objects, config.nodeName), node, "IPv4");
  return node;
}

/** The set of endpoints that may be chosen, or what becomes of the packet; and whether it is marked on any way. */
function outcome(node: NodeNet, config: Config, flow: FlowCase["flows"][number]): object {
  const own = config.nodeIPs.includes(flow.sourceIP) || flow.sourceIP.startsWith("127.");
  const ways = explainFlow(node.netns, {
    protocol: flow.protocol.toLowerCase() as "tcp" | "udp" | "sctp",
    source: parseIp(flow.sourceIP),
    target: parseIp(flow.destIP),
    targetPort: flow.destPort,
    ...(!own && { input: "eth0" }),
  });
  const rules = ways.flatMap((way) => way.outcome.rules);
  const masquerade = rules.some((rule) => rule.text.endsWith("-j KUBE-MARK-MASQ"));
  const endpoints = new Set<string>();
  for (const rule of rules) {
    const to = /--to-destination (\S+)/.exec(rule.text)?.[1];
    if (to !== undefined) endpoints.add(to);
  }
  if (endpoints.size > 0) return { endpoints: [...endpoints].sort(), masquerade };
  const last = rules.filter((rule) => rule.table === "filter").at(-1)?.text ?? "";
  const verdict = /-j (DROP|REJECT|ACCEPT)\b/.exec(last)?.[1] ?? "none";
  return { verdict, masquerade };
}

test("Services become service ports, health checks and local endpoints as kube-proxy counts them", (context) => {
  interface FactCase {
    readonly name: string;
    readonly config: { readonly nodeName: string };
    readonly objects: readonly KubeObject[];
    readonly expect: {
      readonly servicePorts?: number;
      readonly healthCheckNodePorts?: Record<string, number>;
      readonly servicesWithLocalReadyEndpoints?: number;
      readonly derived?: { readonly localReadyEndpoints?: Record<string, number> };
      readonly metrics?: Record<string, number>;
    };
  }
  const { cases } = readCases<{ cases: readonly FactCase[] }>(context, "proxy_facts.json");
  for (const { name, config, objects, expect: wanted } of cases) {
    const view = viewFor(objects, config.nodeName);
    if (wanted.servicePorts !== undefined) expect(view, name).toHaveLength(wanted.servicePorts);
    if (wanted.healthCheckNodePorts) {
      const checks = view.flatMap((port) =>
        port.healthCheckNodePort ? [[port.service, port.healthCheckNodePort]] : [],
      );
      expect(Object.fromEntries(checks), name).toEqual(wanted.healthCheckNodePorts);
    }
    const slices = objects.filter(isSlice);
    const shared = objects.filter(isService).flatMap((service) => sharedPorts(service, slices));
    const ready = localReadyEndpoints(shared, config.nodeName);
    if (wanted.servicesWithLocalReadyEndpoints !== undefined) {
      expect(ready.size, name).toBe(wanted.servicesWithLocalReadyEndpoints);
      expect(Object.fromEntries(ready), name).toEqual(wanted.derived?.localReadyEndpoints);
    }
    for (const policy of ["internal", "external"] as const) {
      const metric = wanted.metrics?.[`sync_proxy_rules_no_local_endpoints_total{traffic_policy=${policy}}`];
      if (metric === undefined) continue;
      const local = policy === "internal" ? "internalLocal" : "externalLocal";
      const dropping = view.filter((port) => port[local] && port.hasAnyEndpoints && port[policy].length === 0);
      expect(dropping, `${name}: ${policy}`).toHaveLength(metric);
    }
  }
});

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
