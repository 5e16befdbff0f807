/** kube-proxy as a pod of a living cluster: it reads its ConfigMap, follows its pod's life, answers over HTTP, and changes its mode. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Kinds } from "../../../kernel-lib/api/kinds";
import { Cluster, podKey } from "../../../kernel-lib/cluster/cluster";
import { second } from "../../../kernel-lib/sim/clock";

async function started(options: ConstructorParameters<typeof Cluster>[0] = {}): Promise<Cluster> {
  const cluster = new Cluster({ nodes: 2, seed: 4, ...options });
  await cluster.start();
  return cluster;
}

/** What a line prints at the workstation's prompt. */
async function sh(cluster: Cluster, line: string): Promise<string> {
  let out = "";
  await cluster.session().type(
    line,
    (_stream, text) => {
      out += text;
    },
    { exits: true },
  );
  return out;
}

function proxyPods(cluster: Cluster): readonly Kinds["Pod"][] {
  return cluster.store.list("Pod", { labels: { "k8s-app": "kube-proxy" } });
}

function logOf(cluster: Cluster, node: string, previous = false): string {
  const pod = proxyPods(cluster).find(({ spec }) => spec.nodeName === node);
  const key = podKey(`kube-system/${pod?.metadata.name}`);
  const container = previous ? cluster.previousContainer(key, "kube-proxy") : cluster.container(key);
  return container?.log.map(({ text }) => text).join("\n") ?? "";
}

/** Three pods behind a Service, ready. */
async function withWeb(cluster: Cluster, spec: object = {}): Promise<string> {
  const labels = { app: "web" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "nginx", image: "nginx" }] } };
  cluster.api.create("Deployment", {
    metadata: { name: "web" },
    spec: { replicas: 3, selector: { matchLabels: labels }, template },
  });
  const service = { metadata: { name: "web" }, spec: { selector: labels, ports: [{ port: 80 }], ...spec } };
  const made = cluster.api.create("Service", service);
  await cluster.settle();
  return made.spec.clusterIP ?? "";
}

/** Edits the configuration as `kubectl edit` does. */
function edit(cluster: Cluster, change: (text: string) => string): void {
  const before = cluster.store.get("ConfigMap", "kube-system/kube-proxy");
  if (!before) throw new Error("no ConfigMap");
  const data = { ...before.data, "config.conf": change(before.data?.["config.conf"] ?? "") };
  cluster.api.update("ConfigMap", { ...before, data });
}

function deleteProxyOf(cluster: Cluster, node: string): void {
  const pod = proxyPods(cluster).find(({ spec }) => spec.nodeName === node);
  cluster.api.delete("Pod", "kube-system", pod?.metadata.name ?? "");
}

const rules = (cluster: Cluster, node: string): string => cluster.node(node).net.netns.iptables.save();

test("a node's kube-proxy lives with its pod, and says what it does", async () => {
  const cluster = await started();
  expect(proxyPods(cluster).map(({ status }) => status.phase)).toEqual(["Running", "Running", "Running"]);
  expect([...cluster.nodes.values()].map(({ proxy }) => proxy?.mode)).toEqual(["iptables", "iptables", "iptables"]);
  const log = logOf(cluster, "node-1");
  expect(log).toMatch(
    /^I0101 00:00:0\d\.\d{6} {7}1 server\.go:\d+\] "Successfully retrieved NodeIPs" NodeIPs=\["192\.168\.1\.11"\]\n/,
  );
  expect(log).toContain('] "Using iptables Proxier"\n');
  expect(log).toContain('err="nodePortAddresses is unset; NodePort connections will be accepted on all local IPs.');
  expect(rules(cluster, "node-1")).toContain("default/kubernetes:https cluster IP");
});

test("it sets connection tracking: room by the number of CPUs, and open connections are kept a day", async () => {
  const cluster = await started();
  const { conntrack } = cluster.node("node-1").net.netns;
  expect([conntrack.max, conntrack.timeouts.tcp.ESTABLISHED / second]).toEqual([131_072, 86_400]);
  expect(logOf(cluster, "node-1")).toContain(
    '"Set sysctl" entry="net/netfilter/nf_conntrack_tcp_timeout_established" value=86400',
  );
  edit(cluster, (text) => text.replace("min: null", "min: 1000000").replace("udpTimeout: 0s", "udpTimeout: 10s"));
  deleteProxyOf(cluster, "node-1");
  await cluster.settle();
  expect([conntrack.max, conntrack.timeouts.udp / second]).toEqual([1_000_000, 10]);
});

test("while its pod is away nothing is written and all that was written stays; what comes next does a full sync", async () => {
  const cluster = await started();
  await withWeb(cluster);
  const set = cluster.store.get("DaemonSet", "kube-system/kube-proxy") as Kinds["DaemonSet"];
  const away = { spec: { template: { spec: { nodeSelector: { away: "yes" } } } } };
  cluster.api.patch("DaemonSet", "kube-system", "kube-proxy", "strategic", away);
  await cluster.settle();
  expect([proxyPods(cluster).length, cluster.node("node-1").proxy]).toEqual([0, undefined]);
  const before = rules(cluster, "node-1");
  expect(before).toContain("default/web cluster IP");
  cluster.api.delete("Service", "default", "web");
  cluster.api.create("Service", {
    metadata: { name: "late" },
    spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
  });
  await cluster.advance("2m");
  expect(rules(cluster, "node-1")).toBe(before);
  expect(await sh(cluster, "ssh node-1 curl -s localhost:10256/healthz; echo $?")).toBe("7\n");

  const back = cluster.store.get("DaemonSet", "kube-system/kube-proxy") as Kinds["DaemonSet"];
  cluster.api.update("DaemonSet", { ...back, spec: { ...back.spec, template: set.spec.template } });
  await cluster.settle();
  const after = rules(cluster, "node-1");
  expect(after).not.toContain("default/web ");
  expect(after).toContain("default/late cluster IP");
  // The chains of the Service that went while nobody looked are gone, too.
  const chains = [...after.matchAll(/^:(KUBE-(?:SVC|SEP)-\w+)/gm)].map(([, chain]) => chain ?? "");
  expect(chains.filter((chain) => !after.includes(`-j ${chain}`))).toEqual([]);
});

describe("a configuration that kube-proxy refuses ends it, and its words are in its log", () => {
  test.each([
    [
      (text: string) => text.replace("mode: iptables", "mode: ebpf"),
      `"command failed" err="failed validate: KubeProxyConfiguration.Mode.ProxyMode: Invalid value: \\"ebpf\\": must be iptables, ipvs, nftables or blank (blank means the best-available proxy [currently iptables])"`,
    ],
    [
      (text: string) => text.replace("mode: iptables", "mode: ipvs").replace('scheduler: ""', "scheduler: fastest"),
      `"command failed" err="can't use the IPVS proxier: no such file or directory"`,
    ],
    [
      (text: string) => text.replace("kind: KubeProxyConfiguration", "kind: KubeProxyConfig"),
      `"command failed" err="failed complete: failed to decode: no kind \\"KubeProxyConfig\\" is registered for version \\"kubeproxy.config.k8s.io/v1alpha1\\"`,
    ],
  ])("%#", async (change, words) => {
    const cluster = await started();
    await withWeb(cluster);
    const before = rules(cluster, "node-1");
    edit(cluster, change);
    deleteProxyOf(cluster, "node-1");
    await cluster.advance("30s");
    const pod = proxyPods(cluster).find(({ spec }) => spec.nodeName === "node-1");
    const [status] = pod?.status.containerStatuses ?? [];
    expect(status?.state?.waiting?.reason).toBe("CrashLoopBackOff");
    expect(status?.lastState?.terminated?.exitCode).toBe(1);
    expect(logOf(cluster, "node-1")).toContain(words);
    expect(rules(cluster, "node-1")).toBe(before);
    expect(cluster.node("node-2").proxy?.mode).toBe("iptables");
  });

  test("an unknown field is only warned of", async () => {
    const cluster = await started();
    edit(cluster, (text) => `${text}proxyMode: ipvs\n`);
    deleteProxyOf(cluster, "node-1");
    await cluster.settle();
    expect(logOf(cluster, "node-1")).toContain(
      `"Using lenient decoding as strict decoding failed" err="strict decoding error: unknown field \\"proxyMode\\""`,
    );
    expect(cluster.node("node-1").proxy?.mode).toBe("iptables");
  });
});

describe("the mode is switched", () => {
  const modes = ["ipvs", "nftables", "userspace", "iptables"] as const;

  test("on a living cluster, from each to each, and Services work all the time after", {
    timeout: 30_000,
  }, async () => {
    const cluster = await started();
    const ip = await withWeb(cluster);
    const asked = async (): Promise<readonly string[]> =>
      Promise.all(
        ["node-1", "node-2"].map((node) =>
          sh(cluster, `ssh ${node} "curl -s -o /dev/null -w '%{http_code}' --max-time 5 ${ip}"`),
        ),
      );
    for (const first of modes) {
      for (const mode of [first, ...modes.filter((other) => other !== first)]) {
        await cluster.setMode(mode);
        expect(
          [...cluster.nodes.values()].map(({ proxy }) => proxy?.mode),
          mode,
        ).toEqual([mode, mode, mode]);
        expect(await asked(), `${mode} after ${first}`).toEqual(["200", "200"]);
        expect(await sh(cluster, "ssh node-2 curl -s localhost:10249/proxyMode")).toBe(mode);
      }
    }
  });

  test("by hand: edit the ConfigMap, restart the DaemonSet; what nftables replaces is taken away", async () => {
    const cluster = await started();
    edit(cluster, (text) => text.replace("mode: iptables", "mode: nftables"));
    await sh(cluster, "kubectl rollout restart ds kube-proxy -n kube-system");
    await cluster.settle();
    expect(cluster.node("node-1").proxy?.mode).toBe("nftables");
    expect(rules(cluster, "node-1")).not.toMatch(/KUBE-(SERVICES|SVC|SEP|POSTROUTING|NODEPORTS)/);
    expect(logOf(cluster, "node-1")).toContain('"Using nftables Proxier"');
  });

  test("by hand between iptables and ipvs: each leaves the other's rules, as in life; kube-proxy --cleanup takes all away", async () => {
    const cluster = await started();
    await withWeb(cluster);
    edit(cluster, (text) => text.replace("mode: iptables", "mode: ipvs"));
    await sh(cluster, "kubectl rollout restart ds kube-proxy -n kube-system");
    await cluster.settle();
    expect(cluster.node("node-1").proxy?.mode).toBe("ipvs");
    expect(rules(cluster, "node-1")).toContain("KUBE-SEP-");
    expect(await sh(cluster, "ssh node-1 ip -br link show kube-ipvs0")).toContain("kube-ipvs0");

    const away = { spec: { template: { spec: { nodeSelector: { away: "yes" } } } } };
    cluster.api.patch("DaemonSet", "kube-system", "kube-proxy", "strategic", away);
    const image = "registry.k8s.io/kube-proxy:v1.36.0";
    const containers = [{ name: "cleanup", image, command: ["kube-proxy", "--cleanup"] }];
    const spec = { nodeName: "node-1", hostNetwork: true, restartPolicy: "Never", containers };
    cluster.api.create("Pod", { metadata: { name: "cleanup", namespace: "kube-system" }, spec });
    await cluster.settle();
    expect(cluster.pod("kube-system/cleanup")?.status.phase).toBe("Succeeded");
    expect(rules(cluster, "node-1").match(/KUBE-(?!KUBELET|IPTABLES-HINT|FIREWALL)[A-Z-]+/g)).toBeNull();
    expect(await sh(cluster, "ssh node-1 'ipvsadm -Ln; ipset list -n; ip -br link'")).not.toMatch(
      /10\.96|KUBE-|kube-ipvs0/,
    );
    expect(rules(cluster, "node-2")).toContain("KUBE-SEP-");
  });

  test("userspace is history, and the log says so", async () => {
    const cluster = await started({ mode: "userspace" });
    expect(cluster.node("node-1").proxy?.mode).toBe("userspace");
    expect(logOf(cluster, "node-1")).toContain("The userspace proxier was removed in v1.26");
  });

  test("a scheduler is chosen with it, also from the start; unknown words are refused", async () => {
    const cluster = await started({ mode: "ipvs", scheduler: "sh" });
    expect(cluster.store.get("ConfigMap", "kube-system/kube-proxy")?.data?.["config.conf"]).toContain(
      '  scheduler: "sh"\n',
    );
    await cluster.setMode("ipvs", { scheduler: "lc" });
    expect(await sh(cluster, "ssh node-1 ipvsadm -Ln")).toMatch(/TCP {2}10\.96\.0\.1:443 lc/);
    await expect(cluster.setMode("ebpf" as "ipvs")).rejects.toThrow(
      'mode must be iptables or nftables or ipvs or userspace, not "ebpf"',
    );
    expect(() => new Cluster({ scheduler: "fastest" as "rr" })).toThrow("scheduler must be rr or wrr or");
  });

  test("on EKS the ConfigMap is kube-proxy-config", async () => {
    const cluster = await started({ cni: "vpc" });
    expect(await sh(cluster, "kubectl get cm kube-proxy-config -n kube-system -o jsonpath='{.data.config}'")).toContain(
      'mode: "iptables"\n',
    );
    await cluster.setMode("nftables");
    expect(cluster.store.get("ConfigMap", "kube-system/kube-proxy-config")?.data?.config).toContain(
      'mode: "nftables"\n',
    );
    expect(await sh(cluster, "ssh node-1 curl -s localhost:10249/proxyMode")).toBe("nftables");
  });
});

describe("what it answers over HTTP", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await started();
  });

  test("its mode, at localhost alone", async () => {
    expect(await sh(cluster, "ssh node-1 curl -s localhost:10249/proxyMode")).toBe("iptables");
    expect(await sh(cluster, "curl -s 192.168.1.11:10249/proxyMode; echo $?")).toBe("7\n");
  });

  test("its metrics", async () => {
    const metrics = await sh(cluster, "ssh node-1 curl -s localhost:10249/metrics");
    expect(metrics).toMatch(
      /^kubeproxy_sync_proxy_rules_last_timestamp_seconds\{ip_family="IPv4"\} 1\.7672256\d+e\+09$/m,
    );
    expect(metrics).toMatch(/^kubeproxy_sync_full_proxy_rules_duration_seconds_count\{ip_family="IPv4"\} 1$/m);
    const nat = rules(cluster, "node-1").split("*nat")[1] ?? "";
    const own = nat.split("\n").filter((line) => /^-A KUBE-/.test(line)).length;
    expect(metrics).toContain(`kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"} ${own}\n`);
  });

  test("its health, and whether the node is to get new connections", async () => {
    const health = await sh(cluster, "curl -si 192.168.1.11:10256/healthz");
    expect(health).toMatch(
      /^HTTP\/1\.1 200 OK\r?\nContent-Type: application\/json\r?\nX-Content-Type-Options: nosniff\r?\n/,
    );
    expect(health).toMatch(
      /\{"lastUpdated": "2026-01-01 .* \+0000 UTC m=\+\d+\.\d{9}","currentTime": "[^"]*", "nodeEligible": true\}$/,
    );
    const taints = [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }] as const;
    cluster.store.update("Node", "node-1", (node) => ({ ...node, spec: { ...node.spec, taints } }), "test");
    const codes = ["healthz", "livez", "other"].map((path) =>
      sh(cluster, `curl -s -o /dev/null -w '%{http_code}' 192.168.1.11:10256/${path}`),
    );
    expect(await Promise.all(codes)).toEqual(["503", "200", "404"]);
  });

  test("on a Service's health check node port: how many of its ready endpoints are here", async () => {
    await withWeb(cluster, { type: "LoadBalancer", externalTrafficPolicy: "Local" });
    const port = cluster.store.get("Service", "default/web")?.spec.healthCheckNodePort;
    const counts = new Map<string, number>();
    for (const { spec } of cluster.store.list("Pod", { labels: { app: "web" } })) {
      counts.set(spec.nodeName ?? "", (counts.get(spec.nodeName ?? "") ?? 0) + 1);
    }
    for (const [node, ip] of [
      ["node-1", "192.168.1.11"],
      ["control-plane", "192.168.1.10"],
    ] as const) {
      const count = counts.get(node) ?? 0;
      const answer = await sh(cluster, `curl -si ${ip}:${port}`);
      expect(answer.split(/\r?\n/)[0]).toBe(count > 0 ? "HTTP/1.1 200 OK" : "HTTP/1.1 503 Service Unavailable");
      expect(answer).toContain(`X-Load-Balancing-Endpoint-Weight: ${count}`);
      const body = { service: { namespace: "default", name: "web" }, localEndpoints: count, serviceProxyHealthy: true };
      expect(JSON.parse(answer.slice(answer.indexOf("{")))).toEqual(body);
    }
    cluster.api.delete("Service", "default", "web");
    await cluster.settle();
    expect(await sh(cluster, `curl -s 192.168.1.11:${port}; echo $?`)).toBe("7\n");
  });
});
