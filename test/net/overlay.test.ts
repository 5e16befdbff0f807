/** Pod to pod, on one node and across nodes: bridges, ARP, routes, VXLAN, and what happens when a piece is missing. */
import { expect, test } from "vitest";
import { routeText } from "../../kernel-lib/cluster/linux/ip/route";
import { parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { addPod, ask, overlay, pod, serve } from "./topology";

test("pods reach pods with their own addresses, on the same node and across the overlay", () => {
  const lab = overlay(2);
  serve(pod(lab, "pod-1-3"), 80);
  serve(pod(lab, "pod-2-2"), 80);
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80)).toBe("pod-1-3 saw 10.244.1.2: hello");
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80)).toBe("pod-2-2 saw 10.244.1.2: hello");
});

test("a packet to another node goes veth, bridge, route, VXLAN, wire and back up, each hop at its time", () => {
  const lab = overlay(2);
  serve(pod(lab, "pod-2-2"), 80);
  ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80);
  const start = lab.sim.clock.now;
  const entries = lab.sim.journal.during(() => ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80));
  const first = entries.map((entry) => ({ ...entry, detail: entry.detail as PacketEvent }));
  const id = first[0]?.detail.packet.id;
  const way = first
    .filter(({ detail }) => detail.type === "packet" && (detail.packet.id === id || detail.packet.inner?.id === id))
    .map(({ at, where, about, detail }) => `${at - start} ${where} ${detail.kind} ${about}`);
  expect(way).toEqual([
    "0 pod-1-2 send socket",
    "0 pod-1-2 route eth0",
    "0 pod-1-2 transmit eth0",
    "5 node-1 receive veth-pod-1-2",
    "5 node-1 route flannel.1",
    "5 node-1 transmit flannel.1",
    "5 node-1 encapsulate flannel.1",
    "5 node-1 send socket",
    "5 node-1 route eth0",
    "5 node-1 transmit eth0",
    "55 node-2 receive eth0",
    "55 node-2 consume flannel.1",
    "55 node-2 decapsulate flannel.1",
    "55 node-2 receive flannel.1",
    "55 node-2 route cni0",
    "55 node-2 transmit cni0",
    "55 node-2 bridge cni0",
    "60 pod-2-2 receive eth0",
    "60 pod-2-2 deliver socket",
  ]);
});

test("the outer packet of VXLAN carries the inner one, 50 octets longer, and the TTL counts the nodes", () => {
  const lab = overlay(2);
  serve(pod(lab, "pod-2-2"), 80);
  const entries = lab.sim.journal.during(() => ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80));
  const events = entries.map(({ detail }) => detail as PacketEvent).filter(({ type }) => type === "packet");
  const outer = events.find(({ kind, packet }) => kind === "send" && packet.vni === 1)?.packet;
  expect(outer).toMatchObject({ source: "192.168.1.11", target: "192.168.1.12", targetPort: 8472, protocol: "udp" });
  expect(outer?.inner).toMatchObject({ source: "10.244.1.2", target: "10.244.2.2", ttl: 63 });
  expect((outer?.size ?? 0) - (outer?.inner?.size ?? 0)).toBe(50);
  expect(events.find(({ kind, netns }) => kind === "deliver" && netns === "pod-2-2")?.packet.ttl).toBe(62);
});

test("the first packet waits for ARP; an address that nobody has is unreachable after three requests", () => {
  const lab = overlay(1);
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.1.77", 80)).toBe("unreachable after 3000.001 ms");
  expect(pod(lab, "pod-1-2").neighbors.list()).toEqual([
    { device: "eth0", ip: parseIp("10.244.1.77"), state: "FAILED" },
  ]);
});

test("a bridge learns where an address is, forgets it after five minutes, and at once if its port goes", () => {
  const lab = overlay(1);
  const [node] = lab.nodes;
  if (!node) throw new Error("no node");
  const bridge = node.device("cni0");
  const { link } = bridge;
  if (link.type !== "bridge") throw new Error("no bridge");
  const learnt = () => link.entries(bridge).filter(({ local }) => !local);
  expect(learnt()).toEqual([]);
  serve(pod(lab, "pod-1-3"), 80);
  ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80);
  const [one, other] = [pod(lab, "pod-1-2").device("eth0").mac, pod(lab, "pod-1-3").device("eth0").mac];
  expect(learnt().map(({ mac, port }) => [mac, port.name])).toEqual([
    [one, "veth-pod-1-2"],
    [other, "veth-pod-1-3"],
  ]);
  lab.sim.clock.advance(310_000_000);
  expect(learnt()).toEqual([]);
  ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80);
  lab.network.deleteNetns(pod(lab, "pod-1-3"));
  expect(learnt().map(({ port }) => port.name)).toEqual(["veth-pod-1-2"]);
  expect(node.devices.has("veth-pod-1-3")).toBe(false);
});

for (const [what, cut] of [
  [
    "FDB entry",
    (lab: ReturnType<typeof overlay>) => {
      const link = lab.nodes[0]?.device("flannel.1").link;
      if (link?.type === "vxlan") link.fdb.clear();
    },
  ],
  [
    "neighbour entry",
    (lab: ReturnType<typeof overlay>) => {
      lab.nodes[0]?.neighbors.delete("flannel.1", parseIp("10.244.2.0"));
    },
  ],
] as const) {
  test(`without flannel.1's ${what} nothing reaches the other node, and pods on the same node are not disturbed`, () => {
    const lab = overlay(2);
    serve(pod(lab, "pod-1-3"), 80);
    serve(pod(lab, "pod-2-2"), 80);
    cut(lab);
    expect(ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80, 10_000_000)).toMatch(/^(timeout after 10000|unreachable)/);
    expect(ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80)).toBe("pod-1-3 saw 10.244.1.2: hello");
  });
}

test("routes: the longest prefix wins, a blackhole swallows, no route at all is said at once", () => {
  const lab = overlay(2);
  const [node] = lab.nodes;
  if (!node) throw new Error("no node");
  expect(node.routes.list().map((route) => routeText(route).trim())).toEqual([
    "default via 192.168.1.1 dev eth0",
    "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1",
    "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11",
  ]);
  expect(node.routeGet(parseIp("10.244.2.81"))).toMatchObject({
    device: "flannel.1",
    nextHop: parseIp("10.244.2.0"),
    source: parseIp("10.244.1.0"),
  });
  node.routes.add({ to: parseCidr("10.244.2.0/25"), type: "blackhole" });
  expect(node.routeGet(parseIp("10.244.2.81"))).toBeUndefined();
  expect(node.routeGet(parseIp("10.244.2.181"))?.device).toBe("flannel.1");
  expect(() => node.routes.add({ to: parseCidr("10.9.0.0/16"), via: parseIp("172.16.0.1") })).toThrow(
    "Error: Nexthop has invalid gateway.",
  );
  node.routes.delete(parseCidr("0.0.0.0/0"));
  expect(ask(lab, node, "8.8.8.8", 53)).toBe("unreachable after 0 ms");
});

test("ping: the kernel answers, a hop too many is told by the node where it died, and nobody is unreachable", () => {
  const lab = overlay(2);
  const from = pod(lab, "pod-1-2");
  const heard: string[] = [];
  const tell = (target: string, ttl: number): void => {
    const socket = from.sockets.openEcho(parseIp(target), (answer) => {
      heard.push(answer.result === "reply" ? `reply ttl=${answer.ttl} time=${answer.time}` : answer.error);
    });
    socket.send(1, { ttl });
    lab.sim.clock.settle();
    socket.close();
  };
  tell("10.244.2.2", 64);
  tell("10.244.2.2", 1);
  tell("10.244.2.99", 64);
  expect(heard[0]).toMatch(/^reply ttl=62 time=/);
  expect(heard.slice(1)).toEqual(["Time to live exceeded", "Destination Host Unreachable"]);
});

test("a pod that comes later is found, and one that has gone answers no more", () => {
  const lab = overlay(2);
  const [, node] = lab.nodes;
  if (!node) throw new Error("no node");
  serve(addPod(lab.network, node, "late", parseIp("10.244.2.40")), 80);
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.2.40", 80)).toBe("late saw 10.244.1.2: hello");
  const late = lab.network.namespaces.get("late");
  if (late) lab.network.deleteNetns(late);
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.2.40", 80, 10_000_000)).toBe("timeout after 10000 ms");
});

test("whoever asked in vain finds the neighbour FAILED, though TCP tries again in the same instant", () => {
  const lab = overlay(1);
  const client = pod(lab, "pod-1-2");
  const states: (string | undefined)[] = [];
  client.sockets.connectTcp(
    { ip: parseIp("10.244.1.77"), port: 80 },
    { failed: () => states.push(client.neighbors.list()[0]?.state) },
  );
  lab.sim.clock.settle();
  expect(states).toEqual(["FAILED"]);
});
