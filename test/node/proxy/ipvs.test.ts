/** kube-proxy's ipvs mode: where packets go and whom endpoints see, what is written, how real servers end. */
import { expect, type TestContext, test } from "vitest";
import { askCase, readFlowFile } from "../../../kernel-lib/cluster/flows/file";
import { differences as differencesOf, type Expectation } from "../../../kernel-lib/cluster/flows/flow";
import { formatCidr, parseCidr, parseIp } from "../../../kernel-lib/net/address";
import { explainFlow } from "../../../kernel-lib/net/flow";
import { entryTexts } from "../../../kernel-lib/net/ipsettext";
import { ipvsMode } from "../../../kernel-lib/node/proxy/ipvs";
import { schedulers } from "../../../kernel-lib/node/proxy/mode";
import { viewOf } from "../../../kernel-lib/node/proxy/view";
import { minute } from "../../../kernel-lib/sim/clock";
import { ask } from "../../net/topology";
import { readCases } from "../cases";
import { pods, rules, web } from "./ipvslab";
import { answerers, askMany, at, ip, modeLab, service, slice, who } from "./modelab";

const nodePort = { type: "NodePort", ports: [{ port: 80, nodePort: 30080, protocol: "TCP" }] };

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

/** Where ipvs mode differs from iptables mode, as upstream's does, and why. */
const localOnly = "a Local policy holds for pods too, as a virtual server knows not who asks";
const noLoopback = "node ports are not served on loopback addresses";
const refusesPorts = "other ports of a Service's address are refused: KUBE-IPVS-FILTER";
const differences: { readonly [flow: string]: readonly [string, Expectation] } = {
  "TestClusterIPGeneral | TCP-only port does not match UDP traffic": [refusesPorts, { verdict: "REJECT" }],
  "TestClusterIPGeneral | svc1 does not accept svc2's ports": [refusesPorts, { verdict: "REJECT" }],
  "TestNodePorts/ipv4, localhost-nodeports enabled | localhost to nodePort gets masqueraded": [
    noLoopback,
    { verdict: "none" },
  ],
  "TestInternalExternalMasquerade/base | localhost to NodePort with eTP:Local": [noLoopback, { verdict: "none" }],
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
  const content = readCases<{ cases: readonly { config: object }[] }>(context, "flows_iptables.json");
  const cases = content.cases.map((one) => ({ ...one, config: { ...one.config, proxyMode: "ipvs" } }));
  const met = new Set<string>();
  for (const one of readFlowFile(JSON.stringify({ cases }), "flows_iptables.json", "asGiven")) {
    for (const { flow, answer } of askCase({ ...one, martianRule: undefined })) {
      const name = `${one.name.replace(/^iptables\//, "")} | ${flow.name}`;
      if (Object.hasOwn(differences, name)) met.add(name);
      expect(differencesOf(answer, differences[name]?.[1] ?? flow.expect), name).toEqual([]);
    }
  }
  expect(Object.keys(differences).filter((name) => !met.has(name))).toEqual([]);
});

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
