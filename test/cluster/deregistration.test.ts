/** Judges what becomes of connections when a node leaves a cloud's balancer: excluded, about to be deleted, gone. */
import { describe, expect, it } from "vitest";
import type { Cluster } from "../../kernel-lib/cluster/cluster";
import { parseIp } from "../../kernel-lib/net/address";
import type { TcpSocket } from "../../kernel-lib/net/socket";
import { addressOf, balanced, outcomes, run } from "./balanced";

const exclude = "node.kubernetes.io/exclude-from-external-load-balancers";
const elb = "service.beta.kubernetes.io/aws-load-balancer-";

/** A connection of the client outside; by which node it came, as its answers tell. */
class Client {
  readonly events: string[] = [];
  readonly #socket: TcpSocket;

  constructor(
    readonly cluster: Cluster,
    ip: string,
  ) {
    const netns = cluster.network.namespaces.get("client");
    if (!netns) throw new Error("there is no client");
    this.#socket = netns.sockets.connectTcp(
      { ip: parseIp(ip), port: 80 },
      {
        data: (_, text) => this.events.push(/Hostname: (\S+)/.exec(text)?.[1] ?? text.slice(9, 12)),
        ended: () => this.events.push("FIN"),
        failed: (_, { outcome }) => this.events.push(outcome),
      },
    );
  }

  ask(): void {
    if (this.events.at(-1) === undefined || /^\d+$/.test(this.events.at(-1) ?? "")) {
      this.#socket.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    }
  }
}

/** Many connections at once; what each of them heard last, counted. */
async function ask(cluster: Cluster, clients: readonly Client[], wait = "1s"): Promise<Record<string, number>> {
  for (const client of clients) client.ask();
  await cluster.advance(wait);
  const counts: Record<string, number> = {};
  for (const { events } of clients) counts[events.at(-1) ?? "none"] = (counts[events.at(-1) ?? "none"] ?? 0) + 1;
  return counts;
}

async function dial(cluster: Cluster, ip: string): Promise<readonly Client[]> {
  const clients = Array.from({ length: 24 }, () => new Client(cluster, ip));
  await cluster.advance("1s");
  expect(await ask(cluster, clients)).toEqual({ 200: 24 });
  return clients;
}

const updates = async (cluster: Cluster): Promise<number> => {
  const events = await run(cluster, "kubectl get events -A");
  return events.split("\n").filter((line) => /UpdatedLoadBalancer +service\/local/.test(line)).length;
};

describe("a packet forwarder", () => {
  it("keeps connections with an excluded node for its time to drain; new ones go elsewhere at once", async () => {
    const cluster = await balanced({ lb: "cloud" });
    const ip = addressOf(cluster, "local");
    const clients = await dial(cluster, ip);
    await run(cluster, `kubectl label node node-1 ${exclude}=`);
    await cluster.advance("2s");
    expect(outcomes(cluster, "client", `${ip}:80`)).toBe("100 % web-2 sees 198.51.100.10");
    expect(await updates(cluster)).toBe(1);
    expect(await ask(cluster, clients)).toEqual({ 200: 24 });
    await cluster.advance("30s");
    const after = await ask(cluster, clients);
    expect(after[200]).toBeLessThan(20);
    expect(after[200]).toBeGreaterThan(4);
    await run(cluster, `kubectl label node node-1 ${exclude}-`);
    await cluster.advance("30s");
    expect(outcomes(cluster, "client", `${ip}:80`)).toContain("50 % web-1");
  });

  it("learns by kube-proxy's own health that a node is about to be deleted, and drains it while it is there", async () => {
    const cluster = await balanced({ lb: "cloud" });
    const ip = addressOf(cluster, "cluster");
    const healthz = "ssh node-3 curl -s -o /dev/null -w '%{http_code}' localhost:10256/healthz";
    expect(await run(cluster, healthz)).toBe("200");
    const clients = await dial(cluster, ip);
    const taint = '{"key":"ToBeDeletedByClusterAutoscaler","value":"1","effect":"NoSchedule"}';
    await run(cluster, `kubectl patch node node-3 -p '{"spec":{"taints":[${taint}]}}'`);
    await cluster.advance("1s");
    expect(await run(cluster, healthz)).toBe("503");
    expect(await run(cluster, healthz.replace("healthz", "livez"))).toBe("200");
    // Three checks, 8 s apart, each within one interval of the taint. The set of nodes is not touched.
    await cluster.advance("25s");
    expect(outcomes(cluster, "client", `${ip}:80`)).not.toContain("10.244.3.");
    expect(await updates(cluster)).toBe(0);
    expect(await ask(cluster, clients)).toEqual({ 200: 24 });
    await cluster.advance("40s");
    expect(await ask(cluster, clients)).toEqual({ 200: 24 });
    // Whatever else has the balancers updated takes it out with it (KEP-3458).
    await run(cluster, `kubectl label node node-2 ${exclude}=`);
    await cluster.advance("31s");
    const left = await ask(cluster, clients);
    expect(left[200]).toBeLessThan(20);
  });

  it("says so when no node is left, and keeps nothing", async () => {
    const cluster = await balanced({ lb: "cloud" });
    await run(cluster, `kubectl label nodes --all ${exclude}=`);
    await cluster.advance("2s");
    expect(outcomes(cluster, "client", `${addressOf(cluster, "local")}:80`)).toBe("100 % dropped");
    expect(await run(cluster, "kubectl describe svc local")).toMatch(
      /Warning +UnAvailableLoadBalancer .* There are no available nodes for LoadBalancer/,
    );
  });
});

it("a drain that a budget refuses for ever ends where nobody can press Ctrl-C, and touches no connection", async () => {
  const cluster = await balanced({ lb: "cloud" });
  const clients = await dial(cluster, addressOf(cluster, "local"));
  await run(cluster, "kubectl create pdb web --selector=app=web --min-available=2");
  await cluster.advance("1s");
  const begin = cluster.now;
  const said = await run(cluster, "kubectl drain node-1 --ignore-daemonsets --force", true);
  expect(said.match(/will retry after 5s/g)?.length).toBeLessThan(20);
  expect(said).toContain("Cannot evict pod as it would violate the pod's disruption budget");
  expect(said).toMatch(/\^C \(a minute has passed; .+\)\n$/);
  expect((cluster.now - begin) / 1e6).toBeLessThan(120);
  // A node that takes no new pods still takes traffic.
  expect(outcomes(cluster, "client", `${addressOf(cluster, "local")}:80`)).toContain("50 % web-1");
  expect(await ask(cluster, clients)).toEqual({ 200: 24 });
});

describe("a proxy", () => {
  const start = async (...annotations: readonly string[]): Promise<readonly [Cluster, readonly Client[]]> => {
    const cluster = await balanced({ lb: "cloud-proxy" });
    for (const each of annotations) await run(cluster, `kubectl annotate svc local ${elb}${each}`);
    await cluster.advance("1s");
    const ip = (await run(cluster, `dig +short ${addressOf(cluster, "local")}`)).trim();
    return [cluster, await dial(cluster, ip)];
  };

  it("resets the connections of a node that is taken out or fails its checks, unless it is told to drain", async () => {
    const [cluster, clients] = await start();
    await run(cluster, `kubectl label node node-1 ${exclude}=`);
    await cluster.advance("1s");
    expect(await ask(cluster, clients)).toEqual({ 200: 12, reset: 12 });
    cluster.powerOff("node-2");
    await cluster.advance("70s");
    expect(await ask(cluster, clients)).toEqual({ reset: 24 });
  });

  it("drains as its annotations say: a node taken out for the time given, an ill one as long as it answers", async () => {
    const [cluster, clients] = await start("connection-draining-enabled=true", "connection-draining-timeout=20");
    await run(cluster, "kubectl delete node node-1");
    await cluster.advance("15s");
    expect(await ask(cluster, clients)).toEqual({ 200: 24 });
    await cluster.advance("5s");
    expect(await ask(cluster, clients)).toEqual({ 200: 12, reset: 12 });
    await run(cluster, "kubectl delete svc cluster");
    const told = await run(cluster, `kubectl annotate svc local --overwrite ${elb}connection-draining-enabled=maybe`);
    expect(told).toContain("annotated");
    await cluster.advance("2s");
    expect(await run(cluster, "kubectl describe svc local")).toContain(
      `failed to ensure load balancer: error parsing service annotation: ${elb}connection-draining-enabled=maybe`,
    );
  });

  it("closes a connection on which nothing was said for a minute, or for what its annotation says", async () => {
    const [cluster, clients] = await start("connection-idle-timeout=90");
    await cluster.advance("85s");
    expect(await ask(cluster, clients)).toEqual({ 200: 24 });
    await cluster.advance("91s");
    expect(await ask(cluster, clients)).toEqual({ FIN: 24 });
  });
});

describe("MetalLB", () => {
  it.each(["ARP", "BGP"])(
    "by %s: under Local a node is announced while its last endpoint ends and serves, not when it is unready or gone",
    async (way) => {
      const cluster = await balanced({ lb: "metallb" });
      if (way === "BGP") await byBgp(cluster);
      const lifecycle = { preStop: { sleep: { seconds: 10 } } };
      const readinessProbe = {
        exec: { command: ["test", "!", "-e", "/tmp/ill"] },
        periodSeconds: 1,
        failureThreshold: 1,
      };
      const containers = [{ name: "it", image: "nginx", lifecycle, readinessProbe, ports: [{ containerPort: 80 }] }];
      for (const node of [1, 2]) {
        const metadata = { name: `slow-${node}`, labels: { app: "slow" } };
        cluster.api.create("Pod", { metadata, spec: { nodeName: `node-${node}`, containers } });
      }
      const spec = {
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        selector: { app: "slow" },
        ports: [{ port: 80 }],
      };
      cluster.api.create("Service", { metadata: { name: "slow" }, spec });
      await cluster.advance("20s");
      const ip = addressOf(cluster, "slow");
      const takers = (): string => outcomes(cluster, "client", `${ip}:80`).replace(/ sees [^,]+/g, "");
      const before = takers();
      const [first, other] = before.includes("slow-1") ? ["slow-1", "slow-2"] : ["slow-2", "slow-1"];
      expect(before).toBe(way === "BGP" ? "50 % slow-1, 50 % slow-2" : `100 % ${first}`);
      await run(cluster, `kubectl delete pod ${first} --wait=false`);
      await cluster.advance("5s");
      expect(takers()).toBe(before);
      await cluster.advance("10s");
      expect(takers()).toBe(`100 % ${other}`);
      await run(cluster, `kubectl exec ${other} -- touch /tmp/ill`);
      await cluster.advance("5s");
      expect(takers()).not.toContain("slow");
    },
  );
});

/** Routes instead of ARP, as chapter 10 sets it up: the router is the peer. */
async function byBgp(cluster: Cluster): Promise<void> {
  const namespace = "metallb-system";
  const make = (kind: "IPAddressPool" | "BGPAdvertisement" | "BGPPeer", version: string, spec: object): unknown => {
    const object = { apiVersion: `metallb.io/${version}`, kind, metadata: { name: "public", namespace }, spec };
    return cluster.api.create(kind, object, { namespace });
  };
  await run(cluster, `kubectl delete ipaddresspools,l2advertisements --all -n ${namespace}`);
  make("IPAddressPool", "v1beta1", { addresses: ["203.0.113.200-203.0.113.209"] });
  make("BGPAdvertisement", "v1beta1", {});
  make("BGPPeer", "v1beta2", { myASN: 64500, peerASN: 64501, peerAddress: "192.168.1.1" });
  await cluster.advance("10s");
}
