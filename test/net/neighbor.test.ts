/** Neighbours: Linux's states and timers, ARP and neighbour discovery, gratuitous answers, answers for others. */
import { expect, test } from "vitest";
import { formatIp, parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { Netns } from "../../kernel-lib/net/netns";
import { Network } from "../../kernel-lib/net/network";
import { describeSolicitation } from "../../kernel-lib/net/solicit";
import { createSim } from "../../kernel-lib/sim/sim";
import { ask, overlay, pod, serve } from "./topology";

function stateOf(netns: Netns, ip: string): string | undefined {
  return netns.neighbors.list().find((entry) => entry.ip === parseIp(ip))?.state;
}

/** Two hosts on one segment, which talk by UDP: nothing above says that the other is still there. */
function twoHosts(one = "192.168.9.1/24", other = "192.168.9.2/24") {
  const sim = createSim(7);
  const network = new Network(sim);
  const lan = network.segment("lan");
  const hosts = ([one, other] as const).map((address, index) => {
    const host = network.netns(`host-${index + 1}`);
    host.addPhysical("eth0", lan);
    host.addAddress("eth0", parseCidr(address));
    return host;
  }) as [Netns, Netns];
  const say = (from: Netns, to: string): void => {
    from.sockets.openUdp({}, {}).send("x", { ip: parseIp(to), port: 9 });
    sim.clock.settle();
  };
  return { sim, network, lan, hosts, say };
}

for (const [name, ip, address, peer] of [
  ["ARP", "192.168.9.2", "192.168.9.1/24", "192.168.9.2/24"],
  ["neighbour discovery", "fd00:9::2", "fd00:9::1/64", "fd00:9::2/64"],
] as const) {
  test(`${name}: REACHABLE for 15 to 45 s, then STALE; used, it is DELAY, asked alone, and FAILED when nobody answers`, () => {
    const { sim, hosts, say } = twoHosts(address, peer);
    const [one, other] = hosts;
    other.sockets.openUdp({ ip: 0n, port: 9 }, {});
    const asked: string[] = [];
    one.device("eth0").tap((frame, direction) => {
      const words = describeSolicitation(frame);
      if (words && direction === "out") asked.push(`${words} ${frame.target === other.device("eth0").mac}`);
    });
    say(one, ip);
    expect(stateOf(one, ip)).toBe("REACHABLE");
    expect(stateOf(other, formatIp(parseCidr(address).ip))).toBe("STALE");
    sim.clock.advance(14_000_000);
    expect(stateOf(one, ip)).toBe("REACHABLE");
    sim.clock.advance(31_000_000);
    expect(stateOf(one, ip)).toBe("STALE");
    say(one, ip);
    expect(stateOf(one, ip)).toBe("DELAY");
    sim.clock.advance(5_100_000);
    expect(stateOf(one, ip)).toBe("REACHABLE");
    const word = name === "ARP" ? "ARP" : "ND";
    const question = `${word}: who has ${ip}? Tell`;
    // Asked for a packet, it says the packet's source; asked by itself, IPv6 says its link-local address.
    const self = one.device("eth0").addresses.at(-1);
    expect(asked.filter((line) => line.startsWith(question))).toEqual([
      `${question} ${formatIp(parseCidr(address).ip)} false`,
      `${question} ${formatIp((name === "ARP" ? undefined : self?.ip) ?? parseCidr(address).ip)} true`,
    ]);
    sim.clock.advance(50_000_000);
    other.device("eth0").up = false;
    say(one, ip);
    sim.clock.advance(5_000_000);
    expect(stateOf(one, ip)).toBe("PROBE");
    sim.clock.advance(3_100_000);
    expect(stateOf(one, ip)).toBe("FAILED");
  });
}

test("TCP that goes on confirms its neighbour: nobody is asked", () => {
  const lab = overlay(1);
  serve(pod(lab, "pod-1-3"), 80);
  const client = pod(lab, "pod-1-2");
  ask(lab, client, "10.244.1.3", 80);
  lab.sim.clock.advance(60_000_000);
  expect(stateOf(client, "10.244.1.3")).toBe("STALE");
  ask(lab, client, "10.244.1.3", 80);
  expect(stateOf(client, "10.244.1.3")).toBe("REACHABLE");
});

test("a gratuitous ARP mends an old entry, but not within a second of another answer", () => {
  const { sim, lan, network, hosts, say } = twoHosts();
  const [one, other] = hosts;
  say(one, "192.168.9.2");
  const taker = network.netns("taker");
  const device = taker.addPhysical("eth0", lan);
  taker.addAddress("eth0", parseCidr("192.168.9.2/24"));
  const known = () => one.neighbors.list()[0]?.mac;
  taker.neighbors.announce(device, parseIp("192.168.9.2"));
  sim.clock.settle();
  expect(known()).toBe(other.device("eth0").mac);
  sim.clock.advance(1_100_000);
  taker.neighbors.announce(device, parseIp("192.168.9.2"));
  sim.clock.settle();
  expect(known()).toBe(device.mac);
});

test("with proxy_arp a router answers for whom it would forward to, and for nobody else", () => {
  const { sim, network, hosts, say } = twoHosts("192.168.9.1/16", "192.168.9.2/24");
  const [one, router] = hosts;
  const inner = network.netns("inner");
  network.vethPair({ netns: router, name: "in0" }, { netns: inner, name: "eth0" });
  router.routes.add({ to: parseCidr("192.168.77.7"), device: "in0" });
  inner.addAddress("eth0", parseCidr("192.168.77.7"));
  inner.routes.add({ to: parseCidr("192.168.0.0/16"), device: "eth0" });
  router.sysctl.ipForward = true;
  const heard: string[] = [];
  inner.sockets.openUdp({ port: 9 }, { received: (_, { source }) => heard.push(formatIp(source.ip)) });
  say(one, "192.168.77.7");
  expect(stateOf(one, "192.168.77.7")).toBe("FAILED");
  router.device("eth0").proxyArp = true;
  say(one, "192.168.77.7");
  say(one, "192.168.9.77");
  sim.clock.settle();
  expect(heard).toEqual(["192.168.9.1"]);
  expect(stateOf(one, "192.168.9.77")).toBe("FAILED");
});

test("of many packets that wait for one address the first are dropped, and nobody is told that it cannot be reached", () => {
  const { sim, hosts } = twoHosts();
  const [one, other] = hosts;
  const received: string[] = [];
  other.sockets.openUdp({ port: 9 }, { received: (_, { payload }) => received.push(String(payload)) });
  const failed: string[] = [];
  const sockets = Array.from({ length: 150 }, (_, at) => {
    const peer = { ip: parseIp("192.168.9.2"), port: 9 };
    const socket = one.sockets.openUdp({ peer }, { failed: (_, { outcome }) => failed.push(outcome) });
    socket.send(`${at}`);
    return socket;
  });
  sim.clock.settle();
  for (const socket of sockets) socket.close();
  // unres_qlen_bytes is 212992: so many small packets of 2 KiB each, and one more that has come since.
  expect(received).toEqual(Array.from({ length: 101 }, (_, at) => `${49 + at}`));
  expect(failed).toEqual([]);
});
