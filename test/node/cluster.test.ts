import { expect, test } from "vitest";
import { second } from "../../kernel-lib/sim/clock";
import { get, type Wired, wire } from "./wired";

function client(cluster: Wired, node: string): void {
  cluster.pod("client", node, { containers: [{ name: "main", image: "busybox", command: ["sleep", "3600"] }] });
}

function lastAccess(cluster: Wired, pod: string): string {
  const node = cluster.podNow(pod)?.spec.nodeName ?? "";
  const log = cluster.nodes[node]?.kubelet.container(`default/${pod}`)?.log ?? [];
  return log.filter((line) => line.stream === "stdout").at(-1)?.text ?? "";
}

test.each(["vxlan", "host-gw"] as const)(
  "a pod reaches a pod of another node by a cluster IP, with its own address (%s)",
  (cni) => {
    const cluster = wire({ cni });
    client(cluster, "node-1");
    cluster.pod("web", "node-2");
    cluster.sim.clock.settle();
    cluster.service("web", "10.96.0.50", 80);
    cluster.slice("web", 80, ["web"]);
    cluster.sim.clock.settle();
    const answer = get(cluster, cluster.netnsOf("client"), "10.96.0.50", 80);
    expect(answer).toContain("HTTP/1.1 200 OK");
    expect(answer).toContain("<title>Welcome to nginx!</title>");
    expect(lastAccess(cluster, "web")).toMatch(
      /^10\.244\.1\.2 - - \[01\/Jan\/2026:00:00:\d\d \+0000\] "GET \/ HTTP\/1\.1" 200 \d+ /,
    );
  },
);

test("a pod that reaches itself through its Service is masqueraded by its bridge", () => {
  const cluster = wire();
  cluster.pod("web", "node-2");
  cluster.sim.clock.settle();
  cluster.service("web", "10.96.0.50", 80);
  cluster.slice("web", 80, ["web"]);
  cluster.sim.clock.settle();
  expect(get(cluster, cluster.netnsOf("web"), "10.96.0.50", 80)).toContain("200 OK");
  expect(lastAccess(cluster, "web")).toMatch(/^10\.244\.2\.1 /);
});

test("the nodes themselves reach pods, locally from the bridge's address and remotely from the tunnel's", () => {
  const cluster = wire();
  cluster.pod("web", "node-2");
  cluster.sim.clock.settle();
  for (const [node, source] of [
    ["node-2", "10.244.2.1"],
    ["node-1", "10.244.1.0"],
  ] as const) {
    const netns = cluster.nodes[node]?.net.netns;
    if (!netns) throw new Error(node);
    expect(get(cluster, netns, "10.244.2.2", 80)).toContain("200 OK");
    expect(lastAccess(cluster, "web")).toMatch(new RegExp(`^${source.replaceAll(".", "\\.")} `));
  }
});

test("a Service without endpoints refuses, and one whose only endpoint went refuses after the next sync", () => {
  const cluster = wire();
  client(cluster, "node-1");
  cluster.pod("web", "node-2");
  cluster.service("web", "10.96.0.50", 80);
  cluster.sim.clock.settle();
  const from = cluster.netnsOf("client");
  expect(get(cluster, from, "10.96.0.50", 80)).toBe("refused");
  cluster.slice("web", 80, ["web"]);
  cluster.sim.clock.settle();
  expect(get(cluster, from, "10.96.0.50", 80)).toContain("200 OK");
  cluster.slice("web", 80, []);
  cluster.sim.clock.settle();
  expect(get(cluster, from, "10.96.0.50", 80)).toBe("refused");
  const chains = cluster.nodes["node-1"]?.net.netns.iptables.chains("nat") ?? [];
  expect(chains.filter((chain) => chain.startsWith("KUBE-SEP-"))).toEqual([]);
});

test("kube-proxy waits a second between two syncs, and one sync takes all that changed meanwhile", () => {
  const cluster = wire();
  const syncs: number[] = [];
  const start = cluster.sim.clock.now;
  cluster.sim.journal.follow((entry) => {
    if (entry.about === "kube-proxy" && entry.where === "node-1") syncs.push(entry.at - start);
  });
  cluster.sim.clock.advance(5 * second);
  for (const last of [51, 52, 53]) {
    cluster.service(`web-${last}`, `10.96.0.${last}`, 80);
    cluster.sim.clock.advance(second / 4);
  }
  cluster.sim.clock.settle();
  expect(syncs).toHaveLength(2);
  expect((syncs[1] ?? 0) - (syncs[0] ?? 0)).toBeGreaterThanOrEqual(second);
});

test("requests from outside reach a node port, masqueraded by the node that took them", () => {
  const cluster = wire();
  cluster.pod("web", "node-2");
  cluster.sim.clock.settle();
  cluster.service("web", "10.96.0.50", 80, {
    type: "NodePort",
    ports: [{ port: 80, protocol: "TCP", nodePort: 30080 }],
  });
  cluster.slice("web", 80, ["web"]);
  cluster.sim.clock.settle();
  expect(get(cluster, cluster.workstation, "192.168.1.11", 30080)).toContain("200 OK");
  expect(lastAccess(cluster, "web")).toMatch(/^10\.244\.1\.0 /);
  expect(get(cluster, cluster.workstation, "192.168.1.12", 30080)).toContain("200 OK");
  expect(lastAccess(cluster, "web")).toMatch(/^10\.244\.2\.1 /);
  const own = cluster.nodes["node-2"]?.net.netns;
  expect(own && get(cluster, own, "127.0.0.1", 30080)).toContain("200 OK");
  expect(lastAccess(cluster, "web")).toMatch(/^10\.244\.2\.1 /);
});

test("a UDP client that keeps its port follows the Service to its new endpoint: kube-proxy deletes the stale entry", () => {
  const cluster = wire();
  client(cluster, "node-1");
  for (const name of ["old", "new"]) {
    cluster.pod(name, "node-2", { containers: [{ name: "main", image: "busybox", command: ["nc", "-lu"] }] });
  }
  cluster.sim.clock.settle();
  const heard: string[] = [];
  for (const name of ["old", "new"]) {
    cluster.netnsOf(name).sockets.openUdp({ port: 5000 }, { received: () => heard.push(name) });
  }
  cluster.service("sink", "10.96.0.60", 5000, { ports: [{ port: 5000, protocol: "UDP" }] });
  const point = (pod: string): void => {
    cluster.slice("sink", 5000, [pod], "UDP");
    cluster.sim.clock.settle();
  };
  point("old");
  const socket = cluster.netnsOf("client").sockets.openUdp({ port: 4000 }, {});
  const send = (): void => {
    socket.send("x", { ip: 0x0a60003c, port: 5000 });
    cluster.sim.clock.settle();
  };
  send();
  point("new");
  send();
  expect(heard).toEqual(["old", "new"]);
});
