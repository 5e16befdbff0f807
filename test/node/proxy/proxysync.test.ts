/** When kube-proxy writes, what it forgets, and what it does about rules, Services and slices that somebody made wrong. */
import { expect, test } from "vitest";
import { Cluster, podKey } from "../../../kernel-lib/cluster/cluster";
import { formatIp, parseIp } from "../../../kernel-lib/net/address";
import { second } from "../../../kernel-lib/sim/clock";
import type { Entry } from "../../../kernel-lib/sim/journal";

async function started(options: ConstructorParameters<typeof Cluster>[0] = {}): Promise<Cluster> {
  const cluster = new Cluster({ nodes: 2, seed: 4, ...options });
  await cluster.start();
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

function service(cluster: Cluster, name: string, spec: object = {}): void {
  cluster.api.create("Service", { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });
}

function slice(cluster: Cluster, of: string, addresses: readonly string[], more: object = {}): void {
  const labels = { "kubernetes.io/service-name": of };
  const family = addresses[0]?.includes(":") ? "IPv6" : "IPv4";
  const ports = [{ name: "", port: 80, protocol: "TCP" }];
  const endpoints = addresses.map((address) => ({ addresses: [address] }));
  const metadata = { name: `${of}-${family.toLowerCase()}`, namespace: "default", labels };
  cluster.store.apply(
    "EndpointSlice",
    { kind: "EndpointSlice", metadata, addressType: family, ports, endpoints, ...more },
    "test",
  );
}

function pod(cluster: Cluster, name: string, spec: object = {}): void {
  const containers = [{ name: "main", image: "nginx" }];
  cluster.api.create("Pod", { metadata: { name, labels: { app: name } }, spec: { containers, ...spec } });
}

const rules = (cluster: Cluster, node = "node-1"): string => cluster.node(node).net.netns.iptables.save();

test("syncs follow each other at least minSyncPeriod apart, and one writes all that has changed till then", async () => {
  const cluster = await started();
  const syncs: Entry[] = [];
  cluster.sim.journal.follow((entry) => {
    if (entry.where === "node-1" && entry.about === "kube-proxy") syncs.push(entry);
  });
  const begun = cluster.now;
  for (let count = 0; count < 10; count++) {
    service(cluster, `s${count}`);
    await cluster.advance("300ms");
  }
  await cluster.settle();
  const gaps = syncs.map(({ at }, index) => at - (syncs[index - 1]?.at ?? begun));
  expect(syncs.length).toBeGreaterThanOrEqual(3);
  expect(syncs.length).toBeLessThanOrEqual(4);
  expect(Math.min(...gaps.slice(1))).toBeGreaterThanOrEqual(second);
  for (let count = 0; count < 10; count++) expect(rules(cluster)).toContain(`default/s${count} has no endpoints`);
});

test("a chain of rules that somebody takes away altogether is there again within the sync period, single rules within an hour", async () => {
  const cluster = await started();
  const own = (): readonly string[] =>
    rules(cluster)
      .split("\n")
      .filter((line) => /KUBE-(?!KUBELET)/.test(line))
      .sort();
  const whole = own();
  await sh(cluster, "ssh node-1 'iptables -t nat -F; iptables -t nat -X'");
  expect(rules(cluster)).not.toContain("KUBE-SERVICES -d");
  await cluster.advance("31s");
  expect(own()).toEqual(whole);

  await sh(cluster, "ssh node-1 iptables -t nat -F KUBE-SERVICES");
  await cluster.advance("10m");
  expect(rules(cluster)).not.toContain("-A KUBE-SERVICES -d");
  await cluster.advance("55m");
  expect(rules(cluster)).toContain("-A KUBE-SERVICES -d");
});

test("a sync that the kernel refuses is said in the log, and done anew after the sync period", async () => {
  const cluster = await started();
  pod(cluster, "web");
  await cluster.settle();
  // Just after it has looked whether its canary is there.
  await cluster.advance("10s");
  await sh(cluster, "ssh node-1 'iptables -t nat -F; iptables -t nat -X'");
  // Its rules for nat lead to KUBE-MARK-MASQ, which is not there, and it does not know.
  service(cluster, "web", { selector: { app: "web" } });
  await cluster.settle();
  const proxyPod = cluster.store.list("Pod", { labels: { "k8s-app": "kube-proxy" }, node: "node-1" })[0];
  const log = cluster
    .container(podKey(`kube-system/${proxyPod?.metadata.name}`))
    ?.log.map(({ text }) => text)
    .join("\n");
  expect(log).toMatch(/E0101 .*\] "Failed to execute iptables-restore" err="exit status 1: iptables-restore: /);
  expect(log).toMatch(/"Sync failed" retryingTime="30s"/);
  await cluster.advance("31s");
  expect(rules(cluster)).toContain("default/web cluster IP");
});

test.each(["iptables", "nftables"] as const)(
  "%s: a Service that goes takes its rules with it, and a connection that it carries goes on",
  async (mode) => {
    const cluster = await started({ mode });
    pod(cluster, "web");
    service(cluster, "web", { selector: { app: "web" } });
    service(cluster, "other");
    await cluster.settle();
    const ip = cluster.store.get("Service", "default/web")?.spec.clusterIP ?? "";
    const { netns } = cluster.node("node-2").net;
    let answers = "";
    const ask = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
    const socket = netns.sockets.connectTcp(
      { ip: parseIp(ip), port: 80 },
      {
        connected: (open) => open.write(ask),
        data: (_, text) => {
          answers += text;
        },
      },
    );
    await cluster.settle();
    cluster.api.delete("Service", "default", "web");
    await cluster.settle();
    const written = await sh(cluster, "ssh node-2 'iptables-save; nft list ruleset'");
    expect(written).not.toMatch(new RegExp(`-d ${ip}|${ip} [.] tcp`));
    socket.write(ask);
    await cluster.settle();
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(await sh(cluster, `ssh node-2 "curl -s --max-time 2 ${ip}"; echo $?`)).toMatch(/^(7|28)\n$/);
  },
);

test.each(["iptables", "nftables", "ipvs"] as const)(
  "%s: a UDP flow to a pod that is gone is forgotten, in both families; others stay",
  async (mode) => {
    const cluster = await started({ mode, ipFamilies: ["IPv4", "IPv6"] });
    service(cluster, "dns", {
      ports: [{ port: 53, protocol: "UDP", nodePort: 30053 }],
      type: "NodePort",
      ipFamilyPolicy: "RequireDualStack",
    });
    const ports = [{ name: "", port: 53, protocol: "UDP" }];
    slice(cluster, "dns", ["10.244.1.77", "10.244.2.77"], { ports });
    slice(cluster, "dns", ["fd00:10:244:1::77", "fd00:10:244:2::77"], { ports });
    await cluster.settle();
    const { netns } = cluster.node("node-1").net;
    const [ipv4 = "", ipv6 = ""] = cluster.store.get("Service", "default/dns")?.spec.clusterIPs ?? [];
    const client = netns.sockets.openUdp({ port: 0 }, { received: () => {} });
    for (const target of [ipv4, ipv6]) client.send("x", { ip: parseIp(target), port: 53 });
    client.send("x", { ip: parseIp("192.168.1.11"), port: 30053 });
    const flows = () =>
      [...netns.conntrack.list()]
        .filter(
          ({ original }) =>
            original.protocol === "udp" && (original.targetPort === 53 || original.targetPort === 30053),
        )
        .map(({ original, reply }) => `${formatIp(original.target)} ${formatIp(reply.source)}`);
    const before = flows();
    expect(before.length).toBeGreaterThanOrEqual(2);
    // Ready or not is no matter, serving is: so are the addresses alone.
    const served = before[0]?.split(" ")[1] ?? "";
    const stays = served.endsWith("1.77") ? "2" : "1";
    slice(cluster, "dns", [`10.244.${stays}.77`], { ports });
    slice(cluster, "dns", [`fd00:10:244:${stays}::77`], { ports });
    await cluster.settle();
    for (const flow of flows()) expect(flow).toMatch(new RegExp(`[.:]${stays}(\\.|::)77$`));
    expect(flows()).not.toContain(before[0]);
  },
);

test("Services that fight over an external IP or a node port: the first by name gets the packets, and goes back when it is gone", async () => {
  const cluster = await started();
  pod(cluster, "a");
  pod(cluster, "b");
  const spec = { externalIPs: ["203.0.113.7"] };
  service(cluster, "b", { ...spec, selector: { app: "b" } });
  service(cluster, "a", { ...spec, selector: { app: "a" } });
  await cluster.settle();
  const end = (): string =>
    cluster
      .explain({ from: "node/node-1", to: "203.0.113.7:80" })
      .outcomes.map(({ name }) => name)
      .join();
  expect(end()).toBe("pod/a");
  cluster.api.delete("Service", "default", "a");
  await cluster.settle();
  expect(end()).toBe("pod/b");
  // The API gives a node port to one Service only; objects that came another way are still served side by side.
  const taken = { type: "NodePort", ports: [{ port: 80, nodePort: 30080 }] };
  service(cluster, "c", taken);
  expect(() => service(cluster, "d", taken)).toThrow("provided port is already allocated");
});

test("a slice with addresses that are none disturbs nobody, and the Service is told of it", async () => {
  const cluster = await started();
  service(cluster, "web");
  slice(cluster, "web", ["10.244.1.9", "web.example.com", "10.244.1.9"]);
  await cluster.settle();
  expect(rules(cluster).match(/-A KUBE-SVC-\w+ .*default\/web -> /g)).toHaveLength(1);
  const event = cluster.store.list("Event").find(({ reason }) => reason === "KubeProxyIncorrectIPVersion");
  expect(event).toMatchObject({
    message: "web.example.com in endpointslice has incorrect IP version",
    involvedObject: { name: "web" },
  });
});

test("ipvs: what somebody deletes is there again within the sync period, and a pod that comes back stays", async () => {
  const cluster = await started({ mode: "ipvs" });
  service(cluster, "web");
  slice(cluster, "web", ["10.244.1.77", "10.244.2.77"]);
  await cluster.settle();
  const ip = cluster.store.get("Service", "default/web")?.spec.clusterIP ?? "";
  const servers = async (): Promise<readonly string[]> =>
    (await sh(cluster, `ssh node-1 ipvsadm -Ln -t ${ip}:80`)).match(/10\.244\.\d\.77:80 +Masq +\d/g) ?? [];
  const whole = await servers();
  expect(whole).toHaveLength(2);
  await sh(cluster, `ssh node-1 ipvsadm -D -t ${ip}:80`);
  await cluster.advance("31s");
  expect(await servers()).toEqual(whole);
  // One goes while it still has a connection (nobody answers at this address), then comes back, over several periods.
  cluster.node("node-1").net.netns.sockets.connectTcp({ ip: parseIp(ip), port: 80 }, {});
  await cluster.advance("1s");
  slice(cluster, "web", ["10.244.1.77"]);
  await cluster.advance("40s");
  slice(cluster, "web", ["10.244.1.77", "10.244.2.77"]);
  await cluster.advance("5m");
  expect((await servers()).map((line) => line.slice(-1))).toEqual(["1", "1"]);
});
