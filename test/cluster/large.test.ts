import { expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";

/** What lines at the prompt print. */
async function typed(cluster: Cluster, line: string): Promise<string> {
  let text = "";
  await cluster.session().type(line, (_stream, part) => {
    text += part;
  });
  return text;
}

test("a cluster of more nodes than are ever looked at works where one looks", async () => {
  const cluster = new Cluster({ nodes: 90, seed: 3, lb: "none" });
  await cluster.start();
  expect(cluster.overview()).toContain("91 nodes");
  await typed(cluster, "kubectl create deployment web --image=nginx --replicas=120");
  await typed(cluster, "kubectl expose deployment web --port=80 --type=NodePort");
  await cluster.settle();
  const pods = cluster.store.list("Pod", { namespace: "default" });
  expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBeGreaterThan(80);
  expect(pods.every(({ status }) => status.phase === "Running" && status.podIP !== undefined)).toBe(true);

  // Nobody has looked: no pod but the first of each node has a namespace yet, and kube-proxy waits.
  const { namespaces } = cluster.network;
  const made = pods.filter(({ metadata }) => namespaces.isMade(`default/${metadata.name}`)).length;
  expect(made).toBeLessThanOrEqual(90);
  expect(cluster.nodes.get("node-85")?.proxy).toBeUndefined();

  const port = cluster.store.get("Service", "default/web")?.spec.ports?.[0]?.nodePort;
  const ip = cluster.store.get("Node", "node-85")?.status.addresses?.[0]?.address;
  expect(ip).toBe("192.168.2.5");
  expect(await typed(cluster, `curl -s http://${ip}:${port} | head -4 | tail -1`)).toContain("Welcome to nginx!");
  expect(cluster.nodes.get("node-85")?.proxy?.mode).toBe("iptables");
  const rules = await typed(cluster, "ssh node-86 iptables-save -t nat | grep -c 'KUBE-SEP-.*DNAT'");
  expect(Number(rules)).toBeGreaterThanOrEqual(120);
  const other = pods.find(({ spec }) => spec.nodeName === "node-87")?.metadata.name;
  expect(await typed(cluster, `kubectl logs ${other}`)).toContain("start worker processes");
  expect(await typed(cluster, `kubectl exec ${other} -- curl -s http://web | grep title`)).toContain(
    "Welcome to nginx!",
  );
  const { outcomes } = cluster.explain({ from: "node/node-90", to: "svc/web:80" });
  expect(outcomes).toHaveLength(120);
}, 60_000);

test("a cluster has at most as many nodes as Kubernetes says", () => {
  expect(() => new Cluster({ nodes: 5001 })).toThrow("nodes must be a whole number from 1 to 5000, not 5001");
});
