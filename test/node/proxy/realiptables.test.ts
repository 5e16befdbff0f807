/** A whole node's rules, judged by the real iptables in a namespace of its own. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { Cluster } from "../../../kernel-lib/cluster/cluster";
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

test("in a dual-stack cluster the rules of IPv6 are taken by the real ip6tables, and printed the same", async (context) => {
  const command = "ip6tables-nft-restore && ip6tables-nft-save";
  const probe = sandbox(command, "*nat\n:PROBE - [0:0]\nCOMMIT\n");
  const why = `ip6tables in a namespace of its own: ${probe.error?.message ?? probe.stderr}`;
  requireOrSkip(context, probe.status === 0, why);
  const cluster = new Cluster({ lb: "none", nodes: 2, ipFamilies: ["IPv4", "IPv6"] });
  await cluster.start();
  const labels = { app: "web" };
  for (const name of ["a", "b", "c"]) {
    const containers = [{ name: "web", image: "nginx" }];
    cluster.api.create("Pod", { metadata: { name, labels }, spec: { containers } });
  }
  const common = { selector: labels, ipFamilyPolicy: "RequireDualStack", ports: [{ port: 80, protocol: "TCP" }] };
  const service = (name: string, more: object): void => {
    cluster.api.create("Service", { metadata: { name }, spec: { ...common, ...more } });
  };
  service("plain", {});
  service("empty", { selector: { app: "nothing" } });
  service("single", { ipFamilyPolicy: "SingleStack" });
  service("old", { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack", sessionAffinity: "ClientIP" });
  service("open", {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    externalIPs: ["2001:db8::7", "203.0.113.7"],
    loadBalancerSourceRanges: ["2001:db8::/32", "fd00::/8"],
  });
  service("sctp", { ports: [{ port: 3868, protocol: "SCTP" }] });
  const status = { loadBalancer: { ingress: [{ ip: "2001:db8::100" }, { ip: "198.51.100.1" }] } };
  cluster.store.update("Service", "default/open", (open) => ({ ...open, status }), "test");
  await cluster.settle();
  const { netns } = cluster.node("node-1").net;
  const ours = netns.ip6tables.save();
  for (const part of [
    "! -s fd00:10:244::/56 -d fd00:10:96:",
    "default/empty has no endpoints",
    "--reject-with icmp6-port-unreachable",
    "--to-destination [fd00:10:244:",
    "-m sctp",
    '! -d ::1/128 -m comment --comment "kubernetes service nodeports',
    "-s 2001:db8::/32",
    "default/old -> [fd00",
  ]) {
    expect(ours).toContain(part);
  }
  for (const part of ["default/single", "203.0.113.7", "198.51.100.1", "10.244.", "127.0.0.0"])
    expect(ours).not.toContain(part);
  expect(netns.iptables.save()).not.toMatch(/default\/old|2001:db8/);
  const real = sandbox(command, ours);
  expect(real.stderr).toBe("");
  expect(tables(real.stdout)).toEqual(tables(ours));
});
