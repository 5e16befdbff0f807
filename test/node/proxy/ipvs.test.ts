/** kube-proxy's ipvs mode: where packets go and whom endpoints see, what is written, how real servers end. */
import fc from "fast-check";
import { expect, type TestContext, test } from "vitest";
import type { Kinds } from "../../../kernel-lib/api/kinds";
import { Files } from "../../../kernel-lib/apps/files";
import { formatCidr, parseCidr, parseIp } from "../../../kernel-lib/net/address";
import { explainFlow, runFlow } from "../../../kernel-lib/net/flow";
import { entryTexts } from "../../../kernel-lib/net/ipsettext";
import { serverRule, sortedServers, virtualRule } from "../../../kernel-lib/net/ipvs/text";
import type { Netns } from "../../../kernel-lib/net/netns";
import { Network } from "../../../kernel-lib/net/network";
import type { NodeNet } from "../../../kernel-lib/node/node";
import { iptablesMode } from "../../../kernel-lib/node/proxy/iptables";
import { type IpvsOptions, ipvsMode } from "../../../kernel-lib/node/proxy/ipvs";
import { type ProxyMode, schedulers } from "../../../kernel-lib/node/proxy/mode";
import { viewOf } from "../../../kernel-lib/node/proxy/view";
import { minute, second } from "../../../kernel-lib/sim/clock";
import { createSim } from "../../../kernel-lib/sim/sim";
import { ask } from "../../net/topology";
import { readCases } from "../cases";
import { answerers, askMany, askUdp, at, modeLab, serveUdp, service, slice, who } from "./modelab";

const ip = "10.96.0.10";
const pods: IpvsOptions = { clusterCidr: "10.244.0.0/16" };
const nodePort = { type: "NodePort", ports: [{ port: 80, nodePort: 30080, protocol: "TCP" }] };

function web(endpoints: readonly string[], spec: object = {}, options: IpvsOptions = pods, status: object = {}) {
  const lab = modeLab(ipvsMode(options));
  const services = [service("web", { clusterIP: ip, ...spec }, status)];
  const slices = [
    slice(
      "web",
      endpoints.map((name) => at(name)),
    ),
  ];
  lab.sync(services, slices);
  return { lab, services, slices };
}

/** What `ipvsadm -Sn` prints. */
function rules(netns: Netns): readonly string[] {
  return netns.ipvs
    .list()
    .flatMap((each) => [virtualRule(each), ...sortedServers(each).map((server) => serverRule(each, server))]);
}

/** Who asks what, who answers, whom that one sees: REAL-KERNEL's table, which all modes but userspace agree on. */
const seen: readonly (readonly [string, string, number, string, string])[] = [
  ["pod-1-2", ip, 80, "pod-1-3", "pod-1-3 saw 10.244.1.2: hello"],
  ["pod-1-2", ip, 80, "pod-2-2", "pod-2-2 saw 10.244.1.2: hello"],
  ["pod-1-2", ip, 80, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["node-1", ip, 80, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["node-1", ip, 80, "pod-2-2", "pod-2-2 saw 10.244.1.0: hello"],
  ["workstation", ip, 80, "pod-2-2", "pod-2-2 saw 10.244.1.0: hello"],
  ["workstation", "192.168.1.11", 30080, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["workstation", "192.168.1.12", 30080, "pod-1-2", "pod-1-2 saw 10.244.2.0: hello"],
  ["pod-2-2", "192.168.1.11", 30080, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["node-1", "192.168.1.11", 30080, "pod-2-3", "pod-2-3 saw 10.244.1.0: hello"],
  ["node-2", "192.168.1.11", 30080, "pod-2-3", "pod-2-3 saw 10.244.1.0: hello"],
  ["workstation", "203.0.113.9", 80, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["node-1", "203.0.113.9", 80, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
];

test("whom the endpoint sees is whom it sees in a real kernel", () => {
  for (const [from, to, port, endpoint, answer] of seen) {
    const spec = { ...nodePort, type: "LoadBalancer" };
    const { lab } = web([endpoint], spec, pods, { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } });
    expect(askMany(lab, from, to, port, 2), `${from} → ${to}:${port}`).toEqual([answer, answer]);
  }
});

test("a real server in the node's own namespace keeps the client's address", () => {
  const lab = modeLab(ipvsMode(pods));
  const node = who(lab, "node-1");
  node.sockets.listenTcp({ port: 6443 }, () => ({
    data: (socket, text) => {
      socket.write(`${text} from ${socket.remote.ip}`);
      socket.end();
    },
  }));
  const api = service("kubernetes", { clusterIP: "10.96.0.1", ports: [{ port: 443, protocol: "TCP" }] });
  lab.sync([api], [slice("kubernetes", [{ ip: "192.168.1.11", node: "node-1" }], { port: 6443 })]);
  expect(askMany(lab, "pod-1-2", "10.96.0.1", 443, 1)).toEqual([`hello from ${parseIp("10.244.1.2")}`]);
  expect(askMany(lab, "pod-2-2", "10.96.0.1", 443, 1)).toEqual([`hello from ${parseIp("10.244.2.2")}`]);
  expect(askMany(lab, "node-1", "10.96.0.1", 443, 1)[0]).toMatch(/^hello from/);
});

test("packets of a connection are counted, and its reply comes from the Service", () => {
  const { lab } = web(["pod-2-2"]);
  const entries = lab.sim.journal.during(() => askMany(lab, "pod-1-2", ip, 80, 1));
  const whats = entries.map(({ what }) => what);
  expect(whats).toContain(`IPVS: destination ${ip}:80 → 10.244.2.2:80`);
  expect(whats).toContain(`IPVS: reply translated back: source 10.244.2.2:80 → ${ip}:80`);
  const [virtual] = who(lab, "node-1").ipvs.list();
  const [server] = virtual?.servers ?? [];
  expect(virtual?.stats.counts).toEqual(server?.stats.counts);
  expect(server?.stats.counts).toMatchObject({ connections: 1, inPackets: 5, outPackets: 5 });
  expect(server).toMatchObject({ active: 0, inactive: 1 });
  lab.sim.clock.advance(121 * second);
  expect(server).toMatchObject({ active: 0, inactive: 0 });
});

interface Config {
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly nodeIPs: readonly string[];
  readonly detectLocal: { readonly mode: string; readonly clusterCIDR?: string };
  readonly masqueradeAll: boolean;
  readonly nodePortAddresses: readonly string[] | null;
}
type KubeObject = Kinds["Service"] | Kinds["EndpointSlice"];
interface Expected {
  readonly endpoints?: readonly string[];
  readonly verdict?: string;
  readonly masquerade?: boolean;
}
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
    readonly expect: Expected;
  }[];
}

/** Where ipvs mode differs from iptables mode, as upstream's does, and why. */
const localOnly = "a Local policy holds for pods too, as a virtual server knows not who asks";
const noLoopback = "node ports are not served on loopback addresses";
const refusesPorts = "other ports of a Service's address are refused: KUBE-IPVS-FILTER";
const differences: { readonly [flow: string]: readonly [string, Expected] } = {
  "TestClusterIPGeneral | TCP-only port does not match UDP traffic": [refusesPorts, { verdict: "REJECT" }],
  "TestClusterIPGeneral | svc1 does not accept svc2's ports": [refusesPorts, { verdict: "REJECT" }],
  "TestClusterIPGeneral | hairpin to cluster IP": [
    "masquerading a pod that reaches itself needs no mark: KUBE-LOOP-BACK",
    { endpoints: ["10.180.0.1:80"], masquerade: false },
  ],
  "TestNodePorts/ipv4, localhost-nodeports enabled | localhost to nodePort gets masqueraded": [
    noLoopback,
    { verdict: "none" },
  ],
  "TestInternalExternalMasquerade/base | localhost to NodePort with eTP:Local": [noLoopback, { verdict: "none" }],
  "TestHealthCheckNodePort/service present | firewall accepts HealthCheckNodePort": [
    "a rule accepts it; in this test nobody listens behind it",
    { verdict: "none" },
  ],
  "TestExternalTrafficPolicyLocal | pod to external IP hits both endpoints, unmasqueraded": [
    localOnly,
    { endpoints: ["10.180.2.1:80"], masquerade: false },
  ],
  "TestExternalTrafficPolicyLocal | pod to LB IP hits only both endpoints, unmasqueraded": [
    localOnly,
    { endpoints: ["10.180.2.1:80"], masquerade: false },
  ],
  "TestExternalTrafficPolicyLocal | pod to NodePort hits both endpoints, unmasqueraded": [
    localOnly,
    { endpoints: ["10.180.2.1:80"], masquerade: false },
  ],
  "TestInternalExternalMasquerade/base | pod to LB with eTP:Local": [
    localOnly,
    { endpoints: ["10.180.0.2:80"], masquerade: false },
  ],
};

test("packets end where they end in iptables mode, but where the real modes differ", (context: TestContext) => {
  const { cases } = readCases<{ cases: readonly FlowCase[] }>(context, "flows_iptables.json");
  const met = new Set<string>();
  for (const row of cases) {
    const node = nodeWith(row);
    for (const flow of row.flows) {
      const name = `${row.name.replace(/^iptables\//, "")} | ${flow.name}`;
      const [, differing] = differences[name] ?? [];
      if (differing) met.add(name);
      const { masquerade, ...rest } = outcome(node, row.config, flow);
      const wanted = differing ?? flow.expect;
      // A mark on a packet that is refused means nothing.
      const both = wanted.endpoints ? { ...rest, masquerade } : rest;
      expect(both, name).toEqual(wanted.endpoints ? wanted : { verdict: wanted.verdict });
    }
  }
  const listed = Object.keys(differences);
  expect(listed.filter((name) => !met.has(name))).toEqual([]);
});

function nodeWith({ config, objects }: FlowCase, given?: ProxyMode): NodeNet {
  const sim = createSim(1);
  const network = new Network(sim);
  const netns = network.netns(config.nodeName);
  netns.addPhysical("eth0", network.segment("lan"));
  for (const each of config.nodeIPs) if (!each.includes(":")) netns.addAddress("eth0", parseCidr(`${each}/24`));
  netns.routes.add({ to: parseCidr("0.0.0.0/0"), via: parseIp("192.168.0.1"), device: "eth0" });
  const [own, files] = [parseIp(config.nodeIP), new Files(sim.clock)];
  const node = { sim, network, name: config.nodeName, ip: own, ips: [own], netns, files, podCidrs: [] };
  const services = objects.filter((object): object is Kinds["Service"] => object.kind === "Service");
  const slices = objects.filter((object): object is Kinds["EndpointSlice"] => object.kind === "EndpointSlice");
  const { clusterCIDR } = config.detectLocal;
  const mode =
    given ??
    ipvsMode({
      ...(clusterCIDR !== undefined && { clusterCidr: clusterCIDR }),
      masqueradeAll: config.masqueradeAll,
      ...(config.nodePortAddresses && { nodePortAddresses: config.nodePortAddresses }),
    });
  mode.sync(viewOf(services, slices, { node: config.nodeName }), node as unknown as NodeNet, "IPv4");
  return node as unknown as NodeNet;
}

/** The set of endpoints that may be chosen, or what becomes of the packet; and whether it is marked on any way. */
function outcome(node: NodeNet, config: Config, flow: FlowCase["flows"][number]): Expected {
  const own = config.nodeIPs.includes(flow.sourceIP) || flow.sourceIP.startsWith("127.");
  const ways = explainFlow(node.netns, {
    protocol: flow.protocol.toLowerCase() as "tcp" | "udp" | "sctp",
    source: parseIp(flow.sourceIP),
    target: parseIp(flow.destIP),
    targetPort: flow.destPort,
    ...(!own && { input: "eth0" }),
  });
  const matched = ways.flatMap((way) => way.outcome.rules);
  const masquerade = matched.some((rule) => rule.text.endsWith("-j KUBE-MARK-MASQ"));
  const chosen = matched.flatMap(({ tool, text }) => (tool === "ipvs" ? (/ -r (\S+)/.exec(text)?.[1] ?? []) : []));
  const endings = new Set(ways.map(({ outcome: { end, why } }) => (/dropped by/.test(why) ? "DROP" : end)));
  if (endings.has("DROP")) return { verdict: "DROP", masquerade };
  if (chosen.length > 0) return { endpoints: [...new Set(chosen)].sort(), masquerade };
  return { verdict: endings.has("rejected") ? "REJECT" : "none", masquerade };
}

test("for any endpoints and policies: those of iptables mode where there are any, and never one that is not to be used", () => {
  const flags = fc.record({
    ready: fc.boolean(),
    serving: fc.boolean(),
    terminating: fc.boolean(),
    here: fc.boolean(),
  });
  const policies = fc.record({ internal: fc.boolean(), external: fc.boolean() });
  let compared = 0;
  fc.assert(
    fc.property(fc.array(flags, { maxLength: 6 }), policies, (given, { internal, external }) => {
      const endpoints = given.map(({ here, ready, serving, terminating }, index) => ({
        ip: `10.${here ? 1 : 2}.0.${index + 1}`,
        node: here ? "here" : "there",
        // As the controller has them: a pod that is leaving is not ready.
        ready: ready && !terminating,
        serving: serving || (ready && !terminating),
        terminating,
      }));
      const local = (wanted: boolean): string => (wanted ? "Local" : "Cluster");
      const spec = { ...nodePort, internalTrafficPolicy: local(internal), externalTrafficPolicy: local(external) };
      const objects = [service("web", { clusterIP: ip, ...spec }), slice("web", endpoints)];
      const usable = new Set(
        endpoints.flatMap((each) => (each.ready || (each.serving && each.terminating) ? `${each.ip}:80` : [])),
      );
      const config = { nodeName: "here", nodeIP: "192.168.0.2", nodeIPs: ["192.168.0.2"] };
      for (const [destIP, destPort] of [
        [ip, 80],
        ["192.168.0.2", 30080],
      ] as const) {
        const flow = { name: "", sourceIP: "203.0.113.2", destIP, destPort, protocol: "tcp", expect: {} };
        const [ours = [], theirs = []] = [ipvsMode(pods), iptablesMode(pods)].map((mode) => {
          const node = nodeWith({ name: "", config: { ...config, ...allOpen }, objects, flows: [] }, mode);
          return reached(node, flow);
        });
        for (const each of ours) expect(usable.has(each), each).toBe(true);
        if (theirs.length === 0) continue;
        compared++;
        expect(ours).toEqual(theirs);
      }
    }),
    { numRuns: 60 },
  );
  expect(compared).toBeGreaterThan(40);
});

const allOpen = { detectLocal: { mode: "none" }, masqueradeAll: false, nodePortAddresses: null };

/** Where the first packets of a flow from outside go, whichever mode leads them. */
function reached(node: NodeNet, flow: FlowCase["flows"][number]): readonly string[] {
  const ways = explainFlow(node.netns, {
    protocol: "tcp",
    source: parseIp(flow.sourceIP),
    target: parseIp(flow.destIP),
    targetPort: flow.destPort,
    input: "eth0",
  });
  const texts = ways.flatMap(({ outcome: { rules: matched } }) => matched.map(({ text }) => text));
  const to = texts.flatMap((text) => /(?: -r |--to-destination )(\S+)/.exec(text)?.[1] ?? []);
  return [...new Set(to)].sort();
}

test("a Service without endpoints refuses, another port of its address too, and it does not answer a ping", () => {
  const { lab } = web([], nodePort);
  expect(ask(lab, who(lab, "pod-1-2"), ip, 80)).toMatch(/^refused/);
  expect(ask(lab, who(lab, "node-1"), ip, 80)).toMatch(/^refused/);
  expect(ask(lab, who(lab, "workstation"), "192.168.1.11", 30080)).toMatch(/^refused/);
  expect(ask(lab, who(lab, "pod-1-2"), ip, 22)).toMatch(/^refused/);
  const results: string[] = [];
  const echo = who(lab, "pod-1-2").sockets.openEcho(parseIp(ip), ({ result }) => results.push(result));
  echo.send(1);
  lab.sim.clock.settle();
  expect(results).toEqual(["error"]);
});

test("a Local policy without a local endpoint: pods reach the others, a client from outside hears nothing", () => {
  const { lab } = web(["pod-2-2"], { ...nodePort, externalTrafficPolicy: "Local" });
  expect(askMany(lab, "pod-1-2", "192.168.1.11", 30080, 1)).toEqual(["pod-2-2 saw 10.244.1.2: hello"]);
  expect(askMany(lab, "workstation", "192.168.1.12", 30080, 1)).toEqual(["pod-2-2 saw 192.168.1.100: hello"]);
  // The pod's answer goes past the node that changed the address: it comes from a stranger.
  expect(ask(lab, who(lab, "workstation"), "192.168.1.11", 30080, 3_000_000)).toBe("timeout after 3000 ms");
});

test("source ranges let in whom they name, and drop all others; the node itself if none of them has it", () => {
  const spec = { type: "LoadBalancer", loadBalancerSourceRanges: ["192.168.1.100/32"] };
  const { lab } = web(["pod-1-2"], spec, pods, { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } });
  expect(askMany(lab, "workstation", "203.0.113.9", 80, 1)).toEqual(["pod-1-2 saw 10.244.1.1: hello"]);
  expect(ask(lab, who(lab, "node-1"), "203.0.113.9", 80, 3_000_000)).toBe("timeout after 3000 ms");
  const pod = who(lab, "pod-1-3");
  expect(ask(lab, pod, "203.0.113.9", 80, 3_000_000)).toBe("timeout after 3000 ms");
  expect(ask(lab, pod, ip, 80)).toBe("pod-1-2 saw 10.244.1.3: hello");
  const out = who(lab, "node-1")
    .iptables.save()
    .split("\n")
    .filter((line) => line.includes("-A KUBE-IPVS-OUT-FILTER"));
  expect(out).toEqual([
    "-A KUBE-IPVS-OUT-FILTER -s 203.0.113.9/32 -m ipvs --vproto 6 --vaddr 203.0.113.9 --vport 80 -j DROP",
  ]);
});

test("affinity keeps a client with its real server for the time since its last connection", () => {
  const affinity = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } };
  const { lab } = web(["pod-1-2", "pod-1-3", "pod-2-2"], affinity);
  expect(rules(who(lab, "node-1"))[0]).toBe(`-A -t ${ip}:80 -s rr -p 60`);
  const [mine] = answerers(askMany(lab, "pod-2-3", ip, 80, 1));
  const again = answerers(askMany(lab, "pod-2-3", ip, 80, 3));
  expect(again).toEqual([mine, mine, mine]);
  expect(answerers(askMany(lab, "node-2", ip, 80, 1))).not.toEqual([mine]);
  lab.sim.clock.advance(5 * minute);
  expect(answerers(askMany(lab, "pod-2-3", ip, 80, 1))).not.toEqual([mine]);
});

test("UDP stays with its real server while packets pass, and leaves at once a server that is gone", () => {
  const lab = modeLab(ipvsMode(pods));
  serveUdp(lab, 53);
  const dns = [service("dns", { clusterIP: "10.96.0.53", ports: [{ port: 53, protocol: "UDP" }] })];
  const both = (names: readonly string[]) => [
    slice(
      "dns",
      names.map((name) => at(name)),
      { port: 53, protocol: "UDP" },
    ),
  ];
  lab.sync(dns, both(["pod-1-3", "pod-2-2"]));
  expect(askUdp(lab, "pod-1-2", "10.96.0.53", 53)).toBe("pod-1-3 saw 10.244.1.2 from 10.96.0.53");
  expect(askUdp(lab, "pod-1-2", "10.96.0.53", 53)).toBe("pod-2-2 saw 10.244.1.2 from 10.96.0.53");
  const answers: string[] = [];
  const client = who(lab, "pod-1-2").sockets.openUdp(
    { peer: { ip: parseIp("10.96.0.53"), port: 53 } },
    { received: (_, { payload }) => answers.push(String(payload)) },
  );
  const say = (): void => {
    client.send("hello");
    lab.sim.clock.settle();
  };
  say();
  say();
  expect(new Set(answers).size).toBe(1);
  const [first] = answers;
  const left = first?.startsWith("pod-1-3") ? "pod-2-2" : "pod-1-3";
  lab.sync(dns, both([left]));
  expect(who(lab, "node-1").ipvs.list()[0]?.servers).toHaveLength(1);
  say();
  say();
  expect(answers.at(-1)).toMatch(new RegExp(`^${left}`));
});

test("a real server that goes keeps its connections at weight 0, and is deleted when they are gone", () => {
  const { lab, services } = web(["pod-1-3", "pod-2-2"]);
  const node = who(lab, "node-1");
  const opened = { data: "", closed: false };
  const open = (): void => {
    const socket = who(lab, "pod-1-2").sockets.connectTcp(
      { ip: parseIp(ip), port: 80 },
      {
        data: (_, text) => {
          opened.data = text;
        },
        closed: () => {
          opened.closed = true;
        },
      },
    );
    lab.sim.clock.settle();
    leaving = () => {
      socket.write("late");
      lab.sim.clock.settle();
    };
  };
  let leaving = (): void => {};
  open();
  expect(node.ipvs.list()[0]?.servers.map(({ active }) => active)).toEqual([1, 0]);
  lab.sync(services, [slice("web", [at("pod-2-2")])]);
  expect(rules(node)).toEqual([
    `-A -t ${ip}:80 -s rr`,
    `-a -t ${ip}:80 -r 10.244.1.3:80 -m -w 0`,
    `-a -t ${ip}:80 -r 10.244.2.2:80 -m -w 1`,
  ]);
  expect(answerers(askMany(lab, "pod-1-2", ip, 80, 2))).toEqual(["pod-2-2", "pod-2-2"]);
  lab.sim.clock.advance(minute);
  leaving();
  expect(opened.data).toBe("pod-1-3 saw 10.244.1.2: late");
  lab.sim.clock.advance(4 * minute);
  expect(rules(node)).toEqual([`-A -t ${ip}:80 -s rr`, `-a -t ${ip}:80 -r 10.244.2.2:80 -m -w 1`]);
});

test("one that comes back before its connections are gone has weight 1 again, and still counts them", () => {
  const { lab, services, slices } = web(["pod-1-3", "pod-2-2"]);
  const node = who(lab, "node-1");
  who(lab, "pod-1-2").sockets.connectTcp({ ip: parseIp(ip), port: 80 }, {});
  lab.sim.clock.settle();
  lab.sync(services, [slice("web", [at("pod-2-2")])]);
  lab.sync(services, slices);
  const back = node.ipvs.list()[0]?.servers.find((server) => server.ip === parseIp("10.244.1.3"));
  expect(back).toMatchObject({ weight: 1, active: 1 });
});

test("what is written: addresses on kube-ipvs0, virtual servers, sets and rules, with upstream's names", () => {
  const spec = { ...nodePort, type: "LoadBalancer", externalIPs: ["198.51.100.7"] };
  const { lab } = web(["pod-1-2", "pod-2-2"], spec, pods, { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } });
  const node = who(lab, "node-1");
  const device = node.device("kube-ipvs0");
  expect([device.link.type, device.up]).toEqual(["dummy", false]);
  const bound = device.writtenAddresses.map(formatCidr);
  expect(bound).toEqual(["10.96.0.10/32", "198.51.100.7/32", "203.0.113.9/32"]);
  const served = rules(node)
    .filter((line) => line.startsWith("-A"))
    .map((line) => line.split(" ")[2]);
  expect(new Set(served)).toEqual(
    new Set([
      "10.96.0.10:80",
      "198.51.100.7:80",
      "203.0.113.9:80",
      "192.168.1.11:30080",
      "10.244.1.1:30080",
      "10.244.1.0:30080",
    ]),
  );
  const sets = Object.fromEntries(node.ipsets.list().map((set) => [set.name, entryTexts(set)]));
  expect(sets).toMatchObject({
    "KUBE-CLUSTER-IP": ["10.96.0.10,tcp:80"],
    "KUBE-LOOP-BACK": ["10.244.1.2,tcp:80,10.244.1.2"],
    "KUBE-EXTERNAL-IP": ["198.51.100.7,tcp:80"],
    "KUBE-LOAD-BALANCER": ["203.0.113.9,tcp:80"],
    "KUBE-NODE-PORT-TCP": ["30080"],
    "KUBE-NODE-PORT-LOCAL-TCP": [],
    "KUBE-IPVS-IPS": ["10.96.0.10", "198.51.100.7", "203.0.113.9"],
  });
  expect(Object.keys(sets)).toHaveLength(17);
  const nat = node.iptables
    .save({ tables: ["nat"] })
    .split("\n")
    .filter((line) => line.startsWith("-A KUBE-SERVICES"));
  expect(nat).toEqual([
    "-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN",
    '-A KUBE-SERVICES -m comment --comment "Kubernetes service lb portal" -m set --match-set KUBE-LOAD-BALANCER dst,dst -j KUBE-LOAD-BALANCER',
    '-A KUBE-SERVICES ! -s 10.244.0.0/16 -m comment --comment "Kubernetes service cluster ip + port for masquerade purpose" -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ',
    '-A KUBE-SERVICES -m comment --comment "Kubernetes service external ip + port for masquerade and filter purpose" -m set --match-set KUBE-EXTERNAL-IP dst,dst -j KUBE-MARK-MASQ',
    '-A KUBE-SERVICES -m comment --comment "Kubernetes service external ip + port for masquerade and filter purpose" -m set --match-set KUBE-EXTERNAL-IP dst,dst -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT',
    '-A KUBE-SERVICES -m comment --comment "Kubernetes service external ip + port for masquerade and filter purpose" -m set --match-set KUBE-EXTERNAL-IP dst,dst -m addrtype --dst-type LOCAL -j ACCEPT',
    "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
    "-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT",
    "-A KUBE-SERVICES -m set --match-set KUBE-LOAD-BALANCER dst,dst -j ACCEPT",
  ]);
});

test("a Service that goes takes all of its own with it; a new start finds and mends what is there; cleanup leaves nothing", () => {
  const { lab, services, slices } = web(["pod-1-2"], nodePort);
  const other = service("other", { clusterIP: "10.96.0.11" });
  const node = who(lab, "node-1");
  const before = [rules(node), node.iptables.save()];
  lab.sync([...services, other], [...slices, slice("other", [at("pod-2-2")])]);
  expect(node.device("kube-ipvs0").writtenAddresses).toHaveLength(2);
  lab.sync(services, slices);
  expect([rules(node), node.iptables.save()]).toEqual(before);
  node.ipvs.add({ protocol: "tcp", ip: parseIp("10.96.0.77"), port: 1, scheduler: "rr" });
  node.addAddress("kube-ipvs0", parseCidr("10.96.0.77/32"));
  node.ipsets.get("KUBE-CLUSTER-IP")?.add({ ip: parseIp("10.96.0.77"), protocol: "tcp", port: 1 });
  const [nodeNet] = lab.nodeNets;
  if (!nodeNet) throw new Error("no node");
  const second = ipvsMode(pods);
  second.sync(viewOf(services, slices, { node: "node-1" }), nodeNet, "IPv4");
  expect([rules(node), node.iptables.save()]).toEqual(before);
  expect(node.device("kube-ipvs0").writtenAddresses.map(formatCidr)).toEqual(["10.96.0.10/32"]);
  second.cleanup(nodeNet);
  expect(rules(node)).toEqual([]);
  expect(node.ipsets.list()).toEqual([]);
  expect(node.devices.has("kube-ipvs0")).toBe(false);
  expect(node.iptables.save()).not.toContain("KUBE-");
  second.cleanup(nodeNet);
});

test("what hands have changed is mended with the next sync: taken away what nobody wants, brought back what is missing", () => {
  const { lab, services, slices } = web(["pod-1-2"], nodePort);
  const node = who(lab, "node-1");
  const now = () => [
    rules(node),
    node.device("kube-ipvs0").writtenAddresses.map(formatCidr),
    node.ipsets.list().map((set) => entryTexts(set)),
  ];
  const before = now();
  node.ipvs.add({ protocol: "tcp", ip: parseIp("10.96.0.77"), port: 1, scheduler: "rr" });
  node.addAddress("kube-ipvs0", parseCidr("10.96.0.77/32"));
  lab.sync(services, slices);
  expect(now()).toEqual(before);
  node.ipvs.clear();
  node.deleteAddress("kube-ipvs0", parseCidr(`${ip}/32`));
  node.ipsets.get("KUBE-CLUSTER-IP")?.flush();
  lab.sync(services, slices);
  expect(now()).toEqual(before);
  expect(askMany(lab, "pod-1-3", ip, 80, 1)).toEqual(["pod-1-2 saw 10.244.1.3: hello"]);
});

test("every scheduler serves, and a question has every real server that may be chosen", () => {
  for (const scheduler of schedulers) {
    const { lab } = web(["pod-1-2", "pod-1-3", "pod-2-2"], {}, { ...pods, scheduler });
    const flags = scheduler === "mh" ? " -b mh-port" : "";
    expect(rules(who(lab, "node-1"))[0]).toBe(`-A -t ${ip}:80 -s ${scheduler}${flags}`);
    const got = new Set(answerers(askMany(lab, "pod-2-3", ip, 80, 12)));
    const asked = explainFlow(who(lab, "pod-2-3"), { protocol: "tcp", target: parseIp(ip), targetPort: 80 });
    const fixed = ["sh", "dh", "mh"].includes(scheduler);
    expect(asked, scheduler).toHaveLength(fixed ? 1 : 3);
    expect(asked[0]?.outcome.rules.find(({ tool }) => tool === "ipvs")?.chain).toBe(`TCP ${ip}:80 ${scheduler}`);
    if (scheduler === "sh" || scheduler === "dh") expect([...got]).toEqual([asked[0]?.outcome.netns]);
    // One after another nothing is ever open: who looks at open connections only takes the first each time.
    else if (scheduler === "sed" || scheduler === "nq") expect([...got]).toEqual(["pod-1-2"]);
    else expect(got.size, scheduler).toBe(3);
  }
});

test("flow-level connections step the scheduler on, count, and end as told", () => {
  const { lab } = web(["pod-1-3", "pod-2-2"]);
  const flow = { protocol: "tcp", target: parseIp(ip), targetPort: 80 } as const;
  const client = who(lab, "pod-1-2");
  const runs = Array.from({ length: 4 }, () => runFlow(client, flow, { open: true }));
  expect(runs.map(({ netns }) => netns)).toEqual(["pod-1-3", "pod-2-2", "pod-1-3", "pod-2-2"]);
  const counts = () =>
    who(lab, "node-1")
      .ipvs.list()[0]
      ?.servers.map(({ active, inactive }) => [active, inactive]);
  expect(counts()).toEqual([
    [2, 0],
    [2, 0],
  ]);
  for (const run of runs) run.close();
  expect(counts()).toEqual([
    [0, 2],
    [0, 2],
  ]);
  expect(runs[0]?.walked.lookups).toBeGreaterThan(1);
});
