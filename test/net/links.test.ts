/** Links: delay, loss, cuts, up and down, who watches; bridges behind bridges; VXLAN that learns. */
import { expect, test } from "vitest";
import { routeText } from "../../kernel-lib/cluster/linux/ip/route";
import { parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { Netns } from "../../kernel-lib/net/netns";
import { Network } from "../../kernel-lib/net/network";
import { createSim, type Sim } from "../../kernel-lib/sim/sim";
import { ask, overlay, pod, serve } from "./topology";

/** How many of `count` requests are answered, and how long the last answer took. */
function ping(sim: Sim, from: Netns, ip: string, count = 1): { heard: number; time: number } {
  let heard = 0;
  let time = 0;
  const socket = from.sockets.openEcho(parseIp(ip), (answer) => {
    if (answer.result !== "reply") return;
    heard++;
    time = answer.time;
  });
  for (let sequence = 1; sequence <= count; sequence++) {
    socket.send(sequence);
    sim.clock.advance(100_000);
  }
  sim.clock.settle();
  socket.close();
  return { heard, time };
}

test("a segment's delay, loss and cut take hold at once, and the same seed loses the same frames", () => {
  const run = (): number[] => {
    const { sim, lan, nodes } = overlay(2, 5);
    const [node] = nodes as [Netns, Netns];
    ping(sim, node, "192.168.1.12");
    lan.delay = 10_000;
    expect(ping(sim, node, "192.168.1.12").time).toBe(20_000);
    lan.loss = 0.5;
    const lossy = ping(sim, node, "192.168.1.12", 200).heard;
    lan.loss = 0;
    lan.cut = true;
    expect(node.device("eth0").carrier).toBe(false);
    expect(ping(sim, node, "192.168.1.12").heard).toBe(0);
    lan.cut = false;
    return [lossy, ping(sim, node, "192.168.1.12").heard];
  };
  const [lossy, healed] = run();
  expect(healed).toBe(1);
  expect(lossy).toBeGreaterThan(20);
  expect(lossy).toBeLessThan(90);
  expect(run()).toEqual([lossy, healed]);
});

test("TCP brings everything through a wire that loses a fifth of the frames", () => {
  const lab = overlay(2, 3);
  serve(pod(lab, "pod-2-2"), 80);
  lab.lan.loss = 0.2;
  for (let request = 0; request < 10; request++) {
    let answer = "";
    pod(lab, "pod-1-2").sockets.connectTcp(
      { ip: parseIp("10.244.2.2"), port: 80 },
      {
        connected: (socket) => socket.write("hello"),
        data: (_, text) => {
          answer += text;
        },
      },
    );
    lab.sim.clock.advance(120_000_000);
    expect(answer).toBe("pod-2-2 saw 10.244.1.2: hello");
  }
});

test("a device that goes down takes its routes along, keeps its address, and gets back only what follows from that", () => {
  const { nodes, sim } = overlay(2);
  const [node] = nodes as [Netns, Netns];
  const eth0 = node.device("eth0");
  const routes = () => node.routes.list().map((route) => routeText(route).trim());
  const before = routes();
  eth0.up = false;
  expect(routes()).toEqual(before.filter((route) => !route.includes("eth0")));
  expect(node.routes.isLocal(parseIp("192.168.1.11"))).toBe(true);
  expect(ping(sim, node, "192.168.1.11").heard).toBe(1);
  eth0.up = true;
  expect(routes()).toEqual(before.filter((route) => !route.startsWith("default")));
  expect(ping(sim, node, "192.168.1.12").heard).toBe(1);
});

test("a tap sees what tcpdump would: requests out, answers in, and on a bridge what it only forwards", () => {
  const lab = overlay(2);
  const [node] = lab.nodes as [Netns, Netns];
  ping(lab.sim, pod(lab, "pod-1-2"), "10.244.2.2");
  ping(lab.sim, pod(lab, "pod-1-2"), "10.244.1.3");
  const seen: string[] = [];
  const taps = [pod(lab, "pod-1-2").device("eth0"), node.device("cni0"), node.device("eth0"), node.device("lo")].map(
    (device) =>
      device.tap((frame, direction) => {
        if (frame.type === "ip") seen.push(`${device.name} ${direction} ${frame.packet.body.protocol}`);
      }),
  );
  ping(lab.sim, pod(lab, "pod-1-2"), "10.244.2.2");
  expect(seen.splice(0)).toEqual([
    "eth0 out icmp",
    "cni0 in icmp",
    "eth0 out udp",
    "eth0 in udp",
    "cni0 out icmp",
    "eth0 in icmp",
  ]);
  ping(lab.sim, pod(lab, "pod-1-2"), "10.244.1.3");
  expect(seen.splice(0)).toEqual(["eth0 out icmp", "cni0 in icmp", "cni0 in icmp", "eth0 in icmp"]);
  ping(lab.sim, node, "127.0.0.1");
  expect(seen.splice(0)).toEqual(["lo out icmp", "lo in icmp", "lo out icmp", "lo in icmp"]);
  for (const tap of taps) tap.stop();
  ping(lab.sim, node, "127.0.0.1");
  expect(seen).toEqual([]);
});

/** The first design of the seed: eth0 is a port of br0, which has the node's address; kube-bridge hangs on br0 by a veth pair. */
function flatNetwork(): { sim: Sim; network: Network; nodes: readonly Netns[]; pods: readonly Netns[] } {
  const sim = createSim(2);
  const network = new Network(sim);
  const lan = network.segment("lan");
  const nodes: Netns[] = [];
  const pods: Netns[] = [];
  for (const number of [1, 2]) {
    const node = network.netns(`node-${number}`);
    const eth0 = node.addPhysical("eth0", lan);
    node.addBridge("br0", { mac: eth0.mac });
    node.addBridge("kube-bridge");
    node.attach("eth0", "br0");
    node.addAddress("br0", parseCidr(`10.9.0.${number}/16`));
    network.vethPair({ netns: node, name: "up" }, { netns: node, name: "down" });
    node.attach("up", "br0");
    node.attach("down", "kube-bridge");
    const one = network.netns(`pod-${number}`);
    network.vethPair({ netns: node, name: "v0" }, { netns: one, name: "eth0" });
    node.attach("v0", "kube-bridge");
    one.addAddress("eth0", parseCidr(`10.9.${number}.2/16`));
    nodes.push(node);
    pods.push(one);
  }
  return { sim, network, nodes, pods };
}

test("one L2 over bridges behind bridges: pods and nodes of both machines reach each other in one hop", () => {
  const { sim, nodes, pods } = flatNetwork();
  for (const from of [...nodes, ...pods]) {
    for (const ip of ["10.9.0.1", "10.9.0.2", "10.9.1.2", "10.9.2.2"]) {
      expect(`${from.name} ${ip} ${ping(sim, from, ip).heard}`).toBe(`${from.name} ${ip} 1`);
    }
  }
  const journal = sim.journal.during(() => ping(sim, pods[0] as Netns, "10.9.2.2"));
  expect(journal.filter(({ what }) => what.includes("route")).every(({ where }) => where.startsWith("pod"))).toBe(true);
});

test("VXLAN that learns needs one entry of zeros; nolearning needs an entry for each peer", () => {
  const sim = createSim(4);
  const network = new Network(sim);
  const lan = network.segment("lan");
  const hosts = [1, 2, 3].map((number) => {
    const host = network.netns(`host-${number}`);
    host.addPhysical("eth0", lan);
    host.addAddress("eth0", parseCidr(`192.168.9.${number}/24`));
    host.addVxlan("vx0", { vni: 7, local: parseIp(`192.168.9.${number}`), underlay: "eth0", learning: true });
    host.addAddress("vx0", parseCidr(`10.7.0.${number}/24`));
    return host;
  });
  const [one, two] = hosts as [Netns, Netns];
  expect(ping(sim, one, "10.7.0.2").heard).toBe(0);
  for (const host of hosts) {
    const { link } = host.device("vx0");
    if (link.type !== "vxlan") throw new Error("no VXLAN device");
    for (const peer of [1, 2, 3]) {
      const ip = parseIp(`192.168.9.${peer}`);
      if (!host.routes.isLocal(ip)) link.fdb.append("00:00:00:00:00:00", ip);
    }
  }
  expect(ping(sim, one, "10.7.0.2").heard).toBe(1);
  const { link } = one.device("vx0");
  if (link.type !== "vxlan") throw new Error("no VXLAN device");
  expect(link.fdb.get(two.device("vx0").mac)).toBe(parseIp("192.168.9.2"));
  expect(link.fdb.entries().filter(({ permanent }) => !permanent).length).toBe(1);
});

test("what is put off is written before the first packet or reader needs it", () => {
  const { sim, nodes } = overlay(1);
  const [node] = nodes as [Netns];
  let filled = 0;
  const defer = (): void =>
    node.defer(() => {
      filled++;
      node.routes.replace({ to: parseCidr("10.77.0.0/24"), via: parseIp("192.168.1.1") });
    });
  ping(sim, node, "192.168.1.1");
  defer();
  expect(filled).toBe(0);
  ping(sim, node, "192.168.1.1");
  expect(filled).toBe(1);
  defer();
  expect(node.routes.list().map((route) => routeText(route).trim())).toContain("10.77.0.0/24 via 192.168.1.1 dev eth0");
  expect(filled).toBe(2);
});

test("a cut or lossy veth disturbs only what goes through it", () => {
  const lab = overlay(1);
  serve(pod(lab, "pod-1-3"), 80);
  const { link } = pod(lab, "pod-1-2").device("eth0");
  if (link.type !== "veth") throw new Error("no veth");
  link.wire.cut = true;
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80, 2_000_000)).toBe("timeout after 2000 ms");
  expect(ask(lab, lab.nodes[0] as Netns, "10.244.1.3", 80)).toBe("pod-1-3 saw 10.244.1.1: hello");
  link.wire.cut = false;
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80)).toBe("pod-1-3 saw 10.244.1.2: hello");
});
