/** Owns the cluster of the tests of ends: two servers that end slowly behind a Service, clients on nodes, connections that stay open. */
import { Cluster } from "../../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../../kernel-lib/cluster/options";
import { whoAnswers } from "../../../kernel-lib/cluster/request";
import { formatIp, type Ip, parseIp } from "../../../kernel-lib/net/address";
import type { TcpSocket } from "../../../kernel-lib/net/socket";
import { second, type Time } from "../../../kernel-lib/sim/clock";

export const clusterIp = "10.96.0.77";

/** web-1 on node-1 and web-2 on node-2 go on for ten seconds after they were told to end; c1 and c3 are clients. */
export async function site(options: ClusterOptions, service: object = {}): Promise<Cluster> {
  const cluster = new Cluster({ nodes: 3, lb: "none", seed: 11, ...options });
  await cluster.start();
  const lifecycle = { preStop: { sleep: { seconds: 10 } } };
  for (const node of [1, 2]) {
    const spec = { nodeName: `node-${node}`, containers: [{ name: "web", image: "nginx", lifecycle }] };
    cluster.api.create("Pod", { metadata: { name: `web-${node}`, labels: { app: "web" } }, spec });
  }
  for (const node of [1, 3]) {
    const containers = [{ name: "it", image: "curlimages/curl", command: ["sleep", "1d"] }];
    cluster.api.create("Pod", { metadata: { name: `c${node}` }, spec: { nodeName: `node-${node}`, containers } });
  }
  const spec = { selector: { app: "web" }, clusterIP: clusterIp, ports: [{ port: 80 }], ...service };
  cluster.api.create("Service", { metadata: { name: "web" }, spec });
  await cluster.advance("60s");
  return cluster;
}

/** Tells a pod to end, as `kubectl delete --wait=false` does. */
export function end(cluster: Cluster, ...names: readonly string[]): void {
  for (const name of names) cluster.api.delete("Pod", "default", name);
}

/** One connection of a client: what came of it so far. */
export class Dialled {
  readonly #cluster: Cluster;
  readonly #socket: TcpSocket;
  /** In order: `connected`, each answer's status, `FIN`, or how it failed. */
  readonly events: string[] = [];
  readonly #to: { readonly ip: Ip; readonly port: number };
  readonly #began: Time;
  /** How many seconds after its begin the last of these was. */
  took = 0;
  #pod: string | undefined;

  constructor(cluster: Cluster, from: string, to: string, port: number, patience = 5) {
    this.#cluster = cluster;
    this.#to = { ip: parseIp(to), port };
    this.#began = cluster.now;
    const outside = cluster.network.namespaces.get(from);
    const netns = outside ?? (from.startsWith("node-") ? cluster.node(from).net.netns : cluster.podNetns(from));
    if (!netns) throw new Error(`${from} has no network`);
    this.#socket = netns.sockets.connectTcp(
      { ...this.#to, timeout: patience * second },
      {
        connected: () => this.#note("connected"),
        data: (_, text) => this.#note(...(text.match(/(?<=^HTTP\/1\.1 )\d+/gm) ?? [])),
        ended: () => this.#note("FIN"),
        failed: (_, { outcome }) => this.#note(outcome),
      },
    );
  }

  /** Sends a request on it, and lets a moment pass; gives what came of that. */
  async ask(): Promise<string> {
    const before = this.events.length;
    this.#socket.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    await this.#cluster.advance("300ms");
    return this.events.slice(before).join(" ") || "nothing";
  }

  close(): void {
    this.#socket.abort();
  }

  /** Which pod it goes to; asked while it is open. */
  get pod(): string {
    if (this.#pod !== undefined) return this.#pod;
    const { ip } = whoAnswers(this.#cluster, this.#socket.local, this.#to);
    const pods = this.#cluster.store.list("Pod", { namespace: "default" });
    this.#pod = pods.find(({ status }) => status.podIP === formatIp(ip))?.metadata.name;
    return this.#pod ?? "nobody";
  }

  #note(...events: readonly string[]): void {
    this.events.push(...events);
    this.took = (this.#cluster.now - this.#began) / second;
  }
}

/** Who takes twelve new connections; `refused`, `timeout` … where nobody does. */
export async function takers(cluster: Cluster, from: string, to = clusterIp, port = 80): Promise<string> {
  const all = Array.from({ length: 12 }, () => new Dialled(cluster, from, to, port, 1));
  await cluster.advance("1500ms");
  const found = all.map(({ events, pod }) =>
    events[0] === "connected" && events.length === 1 ? pod : `${events.at(-1)}`,
  );
  for (const each of all) each.close();
  return [...new Set(found)].sort().join(" ");
}

/** A connection of that client to that pod through the Service. */
export async function connectionTo(cluster: Cluster, from: string, pod: string): Promise<Dialled> {
  for (let tries = 0; tries < 40; tries++) {
    const made = new Dialled(cluster, from, clusterIp, 80);
    await cluster.advance("100ms");
    if (made.pod === pod) return made;
    made.close();
  }
  throw new Error(`no connection from ${from} came to ${pod}`);
}
