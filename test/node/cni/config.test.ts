import { expect, test } from "vitest";
import { Cluster } from "../../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../../kernel-lib/cluster/options";
import { formatIp } from "../../../kernel-lib/net/address";
import { netnsOf, placePods, reach } from "./reach";

/** As the article on networking models writes them. */
const sameRange = `{ "name": "mynet", "type": "bridge", "bridge": "kube-bridge", "isDefaultGateway": true, "ipam": { "type": "host-local", "subnet": "10.1.0.0/16" } }`;
const ownRange = (range: string): string =>
  `{ "name": "mynet", "type": "bridge", "bridge": "kube-bridge", "isDefaultGateway": true, "ipam": { "type": "host-local", "subnet": "${range}" } }`;

async function up(options: ClusterOptions): Promise<Cluster> {
  const cluster = new Cluster({ nodes: 2, ...options });
  await cluster.start();
  return cluster;
}

function ips(cluster: Cluster, ...names: readonly string[]): readonly (string | undefined)[] {
  return names.map((name) => cluster.podIp(name));
}

/** The messages of a pod's events, without its sandbox's number. */
function events(cluster: Cluster, pod: string): readonly string[] {
  const about = cluster.store.list("Event").filter((event) => event.involvedObject.name === pod);
  return about.map(({ reason, message }) => `${reason}: ${(message ?? "").replace(/"[0-9a-f]{64}"/, '"ID"')}`);
}

async function write(cluster: Cluster, node: string, text: string, name = "10-mynet.conf"): Promise<void> {
  cluster.node(node).net.files.write(`/etc/cni/net.d/${name}`, text);
  await cluster.settle();
}

test("one subnet for all nodes hands two nodes the same addresses, and the nearest one answers", async () => {
  const cluster = await up({ cni: "bridge", cniConfig: sameRange });
  await placePods(cluster, { a1: "node-1", b1: "node-2", a2: "node-1", b2: "node-2" });
  expect(new Set(ips(cluster, "a1", "b1", "a2", "b2")).size).toBeLessThan(4);
  const check = await cluster.checkNetwork();
  expect(check.holds).toBe(false);
  const wrong = check.probes.filter(({ to, answeredBy }) => answeredBy !== undefined && answeredBy !== to);
  expect(wrong.length).toBeGreaterThan(0);
  for (const { to, answeredBy = "", target } of wrong) {
    expect(cluster.podIp(answeredBy.slice("pod/".length))).toBe(target);
    expect(cluster.podIp(to.slice("pod/".length))).toBe(target);
  }
});

test("a range per node mends it: all on one L2, or each node a subnet of its own", async () => {
  const part = (node: { readonly podCidrs: readonly { readonly ip: unknown }[] }): number =>
    (Number(node.podCidrs[0]?.ip) >> 8) & 255;
  const oneNetwork = await up({
    cni: "bridge",
    cniConfig: (node) => {
      const net = `10.1.${part(node)}`;
      const more = `, "rangeStart": "${net}.1", "rangeEnd": "${net}.254", "gateway": "${net}.1"`;
      return sameRange.replace('"10.1.0.0/16"', `"10.1.0.0/16"${more}`);
    },
  });
  const routed = await up({ cni: "routes", cniConfig: (node) => ownRange(`10.1.${part(node)}.0/24`) });
  for (const cluster of [oneNetwork, routed]) {
    await placePods(cluster, { a1: "node-1", b1: "node-2" });
    expect(ips(cluster, "a1", "b1").map((ip) => ip?.replace(/\d+$/, ""))).toEqual(["10.1.1.", "10.1.2."]);
    expect((await cluster.checkNetwork()).holds).toBe(true);
  }
});

test("the first file by name counts, and changing it changes what later pods get", async () => {
  const cluster = await up({ cni: "routes" });
  await placePods(cluster, { a1: "node-1" });
  await write(
    cluster,
    "node-1",
    ownRange("10.1.1.0/24").replace('"type": "host-local"', '"type": "host-local", "rangeStart": "10.1.1.200"'),
    "05-first.conf",
  );
  await placePods(cluster, { a2: "node-1" });
  expect(ips(cluster, "a1", "a2")[1]).toBe("10.1.1.200");
  expect(await reach(cluster, "a1", "a2")).toBe(`${cluster.podIp("a1")} 64`);
  const { files } = cluster.node("node-1").net;
  expect(files.list("/var/lib/cni/networks/mynet")).toContain("10.1.1.200");
  expect(files.read("/var/lib/cni/networks/mynet/last_reserved_ip.0")).toBe("10.1.1.200");
});

test("a file that is no JSON takes the node's network away, in libcni's words, and its pods wait", async () => {
  const cluster = await up({ cni: "routes" });
  const good = cluster.node("node-1").net.files.read("/etc/cni/net.d/10-mynet.conf") ?? "";
  await write(cluster, "node-1", good.replace('"mynet",', '"mynet"'));
  const ready = (): string | undefined =>
    cluster.store.get("Node", "node-1")?.status.conditions?.find(({ type }) => type === "Ready")?.status;
  expect(ready()).toBe("False");
  expect(cluster.node("node-1").net.files.read("/var/log/syslog")).toContain(
    'error="cni config load failed: failed to load CNI config file /etc/cni/net.d/10-mynet.conf: error parsing configuration: invalid character \'\\"\' after object key:value pair: invalid cni config: failed to load cni config"',
  );
  await placePods(cluster, { a1: "node-1" });
  expect(events(cluster, "a1")).toEqual([
    "NetworkNotReady: network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized",
  ]);
  await write(cluster, "node-1", good);
  expect(ready()).toBe("True");
  expect(cluster.podIp("a1")).toMatch(/^10\.1\.1\./);
});

test.each([
  [
    '"host-local"',
    '"dhcp"',
    'plugin type="bridge" name="mynet" failed (add): failed to find plugin "dhcp" in path [/opt/cni/bin]',
  ],
  [
    '"bridge",',
    '"brigde",',
    'plugin type="brigde" name="mynet" failed (add): failed to find plugin "brigde" in path [/opt/cni/bin]',
  ],
  [
    '"isDefaultGateway": true',
    '"isDefaultGateway": "yes"',
    'plugin type="bridge" name="mynet" failed (add): failed to load netconf: json: cannot unmarshal string into Go struct field NetConf.isDefaultGateway of type bool',
  ],
  [
    '"10.1.9.0/24"',
    '"10.1.9.0"',
    'plugin type="bridge" name="mynet" failed (add): invalid range set 0: invalid CIDR address: 10.1.9.0',
  ],
  [
    '"10.1.9.0/24"',
    '"10.1.9.0/24", "gateway": "10.2.0.1"',
    'plugin type="bridge" name="mynet" failed (add): invalid range set 0: gateway 10.2.0.1 not in network 10.1.9.0/24',
  ],
  ['"subnet": "10.1.9.0/24"', '"ranges": []', 'plugin type="bridge" name="mynet" failed (add): no IP ranges specified'],
  [
    '"10.1.9.0/24"',
    '"10.1.9.0/24", "rangeStart": "10.1.9.5", "rangeEnd": "10.1.9.5"',
    'plugin type="bridge" name="mynet" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.1.9.5-10.1.9.5',
  ],
])("%s → %s fails the sandbox in the plugin's words, until it is mended", async (from, to, words) => {
  const cluster = await up({ cni: "routes" });
  const good = ownRange("10.1.9.0/24").replace("kube-bridge", "other-bridge");
  await write(cluster, "node-2", good.replace(from, to));
  await placePods(cluster, { a1: "node-2", a2: "node-2" });
  const said = events(cluster, "a2").find((text) => text.startsWith("FailedCreatePodSandBox"));
  expect(said).toBe(
    `FailedCreatePodSandBox: Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "ID": ${words}`,
  );
  expect(cluster.podIp("a2")).toBeUndefined();
  await write(cluster, "node-2", good);
  await cluster.advance("1m");
  expect(cluster.podIp("a2")).toMatch(/^10\.1\.9\.\d+$/);
});

test("a bridge that has another address already is refused, unless the address may be forced", async () => {
  const cluster = await up({ cni: "routes" });
  await placePods(cluster, { a1: "node-1" });
  await write(cluster, "node-1", ownRange("10.1.77.0/24"));
  await placePods(cluster, { a2: "node-1" });
  expect(events(cluster, "a2")[0]).toContain(
    'plugin type="bridge" name="mynet" failed (add): failed to set bridge addr: "kube-bridge" already has an IP address different from 10.1.77.1/24',
  );
  await write(cluster, "node-1", ownRange("10.1.77.0/24").replace('"ipam"', '"forceAddress": true, "ipam"'));
  await cluster.advance("1m");
  expect(cluster.podIp("a2")).toMatch(/^10\.1\.77\.\d+$/);
});

test("flannel's plugin without flanneld's file says so", async () => {
  const cluster = await up({ cni: "vxlan" });
  cluster.node("node-1").net.files.remove("/run/flannel/subnet.env");
  await placePods(cluster, { a1: "node-1" });
  expect(events(cluster, "a1")[0]).toContain(
    '"ID": plugin type="flannel" failed (add): open /run/flannel/subnet.env: no such file or directory',
  );
});

test("ptp needs no bridge: the node has a route to each pod", async () => {
  const config = (range: string): string =>
    `{"cniVersion":"1.0.0","name":"p2p","plugins":[{"type":"ptp","ipMasq":true,"ipam":{"type":"host-local","subnet":"${range}","routes":[{"dst":"0.0.0.0/0"}]}}]}`;
  const cluster = await up({ cni: "routes" });
  for (const [node, range] of [
    ["node-1", "10.1.1.0/24"],
    ["node-2", "10.1.2.0/24"],
  ] as const) {
    await write(cluster, node, config(range), "00-p2p.conflist");
  }
  await placePods(cluster, { a1: "node-1", a2: "node-1", b1: "node-2" });
  expect(await reach(cluster, "a1", "a2")).toBe(`${cluster.podIp("a1")} 63`);
  expect(await reach(cluster, "a1", "b1")).toBe("192.168.1.11 61");
  cluster.store.delete("Pod", "default/a2", "test");
  await cluster.settle();
  // Every wire's end on the node had the gateway's address: it stays while there is one.
  expect(await reach(cluster, "a1", "10.1.1.1", "node-1")).toBe(`${cluster.podIp("a1")} 64`);
  const nat = netnsOf(cluster, "node-1").iptables.chains("nat");
  expect(nat.filter((chain) => chain.startsWith("CNI-")).length).toBe(
    cluster
      .node("node-1")
      .net.files.list("/var/lib/cni/networks/p2p")
      ?.filter((name) => /^10/.test(name)).length,
  );
});

test("a hostPort is a port of its node, by the portmap plugin, and goes with its pod", async () => {
  const cluster = await up({ cni: "vxlan" });
  const ports = [{ containerPort: 80, hostPort: 8080 }];
  const containers = [{ name: "main", image: "nginx", ports }];
  cluster.api.create("Pod", { metadata: { name: "web" }, spec: { nodeName: "node-1", containers } }, { by: "test" });
  await cluster.settle();
  const session = cluster.session();
  const ask = async (): Promise<string> => {
    let text = "";
    await session.type("curl -s -o /dev/null -w '%{http_code}' --max-time 2 http://192.168.1.11:8080", (_to, piece) => {
      text += piece;
    });
    return text;
  };
  expect(await ask()).toBe("200");
  cluster.store.delete("Pod", "default/web", "test");
  await cluster.settle();
  expect(await ask()).toBe("000");
  expect(
    netnsOf(cluster, "node-1")
      .iptables.chains("nat")
      .filter((chain) => chain.startsWith("CNI-DN-")),
  ).toEqual([]);
});

test.each(["routes", "host-gw", "vxlan"] as const)(
  "%s forgets a node that leaves, and knows it again when it is back",
  async (cni) => {
    const cluster = await up({ cni });
    const keeper = netnsOf(cluster, cni === "routes" ? "router" : "node-1");
    const routes = (): readonly string[] =>
      keeper.routes.list().flatMap(({ to, via }) => (via !== undefined && to.length === 24 ? [formatIp(to.ip)] : []));
    const before = routes();
    cluster.store.delete("Node", "node-2", "test");
    await cluster.settle();
    expect(routes()).toEqual(before.filter((net) => !net.endsWith(".2.0")));
    cluster.node("node-2").kubelet.register({ name: "node-2", ip: cluster.node("node-2").net.ip });
    await cluster.settle();
    expect(routes()).toEqual(before);
    await placePods(cluster, { a1: "node-1", b1: "node-2" });
    expect((await cluster.checkNetwork()).holds).toBe(true);
  },
);

test("a node in a VPC carries so many pods as its interfaces have addresses for", async () => {
  const cluster = await up({ cni: "vpc", nodes: 1 });
  const names = Array.from({ length: 28 }, (_, at) => `pod-${at}`);
  await placePods(cluster, Object.fromEntries(names.map((name) => [name, "node-1"])));
  const without = names.filter((name) => cluster.podIp(name) === undefined);
  const own = cluster.store.list("Pod", { node: "node-1" }).filter(({ spec }) => !spec.hostNetwork).length;
  expect(without.length).toBe(own - 27);
  expect(without.length).toBeGreaterThan(0);
  expect(events(cluster, without[0] ?? "").find((text) => text.startsWith("Failed"))).toContain(
    'plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container',
  );
  const table = cluster.router.routes.list().filter(({ to }) => to.length === 32);
  const running = cluster.store
    .list("Pod")
    .filter(({ spec, status }) => !spec.hostNetwork && status.podIP !== undefined);
  expect(table.map(({ to }) => formatIp(to.ip)).sort()).toEqual(running.map(({ status }) => status.podIP).sort());
});
