/** A whole node's rules, judged by the real iptables in a namespace of its own. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { requireOrSkip } from "../../judges";
import { wire } from "../wired";

function sandbox(command: string, text: string) {
  return spawnSync("unshare", ["-Urn", "sh", "-c", command], { input: text, encoding: "utf8", timeout: 15_000 });
}

/** Table by table, without comments and the policies' counters. */
function tables(text: string): readonly string[] {
  const bare = text.replace(/^#.*\n/gm, "").replace(/\[\d+:\d+\]/g, "[0:0]");
  return bare.split(/^COMMIT\n/m).sort();
}

test("all that kubelet, kube-proxy and flannel write on a node is taken by the real iptables, and printed the same", (context) => {
  const command = "iptables-nft-restore && iptables-nft-save";
  const probe = sandbox(command, "*nat\n:PROBE - [0:0]\nCOMMIT\n");
  requireOrSkip(
    context,
    probe.status === 0,
    `iptables in a namespace of its own: ${probe.error?.message ?? probe.stderr}`,
  );
  const cluster = wire();
  for (const pod of ["a", "b", "c"]) cluster.pod(pod, pod === "a" ? "node-1" : "node-2");
  cluster.sim.clock.settle();
  cluster.service("plain", "10.96.0.50", 80);
  cluster.service("empty", "10.96.0.51", 80);
  cluster.service("sticky", "10.96.0.52", 80, {
    sessionAffinity: "ClientIP",
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
  });
  cluster.service("open", "10.96.0.53", 80, {
    type: "NodePort",
    externalTrafficPolicy: "Local",
    externalIPs: ["203.0.113.7"],
    ports: [{ name: "http", port: 80, protocol: "TCP", nodePort: 30080 }],
  });
  cluster.slice("plain", 80, ["a", "b", "c"]);
  cluster.slice("sticky", 80, ["a", "b"]);
  const slice = {
    addresses: [cluster.podNow("b")?.status.podIP ?? ""],
    nodeName: "node-2",
    conditions: { ready: true },
  };
  cluster.store.create(
    "EndpointSlice",
    {
      kind: "EndpointSlice",
      metadata: { name: "open-1", namespace: "default", labels: { "kubernetes.io/service-name": "open" } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 80, protocol: "TCP" }],
      endpoints: [slice],
    },
    "test",
  );
  cluster.sim.clock.settle();
  const ours = cluster.nodes["node-1"]?.net.netns.iptables.save() ?? "";
  for (const part of ["KUBE-SEP-", "--rcheck", "has no local endpoints", "FLANNEL-POSTRTG", "0.33333333349"]) {
    expect(ours).toContain(part);
  }
  const real = sandbox(command, ours);
  expect(real.stderr).toBe("");
  expect(tables(real.stdout)).toEqual(tables(ours));
});
