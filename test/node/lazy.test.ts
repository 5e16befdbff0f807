import { expect, test } from "vitest";
import { formatCidr } from "../../kernel-lib/net/address";
import type { Netns } from "../../kernel-lib/net/netns";
import { second } from "../../kernel-lib/sim/clock";
import { epoch } from "../../kernel-lib/sim/sim";
import { get, type Wired, type WiredNode, wire } from "./wired";

/** A cluster whose kube-proxies have nothing to write comes to rest a moment sooner. */
function begin({ sim }: Wired): void {
  sim.clock.advance(epoch + 10 * second - sim.clock.now);
}

/** Pods of all kinds, one after another: some can be put off, and some come between them that cannot. */
function story(cluster: Wired): void {
  const { sim, store } = cluster;
  begin(cluster);
  const twins = ["one", "two"].map((name) => ({ name, image: "nginx" }));
  const shell = [{ name: "main", image: "busybox", command: ["sh", "-c", "true"] }];
  for (const name of ["web-1", "web-2"]) cluster.pod(name, "node-1");
  sim.clock.advance(2 * second);
  cluster.service("early", "10.96.0.50", 80);
  cluster.pod("web-3", "node-1");
  sim.clock.advance(20 * second);
  cluster.pod("sleeper", "node-1", { containers: shell });
  cluster.pod("web-4", "node-1", { volumes: [{ name: "scratch", emptyDir: {} }] });
  sim.clock.advance(20 * second);
  cluster.pod("twins", "node-1", { containers: twins });
  cluster.pod("echo", "node-1", { containers: [{ name: "main", image: "registry.k8s.io/echoserver:1.4" }] });
  sim.clock.advance(20 * second);
  cluster.service("late", "10.96.0.51", 80);
  sim.clock.advance(20 * second);
  for (const name of ["web-5", "web-6"]) cluster.pod(name, "node-2");
  sim.clock.advance(3 * second);
  store.update(
    "Pod",
    "default/web-6",
    (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { seen: "later" } } }),
    "test",
  );
}

function holds(netns: Netns | undefined): unknown {
  if (!netns) return undefined;
  return {
    devices: [...netns.devices.values()].map(({ name, index, mac, mtu, master, addresses }) => {
      return { name, index, mac, mtu, master: master?.name, addresses: addresses.map(formatCidr) };
    }),
    routes: netns.routes.list("IPv4"),
  };
}

/** All that there is to be seen of a node and its pods. */
function seen(cluster: Wired): unknown {
  const { nodes, store } = cluster;
  const machines = Object.values(nodes).map((node) => seenOf(cluster, node));
  return { version: store.version, pods: store.list("Pod"), events: store.list("Event"), machines };
}

function seenOf({ network }: Wired, { net, kubelet }: WiredNode): unknown {
  return {
    node: holds(net.netns),
    given: net.files.list("/var/lib/cni/networks/cbr0"),
    workers: kubelet.pods.map((worker) => ({
      key: worker.key,
      pause: worker.sandbox.pause,
      netns: holds(network.namespaces.get(worker.key)),
      containers: worker.containers.map(({ spec, log, processes, started, ending }) => {
        const { id, argv, env, files, namespaces } = spec;
        const texts = files.paths().map((path) => [path, files.entry(path)]);
        return { id, argv, env: [...env], texts, namespaces, log, processes, started, ending };
      }),
    })),
  };
}

test("what was put off until somebody looked is what would have been there", () => {
  const [busy, lazy] = [wire(), wire({ lazy: true })];
  for (const cluster of [busy, lazy]) story(cluster);
  // What cannot be put off has all that came before it done, and the node goes on sleeping.
  const made = ["web-1", "web-4", "web-6"].map((name) => lazy.network.namespaces.isMade(`default/${name}`));
  expect(made).toEqual([true, true, false]);
  expect(seen(lazy)).toEqual(seen(busy));
});

test("nothing is made for a pod that nobody looks at, and a packet is enough to have it made", () => {
  const cluster = wire({ lazy: true });
  cluster.sim.clock.advance(2 * second);
  for (const name of ["web-1", "web-2", "web-3"]) cluster.pod(name, "node-1");
  cluster.sim.clock.settle();
  const { namespaces } = cluster.network;
  expect(cluster.podNow("web-3")?.status).toMatchObject({ phase: "Running", podIP: "10.244.1.4" });
  expect(namespaces.has("default/web-3")).toBe(true);
  expect(namespaces.isMade("default/web-3")).toBe(false);
  cluster.workstation.routes.add({ to: { ip: 0x0af40000, length: 16 }, via: 0xc0a8010b, device: "eth0" });
  expect(get(cluster, cluster.workstation, "10.244.1.4", 80)).toContain("Welcome to nginx!");
  expect(namespaces.isMade("default/web-3")).toBe(true);
});

test("a pod that nobody has looked at ends as any other", () => {
  const clusters = [wire(), wire({ lazy: true })];
  for (const cluster of clusters) {
    begin(cluster);
    const { sim, store, pod } = cluster;
    for (const name of ["web-1", "web-2", "web-3"]) pod(name, "node-1");
    sim.clock.advance(20 * second);
    store.delete("Pod", "default/web-2", "test");
    sim.clock.advance(20 * second);
    pod("web-4", "node-1");
    sim.clock.advance(20 * second);
  }
  const [busy, lazy] = clusters as [Wired, Wired];
  expect(lazy.network.namespaces.has("default/web-2")).toBe(false);
  expect(seen(lazy)).toEqual(seen(busy));
});
