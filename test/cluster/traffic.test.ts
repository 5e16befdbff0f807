/** Owns what traffic promises: every request has one outcome, errors are told apart as a real client would, and time goes on. */
import { beforeAll, describe, expect, it } from "vitest";
import { formatResponse } from "../../kernel-lib/apps/http";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { bundleOf } from "../../kernel-lib/cluster/display";
import type { TrafficOptions, TrafficReport } from "../../kernel-lib/cluster/traffic";
import type { TcpHandlers, TcpSocket } from "../../kernel-lib/net/socket";
import { second } from "../../kernel-lib/sim/clock";

/** Hand-made servers at the workstation, by what they do to a request; `n` counts the requests of all connections. */
const servers = {
  answers: (socket: TcpSocket) => socket.write(formatResponse({ status: 200, headers: [], body: "hello\n" })),
  closes: (socket: TcpSocket) => socket.end(),
  resets: (socket: TcpSocket) => socket.abort(),
  hangs: () => {},
  unavailable: (socket: TcpSocket) => socket.write(formatResponse({ status: 503, headers: [], body: "" })),
  speaksRedis: (socket: TcpSocket) => socket.write("-ERR unknown command\r\n\r\n"),
  cutsShort: (socket: TcpSocket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    socket.end();
  },
  says404: (socket: TcpSocket) => socket.write(formatResponse({ status: 404, headers: [], body: "" })),
  resetsEverySecond: (socket: TcpSocket, n: number) =>
    n % 2 === 1 ? socket.abort() : socket.write(formatResponse({ status: 200, headers: [], body: "" })),
  closesEveryThird: (socket: TcpSocket, n: number) => {
    const last = n % 3 === 0;
    socket.write(formatResponse({ status: 200, headers: last ? [["Connection", "close"]] : [], body: "" }));
    if (last) socket.end();
  },
  /** Ends a connection without having said so, half a second after its last answer. */
  closesIdle: (socket: TcpSocket) => {
    // What comes after a close() is answered with a reset (RFC 1122, section 4.2.2.13).
    if (socket.state !== "ESTAB") {
      socket.abort();
      return;
    }
    socket.write(formatResponse({ status: 200, headers: [], body: "" }));
    cluster.sim.clock.after(second / 2, () => socket.end(), "background");
  },
} satisfies Record<string, (socket: TcpSocket, n: number) => unknown>;

type Server = keyof typeof servers;

const ports = Object.fromEntries(Object.keys(servers).map((name, at) => [name, 8001 + at])) as Record<Server, number>;
const connections: Partial<Record<Server, number>> = {};
let cluster: Cluster;

beforeAll(async () => {
  cluster = new Cluster({ seed: 4, nodes: 1 });
  await cluster.start();
  for (const [name, serve] of Object.entries(servers) as [Server, (socket: TcpSocket, n: number) => unknown][]) {
    let requests = 0;
    const accept = (): TcpHandlers => {
      connections[name] = (connections[name] ?? 0) + 1;
      return { data: (socket) => void serve(socket, ++requests) };
    };
    cluster.workstation.sockets.listenTcp({ port: ports[name] }, accept);
  }
});

const steady = { from: "node/node-1", rate: 10, duration: "2s", timeout: "1s" } as const;

async function run(server: Server | number, options: Partial<TrafficOptions> = {}): Promise<TrafficReport> {
  const port = typeof server === "number" ? server : ports[server];
  return cluster.traffic({ ...steady, to: `http://192.168.1.100:${port}/`, ...options }).finished();
}

describe("what becomes of a request", () => {
  it("is told once each, with its time, in the order in which they began", async () => {
    const before = cluster.now;
    const report = await run("answers");
    expect(report).toMatchObject({ requests: 20, ok: 20, failed: 0, retried: 0, byKind: {} });
    expect(report.outcomes.map(({ at }) => at - before)).toEqual(Array.from({ length: 20 }, (_, at) => at * 100_000));
    expect(report.outcomes.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    for (const { status, attempts, took } of report.outcomes) {
      expect([status, attempts]).toEqual([200, 1]);
      expect(took).toBeGreaterThan(0);
      expect(took).toBeLessThan(10_000);
    }
    expect(connections.answers).toBe(20);
  });

  it.each([
    [9000, "refused", "connect", /^\(7\) Failed to connect to 192\.168\.1\.100 port 9000 after 0 ms/],
    ["closes", "closed", "exchange", /^\(52\) Empty reply from server$/],
    ["cutsShort", "closed", "exchange", /^\(52\)/],
    ["resets", "reset", "exchange", /^\(56\) Recv failure: Connection reset by peer$/],
    ["hangs", "timeout", "exchange", /^\(28\) Operation timed out after 1001 milliseconds/],
    ["unavailable", "5xx", "exchange", /^\(22\) The requested URL returned error: 503$/],
    ["speaksRedis", "malformed", "exchange", /^\(1\) Received HTTP\/0\.9 when not allowed$/],
  ] as const)("%s: %s", async (server, kind, during, message) => {
    const report = await run(server);
    expect(report).toMatchObject({ requests: 20, ok: 0, failed: 20, byKind: { [kind]: 20 } });
    for (const failure of report.failures) {
      expect(failure).toMatchObject({ result: kind, during, attempts: 1 });
      expect(failure.message).toMatch(message);
    }
  });

  it("a SYN that nobody answers is a time-out while connecting, and one that no router takes is unreachable", async () => {
    const nobody = await run(80, { to: "http://192.168.1.77/", connectTimeout: "300ms", duration: "500ms" });
    expect(nobody.byKind).toEqual({ timeout: 5 });
    expect(nobody.failures[0]).toMatchObject({ during: "connect", took: 300_000 });
    const patient = await run(80, { to: "http://192.168.1.78/", timeout: "5s", duration: "500ms" });
    expect(patient.byKind).toEqual({ unreachable: 5 });
  });

  it("a name that has no address is not resolved; one that has is asked for once", async () => {
    const none = await run(80, { to: "http://no-such-host/", from: "workstation" });
    expect(none.byKind).toEqual({ resolve: 20 });
    expect(none.failures[0]?.message).toBe("(6) Could not resolve host: no-such-host");
    const named = await run(80, { to: `http://workstation:${ports.answers}/`, from: "node/node-1" });
    expect(named.ok).toBe(20);
  });

  it("an answer with 404 is an answer", async () => {
    const report = await run("says404");
    expect(report.ok).toBe(20);
    expect(report.outcomes[0]?.status).toBe(404);
  });

  it("open loop: what hangs holds nothing back", async () => {
    const began = cluster.now;
    const report = await run("hangs", { timeout: "30s" });
    expect(report.outcomes.map(({ at }) => at - began)).toEqual(Array.from({ length: 20 }, (_, at) => at * 100_000));
    expect(report.ended - began).toBe(31.9 * second);
  });
});

describe("retries", () => {
  it("make up for resets, and are counted", async () => {
    const without = await run("resetsEverySecond");
    expect(without).toMatchObject({ ok: 10, byKind: { reset: 10 }, retried: 0 });
    const report = await run("resetsEverySecond", { retries: 1 });
    expect(report).toMatchObject({ requests: 20, ok: 20, failed: 0, retried: 20, failedTries: { reset: 20 } });
    for (const { attempts, before, at, took } of report.outcomes) {
      expect(attempts).toBe(2);
      expect(before?.map(({ result }) => result)).toEqual(["reset"]);
      expect(before?.[0]?.at).toBe(at);
      expect(took).toBeGreaterThan(before?.[0]?.took ?? 0);
    }
  });

  it("are made of what they are for, and no more often than asked", async () => {
    expect(await run("unavailable", { retries: 2 })).toMatchObject({ failed: 20, retried: 0 });
    const asked = await run("unavailable", { retries: 2, retryOn: ["5xx"] });
    expect(asked).toMatchObject({ failed: 20, retried: 20, failedTries: { "5xx": 60 } });
    expect(await run(9000, { retries: 3 })).toMatchObject({ failed: 20, failedTries: { refused: 80 } });
    expect(await run(9000, { retries: 3, retryOn: ["reset"] })).toMatchObject({ failedTries: { refused: 20 } });
  });
});

describe("keep-alive", () => {
  it("uses k connections in turn", async () => {
    const before = connections.answers ?? 0;
    const report = await run("answers", { keepAlive: { connections: 4 } });
    expect(report.ok).toBe(20);
    expect((connections.answers ?? 0) - before).toBe(4);
    expect(report.outcomes.map(({ reused }) => reused)).toEqual([...Array(4).fill(false), ...Array(16).fill(true)]);
  });

  it("honours Connection: close", async () => {
    const report = await run("closesEveryThird", { keepAlive: { connections: 1 } });
    expect(report.ok).toBe(20);
    expect(connections.closesEveryThird).toBe(7);
  });

  it("leaves a connection that the server has ended while it was idle", async () => {
    const report = await run("closesIdle", { keepAlive: { connections: 1 }, rate: 1, duration: "5s" });
    expect(report).toMatchObject({ ok: 5, failed: 0 });
    expect(connections.closesIdle).toBe(5);
  });

  it("a request that meets the server's end of the connection has failed, unless it is tried again", async () => {
    // The server's FIN leaves half a second after the first request has come: three ways there and back after the client
    // began. The second request begins at that very moment, so that the two meet on the way.
    const { outcomes } = await run("answers", { rate: 1 });
    // The first one may have asked for the MAC address.
    const oneWay = (outcomes[1]?.took ?? 0) / 4;
    const race = { keepAlive: { connections: 1 }, rate: second / (second / 2 + 3 * oneWay), duration: "5s" } as const;
    const report = await run("closesIdle", race);
    expect(report.failed).toBeGreaterThan(0);
    for (const { result, reused } of report.failures) {
      expect(["closed", "reset"]).toContain(result);
      expect(reused).toBe(true);
    }
    expect(await run("closesIdle", { ...race, retries: 1 })).toMatchObject({ failed: 0 });
  });
});

describe("traffic in virtual time", () => {
  it("goes on while other things happen: settle does not wait for it, commands do not stop it", async () => {
    const traffic = cluster.traffic({ ...steady, to: `http://192.168.1.100:${ports.answers}/`, duration: "60s" });
    await cluster.settle();
    expect(traffic.over).toBe(false);
    expect(traffic.report().requests).toBeLessThan(5);
    traffic.mark("sleep");
    await cluster.session().type("sleep 20", () => {});
    traffic.mark("after");
    const report = await traffic.finished();
    expect(report.requests).toBe(600);
    expect(report.phases.map(({ name, requests }) => [name, requests])).toEqual([
      ["before", 1],
      ["sleep", expect.closeTo(200, -1)],
      ["after", expect.closeTo(399, -1)],
    ]);
    expect(report.phases.reduce((sum, { requests }) => sum + requests, 0)).toBe(600);
    expect(await traffic.finished()).toEqual(report);
    expect(() => traffic.mark("late")).toThrow("is over");
  });

  it("ends early when it is told to", async () => {
    const traffic = cluster.traffic({ ...steady, to: `http://192.168.1.100:${ports.answers}/`, duration: "60s" });
    await cluster.advance("1050ms");
    traffic.stop();
    expect((await traffic.finished()).requests).toBe(11);
  });

  it("arrives at random with the same mean when asked, from the seed only", async () => {
    const twin = async (seed: number): Promise<readonly number[]> => {
      const other = new Cluster({ seed, nodes: 1 });
      await other.start();
      const to = "node/node-1:10250";
      const options = { from: "node/node-1", to, rate: 50, duration: "20s", arrivals: "poisson" } as const;
      const { outcomes, began } = await other.traffic(options).finished();
      return outcomes.map(({ at }) => at - began);
    };
    const [one, same, other] = [await twin(1), await twin(1), await twin(2)];
    expect(same).toEqual(one);
    expect(other).not.toEqual(one);
    // Poisson with mean 1000: beyond five standard deviations in one run of a million, and this one is always the same.
    expect(Math.abs(one.length - 1000)).toBeLessThan(160);
    const gaps = one.slice(1).map((at, index) => at - (one[index] ?? 0));
    expect(gaps.filter((gap) => gap > 20_000).length / gaps.length).toBeCloseTo(Math.exp(-1), 1);
  });

  it("shows itself as a table", async () => {
    const text = (await bundleOf(await run("closes")))["text/plain"];
    expect(text).toMatch(/^20 requests node\/node-1 → http:\/\/192\.168\.1\.100:\d+\/, 10 a second/);
    expect(text).toMatch(/all +20 +0 +20/);
    expect(text).toMatch(/closed +20 .*\(52\) Empty reply from server/);
  });
});

describe("a wrong option", () => {
  const good = { from: "node/node-1", to: "http://192.168.1.100/", rate: 1, duration: "1s" } as const;
  it.each([
    [{ rate: 0 }, "rate: 0 is no number of requests a second"],
    [{ duration: "soon" }, 'duration: time: invalid duration "soon"'],
    [{ duration: 0 }, "duration: 0 is no time above 0"],
    [{ rate: 50_000, duration: "60s" }, "rate × duration: 3000000 requests; at most 1000000"],
    [{ retries: 1.5 }, "retries: 1.5 is no whole number"],
    [{ retryOn: ["always"] }, 'retryOn: "always" is none of connect-failure, reset, 5xx'],
    [{ keepAlive: { connections: 0 } }, "keepAlive: 0 is no number of connections"],
    [{ arrivals: "bursts" }, 'arrivals: "bursts" is neither even nor poisson'],
    [{ path: "index.html" }, 'path: "index.html" does not begin with /'],
    [{ timeout: "-1s" }, "timeout: time: invalid duration"],
    [{ to: "https://192.168.1.100/" }, "to: https:// is not spoken here"],
    [{ to: "svc/nope" }, 'services "nope" not found'],
    [{ to: "web" }, 'to: "web" is none of'],
    [{ to: "svc/kube-system/kube-dns:dns" }, "speaks udp"],
    [{ from: "pod/nope" }, 'pods "nope" not found'],
    [{ requests: 5 }, 'there is no option "requests"'],
  ])("%j says so", (options, words) => {
    expect(() => cluster.traffic({ ...good, ...options } as unknown as TrafficOptions)).toThrow(words);
  });
});
