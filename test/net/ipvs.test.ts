/** IPVS itself: every scheduler against its definition, connections through their states, what is refused. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, parseIp } from "../../kernel-lib/net/address";
import { explainFlow } from "../../kernel-lib/net/flow";
import { type IpvsState, nextState } from "../../kernel-lib/net/ipvs/connection";
import { hash32, hsiphash } from "../../kernel-lib/net/ipvs/hash";
import type { Ipvs } from "../../kernel-lib/net/ipvs/ipvs";
import { newScheduler, type SchedulerName } from "../../kernel-lib/net/ipvs/scheduler";
import { newServer, type RealServer, type SchedulerFlag, Statistics } from "../../kernel-lib/net/ipvs/server";
import { serverRule, virtualRule } from "../../kernel-lib/net/ipvs/text";
import type { Netns } from "../../kernel-lib/net/netns";
import type { Packet, TcpFlags } from "../../kernel-lib/net/packet";
import { second } from "../../kernel-lib/sim/clock";
import { ask, overlay, pod, serve } from "./topology";

const names = ["a", "b", "c", "d"];

/** Real servers a, b, … in the order of the kernel's list, with these weights. */
function servers(weights: readonly number[]): RealServer[] {
  return weights.map((weight, at) => newServer(parseIp(`10.244.1.${at + 2}`), 80, weight, 0));
}

function nameOf(server: RealServer | undefined): string {
  return server ? (names[Number(server.ip) - Number(parseIp("10.244.1.2"))] ?? "?") : "-";
}

function packet(source = "10.244.9.9", sourcePort = 40_000, target = "10.96.0.10"): Packet {
  const body = {
    protocol: "tcp",
    sourcePort,
    targetPort: 80,
    flags: "S",
    sequence: 0,
    acknowledgement: 0,
    payload: "",
  };
  return { id: 1, source: parseIp(source), target: parseIp(target), ttl: 64, body: body as Packet["body"] };
}

/** The next choices; connections stay open, as the scheduler sees them. */
function picks(name: SchedulerName, list: RealServer[], count: number, stay = false): string {
  const scheduler = newScheduler(name, { servers: list, flags: [] });
  return Array.from({ length: count }, () => {
    const server = scheduler.pick(packet());
    if (server && stay) server.active++;
    return nameOf(server);
  }).join("");
}

const turns: readonly (readonly [SchedulerName, readonly number[], boolean, string])[] = [
  ["rr", [1, 1, 1], false, "abcabcab"],
  ["rr", [1, 0, 5], false, "acacacac"],
  ["rr", [0, 0], false, "--------"],
  // The bar falls from 4 by the greatest common divisor 1; each round gives all that reach it a turn.
  ["wrr", [4, 3, 2], false, "aababcabc"],
  ["wrr", [2, 2, 4], false, "cabccabc"],
  ["wrr", [1, 0, 1], false, "acacacac"],
  ["wrr", [0, 0], false, "--------"],
  // Least connections: the first of those that have fewest.
  ["lc", [1, 1, 1], true, "abcabcab"],
  ["lc", [9, 1, 0], true, "abababab"],
  // Fewest for its weight.
  ["wlc", [2, 1], true, "abaabaab"],
  // Shortest expected delay: (open + 1) / weight.
  ["sed", [1, 2, 3], true, "cbcabccbc"],
  // An idle one first, whatever its weight.
  ["nq", [1, 2, 3], true, "abccbcc"],
];

test.each(turns)("%s over weights %j, connections stay open: %s, chooses %s", (name, weights, stay, wanted) => {
  expect(picks(name, servers(weights), wanted.length, stay)).toBe(wanted);
});

test("round robin goes on where it was when a server comes, or the one it stood at goes", () => {
  const list = servers([1, 1, 1, 1]);
  const scheduler = newScheduler("rr", { servers: list, flags: [] });
  const next = (): string => nameOf(scheduler.pick(packet()));
  expect([next(), next()]).toEqual(["a", "b"]);
  const [, gone] = list;
  if (!gone) throw new Error("no server");
  list.splice(1, 1);
  scheduler.changed({ server: gone, at: 1 });
  expect([next(), next(), next()]).toEqual(["c", "d", "a"]);
});

test("weighted round robin gives in each cycle to each what its weight is", () => {
  const weights = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(weights, (given) => {
      const sum = given.reduce((one, other) => one + other, 0);
      const divisor = given.reduce((one, other) => gcd(one, other), 0) || 1;
      const got = picks("wrr", servers(given), sum / divisor);
      for (const [at, weight] of given.entries()) {
        expect([...got].filter((name) => name === names[at])).toHaveLength(weight / divisor);
      }
    }),
  );
});

function gcd(one: number, other: number): number {
  return other === 0 ? one : gcd(other, one % other);
}

test("hashes are the kernel's", () => {
  // lib/tests/siphash_kunit.c: the octets 0, 1, 2, 3 under the key 00 01 … 0f.
  expect(hsiphash(0x03020100, 0x0706050403020100n, 0x0f0e0d0c0b0a0908n)).toBe(0x88d38328);
  expect(hash32(1, 8)).toBe(0x61);
  expect(hash32(0x0a000001, 8)).toBe(Number((0x0a000001n * 0x61c88647n) & 0xffffffffn) >>> 24);
});

test("sh: 256 buckets dealt out by weight; the client's address decides, with flag port its port too", () => {
  const list = servers([1, 3]);
  const of = { servers: list, flags: [] as readonly SchedulerFlag[] };
  const scheduler = newScheduler("sh", of);
  expect(scheduler.shares()).toEqual([64, 192]);
  const bucket = hash32(Number(parseIp("10.244.9.9")), 8);
  expect(nameOf(scheduler.pick(packet()))).toBe(bucket % 4 === 0 ? "a" : "b");
  const ports = Array.from({ length: 64 }, (_, at) => 40_000 + at);
  const spread = (flags: readonly SchedulerFlag[]): number => {
    const chooser = newScheduler("sh", { servers: list, flags });
    return new Set(ports.map((port) => nameOf(chooser.pick(packet("10.244.9.9", port))))).size;
  };
  expect([spread([]), spread(["port"])]).toEqual([1, 2]);
});

test("sh without fallback has no answer where its server has weight 0, with it another's", () => {
  const list = servers([1, 1]);
  const plain = newScheduler("sh", { servers: list, flags: [] });
  const chosen = plain.pick(packet());
  if (!chosen) throw new Error("nothing chosen");
  chosen.weight = 0;
  const fallback = newScheduler("sh", { servers: list, flags: ["fallback"] });
  expect(nameOf(plain.pick(packet()))).toBe("-");
  expect(fallback.pick(packet())).toBe(list.find((server) => server !== chosen));
});

test("dh: the address that is asked for decides, whoever asks", () => {
  const scheduler = newScheduler("dh", { servers: servers([1, 1, 1]), flags: [] });
  const of = (source: string, target: string): string => nameOf(scheduler.pick(packet(source, 1, target)));
  expect(of("10.244.9.9", "10.96.0.10")).toBe(of("10.244.1.1", "10.96.0.10"));
  const targets = Array.from({ length: 64 }, (_, at) => `10.96.0.${at}`);
  expect(new Set(targets.map((target) => of("10.244.9.9", target))).size).toBe(3);
});

test("mh: places are shared evenly by weight, and few clients move when a server goes", () => {
  const even = newScheduler("mh", { servers: servers([1, 1, 1]), flags: [] }).shares();
  for (const share of even) expect(Math.abs(share - 4093 / 3)).toBeLessThan(2);
  const weighted = newScheduler("mh", { servers: servers([1, 3]), flags: [] }).shares();
  expect(Math.abs((weighted[1] ?? 0) / (weighted[0] ?? 1) - 3)).toBeLessThan(0.02);
  const list = servers([1, 1, 1, 1]);
  const of = { servers: list, flags: [] };
  const scheduler = newScheduler("mh", of);
  const clients = Array.from({ length: 400 }, (_, at) => `10.${1 + (at >> 8)}.${at & 255}.7`);
  const answers = (): readonly string[] => clients.map((client) => nameOf(scheduler.pick(packet(client))));
  const before = answers();
  list.splice(3, 1);
  scheduler.changed();
  const moved = answers().filter((name, at) => before[at] !== "d" && name !== before[at]);
  expect(moved.length).toBeLessThan(40);
});

test("long-run shares are what a scheduler gives in the long run", () => {
  for (const [name, weights] of [
    ["rr", [1, 1, 5]],
    ["wrr", [1, 2, 3]],
    ["wlc", [1, 2, 3]],
    ["sed", [1, 2, 3]],
    ["lc", [4, 1, 1]],
    ["nq", [1, 2, 3]],
  ] as const) {
    const list = servers(weights);
    const shares = newScheduler(name, { servers: list, flags: [] }).shares();
    const sum = shares.reduce((one, other) => one + other, 0);
    const got = picks(name, servers(weights), 600, true);
    for (const [at, share] of shares.entries()) {
      const part = [...got].filter((each) => each === names[at]).length / 600;
      expect(Math.abs(part - share / sum), `${name} ${names[at]}`).toBeLessThan(0.01);
    }
  }
});

test("states follow the segments of both sides, as ip_vs_proto_tcp.c has them", () => {
  const walk = (steps: readonly (readonly ["in" | "out", TcpFlags])[]): readonly IpvsState[] => {
    let state: IpvsState = "NONE";
    return steps.map(([way, flags]) => {
      state = nextState(state, flags, way);
      return state;
    });
  };
  const open = [
    ["in", "S"],
    ["out", "S."],
    ["in", "."],
  ] as const;
  expect(walk([...open, ["in", "P."], ["in", "F."], ["out", "."], ["out", "F."], ["in", "."]])).toEqual([
    "SYN_RECV",
    "SYN_RECV",
    "ESTABLISHED",
    "ESTABLISHED",
    "CLOSE_WAIT",
    "CLOSE_WAIT",
    "TIME_WAIT",
    "TIME_WAIT",
  ]);
  expect(walk([...open, ["out", "F."], ["in", "."], ["in", "F."], ["out", "."]]).slice(3)).toEqual([
    "FIN_WAIT",
    "FIN_WAIT",
    "TIME_WAIT",
    "TIME_WAIT",
  ]);
  expect(
    walk([
      ["in", "S"],
      ["out", "R."],
    ]),
  ).toEqual(["SYN_RECV", "CLOSE"]);
  expect(walk([...open, ["in", "R"]]).at(-1)).toBe("CLOSE");
});

test("rates go a quarter of the way each two seconds, up and down", () => {
  const stats = new Statistics(0);
  stats.count(second, { connections: 80 });
  expect(stats.counts.connections).toBe(80);
  expect(stats.rates(2 * second).connections).toBe(10);
  expect(stats.rates(4 * second).connections).toBe(8);
  expect(stats.rates(600 * second).connections).toBe(0);
});

const vip = { protocol: "tcp", ip: parseIp("10.96.0.10"), port: 80 } as const;

/** A node whose pods can be reached by a virtual server, written by hand as `ipvsadm` would. */
function director() {
  const lab = overlay(2);
  for (const name of lab.pods.keys()) serve(pod(lab, name), 80);
  const [node] = lab.nodes;
  if (!node) throw new Error("no node");
  node.addAddress("lo", { ip: vip.ip, length: 32 });
  node.sysctl.vsConntrack = true;
  node.iptables.restore({ nat: { PREROUTING: [] } });
  node.ipvs.add({ ...vip, scheduler: "rr" });
  return { lab, node, ipvs: node.ipvs, client: pod(lab, "pod-1-2") };
}

test("learners' words: what is not there, and what is there already", () => {
  const { ipvs } = director();
  const ip = parseIp("10.244.1.3");
  const said = (act: () => void): string => {
    try {
      act();
      return "";
    } catch (error) {
      return String((error as Error).message);
    }
  };
  expect(said(() => ipvs.add({ ...vip, scheduler: "rr" }))).toBe("Service already exists");
  expect(said(() => ipvs.delete({ ...vip, port: 81 }))).toBe("No such service");
  expect(said(() => ipvs.deleteServer(vip, ip, 80))).toBe("No such destination");
  ipvs.addServer(vip, ip, 80, 2);
  expect(said(() => ipvs.addServer(vip, ip, 80))).toBe("Destination already exists");
  const [service] = ipvs.list();
  expect(service && [virtualRule(service), ...service.servers.map((server) => serverRule(service, server))]).toEqual([
    "-A -t 10.96.0.10:80 -s rr",
    "-a -t 10.96.0.10:80 -r 10.244.1.3:80 -m -w 2",
  ]);
});

test("conntrack drops the entry with IPVS's: after 15 minutes of silence nothing is known of an open connection", () => {
  const { lab, node, ipvs, client } = director();
  ipvs.addServer(vip, parseIp("10.244.2.2"), 80);
  client.sockets.connectTcp({ ip: vip.ip, port: 80 }, {});
  lab.sim.clock.settle();
  const known = () => [ipvs.connections.size, node.conntrack.list().filter(({ tcp }) => tcp).length];
  expect(known()).toEqual([1, 1]);
  lab.sim.clock.advance(901 * second);
  expect(known()).toEqual([0, 0]);
});

test("a real server that is deleted: its connections are dropped, or with expire_nodest_conn begin anew elsewhere", () => {
  for (const expire of [false, true]) {
    const { lab, node, ipvs, client } = director();
    node.sysctl.vsExpireNodestConn = expire;
    ipvs.addServer(vip, parseIp("10.244.2.2"), 80);
    let outcome = "open";
    const socket = client.sockets.connectTcp(
      { ip: vip.ip, port: 80 },
      {
        failed: (_, failure) => {
          outcome = failure.outcome;
        },
      },
    );
    lab.sim.clock.settle();
    ipvs.deleteServer(vip, parseIp("10.244.2.2"), 80);
    ipvs.addServer(vip, parseIp("10.244.1.3"), 80);
    socket.write("more");
    lab.sim.clock.advance(30 * second);
    // The packets of a connection that nobody knows are the node's own to answer: by a reset.
    expect(outcome).toBe(expire ? "reset" : "open");
    expect(ask(lab, client, "10.96.0.10", 80)).toMatch(/^pod-1-3/);
  }
});

test("an error about a packet to the real server reaches the client as one about the virtual server", () => {
  const { lab, ipvs, client } = director();
  ipvs.add({ protocol: "udp", ip: vip.ip, port: 53, scheduler: "rr" });
  ipvs.addServer({ protocol: "udp", ip: vip.ip, port: 53 }, parseIp("10.244.2.2"), 53);
  const errors: string[] = [];
  const socket = client.sockets.openUdp(
    { peer: { ip: vip.ip, port: 53 } },
    {
      error: (_, { from, type, cause }) =>
        errors.push(`${type} from ${formatIp(from)} about ${formatIp(cause.target)}`),
    },
  );
  socket.send("hello");
  lab.sim.clock.settle();
  expect(errors).toEqual(["port-unreachable from 10.96.0.10 about 10.96.0.10"]);
});

test("IPv6: a virtual server of its own, and each family's packets meet only theirs", () => {
  const { lab, node, ipvs } = director();
  node.sysctl.ipv6Forward = true;
  const six = { protocol: "tcp", ip: parseIp("fd00:10:96::a"), port: 80 } as const;
  node.addAddress("lo", { ip: six.ip, length: 128 });
  node.addAddress("cni0", { ip: parseIp("fd00:244:1::1"), length: 64 });
  for (const [name, host] of [
    ["pod-1-2", 2],
    ["pod-1-3", 3],
  ] as const) {
    const netns = pod(lab, name);
    netns.addAddress("eth0", { ip: parseIp(`fd00:244:1::${host}`), length: 64 });
    netns.routes.add({ to: { ip: 0n, length: 0 }, via: parseIp("fd00:244:1::1"), device: "eth0" });
  }
  node.sysctl.bridgeNfCallIp6tables = true;
  node.ip6tables.restore({ nat: { PREROUTING: [] } });
  ipvs.add({ ...six, scheduler: "rr" });
  ipvs.addServer(six, parseIp("fd00:244:1::3"), 80);
  expect(ask(lab, pod(lab, "pod-1-2"), "fd00:10:96::a", 80)).toBe("pod-1-3 saw fd00:244:1::2: hello");
});

test("asking changes nothing: no step, no connection, no count", () => {
  const { lab, node, ipvs, client } = director();
  for (const ip of ["10.244.1.3", "10.244.2.2"]) ipvs.addServer(vip, parseIp(ip), 80, ip.endsWith("3") ? 3 : 1);
  const before = state(ipvs, node);
  const flow = { protocol: "tcp", target: vip.ip, targetPort: 80 } as const;
  const ways = explainFlow(client, flow).map(({ outcome, probability }) => [outcome.netns, probability]);
  expect(ways).toEqual([
    ["pod-2-2", 0.5],
    ["pod-1-3", 0.5],
  ]);
  expect(state(ipvs, node)).toEqual(before);
  expect(ask(lab, client, "10.96.0.10", 80)).toMatch(/^pod-2-2/);
});

function state(ipvs: Ipvs, node: Netns): object {
  const counts = ipvs
    .list()
    .flatMap(({ stats, servers: real }) => [stats.counts, ...real.map((each) => each.stats.counts)]);
  return { counts: structuredClone(counts), size: ipvs.connections.size, tracked: node.conntrack.size };
}
