/** Services of both families in a dual-stack cluster, in every mode that has both: from a pod, a node, outside, and back to itself. */
import { expect, test } from "vitest";
import { Cluster } from "../../../kernel-lib/cluster/cluster";
import type { ModeName } from "../../../kernel-lib/node/proxy/mode";

async function started(mode: ModeName): Promise<Cluster> {
  const cluster = new Cluster({ nodes: 2, seed: 6, mode, ipFamilies: ["IPv4", "IPv6"] });
  await cluster.start();
  const pod = (name: string, nodeName: string, image: string, more: object = {}): void => {
    const containers = [{ name: "main", image, ...more }];
    cluster.api.create("Pod", { metadata: { name, labels: { app: name } }, spec: { nodeName, containers } });
  };
  pod("web", "node-2", "nginx");
  pod("client", "node-1", "curlimages/curl", { command: ["sleep", "1d"] });
  const service = (name: string, spec: object): void => {
    cluster.api.create("Service", {
      metadata: { name },
      spec: { selector: { app: "web" }, ports: [{ port: 80 }], ...spec },
    });
  };
  service("both", {
    ipFamilyPolicy: "RequireDualStack",
    type: "NodePort",
    externalIPs: ["203.0.113.7", "2001:db8::7"],
  });
  service("four", {});
  service("six", { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack" });
  await cluster.settle();
  return cluster;
}

async function sh(cluster: Cluster, line: string): Promise<string> {
  let out = "";
  const print = (_stream: string, text: string): void => {
    out += text;
  };
  await cluster.session().type(line, print, { exits: true });
  return out;
}

test.each(["iptables", "nftables", "ipvs"] as const)("%s", { timeout: 20_000 }, async (mode) => {
  const cluster = await started(mode);
  const spec = (name: string) => cluster.store.get("Service", `default/${name}`)?.spec;
  const host = (ip: string): string => (ip.includes(":") ? `[${ip}]` : ip);
  const ask = "curl -s -g --max-time 5 -o /dev/null -w '%{http_code}'";
  const get = (from: string, ip: string, port = 80): Promise<string> =>
    sh(cluster, `${from} ${ask} "http://${host(ip)}:${port}/"`);
  const fromPod = "kubectl exec client --";
  const addresses = ["both", "four", "six"].flatMap((name) => spec(name)?.clusterIPs ?? []);
  expect(addresses.map((ip) => (ip.includes(":") ? 6 : 4))).toEqual([4, 6, 4, 6]);
  for (const ip of addresses) {
    expect(await get(fromPod, ip), `pod to ${ip}`).toBe("200");
    expect(await get("kubectl exec web --", ip), `web to itself by ${ip}`).toBe("200");
    expect(await sh(cluster, `ssh node-1 "${ask} http://${host(ip)}/"`), `node to ${ip}`).toBe("200");
  }
  for (const ip of spec("both")?.externalIPs ?? []) expect(await get(fromPod, ip), `pod to ${ip}`).toBe("200");
  const { nodePort = 0 } = spec("both")?.ports?.[0] ?? {};
  for (const { address, type } of cluster.store.get("Node", "node-1")?.status.addresses ?? []) {
    if (type === "InternalIP") expect(await get("", address, nodePort), `outside to ${address}`).toBe("200");
  }
  expect(await sh(cluster, "ssh node-1 curl -s localhost:10249/proxyMode")).toBe(mode);
  const metrics = await sh(cluster, "ssh node-1 curl -s localhost:10249/metrics");
  expect(metrics).toMatch(/last_timestamp_seconds\{ip_family="IPv4"\}.*\n.*last_timestamp_seconds\{ip_family="IPv6"\}/);
});
