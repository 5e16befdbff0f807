/** kube-proxy's userspace mode: where connections go, whom the endpoints see, how a dead endpoint is got over. */
import { expect, test } from "vitest";
import type { Kinds } from "../../../kernel-lib/api/kinds";
import { Files } from "../../../kernel-lib/apps/files";
import { parseCidr, parseIp } from "../../../kernel-lib/net/address";
import { explainFlow, runFlow, walkFlow } from "../../../kernel-lib/net/flow";
import { Network } from "../../../kernel-lib/net/network";
import type { PacketEvent } from "../../../kernel-lib/net/passage";
import type { NodeNet } from "../../../kernel-lib/node/node";
import { userspaceMode } from "../../../kernel-lib/node/proxy/userspace";
import { type ServicePort, viewOf } from "../../../kernel-lib/node/proxy/view";
import { createSim } from "../../../kernel-lib/sim/sim";
import { readCases } from "../cases";
import {
  answerers,
  askMany,
  askUdp,
  at,
  ip,
  modeLab,
  serveUdp,
  service,
  slice,
  type WebLab,
  webLab,
  who,
} from "./modelab";

const all = ["pod-1-2", "pod-1-3", "pod-2-2", "pod-2-3"];

function web(endpoints: readonly string[], spec: object = {}, status: object = {}, seed = 1): WebLab {
  return webLab(userspaceMode(), endpoints, spec, status, seed);
}

/** Who asks what, who answers, whom that one sees: always the node that proxies, never the client. */
const seen: readonly (readonly [string, string, number, string, string])[] = [
  ["pod-1-2", ip, 80, "pod-1-3", "pod-1-3 saw 10.244.1.1: hello"],
  ["pod-1-2", ip, 80, "pod-2-2", "pod-2-2 saw 10.244.1.0: hello"],
  ["pod-1-2", ip, 80, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["node-1", ip, 80, "pod-2-2", "pod-2-2 saw 10.244.1.0: hello"],
  ["workstation", ip, 80, "pod-2-2", "pod-2-2 saw 10.244.1.0: hello"],
  ["workstation", "192.168.1.11", 30080, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["workstation", "192.168.1.12", 30080, "pod-1-2", "pod-1-2 saw 10.244.2.0: hello"],
  ["node-1", "192.168.1.11", 30080, "pod-2-3", "pod-2-3 saw 10.244.1.0: hello"],
  ["pod-2-2", "192.168.1.11", 30080, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["workstation", "203.0.113.9", 80, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
  ["node-1", "203.0.113.9", 80, "pod-1-2", "pod-1-2 saw 10.244.1.1: hello"],
];

test("the endpoint sees the node that proxies, whoever asks by whatever address", () => {
  for (const [from, to, port, endpoint, answer] of seen) {
    const spec = { type: "LoadBalancer", ports: [{ port: 80, nodePort: 30080, protocol: "TCP" }] };
    const { lab } = web([endpoint], spec, { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } });
    expect(askMany(lab, from, to, port, 1), `${from} → ${to}:${port}`).toEqual([answer]);
  }
});

test("a walk goes on from the proxy's socket: the same end as a connection has, and the way there", () => {
  const { lab } = web(["pod-2-2"]);
  const walked = walkFlow(
    who(lab, "pod-1-2"),
    { protocol: "tcp", target: parseIp(ip), targetPort: 80 },
    { choose: () => 0 },
  );
  expect(walked).toMatchObject({ end: "delivered", netns: "pod-2-2", source: parseIp("10.244.1.0") });
  expect(walked.via).toMatchObject({ netns: "node-1", source: parseIp("10.244.1.2"), target: parseIp("10.244.1.1") });
  expect(walked.rules.map(({ chain }) => chain)).toContain("KUBE-PORTALS-CONTAINER");
  expect(walked.entries.filter(({ detail }) => (detail as { kind?: string }).kind === "deliver")).toHaveLength(2);
});

test("asked for everything, it is any ready endpoint alike; nothing moves on by asking", () => {
  const { lab } = web(["pod-1-2", "pod-1-3", "pod-2-2"]);
  const flow = { protocol: "tcp", target: parseIp(ip), targetPort: 80 } as const;
  const ask = () =>
    explainFlow(who(lab, "pod-2-3"), flow).map(({ outcome, probability }) => [outcome.netns, probability]);
  const first = ask();
  expect(first.map(([, probability]) => probability)).toEqual([1 / 3, 1 / 3, 1 / 3]);
  expect(new Set(first.map(([netns]) => netns))).toEqual(new Set(["pod-1-2", "pod-1-3", "pod-2-2"]));
  expect(ask()).toEqual(first);
});

test("round robin: each in turn, in an order that the node shuffled, and flow-level connections step on too", () => {
  const { lab } = web(all);
  const got = answerers(askMany(lab, "pod-1-2", ip, 80, 8));
  expect([...new Set(got.slice(0, 4))].sort()).toEqual(all);
  expect(got.slice(4)).toEqual(got.slice(0, 4));
  const flow = { protocol: "tcp", target: parseIp(ip), targetPort: 80 } as const;
  const run = Array.from({ length: 4 }, () => runFlow(who(lab, "pod-1-2"), flow).netns);
  expect(run).toEqual(got.slice(0, 4));
});

test("only ready endpoints, wherever they are: no traffic policy, no endpoint that terminates", () => {
  const lab = modeLab(userspaceMode());
  const local = { externalTrafficPolicy: "Local", internalTrafficPolicy: "Local", type: "NodePort" };
  const ports = [{ port: 80, nodePort: 30080, protocol: "TCP" }];
  lab.sync(
    [service("web", { clusterIP: ip, ports, ...local })],
    [
      slice("web", [
        at("pod-1-2", { ready: false }),
        at("pod-1-3", { ready: false, serving: true, terminating: true }),
        at("pod-2-2"),
      ]),
    ],
  );
  expect(answerers(askMany(lab, "pod-1-2", ip, 80, 2))).toEqual(["pod-2-2", "pod-2-2"]);
  expect(answerers(askMany(lab, "workstation", "192.168.1.11", 30080, 1))).toEqual(["pod-2-2"]);
});

test("an endpoint that refuses is got over at once, one that swallows after 250 ms: another is tried", () => {
  const { lab } = web(all);
  who(lab, "pod-1-2").sockets.closeOwner("server");
  who(lab, "pod-2-2").iptables.append("filter", "INPUT", { protocol: "tcp", target: { target: "DROP" } });
  const began = lab.sim.clock.now;
  const got = answerers(askMany(lab, "pod-1-3", ip, 80, 6));
  expect(new Set(got)).toEqual(new Set(["pod-1-3", "pod-2-3"]));
  const waited = lab.sim.clock.now - began;
  expect(waited).toBeGreaterThan(250_000);
});

test("with nobody to pass it to, a connection is taken and closed: what the client says then is answered with a reset", () => {
  const { lab } = web([]);
  expect(askMany(lab, "pod-1-2", ip, 80, 1)[0]).toMatch(/^reset after 0\./);
  const walked = walkFlow(
    who(lab, "pod-1-2"),
    { protocol: "tcp", target: parseIp(ip), targetPort: 80 },
    { choose: () => 0 },
  );
  expect([walked.end, walked.why]).toEqual(["refused", "kube-proxy finds no endpoint, and closes the connection"]);
});

test("four endpoints are tried at most, each for longer: 250 ms, 500 ms, 1 s, 2 s", () => {
  const { lab } = web(all);
  for (const name of all)
    who(lab, name).iptables.append("filter", "INPUT", { protocol: "tcp", target: { target: "DROP" } });
  expect(askMany(lab, "node-1", ip, 80, 1)[0]).toMatch(/^reset after 3750\./);
});

test("affinity: a client stays until it has not come for the time, and others have their own", () => {
  const affinity = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } };
  const { lab } = web(all, affinity);
  const [mine] = answerers(askMany(lab, "pod-1-2", ip, 80, 1));
  expect(answerers(askMany(lab, "pod-1-2", ip, 80, 3))).toEqual([mine, mine, mine]);
  expect(answerers(askMany(lab, "pod-1-3", ip, 80, 1))).not.toEqual([mine]);
  lab.sim.clock.advance(61_000_000);
  expect(answerers(askMany(lab, "pod-1-2", ip, 80, 1))).not.toEqual([mine]);
});

test("UDP: a client keeps its endpoint until nothing has passed for 250 ms; the answer comes from the Service", () => {
  const lab = modeLab(userspaceMode());
  serveUdp(lab, 53);
  const ports = [{ port: 53, protocol: "UDP" }];
  lab.sync(
    [service("dns", { clusterIP: "10.96.0.53", ports })],
    [slice("dns", [at("pod-2-2")], { port: 53, protocol: "UDP" })],
  );
  expect(askUdp(lab, "pod-1-2", "10.96.0.53", 53)).toBe("pod-2-2 saw 10.244.1.0 from 10.96.0.53");
  expect(askUdp(lab, "node-1", "10.96.0.53", 53)).toBe("pod-2-2 saw 10.244.1.0 from 10.96.0.53");
  const backends = () =>
    who(lab, "node-1")
      .sockets.list()
      .filter(({ protocol, remote }) => protocol === "udp" && remote);
  expect(backends()).toHaveLength(2);
  lab.sim.clock.advance(251_000);
  expect(backends()).toHaveLength(0);
});

interface FlowCase {
  readonly name: string;
  readonly config: { readonly nodeName: string; readonly nodeIP: string; readonly nodeIPs: readonly string[] };
  readonly objects: readonly (Kinds["Service"] | Kinds["EndpointSlice"])[];
  readonly flows: readonly {
    readonly name: string;
    readonly sourceIP: string;
    readonly destIP: string;
    readonly destPort: number;
    readonly protocol: string;
    readonly expect: { readonly endpoints?: readonly string[]; readonly verdict?: string };
  }[];
}

/** Where userspace mode led elsewhere than iptables mode does, and why; all ready endpoints where none are listed. */
const differences: { readonly [flow: string]: readonly [string, readonly string[]] } = {
  "TestClusterIPGeneral | clusterIP with TCP, UDP, and SCTP on same port (SCTP)": ["it speaks no SCTP", []],
};

test("packets of Kubernetes' own cases reach every ready endpoint, policies or not", (context) => {
  const { cases } = readCases<{ cases: readonly FlowCase[] }>(context, "flows_iptables.json");
  let flows = 0;
  for (const { name, config, objects, flows: asked } of cases) {
    const services = objects.filter((object): object is Kinds["Service"] => object.kind === "Service");
    const slices = objects.filter((object): object is Kinds["EndpointSlice"] => object.kind === "EndpointSlice");
    const view = viewOf(services, slices, { node: config.nodeName });
    const node = nodeOf(config);
    userspaceMode().sync(view, node, "IPv4");
    for (const flow of asked) {
      const title = `${name.replace(/^iptables\//, "")} | ${flow.name}`;
      const port = view.find((each) => isFor(each, flow, config.nodeIPs));
      const ready = port?.endpoints.filter((endpoint) => endpoint.ready).map(({ address }) => address) ?? [];
      const wanted = differences[title]?.[1] ?? ready;
      expect(tried(node, config.nodeIPs, flow), title).toEqual([...wanted].sort());
      flows++;
    }
  }
  expect(flows).toBeGreaterThan(40);
});

function nodeOf(config: FlowCase["config"]): NodeNet {
  const sim = createSim(1);
  const network = new Network(sim);
  const netns = network.netns(config.nodeName);
  netns.addPhysical("eth0", network.segment("lan"));
  for (const each of config.nodeIPs) if (!each.includes(":")) netns.addAddress("eth0", parseCidr(`${each}/24`));
  netns.routes.add({ to: parseCidr("0.0.0.0/0"), via: parseIp("192.168.0.1"), device: "eth0" });
  netns.sysctl.ipForward = true;
  const own = parseIp(config.nodeIP);
  return { sim, network, name: config.nodeName, ip: own, ips: [own], netns, files: new Files(sim.clock) } as never;
}

type CaseFlow = FlowCase["flows"][number];

function isFor(port: ServicePort, { destIP, destPort, protocol }: CaseFlow, nodeIps: readonly string[]): boolean {
  if (port.protocol !== protocol.toUpperCase()) return false;
  const ips = [...port.clusterIps, ...port.externalIps, ...port.loadBalancerIps];
  if (port.port === destPort && ips.includes(destIP)) return true;
  return port.nodePort === destPort && (nodeIps.includes(destIP) || destIP.startsWith("127."));
}

/** Whom kube-proxy tries: nobody listens there, so it tries them all, one after another. */
function tried({ netns }: NodeNet, nodeIps: readonly string[], flow: CaseFlow): readonly string[] {
  const own = nodeIps.includes(flow.sourceIP) || flow.sourceIP.startsWith("127.");
  const asked = {
    protocol: flow.protocol.toLowerCase() as "tcp" | "udp" | "sctp",
    source: parseIp(flow.sourceIP),
    target: parseIp(flow.destIP),
    targetPort: flow.destPort,
    ...(!own && { input: "eth0" }),
  };
  const found = new Set<string>();
  for (const { outcome } of explainFlow(netns, asked)) {
    if (!outcome.via) continue;
    for (const { detail } of outcome.entries) {
      const { kind, packet } = detail as PacketEvent;
      if (kind === "send" && packet.target !== flow.destIP) found.add(`${packet.target}:${packet.targetPort}`);
    }
  }
  return [...found].sort();
}

test("rules as upstream wrote them: redirect what comes in, send the node's own packets to its address", () => {
  const spec = {
    type: "NodePort",
    ports: [{ port: 80, nodePort: 30080, protocol: "TCP" }],
    externalIPs: ["192.0.2.1"],
  };
  const { lab } = web(["pod-1-2"], spec);
  const saved = who(lab, "node-1").iptables.save();
  const port = /--to-ports (\d+)/.exec(saved)?.[1];
  const lines = saved.split("\n").filter((line) => /^-A/.test(line));
  expect(lines).toEqual([
    '-A INPUT -m comment --comment "Ensure that non-local NodePort traffic can flow" -j KUBE-NODEPORT-NON-LOCAL',
    `-A KUBE-NODEPORT-NON-LOCAL -p tcp -m comment --comment "default/web" -m tcp --dport ${port} -m state --state NEW -j ACCEPT`,
    '-A PREROUTING -m comment --comment "handle ClusterIPs; NOTE: this must be before the NodePort rules" -j KUBE-PORTALS-CONTAINER',
    '-A PREROUTING -m addrtype --dst-type LOCAL -m comment --comment "handle service NodePorts; NOTE: this must be the last rule in the chain" -j KUBE-NODEPORT-CONTAINER',
    '-A OUTPUT -m comment --comment "handle ClusterIPs; NOTE: this must be before the NodePort rules" -j KUBE-PORTALS-HOST',
    '-A OUTPUT -m addrtype --dst-type LOCAL -m comment --comment "handle service NodePorts; NOTE: this must be the last rule in the chain" -j KUBE-NODEPORT-HOST',
    `-A KUBE-NODEPORT-CONTAINER -p tcp -m comment --comment "default/web" -m tcp --dport 30080 -j REDIRECT --to-ports ${port}`,
    `-A KUBE-NODEPORT-HOST -p tcp -m comment --comment "default/web" -m tcp --dport 30080 -j DNAT --to-destination 192.168.1.11:${port}`,
    `-A KUBE-PORTALS-CONTAINER -d 10.96.0.10/32 -p tcp -m comment --comment "default/web" -m tcp --dport 80 -j REDIRECT --to-ports ${port}`,
    `-A KUBE-PORTALS-CONTAINER -d 192.0.2.1/32 -p tcp -m comment --comment "default/web" -m tcp --dport 80 -m physdev ! --physdev-is-in -j REDIRECT --to-ports ${port}`,
    `-A KUBE-PORTALS-CONTAINER -d 192.0.2.1/32 -p tcp -m comment --comment "default/web" -m tcp --dport 80 -m addrtype --dst-type LOCAL -j REDIRECT --to-ports ${port}`,
    `-A KUBE-PORTALS-HOST -d 10.96.0.10/32 -p tcp -m comment --comment "default/web" -m tcp --dport 80 -j DNAT --to-destination 192.168.1.11:${port}`,
    `-A KUBE-PORTALS-HOST -d 192.0.2.1/32 -p tcp -m comment --comment "default/web" -m tcp --dport 80 -m addrtype --dst-type LOCAL -j DNAT --to-destination 192.168.1.11:${port}`,
  ]);
});

test("a change of endpoints keeps the port, a change of the Service opens a new one, and cleanup takes all away", () => {
  const lab = modeLab(userspaceMode());
  const web80 = service("web", { clusterIP: ip });
  const node = who(lab, "node-1");
  const listening = () =>
    node.sockets.list().filter(({ state, owner }) => state === "LISTEN" && owner === "kube-proxy");
  lab.sync([web80], [slice("web", [at("pod-1-2")])]);
  const [first] = listening();
  lab.sync([web80], [slice("web", [at("pod-2-2")])]);
  expect(listening()).toEqual([first]);
  expect(answerers(askMany(lab, "pod-1-3", ip, 80, 1))).toEqual(["pod-2-2"]);
  lab.sync(
    [service("web", { clusterIP: ip, ports: [{ port: 81, targetPort: 80, protocol: "TCP" }] })],
    [slice("web", [at("pod-2-2")])],
  );
  expect(listening()).not.toEqual([first]);
  expect(listening()).toHaveLength(1);
  expect(answerers(askMany(lab, "pod-1-3", ip, 81, 1))).toEqual(["pod-2-2"]);
  for (const each of lab.nodeNets) userspaceMode().cleanup(each);
  expect(listening()).toEqual([]);
  expect(node.iptables.save()).not.toContain("KUBE-");
  userspaceMode().cleanup(lab.nodeNets[0] as never);
});
