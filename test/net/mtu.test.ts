/** Packets that are too long: told by ICMP, remembered, cut up, put together, or lost without a word. */
import { expect, test } from "vitest";
import { parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { Netns } from "../../kernel-lib/net/netns";
import { Network } from "../../kernel-lib/net/network";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { parseRules } from "../../kernel-lib/net/ruleparse";
import type { EchoResult, PathMtuMode } from "../../kernel-lib/net/socket";
import { createSim, type Sim } from "../../kernel-lib/sim/sim";

const families = {
  IPv4: { left: "10.1.0.2", leftGate: "10.1.0.1", right: "10.2.0.2", rightGate: "10.2.0.1", bits: 24, header: 20 },
  IPv6: { left: "fd00:1::2", leftGate: "fd00:1::1", right: "fd00:2::2", rightGate: "fd00:2::1", bits: 64, header: 40 },
} as const;

/** left ── router ── right; the second link is narrower than the first. */
function narrowing(family: keyof typeof families, narrow = 1300) {
  const { left, leftGate, right, rightGate, bits } = families[family];
  const sim = createSim(3);
  const network = new Network(sim);
  const [one, router, other] = ["left", "router", "right"].map((name) => network.netns(name)) as [Netns, Netns, Netns];
  network.vethPair({ netns: one, name: "eth0" }, { netns: router, name: "l0" });
  network.vethPair({ netns: router, name: "r0", mtu: narrow }, { netns: other, name: "eth0", mtu: narrow });
  one.addAddress("eth0", parseCidr(`${left}/${bits}`));
  router.addAddress("l0", parseCidr(`${leftGate}/${bits}`));
  router.addAddress("r0", parseCidr(`${rightGate}/${bits}`));
  other.addAddress("eth0", parseCidr(`${right}/${bits}`));
  const everywhere = { ip: family === "IPv4" ? 0 : 0n, length: 0 };
  one.routes.add({ to: everywhere, via: parseIp(leftGate) });
  other.routes.add({ to: everywhere, via: parseIp(rightGate) });
  router.sysctl.ipForward = true;
  router.sysctl.ipv6Forward = true;
  return { sim, network, one, router, other, target: parseIp(right) };
}

/** What ping says, in the words of its lines. */
function ping(sim: Sim, from: Netns, target: ReturnType<typeof parseIp>, size: number, pathMtu: PathMtuMode): string {
  let heard = "nothing";
  const tell = (answer: EchoResult): void => {
    heard = answer.result === "reply" ? `reply ttl=${answer.ttl}` : answer.error;
  };
  const socket = from.sockets.openEcho(target, tell);
  socket.send(1, { size, pathMtu });
  sim.clock.settle();
  socket.close();
  return heard;
}

for (const family of ["IPv4", "IPv6"] as const) {
  const { header } = families[family];
  const tooBig = family === "IPv4" ? "Frag needed and DF set (mtu = 1300)" : "Packet too big: mtu=1300";

  test(`${family}: ping -M do is told by the router, then refused at home; ping -M want is cut up from then on`, () => {
    const { sim, one, target } = narrowing(family);
    const most = 1300 - header - 8;
    expect(ping(sim, one, target, most, "do")).toBe("reply ttl=63");
    expect(ping(sim, one, target, most + 1, "do")).toBe(tooBig);
    expect(one.mtuTo(target)).toBe(1300);
    expect(ping(sim, one, target, most + 1, "do")).toBe("local error: message too long, mtu=1300");
    expect(ping(sim, one, target, most + 1, "want")).toBe("reply ttl=63");
    sim.clock.advance(601_000_000);
    expect(one.mtuTo(target)).toBe(1500);
    expect(ping(sim, one, target, most + 1, "want")).toBe(tooBig);
  });

  test(`${family}: a UDP datagram of 20,000 octets goes in pieces that fit, and arrives whole or not at all`, () => {
    const { sim, one, router, other, target } = narrowing(family);
    const sizes: number[] = [];
    let got = 0;
    let longest = 0;
    other.sockets.openUdp(
      { ip: 0n, port: 9 },
      { received: (_, { payload }) => (got += typeof payload === "string" ? payload.length : payload.size) },
    );
    other.device("eth0").tap((frame, direction) => {
      if (frame.type !== "ip" || direction !== "in" || frame.packet.body.protocol !== "udp") return;
      sizes.push(frame.packet.fragment?.length ?? -1);
    });
    router.device("r0").tap((frame) => {
      if (frame.type === "ip" && frame.packet.fragment) longest = Math.max(longest, frame.packet.fragment.length);
    });
    const socket = one.sockets.openUdp({ peer: { ip: target, port: 9 }, pathMtu: "dont" }, {});
    const send = (): void => {
      socket.send({ type: "x", size: 20_000 });
      sim.clock.settle();
    };
    send();
    if (family === "IPv6") {
      // The first one's pieces were too long but for its last: the sender has been told.
      expect(got).toBe(0);
      sizes.length = 0;
      send();
    }
    expect(got).toBe(20_000);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(20_008);
    expect(longest).toBeLessThanOrEqual(1300 - header);
    const { link } = other.device("eth0");
    if (link.type !== "veth") throw new Error("no veth");
    link.wire.loss = 0.2;
    const fates = sim.journal.during(send).map(({ detail }) => detail as PacketEvent);
    const [whole] = fates;
    expect(fates.filter(({ kind, packet }) => packet?.id === whole?.packet.id && kind === "drop")).toHaveLength(
      got === 20_000 ? 1 : 0,
    );
  });

  test(`${family}: TCP learns the way's MTU from the router and goes on with smaller segments`, () => {
    const { sim, one, other, target } = narrowing(family);
    // The far side could take 1500: only the way is narrow.
    other.device("eth0").mtu = 1500;
    let got = "";
    let longest = 0;
    other.sockets.listenTcp({ port: 80 }, () => ({
      data: (_, text) => {
        got += text;
      },
    }));
    other.device("eth0").tap((frame, direction) => {
      if (frame.type === "ip" && direction === "in" && frame.packet.body.protocol === "tcp") {
        longest = Math.max(longest, frame.packet.body.payload.length);
      }
    });
    const text = "0123456789".repeat(1_000);
    const began = sim.clock.now;
    one.sockets.connectTcp({ ip: target, port: 80 }, { connected: (socket) => socket.write(text) });
    sim.clock.settle();
    expect(got).toBe(text);
    expect(longest).toBe(1300 - header - 20);
    expect(sim.clock.now - began).toBeLessThan(1_000_000);
  });

  test(`${family}: where the ICMP is dropped the way is a black hole: small things pass, large ones never do`, () => {
    const { sim, one, router, other, target } = narrowing(family);
    other.device("eth0").mtu = 1500;
    const tables = family === "IPv4" ? router.iptables : router.ip6tables;
    const option =
      family === "IPv4" ? "-p icmp --icmp-type fragmentation-needed" : "-p icmpv6 --icmpv6-type packet-too-big";
    tables.restore(parseRules(`*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT ${option} -j DROP\nCOMMIT\n`));
    let got = "";
    other.sockets.listenTcp({ port: 80 }, () => ({
      data: (_, text) => {
        got += text;
      },
    }));
    let failed = "";
    const socket = one.sockets.connectTcp(
      { ip: target, port: 80 },
      { connected: (connected) => connected.write("hello"), failed: (_, { errno }) => (failed = errno) },
    );
    sim.clock.settle();
    expect(got).toBe("hello");
    socket.write("0".repeat(5_000));
    sim.clock.advance(1_200_000_000);
    expect([got, failed]).toEqual(["hello", "ETIMEDOUT"]);
  });
}

test("the MSS that a SYN offers follows from the device, and the peer's is kept to", () => {
  const { sim, one, other, target } = narrowing("IPv4");
  const offers: (number | undefined)[] = [];
  let longest = 0;
  other.sockets.listenTcp({ port: 80 }, () => ({}));
  one.device("eth0").tap((frame) => {
    if (frame.type !== "ip" || frame.packet.body.protocol !== "tcp") return;
    if (frame.packet.body.mss !== undefined) offers.push(frame.packet.body.mss);
    longest = Math.max(longest, frame.packet.body.payload.length);
  });
  one.sockets.connectTcp({ ip: target, port: 80 }, { connected: (socket) => socket.write("x".repeat(9_000)) });
  sim.clock.settle();
  expect(offers).toEqual([1460, 1260]);
  expect(longest).toBe(1260);
});

test("what is too long for the device at the far end, or for a bridge's port, is gone without a word", () => {
  const { sim, one, router, other, target } = narrowing("IPv4");
  router.device("r0").mtu = 1500;
  expect(ping(sim, one, target, 1400, "want")).toBe("nothing");
  expect(other.device("eth0").counters.rxDropped).toBe(1);
  // A veth end takes a VLAN tag's four octets more than its MTU.
  expect(ping(sim, one, target, 1300 + 4 - 28, "dont")).toBe("reply ttl=63");
});

test("a device's own MTU counts for local packets at once, and a route's own before it", () => {
  const { sim, one, target } = narrowing("IPv4");
  expect(ping(sim, one, target, 1473, "do")).toBe("local error: message too long, mtu=1500");
  one.routes.replace({ to: parseCidr("0.0.0.0/0"), via: parseIp("10.1.0.1"), mtu: 1400 });
  expect(ping(sim, one, target, 1373, "do")).toBe("local error: message too long, mtu=1400");
});
