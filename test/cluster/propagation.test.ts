/** Judges how long news takes through a cluster: each hop as it was ordered, each watcher by itself, and never early. */
import { describe, expect, it } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../kernel-lib/cluster/options";
import type { PropagationOptions } from "../../kernel-lib/cluster/propagation";
import type { LifeEvent } from "../../kernel-lib/node/lifeevents";
import { lifeWord } from "../../kernel-lib/node/lifeevents";
import { millisecond, type Time } from "../../kernel-lib/sim/clock";

const exact: PropagationOptions = {
  kubelet: "2ms",
  controllers: "5ms",
  slices: "30ms",
  proxy: { watch: "20ms", sync: "40ms" },
};

/** A Service with two pods: web-1 on node-1, web-2 on node-2. */
async function site(options: ClusterOptions): Promise<Cluster> {
  const cluster = new Cluster({ nodes: 2, lb: "none", ...options });
  await cluster.start();
  for (const node of [1, 2]) {
    const spec = { nodeName: `node-${node}`, containers: [{ name: "web", image: "nginx" }] };
    cluster.api.create("Pod", { metadata: { name: `web-${node}`, labels: { app: "web" } }, spec });
  }
  const spec = { selector: { app: "web" }, clusterIP: "10.96.0.77", ports: [{ port: 80 }] };
  cluster.api.create("Service", { metadata: { name: "web" }, spec });
  await cluster.advance("60s");
  return cluster;
}

interface Seen {
  /** When a slice of the Service was written, and each node's rules for it. */
  readonly slices: Time[];
  readonly proxies: Map<string, Time[]>;
}

/** Moments of the Service from now on, counted from now. */
function watch(cluster: Cluster): Seen {
  const from = cluster.now;
  const seen: Seen = { slices: [], proxies: new Map() };
  cluster.store.follow("EndpointSlice", ({ object }) => {
    if (object?.metadata.labels?.["kubernetes.io/service-name"] === "web") seen.slices.push(cluster.now - from);
  });
  cluster.sim.journal.follow(({ at, what, detail }) => {
    const event = detail as LifeEvent;
    if (what !== lifeWord || event.of !== "proxy" || !event.services.includes("default/web")) return;
    seen.proxies.set(event.node, [...(seen.proxies.get(event.node) ?? []), at - from]);
  });
  return seen;
}

/** Turns a pod's Ready condition, as a kubelet would. */
function ready(cluster: Cluster, name: string, status: "True" | "False"): void {
  const change = (pod: NonNullable<ReturnType<Cluster["pod"]>>) => ({
    ...pod,
    status: {
      ...pod.status,
      conditions: (pod.status.conditions ?? []).map((one) => (one.type === "Ready" ? { ...one, status } : one)),
    },
  });
  cluster.store.update("Pod", `default/${name}`, change, "test");
}

function answering(cluster: Cluster, node: string): string {
  const { outcomes } = cluster.explain({ from: `node/${node}`, to: "10.96.0.77:80" });
  return outcomes
    .map(({ name, probability }) => `${probability} ${name}`)
    .sort()
    .join(", ");
}

describe("the delay of each hop", () => {
  it("is what was ordered, from the pod's condition to the slice to the rules of each node", async () => {
    const cluster = await site({ propagation: { ...exact, nodes: { "node-2": { proxy: { watch: "3s" } } } } });
    const seen = watch(cluster);
    ready(cluster, "web-1", "False");
    await cluster.advance("10s");
    // 30 ms until the controller hears, 5 ms of work; then 20 ms or 3 s, 1 ms of work, and 40 ms of writing.
    expect(seen.slices.map((at) => at / millisecond)).toEqual([35]);
    const moments = ["control-plane", "node-1", "node-2"].map((node) => seen.proxies.get(node)?.map((at) => at / 1000));
    expect(moments).toEqual([[96], [96], [3076]]);
  });

  it("lets a slow node's proxy know only what it has heard, in the order in which it was sent", async () => {
    const cluster = await site({ propagation: { nodes: { "node-2": { proxy: { watch: "8s", sync: "10ms" } } } } });
    ready(cluster, "web-1", "False");
    await cluster.advance("4s");
    ready(cluster, "web-1", "True");
    ready(cluster, "web-2", "False");
    expect([answering(cluster, "node-1"), answering(cluster, "node-2")]).toEqual([
      "1 pod/web-2",
      "0.5 pod/web-1, 0.5 pod/web-2",
    ]);
    await cluster.advance("5s");
    // What came after that it will hear of in three seconds.
    expect([answering(cluster, "node-1"), answering(cluster, "node-2")]).toEqual(["1 pod/web-1", "1 pod/web-2"]);
    await cluster.advance("4s");
    expect(answering(cluster, "node-2")).toBe("1 pod/web-1");
  });

  it("has the least time between two syncs where kube-proxy's configuration has it", async () => {
    const cluster = await site({ propagation: { ...exact, minSyncPeriod: "5s" } });
    const config = cluster.store.get("ConfigMap", "kube-system/kube-proxy")?.data?.["config.conf"] ?? "";
    expect(config.match(/minSyncPeriod: \S+/g)).toEqual(Array(3).fill("minSyncPeriod: 5s"));
    const seen = watch(cluster);
    ready(cluster, "web-1", "False");
    await cluster.advance("2s");
    ready(cluster, "web-1", "True");
    await cluster.advance("10s");
    expect(seen.proxies.get("node-1")?.map((at) => at / millisecond)).toEqual([96, 96 + 5_000 + 40]);
  });

  it("keeps a pod's end from its kubelet as long as that one's watch takes", async () => {
    const told = async (kubelet: string): Promise<number> => {
      const cluster = await site({ propagation: { nodes: { "node-1": { kubelet } } } });
      const from = cluster.now;
      const moments: Time[] = [];
      cluster.sim.journal.follow(({ at, what, detail }) => {
        const event = detail as LifeEvent;
        if (what === lifeWord && event.of === "signal" && event.pod === "default/web-1") moments.push(at - from);
      });
      cluster.api.delete("Pod", "default", "web-1");
      await cluster.advance("60s");
      return (moments[0] ?? 0) / millisecond;
    };
    expect((await told("6s")) - (await told("1s"))).toBe(5_000);
  });
});

describe("jitter", () => {
  const moments = async (seed: number): Promise<string> => {
    const cluster = await site({ seed });
    const seen = watch(cluster);
    ready(cluster, "web-1", "False");
    await cluster.advance("3s");
    return JSON.stringify([seen.slices, [...seen.proxies]]);
  };

  it("differs from seed to seed and from node to node, and is the same for the same seed", async () => {
    const seeds = [1, 2, 3, 4, 5, 6];
    const all: string[] = [];
    for (const seed of seeds) all.push(await moments(seed));
    expect(new Set(all).size).toBe(seeds.length);
    expect(await moments(3)).toBe(all[2]);
    const [, proxies] = JSON.parse(all[0] ?? "") as [unknown, [string, number[]][]];
    expect(new Set(proxies.map(([, at]) => at.join())).size).toBe(3);
  });
});

describe("a load balancer's checks", () => {
  it("leave a node out after as many failures as was ordered, at the interval that was ordered", async () => {
    const balancer = { interval: "2s", timeout: "500ms", unhealthy: 2, healthy: 1 };
    const cluster = await site({ lb: "cloud", propagation: { balancer } });
    const spec = {
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      selector: { app: "web" },
      ports: [{ port: 80 }],
    };
    cluster.api.create("Service", { metadata: { name: "shop" }, spec });
    await cluster.advance("60s");
    const heard: string[] = [];
    const moments: Time[] = [];
    cluster.sim.journal.follow(({ at, what, detail }) => {
      const event = detail as LifeEvent;
      if (what !== lifeWord || event.of !== "balancer") return;
      heard.push(`${event.service} ${event.node} ${event.healthy}`);
      moments.push(at);
    });
    const from = cluster.now;
    ready(cluster, "web-1", "False");
    await cluster.advance("20s");
    expect(heard).toEqual(["default/shop node-1 false"]);
    // The second of two checks 2 s apart, the first of which came at most 2 s after the rules.
    const after = ((moments[0] ?? 0) - from) / millisecond;
    expect(after).toBeGreaterThan(2_000);
    expect(after).toBeLessThan(4_100);
    ready(cluster, "web-1", "True");
    await cluster.advance("5s");
    expect(heard.slice(1)).toEqual(["default/shop node-1 true"]);
  });
});

describe("what is wrong with an option", () => {
  const time = "must be a time such as 10ms or 2s, or a span such as 5ms-15ms, not";
  const wrong: readonly (readonly [options: unknown, message: string])[] = [
    ["fast", 'propagation must be an object, not "fast"'],
    [
      { kubelets: "1s" },
      'propagation has no word "kubelets": there are kubelet, controllers, slices, proxy, minSyncPeriod, balancer, nodes',
    ],
    [{ kubelet: 5 }, `propagation.kubelet ${time} 5`],
    [{ slices: "soon" }, `propagation.slices ${time} "soon"`],
    [{ slices: "1s-2s-3s" }, `propagation.slices ${time} "1s-2s-3s"`],
    [{ slices: "-5ms" }, `propagation.slices ${time} "-5ms"`],
    [{ controllers: "9ms-3ms" }, 'propagation.controllers must go from the shorter to the longer, not "9ms-3ms"'],
    [{ proxy: "1s" }, 'propagation.proxy must be an object, not "1s"'],
    [{ proxy: { hear: "1s" } }, 'propagation.proxy has no word "hear": there are watch, sync'],
    [{ minSyncPeriod: "0s" }, "propagation.minSyncPeriod must be more than 0s"],
    [{ minSyncPeriod: "1m" }, "propagation.minSyncPeriod must not be longer than 30s, kube-proxy's syncPeriod"],
    [{ balancer: { unhealthy: 0 } }, "propagation.balancer.unhealthy must be a whole number from 1, not 0"],
    [{ balancer: { interval: "0s" } }, "propagation.balancer.interval must be more than 0s"],
    [
      { nodes: { "node-9": {} } },
      'propagation.nodes has no node "node-9": there are control-plane, node-1, node-2, node-3',
    ],
    [{ nodes: { "node-1": { proxy: { sync: "x" } } } }, `propagation.nodes["node-1"].proxy.sync ${time} "x"`],
  ];

  it.each(wrong)("%j", (propagation, message) => {
    expect(() => new Cluster({ propagation } as ClusterOptions)).toThrow(message);
  });
});
