/** Judges a packet forwarder while its nodes become unhealthy and well again: connections stay with their nodes, new ones do not. */
import { expect, it } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { parseIp } from "../../kernel-lib/net/address";
import type { TcpSocket } from "../../kernel-lib/net/socket";

/** A connection of somebody outside; each answer's pod, and how it ended. */
class Client {
  readonly events: string[] = [];
  readonly #socket: TcpSocket;

  constructor(
    readonly cluster: Cluster,
    ip: string,
  ) {
    const { sockets } = cluster.network.namespaces.get("client") ?? cluster.workstation;
    this.#socket = sockets.connectTcp(
      { ip: parseIp(ip), port: 80 },
      {
        data: (_, text) => this.events.push(/Hostname: (\S+)/.exec(text)?.[1] ?? text.slice(0, 12)),
        ended: () => this.events.push("FIN"),
        failed: (_, { outcome }) => this.events.push(outcome),
      },
    );
  }

  ask(): void {
    this.#socket.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
  }
}

it("connections stay with a node that fails its checks, and with the others when it does or comes back", async () => {
  const balancer = { interval: "2s", timeout: "1s", unhealthy: 2, healthy: 1 };
  const cluster = new Cluster({ nodes: 3, lb: "cloud", seed: 9, propagation: { balancer } });
  await cluster.start();
  for (const node of [1, 2, 3]) {
    const readinessProbe = {
      exec: { command: ["test", "!", "-e", "/tmp/ill"] },
      periodSeconds: 1,
      failureThreshold: 1,
    };
    const containers = [{ name: "web", image: "nginx", readinessProbe }];
    const metadata = { name: `web-${node}`, labels: { app: "web" } };
    cluster.api.create("Pod", { metadata, spec: { nodeName: `node-${node}`, containers } });
  }
  const spec = {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    selector: { app: "web" },
    ports: [{ port: 80 }],
  };
  cluster.api.create("Service", { metadata: { name: "web" }, spec });
  await cluster.advance("90s");
  const ip = cluster.store.get("Service", "default/web")?.status.loadBalancer?.ingress?.[0]?.ip ?? "";
  const clients = Array.from({ length: 24 }, () => new Client(cluster, ip));
  const askAll = async (): Promise<string> => {
    for (const client of clients) client.ask();
    await cluster.advance("1s");
    return [...new Set(clients.map(({ events }) => events.join(" ")))].join("; ");
  };
  const logs = (): number[] =>
    [1, 2, 3].map((node) => {
      const log = cluster.container(`default/web-${node}`)?.log ?? [];
      return log.filter((line) => JSON.stringify(line).includes("GET / ")).length;
    });
  await cluster.advance("1s");
  expect(await askAll()).toBe("HTTP/1.1 200");
  const first = logs();
  expect(first.every((count) => count > 0)).toBe(true);
  await cluster.session().type("kubectl exec web-1 -- touch /tmp/ill", () => {});
  await cluster.advance("15s");
  // The endpoint is unready, its node out of rotation: who was connected still is, on every node.
  expect(await askAll()).toBe("HTTP/1.1 200 HTTP/1.1 200");
  expect(logs()).toEqual(first.map((count) => 2 * count));
  const late = Array.from({ length: 12 }, () => new Client(cluster, ip));
  await cluster.advance("100ms");
  for (const each of late) each.ask();
  await cluster.advance("1s");
  expect(late.map(({ events }) => events.join())).toEqual(Array(12).fill("HTTP/1.1 200"));
  expect(logs()[0]).toBe(2 * (first[0] ?? 0));
  await cluster.session().type("kubectl exec web-1 -- rm /tmp/ill", () => {});
  await cluster.advance("10s");
  expect(await askAll()).toBe("HTTP/1.1 200 HTTP/1.1 200 HTTP/1.1 200");
});
