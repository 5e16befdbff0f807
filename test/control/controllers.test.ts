import { describe, expect, test } from "vitest";
import { StatusError } from "../../kernel-lib/api/errors";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { second } from "../../kernel-lib/sim/clock";
import { deployment, testCluster } from "./cluster";

const service = {
  metadata: { name: "web" },
  spec: { selector: { run: "web" }, ports: [{ port: 80, targetPort: "http" }] },
};

function sliceOf(cluster: ReturnType<typeof testCluster>, name = "web"): Kinds["EndpointSlice"][] {
  return [...cluster.api.list("EndpointSlice", { labelSelector: `kubernetes.io/service-name=${name}` })];
}

describe("what kubeadm has from the start", () => {
  test("is there, runs on every node, and has its addresses", () => {
    const { api } = testCluster();
    expect(api.table("Service", api.list("Service")).rows.map(({ cells }) => cells.slice(0, 5))).toEqual([
      ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"],
      ["kube-dns", "ClusterIP", "10.96.0.10", "<none>", "53/UDP,53/TCP,9153/TCP"],
    ]);
    expect(api.list("Node").map(({ metadata, spec }) => [metadata.name, spec.podCIDR])).toEqual([
      ["control-plane", "10.244.0.0/24"],
      ["node-1", "10.244.1.0/24"],
      ["node-2", "10.244.2.0/24"],
      ["node-3", "10.244.3.0/24"],
    ]);
    const proxies = api.list("Pod", { namespace: "kube-system", labelSelector: "k8s-app=kube-proxy" });
    expect(proxies.map(({ spec }) => spec.nodeName).sort()).toEqual(["control-plane", "node-1", "node-2", "node-3"]);
    expect(api.get("ConfigMap", "kube-system", "kube-proxy").data?.["config.conf"]).toContain("mode: iptables\n");
    expect(api.get("ServiceAccount", "default", "default").metadata.name).toBe("default");
  });
});

describe("a Deployment", () => {
  test("has its replicas on different workers, and none on the tainted control plane", () => {
    const cluster = testCluster();
    cluster.api.create("Deployment", deployment("web", 6));
    cluster.sim.clock.settle();
    const perNode = new Map<string, number>();
    for (const { spec } of cluster.pods("web-"))
      perNode.set(spec.nodeName ?? "", (perNode.get(spec.nodeName ?? "") ?? 0) + 1);
    expect([...perNode].sort()).toEqual([
      ["node-1", 2],
      ["node-2", 2],
      ["node-3", 2],
    ]);
    const { status } = cluster.api.get("Deployment", "default", "web");
    expect(status).toMatchObject({ replicas: 6, updatedReplicas: 6, readyReplicas: 6, availableReplicas: 6 });
    expect(status.unavailableReplicas).toBeUndefined();
  });

  test("rolls within its bounds: never more than the surge, never fewer than may be unavailable", () => {
    const cluster = testCluster();
    const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } };
    cluster.api.create("Deployment", deployment("web", 4, "nginx", { strategy }));
    cluster.sim.clock.settle();
    let [most, least] = [0, 99];
    cluster.store.follow("Pod", () => {
      const pods = cluster.store.list("Pod", { namespace: "default", labels: { run: "web" } });
      const alive = pods.filter(({ metadata }) => !metadata.deletionTimestamp);
      const sets = cluster.store.list("ReplicaSet", { namespace: "default" });
      most = Math.max(
        most,
        sets.reduce((sum, { spec }) => sum + (spec.replicas ?? 0), 0),
      );
      least = Math.min(least, alive.filter(({ status }) => status.conditions?.some((c) => c.type === "Ready")).length);
    });
    const containers = [{ name: "web", image: "nginx:1.29" }];
    cluster.api.patch("Deployment", "default", "web", "strategic", { spec: { template: { spec: { containers } } } });
    cluster.sim.clock.settle();
    expect([most, least]).toEqual([5, 3]);
    const sets = cluster.api.list("ReplicaSet", { namespace: "default" });
    expect(sets.map(({ spec }) => spec.replicas).sort()).toEqual([0, 4]);
    expect(cluster.pods("web-").map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(4).fill("nginx:1.29"));
    const revision = "deployment.kubernetes.io/revision";
    expect(cluster.api.get("Deployment", "default", "web").metadata.annotations?.[revision]).toBe("2");
  });

  test("goes back to its old ReplicaSet when its template does", () => {
    const cluster = testCluster();
    cluster.api.create("Deployment", deployment("web", 2));
    cluster.sim.clock.settle();
    const [first] = cluster.api.list("ReplicaSet", { namespace: "default" });
    for (const image of ["nginx:2", "nginx"]) {
      const containers = [{ name: "web", image }];
      cluster.api.patch("Deployment", "default", "web", "strategic", { spec: { template: { spec: { containers } } } });
      cluster.sim.clock.settle();
    }
    const now = cluster.api.list("ReplicaSet", { namespace: "default" }).find(({ spec }) => spec.replicas === 2);
    expect(now?.metadata.uid).toBe(first?.metadata.uid);
    expect(now?.metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("3");
  });

  test("stops a rollout whose new pods never become ready, and says so after its deadline", () => {
    const cluster = testCluster();
    cluster.api.create("Deployment", deployment("web", 3));
    cluster.sim.clock.settle();
    const containers = [{ name: "web", image: "broken" }];
    cluster.api.patch("Deployment", "default", "web", "strategic", { spec: { template: { spec: { containers } } } });
    cluster.sim.clock.settle();
    expect(cluster.api.get("Deployment", "default", "web").status).toMatchObject({
      readyReplicas: 3,
      updatedReplicas: 1,
    });
    cluster.sim.clock.advance(700_000_000);
    const conditions = cluster.api.get("Deployment", "default", "web").status.conditions;
    expect(conditions?.find(({ type }) => type === "Progressing")).toMatchObject({
      status: "False",
      reason: "ProgressDeadlineExceeded",
    });
  });

  test("scales to nothing and back, telling each step in an event", () => {
    const cluster = testCluster();
    cluster.api.create("Deployment", deployment("web", 2));
    for (const replicas of [0, 2]) {
      cluster.sim.clock.settle();
      cluster.api.scale("Deployment", "default", "web", replicas);
    }
    cluster.sim.clock.settle();
    const events = cluster.api.list("Event", { namespace: "default", fieldSelector: "reason=ScalingReplicaSet" });
    const messages = events.map(({ message, count }) => `${message?.replace(/web-\w+/, "web-…")} x${count}`);
    expect(messages.sort()).toEqual([
      "Scaled down replica set web-… from 2 to 0 x1",
      "Scaled up replica set web-… from 0 to 2 x2",
    ]);
    expect(cluster.pods("web-")).toHaveLength(2);
  });

  test("takes its ReplicaSets and pods with it, or leaves them as orphans", () => {
    const cluster = testCluster();
    for (const name of ["web", "old"]) cluster.api.create("Deployment", deployment(name, 2));
    cluster.sim.clock.settle();
    cluster.api.delete("Deployment", "default", "web");
    cluster.api.delete("Deployment", "default", "old", { propagation: "Orphan" });
    cluster.sim.clock.settle();
    expect(cluster.pods("web-")).toHaveLength(0);
    expect(cluster.pods("old-")).toHaveLength(2);
    const [orphan] = cluster.api.list("ReplicaSet", { namespace: "default" });
    expect(orphan?.metadata.ownerReferences).toBeUndefined();
    expect(cluster.api.list("Deployment", { namespace: "default" })).toEqual([]);
  });
});

describe("the endpoints of a Service", () => {
  test("are its ready pods; a pod that is being deleted still serves but is no longer ready", () => {
    const cluster = testCluster();
    cluster.api.create("Service", service);
    cluster.sim.clock.settle();
    expect(sliceOf(cluster)).toMatchObject([{ endpoints: [], ports: [] }]);
    cluster.api.create("Deployment", deployment("web", 2));
    cluster.sim.clock.settle();
    const [slice] = sliceOf(cluster);
    expect(slice?.metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect(slice?.endpoints.map(({ conditions }) => conditions)).toEqual(
      Array(2).fill({ ready: true, serving: true, terminating: false }),
    );
    const victim = cluster.pods("web-")[0] as Kinds["Pod"];
    cluster.api.delete("Pod", "default", victim.metadata.name);
    cluster.sim.clock.advance(500_000);
    const dying = sliceOf(cluster)[0]?.endpoints.find(({ targetRef }) => targetRef?.name === victim.metadata.name);
    expect(dying?.conditions).toEqual({ ready: false, serving: true, terminating: true });
    const old = cluster.api.get("Endpoints", "default", "web").subsets ?? [];
    expect(old.flatMap(({ addresses = [] }) => addresses.map(({ ip }) => ip))).not.toContain(victim.status.podIP);
  });

  test("are at most a hundred a slice and a thousand in the old Endpoints", () => {
    const cluster = testCluster(5, 12);
    cluster.api.create("Service", service);
    cluster.api.create("Deployment", deployment("web", 1050));
    cluster.sim.clock.settle();
    const sizes = sliceOf(cluster).map(({ endpoints }) => endpoints.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(1050);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
    const old = cluster.api.get("Endpoints", "default", "web");
    expect(old.subsets?.[0]?.addresses).toHaveLength(1000);
    expect(old.metadata.annotations?.["endpoints.kubernetes.io/over-capacity"]).toBe("truncated");
  });

  test("go with the Service", () => {
    const cluster = testCluster();
    cluster.api.create("Service", service);
    cluster.api.create("Deployment", deployment("web", 1));
    cluster.sim.clock.settle();
    cluster.api.delete("Service", "default", "web");
    cluster.sim.clock.settle();
    expect(sliceOf(cluster)).toEqual([]);
    expect(() => cluster.api.get("Endpoints", "default", "web")).toThrow('endpoints "web" not found');
  });
});

describe("the scheduler", () => {
  test("says why no node will do, and schedules when one does", () => {
    const cluster = testCluster();
    const spec = { nodeSelector: { disk: "ssd" }, containers: [{ name: "a", image: "nginx" }] };
    cluster.api.create("Pod", { metadata: { name: "picky" }, spec });
    cluster.sim.clock.settle();
    const [event] = cluster.api.list("Event", { fieldSelector: "reason=FailedScheduling" });
    expect(event?.message).toBe(
      "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, " +
        "3 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, " +
        "preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling.",
    );
    cluster.api.patch("Node", "", "node-2", "merge", { metadata: { labels: { disk: "ssd" } } });
    cluster.sim.clock.settle();
    expect(cluster.pods("picky")[0]?.spec.nodeName).toBe("node-2");
  });

  test("does not fill a node beyond what it has", () => {
    const cluster = testCluster();
    const resources = { requests: { cpu: "3" } };
    const containers = [{ name: "web", image: "nginx", resources }];
    const more = { template: { metadata: { labels: { run: "web" } }, spec: { containers } } };
    cluster.api.create("Deployment", deployment("web", 4, "nginx", more));
    cluster.sim.clock.settle();
    expect(
      cluster
        .pods("web-")
        .map(({ spec }) => spec.nodeName ?? "")
        .sort(),
    ).toEqual(["", "node-1", "node-2", "node-3"]);
  });
});

test("a namespace goes with all that is in it", () => {
  const cluster = testCluster();
  cluster.api.create("Namespace", { metadata: { name: "shop" } });
  cluster.sim.clock.settle();
  cluster.api.create("Deployment", deployment("web", 2), { namespace: "shop" });
  cluster.sim.clock.settle();
  cluster.api.delete("Namespace", "", "shop");
  expect(cluster.api.get("Namespace", "", "shop").status.phase).toBe("Terminating");
  expect(() => cluster.api.create("ConfigMap", { metadata: { name: "late" } }, { namespace: "shop" })).toThrow(
    'configmaps "late" is forbidden: unable to create new content in namespace shop because it is being terminated',
  );
  // Upstream's namespaceDeletionGracePeriod: nothing in it goes before.
  cluster.sim.clock.advance(4 * second);
  expect(cluster.api.list("Pod", { namespace: "shop" })).toHaveLength(2);
  cluster.sim.clock.settle();
  expect(() => cluster.api.get("Namespace", "", "shop")).toThrow(StatusError);
  expect(cluster.api.list("Pod", { namespace: "shop" })).toEqual([]);
});

test("objects whose owner is there are no work for the garbage collector: all is at rest once the pods run", () => {
  const { api, sim, store } = testCluster(3, 6);
  let last = 0;
  store.follow("EndpointSlice", () => {
    last = sim.clock.now;
  });
  const template = { metadata: { labels: { app: "many" } }, spec: { containers: [{ name: "it", image: "nginx" }] } };
  api.create("Service", { metadata: { name: "many" }, spec: { selector: { app: "many" }, ports: [{ port: 80 }] } });
  const spec = { replicas: 300, selector: { matchLabels: { app: "many" } }, template };
  api.create("Deployment", { metadata: { name: "many" }, spec });
  sim.clock.settle();
  expect(store.list("Pod", { namespace: "default" }).filter(({ status }) => status.phase === "Running")).toHaveLength(
    300,
  );
  expect(sim.clock.now - last).toBeLessThan(second);
});

test("the same seed gives the same cluster, byte for byte; another seed another one", () => {
  const run = (seed: number): string => {
    const cluster = testCluster(seed);
    cluster.api.create("Deployment", deployment("web", 3));
    cluster.api.create("Service", service);
    cluster.sim.clock.settle();
    return JSON.stringify(cluster.store.changesSince(400));
  };
  expect(run(5)).toBe(run(5));
  expect(run(5)).not.toBe(run(6));
});
