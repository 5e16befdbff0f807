/** What is made wrong or taken away on a living cluster, in every mode: what the real proxy does of it, and nothing else is disturbed. */
import { describe, expect, test } from "vitest";
import type { Draft } from "../../../../kernel-lib/api/kinds";
import { Cluster } from "../../../../kernel-lib/cluster/cluster";
import { type ModeName, modeNames } from "../../../../kernel-lib/node/proxy/mode";

const externalIp = "203.0.113.7";

/** Three servers on two nodes, a client, and a Service that nobody touches. */
async function started(mode: ModeName): Promise<Cluster> {
  const cluster = new Cluster({ nodes: 2, seed: 8, mode });
  await cluster.start();
  for (const [name, nodeName] of [
    ["a", "node-1"],
    ["b", "node-2"],
    ["calm", "node-2"],
    ["client", "node-1"],
  ] as const) {
    const containers = [{ name: "web", image: "nginx" }];
    cluster.api.create("Pod", { metadata: { name, labels: { app: name } }, spec: { nodeName, containers } });
  }
  service(cluster, "calm", { selector: { app: "calm" } });
  await cluster.advance("30s");
  return cluster;
}

function service(cluster: Cluster, name: string, spec: object): void {
  cluster.api.create("Service", { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });
}

/** As no API server would let it in. */
function force<K extends "Service" | "EndpointSlice">(cluster: Cluster, kind: K, name: string, rest: object): void {
  const metadata = { name, namespace: "default", uid: `uid-of-${name}` };
  const object = { kind, ...rest, metadata: { ...metadata, ...("metadata" in rest ? (rest.metadata as object) : {}) } };
  cluster.store.apply(kind, object as unknown as Draft<K>, "test");
}

function slice(cluster: Cluster, name: string, of: string, rest: object): void {
  const labels = { "kubernetes.io/service-name": of };
  force(cluster, "EndpointSlice", name, { metadata: { labels }, addressType: "IPv4", ...rest });
}

/** Who may get it, or what becomes of it. */
function ends(cluster: Cluster, to: string, from = "pod/client"): string {
  const { outcomes } = cluster.explain({ from, to });
  const words = outcomes.map(({ end, name }) => (end === "delivered" ? name : end));
  return [...new Set(words)].sort().join(" ");
}

async function isCalm(cluster: Cluster): Promise<void> {
  expect(ends(cluster, "svc/calm:80")).toBe("pod/calm");
  const { outcomes } = await cluster.load({ from: "pod/client", to: "svc/calm:80", requests: 5 });
  expect(outcomes.map(({ result }) => result)).toEqual(Array(5).fill("answered"));
}

const refused = (mode: ModeName): string => (mode === "userspace" ? "refused" : "rejected");

describe.each(modeNames)("%s", { timeout: 20_000 }, (mode) => {
  test("of Services that fight over an external IP or a node port one has it, and the other when that is gone", async () => {
    const cluster = await started(mode);
    const status = { loadBalancer: {} };
    for (const [name, clusterIP] of [
      ["a", "10.96.55.1"],
      ["b", "10.96.55.2"],
    ] as const) {
      const ports = [{ port: 80, targetPort: 80, protocol: "TCP", nodePort: 30_080 }];
      const ips = { clusterIP, clusterIPs: [clusterIP], ipFamilies: ["IPv4"], externalIPs: [externalIp] };
      force(cluster, "Service", name, { spec: { type: "NodePort", selector: { app: name }, ...ips, ports }, status });
    }
    await cluster.settle();
    const has = (name: string): void => {
      expect(ends(cluster, "192.168.1.12:30080")).toBe(`pod/${name}`);
      expect(ends(cluster, `${externalIp}:80`, "workstation")).toBe(`pod/${name}`);
      expect(ends(cluster, `svc/${name}:80`)).toBe(`pod/${name}`);
    };
    cluster.workstation.routes.add(routeTo(cluster));
    has("a");
    expect(ends(cluster, "svc/b:80")).toBe("pod/b");
    cluster.api.delete("Service", "default", "a");
    await cluster.settle();
    has("b");
    await isCalm(cluster);
  });

  test("slices: what is named twice counts once, what is no address counts not, and a port nobody named leads nowhere", async () => {
    const cluster = await started(mode);
    const [a = "", b = ""] = ["a", "b"].map((name) => cluster.podIp(name));
    service(cluster, "web", {});
    service(cluster, "named", { ports: [{ name: "http", port: 80 }] });
    const ports = [{ name: "", port: 80, protocol: "TCP" }];
    const bad = ["10.244.1.999", "web.example.com", "", "fd00::1", "10.244.1"].map((text) => ({ addresses: [text] }));
    slice(cluster, "web-1", "web", {
      ports,
      endpoints: [{ addresses: [a], nodeName: "node-1" }, { addresses: [a] }, { addresses: [] }, ...bad],
    });
    slice(cluster, "web-2", "web", {
      ports,
      endpoints: [{ addresses: [a], nodeName: "node-1" }, { addresses: [b, a] }],
    });
    slice(cluster, "web-3", "web", { ports: [{ name: "" }, { name: "", port: 80, protocol: "UDP" }], endpoints: bad });
    slice(cluster, "web-4", "web", { addressType: "FQDN", ports, endpoints: bad });
    slice(cluster, "named-1", "named", { ports, endpoints: [{ addresses: [a] }] });
    slice(cluster, "nobody-1", "no-such-service", { ports, endpoints: [{ addresses: [a] }] });
    await cluster.settle();
    const { outcomes } = cluster.explain({ from: "pod/client", to: "svc/web:80" });
    expect(outcomes.map(({ name, probability }) => `${name} ${probability.toFixed(6)}`).sort()).toEqual([
      "pod/a 0.500000",
      "pod/b 0.500000",
    ]);
    expect(ends(cluster, "svc/named:80")).toBe(refused(mode));
    await isCalm(cluster);
  });

  test("a Service deleted under load refuses what comes after, and nobody else's connections fail", async () => {
    const cluster = await started(mode);
    service(cluster, "web", { selector: { app: "a" } });
    await cluster.settle();
    const ip = cluster.store.get("Service", "default/web")?.spec.clusterIP ?? "";
    const ask = async (to: string): Promise<readonly string[]> => {
      const { outcomes } = await cluster.load({ from: "pod/client", to, requests: 8 });
      return outcomes.map(({ result }) => result);
    };
    const results: string[] = [];
    const calm: string[] = [];
    for (let round = 0; round < 40; round++) {
      if (round === 10) cluster.api.delete("Service", "default", "web");
      results.push(...(await ask(`${ip}:80`)));
      calm.push(...(await ask("svc/calm:80")));
      await cluster.advance("100ms");
    }
    const answered = results.lastIndexOf("answered") + 1;
    expect(answered).toBeGreaterThanOrEqual(80);
    expect(answered).toBeLessThan(320);
    // Until the proxies have heard of it every request is answered, and then none.
    expect(new Set(results.slice(0, answered))).toEqual(new Set(["answered"]));
    expect(results.slice(answered)).not.toContain("answered");
    expect(new Set(calm)).toEqual(new Set(["answered"]));
    await isCalm(cluster);
    service(cluster, "web", { selector: { app: "b" }, clusterIP: ip });
    await cluster.settle();
    expect(ends(cluster, "svc/web:80")).toBe("pod/b");
  });
});

/** The workstation comes to external IPs by node-1. */
function routeTo(cluster: Cluster): Parameters<Cluster["workstation"]["routes"]["add"]>[0] {
  const via = cluster.node("node-1").net.ip;
  return { to: { ip: 0xcb007100, length: 24 }, via, device: "eth0" };
}
