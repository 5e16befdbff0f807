/** Tests how servers behave at their end: what becomes of requests under way, of idle connections, and of whoever comes then. */
import { expect, test } from "vitest";
import { parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { TcpSocket } from "../../kernel-lib/net/socket";
import { second, type Time } from "../../kernel-lib/sim/clock";
import { get, type Wired, wire } from "../node/wired";

/** One connection of a client that tells what happens to it. */
class Client {
  readonly told: string[] = [];
  readonly #cluster: Wired;
  readonly #socket: TcpSocket;

  constructor(cluster: Wired, port: number) {
    this.#cluster = cluster;
    const ip = parseIp(cluster.podNow("web")?.status.podIP ?? "");
    this.#socket = cluster.workstation.sockets.connectTcp(
      { ip, port },
      {
        data: (_socket, text) => {
          const close = /^Connection: close\r$/m.test(text) ? " close" : "";
          this.told.push(text.split("\r\n")[0]?.replace("HTTP/1.1 ", "").concat(close) ?? "");
        },
        ended: (socket) => {
          this.told.push("FIN");
          socket.end();
        },
        failed: (_socket, { outcome }) => this.told.push(outcome),
      },
    );
  }

  get(path = "/"): void {
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: web\r\n\r\n`);
  }

  after(time: Time): readonly string[] {
    this.#cluster.sim.clock.advance(time);
    return this.told;
  }
}

function server(image: string, env: Readonly<Record<string, string>> = {}, spec: object = {}): Wired {
  const cluster = wire();
  const list = Object.entries(env).map(([name, value]) => ({ name, value }));
  cluster.pod("web", "node-1", { containers: [{ name: "main", image, env: list }], ...spec });
  cluster.workstation.routes.add({ to: parseCidr("10.244.1.0/24"), via: parseIp("192.168.1.11"), device: "eth0" });
  cluster.sim.clock.advance(10 * second);
  return cluster;
}

function remove(cluster: Wired, grace = 30): void {
  cluster.store.delete("Pod", "default/web", "test", { grace });
}

test("nginx at SIGQUIT refuses new connections, closes idle ones, and answers who has connected before", () => {
  const cluster = server("nginx");
  const [idle, silent] = [new Client(cluster, 80), new Client(cluster, 80)];
  idle.get();
  expect(idle.after(second)).toEqual(["200 OK"]);
  remove(cluster);
  expect(idle.after(second)).toEqual(["200 OK", "FIN"]);
  const late = new Client(cluster, 80);
  expect(late.after(second)).toEqual(["refused"]);
  silent.get();
  expect(silent.after(second / 10)).toEqual(["200 OK close", "FIN"]);
  cluster.sim.clock.advance(2 * second);
  expect(cluster.podNow("web")).toBeUndefined();
});

test("nginx closes a connection that is idle for its keepalive_timeout, and after as many requests as it is told", () => {
  const cluster = server("nginx");
  const client = new Client(cluster, 80);
  client.get();
  client.after(60 * second);
  client.get();
  expect(client.after(64 * second)).toEqual(["200 OK", "200 OK"]);
  expect(client.after(2 * second)).toEqual(["200 OK", "200 OK", "FIN"]);
  const busy = new Client(cluster, 80);
  for (let count = 0; count < 1000; count++) {
    busy.get();
    busy.after(second / 100);
  }
  expect(busy.told.length).toBe(1001);
  expect(busy.told.slice(-3)).toEqual(["200 OK", "200 OK close", "FIN"]);
});

test("a request that meets a connection just closed is answered with a reset", () => {
  const cluster = server("nginx");
  const client = new Client(cluster, 80);
  client.get();
  client.after(second);
  remove(cluster);
  // The kubelet hears of it after a moment; the request is on its way when the server closes.
  const net = cluster.netnsOf("web");
  const closing = (): boolean => net.sockets.list().every(({ state }) => state !== "ESTAB");
  while (!closing()) cluster.sim.clock.step();
  client.get();
  expect(client.after(second / 10)).toEqual(["200 OK", "FIN", "reset"]);
});

test.each([
  ["exit", 143, ["FIN"]],
  ["close", 0, ["200 OK close", "FIN"]],
  ["drain", 0, ["200 OK close", "FIN"]],
  ["ignore", 137, ["200 OK"]],
])("kubebook/web with ON_SIGTERM=%s ends with %i, and a slow request sees %j", (manners, exitCode, told) => {
  const cluster = server("kubebook/web:1.0", { ON_SIGTERM: manners });
  const slow = new Client(cluster, 8080);
  slow.get("/slow?seconds=3");
  slow.after(second);
  const container = cluster.nodes["node-1"]?.kubelet.container("default/web");
  remove(cluster, 20);
  expect(slow.after(4 * second)).toEqual(told);
  cluster.sim.clock.settle();
  expect(container?.ending?.exitCode).toBe(exitCode);
  expect(cluster.podNow("web")).toBeUndefined();
});

test("draining it serves on, is unwell, sends clients away, and then refuses", () => {
  const cluster = server("kubebook/web:1.0", { ON_SIGTERM: "drain", DRAIN_SECONDS: "10" });
  const kept = new Client(cluster, 8080);
  kept.get();
  expect(kept.after(second)).toEqual(["200 OK"]);
  remove(cluster);
  cluster.sim.clock.advance(5 * second);
  kept.get();
  expect(kept.after(second)).toEqual(["200 OK", "200 OK close", "FIN"]);
  const probe = new Client(cluster, 8080);
  probe.get("/healthz");
  expect(probe.after(second)).toEqual(["503 Service Temporarily Unavailable close", "FIN"]);
  cluster.sim.clock.advance(3.5 * second);
  expect(new Client(cluster, 8080).after(second)).not.toEqual(["200 OK"]);
  cluster.sim.clock.settle();
  expect(cluster.podNow("web")).toBeUndefined();
});

test("it listens late where it is told to, and says what is wrong with its settings", () => {
  const late = server("kubebook/web:2.0", { START_SECONDS: "30" });
  expect(new Client(late, 8080).after(second)).toEqual(["refused"]);
  late.sim.clock.advance(30 * second);
  const client = new Client(late, 8080);
  client.get();
  expect(client.after(second)).toEqual(["200 OK"]);
  const wrong = server("kubebook/web:1.0", { ON_SIGTERM: "drian" });
  const log = wrong.nodes["node-1"]?.kubelet.previousContainer("default/web")?.log.map(({ text }) => text);
  expect(log).toEqual(['web: ON_SIGTERM: "drian" is none of exit, ignore, close, drain']);
});

test("agnhost netexec answers as the real one, and dies of SIGTERM with 2 unless it is to wait", () => {
  const run = (...more: string[]) => {
    const image = "registry.k8s.io/e2e-test-images/agnhost:2.53";
    const cluster = server(image, {}, { containers: [{ name: "main", image, args: ["netexec", ...more] }] });
    const container = cluster.nodes["node-1"]?.kubelet.container("default/web");
    const ask = (path: string): string =>
      get(cluster, cluster.workstation, cluster.podNow("web")?.status.podIP ?? "", 8080, path);
    return { cluster, container, ask };
  };
  const plain = run();
  expect(plain.ask("/hostname")).toMatch(/\r\n\r\nweb$/);
  expect(plain.ask("/clientip")).toMatch(/\r\n\r\n192\.168\.1\.100:\d+$/);
  expect(plain.ask("/echo?msg=a%20b&code=503")).toMatch(/^HTTP\/1\.1 503 [\s\S]*a b$/);
  remove(plain.cluster);
  plain.cluster.sim.clock.settle();
  expect(plain.container?.ending?.exitCode).toBe(2);
  const waiting = run("--delay-shutdown=5");
  remove(waiting.cluster);
  const begun = waiting.cluster.sim.clock.now;
  waiting.cluster.sim.clock.advance(4 * second);
  expect(waiting.ask("/healthz")).toMatch(/^HTTP\/1\.1 200/);
  waiting.cluster.sim.clock.settle();
  expect(waiting.container?.ending?.exitCode).toBe(0);
  expect(Math.round(((waiting.container?.ending?.at ?? 0) - begun) / second)).toBe(5);
});
