/** Sockets: TCP from handshake to TIME_WAIT, resets, timeouts, segments; UDP; ports that are taken. */
import { expect, test } from "vitest";
import { formatIp, parseIp } from "../../kernel-lib/net/address";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { ephemeralPorts } from "../../kernel-lib/net/sockets";
import { ask, overlay, pod, serve } from "./topology";

test("a request over TCP is the packets that tcpdump shows: handshake, data, acknowledgements, both FINs", () => {
  const lab = overlay(1);
  serve(pod(lab, "pod-1-3"), 80);
  const entries = lab.sim.journal.during(() => ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80));
  const sent = entries
    .map(({ detail }) => detail as PacketEvent)
    .filter(({ type, kind }) => type === "packet" && kind === "send")
    .map(({ netns, packet }) => `${netns} ${packet.flags}`);
  expect(sent).toEqual([
    "pod-1-2 S",
    "pod-1-3 S.",
    "pod-1-2 .",
    "pod-1-2 P.",
    "pod-1-3 .",
    "pod-1-3 P.",
    "pod-1-3 F.",
    "pod-1-2 .",
    "pod-1-2 F.",
    "pod-1-3 .",
  ]);
});

test("who ends first waits out TIME-WAIT for a minute, in the background", () => {
  const lab = overlay(1);
  serve(pod(lab, "pod-1-3"), 80);
  ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80);
  const states = (name: string) =>
    pod(lab, name)
      .sockets.list()
      .map(({ state }) => state);
  expect(states("pod-1-3")).toEqual(["LISTEN", "TIME-WAIT"]);
  expect(states("pod-1-2")).toEqual([]);
  lab.sim.clock.advance(61_000_000);
  expect(states("pod-1-3")).toEqual(["LISTEN"]);
});

test("one side may end while the other goes on writing", () => {
  const lab = overlay(1);
  const heard: string[] = [];
  pod(lab, "pod-1-3").sockets.listenTcp({ port: 80 }, () => ({
    ended(socket) {
      heard.push(`server: ended, ${socket.state}`);
      socket.write("late");
      socket.end();
    },
    closed: () => heard.push("server: closed"),
  }));
  pod(lab, "pod-1-2").sockets.connectTcp(
    { ip: parseIp("10.244.1.3"), port: 80 },
    {
      connected: (socket) => socket.end(),
      data: (socket, text) => heard.push(`client: ${text} in ${socket.state}`),
      closed: () => heard.push("client: closed"),
    },
  );
  lab.sim.clock.settle();
  expect(heard).toEqual([
    "server: ended, CLOSE-WAIT",
    "client: late in FIN-WAIT-2",
    "client: closed",
    "server: closed",
  ]);
});

test("a long text goes in segments that fit the device, and arrives whole, though the wire is cut for a while", () => {
  const lab = overlay(1);
  const client = pod(lab, "pod-1-2");
  const text = `${"ä€😀x".repeat(2_000)}.`;
  let got = "";
  let largest = 0;
  pod(lab, "pod-1-3").sockets.listenTcp({ port: 80 }, () => ({
    data(_, part) {
      got += part;
    },
  }));
  const reader = lab.sim.journal.follow(({ detail }) => {
    const event = detail as PacketEvent;
    if (event.type === "packet") largest = Math.max(largest, event.packet.size);
  });
  client.sockets.connectTcp(
    { ip: parseIp("10.244.1.3"), port: 80 },
    {
      connected(socket) {
        client.device("eth0").up = false;
        socket.write(text);
      },
    },
  );
  lab.sim.clock.settle();
  expect(got.length).toBe(0);
  client.device("eth0").up = true;
  lab.sim.clock.advance(120_000_000);
  reader.stop();
  expect(got.length).toBe(text.length);
  expect(got === text).toBe(true);
  expect(largest).toBeGreaterThan(1_440);
  expect(largest).toBeLessThanOrEqual(1_450);
});

test("a connection fails by refusal, reset or timeout, and its program is told once", () => {
  const lab = overlay(1);
  const client = pod(lab, "pod-1-2");
  expect(ask(lab, client, "10.244.1.3", 80)).toMatch(/^refused after 0\./);
  pod(lab, "pod-1-3").sockets.listenTcp({ port: 80 }, () => ({ data: (socket) => socket.abort() }));
  expect(ask(lab, client, "10.244.1.3", 80)).toMatch(/^reset after 0\./);
  pod(lab, "pod-1-3").device("eth0").up = false;
  expect(ask(lab, client, "10.244.1.3", 80, 2_500_000)).toBe("timeout after 2500 ms");
  expect(client.sockets.list()).toEqual([]);
});

test("a process that goes takes its listener with it and ends its connections in order", () => {
  const lab = overlay(1);
  const server = pod(lab, "pod-1-3");
  server.sockets.listenTcp({ port: 80, owner: "nginx" }, () => ({}));
  const told: string[] = [];
  pod(lab, "pod-1-2").sockets.connectTcp(
    { ip: parseIp("10.244.1.3"), port: 80 },
    { ended: () => told.push("ended"), failed: () => told.push("failed") },
  );
  lab.sim.clock.settle();
  server.sockets.closeOwner("nginx");
  lab.sim.clock.settle();
  expect(told).toEqual(["ended"]);
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80)).toMatch(/^refused/);
});

test("a port is taken once per address; another namespace may use it too", () => {
  const lab = overlay(1);
  const [one, other] = [pod(lab, "pod-1-2"), pod(lab, "pod-1-3")];
  const words = "bind() to 0.0.0.0:80 failed (98: Address already in use)";
  const listener = one.sockets.listenTcp({ port: 80 }, () => ({}));
  expect(() => one.sockets.listenTcp({ port: 80 }, () => ({}))).toThrow(words);
  expect(() => one.sockets.listenTcp({ port: 80, ip: parseIp("127.0.0.1") }, () => ({}))).toThrow(
    "98: Address already",
  );
  expect(() => one.sockets.listenTcp({ port: 81, ip: parseIp("10.9.9.9") }, () => ({}))).toThrow("99: Cannot assign");
  other.sockets.listenTcp({ port: 80 }, () => ({}));
  one.sockets.openUdp({ port: 80 }, {});
  listener.close();
  one.sockets.listenTcp({ port: 80, ip: parseIp("127.0.0.1") }, () => ({}));
  one.sockets.listenTcp({ port: 80, ip: parseIp("10.244.1.2") }, () => ({}));
});

test("a server on 127.0.0.1 is there for its own namespace only", () => {
  const lab = overlay(1);
  const server = pod(lab, "pod-1-3");
  server.sockets.listenTcp({ port: 80, ip: parseIp("127.0.0.1") }, () => ({
    data: (socket, text) => socket.write(text),
  }));
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.1.3", 80)).toMatch(/^refused/);
  let echoed = "";
  server.sockets.connectTcp(
    { ip: parseIp("127.0.0.1"), port: 80 },
    {
      connected: (socket) => socket.write("me"),
      data(socket, text) {
        echoed = `${text} from ${formatIp(socket.local.ip)}`;
      },
    },
  );
  lab.sim.clock.settle();
  expect(echoed).toBe("me from 127.0.0.1");
});

test("ephemeral ports lie in Linux's range, even ones first, and never clash", () => {
  const lab = overlay(1);
  pod(lab, "pod-1-3").sockets.listenTcp({ port: 80 }, () => ({}));
  const ports = Array.from({ length: 500 }, () => {
    const socket = pod(lab, "pod-1-2").sockets.connectTcp({ ip: parseIp("10.244.1.3"), port: 80 }, {});
    return socket.local.port;
  });
  expect(new Set(ports).size).toBe(500);
  for (const port of ports) {
    expect(port).toBeGreaterThanOrEqual(ephemeralPorts.low);
    expect(port).toBeLessThanOrEqual(ephemeralPorts.high);
    expect(port % 2).toBe(0);
  }
});

test("UDP: the socket that is connected to the sender gets its datagrams, the open one all others; nobody: refused", () => {
  const lab = overlay(1);
  const server = pod(lab, "pod-1-3");
  const heard: string[] = [];
  server.sockets.openUdp(
    { port: 53 },
    {
      received(socket, { payload, source }) {
        heard.push(`server: ${payload}`);
        socket.send(`${payload}!`, source);
      },
    },
  );
  const query = (port: number): void => {
    const socket = pod(lab, "pod-1-2").sockets.openUdp(
      { peer: { ip: parseIp("10.244.1.3"), port } },
      {
        received: (_, { payload }) => heard.push(`client: ${payload}`),
        failed: (_, { errno }) => heard.push(`client: ${errno}`),
      },
    );
    socket.send("web?");
    lab.sim.clock.settle();
  };
  query(53);
  query(54);
  expect(heard).toEqual(["server: web?", "client: web?!", "client: ECONNREFUSED"]);
});

test("a server's answer that is lost is sent again after 0.2 s, then 0.4 s, as if no handshake had been", () => {
  const lab = overlay(1);
  const client = pod(lab, "pod-1-2");
  pod(lab, "pod-1-3").sockets.listenTcp({ port: 80 }, () => ({
    data(socket) {
      client.device("eth0").up = false;
      socket.write("answer");
    },
  }));
  const sent: number[] = [];
  const reader = lab.sim.journal.follow(({ at, detail }) => {
    const { type, kind, netns, packet } = detail as PacketEvent;
    if (type === "packet" && kind === "send" && netns === "pod-1-3" && packet.flags === "P.") sent.push(at);
  });
  client.sockets.connectTcp(
    { ip: parseIp("10.244.1.3"), port: 80 },
    { connected: (socket) => void socket.write("question") },
  );
  lab.sim.clock.advance(2_000_000);
  reader.stop();
  expect(sent.slice(1).map((at, index) => at - (sent[index] ?? 0))).toEqual([200_000, 400_000, 800_000]);
});

test("a half-open connection: a peer that came back knows nothing of it and resets it; one that is gone times it out", () => {
  const lab = overlay(1);
  const server = pod(lab, "pod-1-3");
  const outcomes: string[] = [];
  const open = () => {
    server.sockets.listenTcp({ port: 80, owner: "server" }, () => ({}));
    const target = { ip: parseIp("10.244.1.3"), port: 80 };
    const socket = pod(lab, "pod-1-2").sockets.connectTcp(target, {
      failed: (_, { outcome, errno }) => outcomes.push(`${outcome} ${errno}`),
    });
    lab.sim.clock.settle();
    return socket;
  };
  const first = open();
  // As if the machine had been switched off and on: nobody is told.
  server.sockets.closeAll();
  expect(first.state).toBe("ESTAB");
  first.write("still there?");
  lab.sim.clock.settle();
  expect(outcomes).toEqual(["reset ECONNRESET"]);
  const second = open();
  server.device("eth0").up = false;
  second.write("still there?");
  lab.sim.clock.advance(800_000_000);
  expect(second.state).toBe("ESTAB");
  lab.sim.clock.advance(200_000_000);
  expect(outcomes).toEqual(["reset ECONNRESET", "timeout ETIMEDOUT"]);
});
