import { describe, expect, test } from "vitest";
import { StatusError } from "../../kernel-lib/api/errors";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { second } from "../../kernel-lib/sim/clock";
import { deployment, type TestCluster, testCluster } from "./cluster";

type Budget = Kinds["PodDisruptionBudget"];

function budget(spec: object): object {
  return { metadata: { name: "web" }, spec: { selector: { matchLabels: { run: "web" } }, ...spec } };
}

/** Five pods of a Deployment, under this budget. */
function guarded(spec: object, replicas = 5): TestCluster {
  const cluster = testCluster();
  cluster.api.create("Deployment", deployment("web", replicas));
  cluster.api.create("PodDisruptionBudget", budget(spec));
  cluster.sim.clock.settle();
  return cluster;
}

function statusOf({ api }: TestCluster): Budget["status"] {
  return api.get("PodDisruptionBudget", "default", "web").status;
}

/** `allowed healthy/desired of expected` */
function counts(cluster: TestCluster): string {
  const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods } = statusOf(cluster);
  return `${disruptionsAllowed} ${currentHealthy}/${desiredHealthy} of ${expectedPods}`;
}

/** `ok`, or the error's code with its cause. */
function evict(cluster: TestCluster, nth: number, options: object = {}): string {
  const name = cluster.pods("web-")[nth]?.metadata.name ?? "";
  try {
    cluster.api.evict("default", name, options);
    return "ok";
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return `${error.code} ${error.details.causes?.[0]?.message ?? error.message}`;
  }
}

function unready({ store, pods }: TestCluster, nth: number, phase = "Running"): void {
  const pod = pods("web-")[nth] as Kinds["Pod"];
  const conditions = (pod.status.conditions ?? []).filter(({ type }) => type !== "Ready");
  const status = { ...pod.status, phase, conditions: [...conditions, { type: "Ready", status: "False" }] };
  store.setStatus("Pod", `default/${pod.metadata.name}`, status, "kubelet");
}

describe("a PodDisruptionBudget", () => {
  test.each([
    [{ minAvailable: 2 }, "3 5/2 of 5"],
    [{ minAvailable: 7 }, "0 5/7 of 5"],
    [{ minAvailable: "50%" }, "2 5/3 of 5"],
    [{ minAvailable: "100%" }, "0 5/5 of 5"],
    [{ maxUnavailable: 1 }, "1 5/4 of 5"],
    [{ maxUnavailable: "30%" }, "2 5/3 of 5"],
    [{ maxUnavailable: 9 }, "5 5/0 of 5"],
    [{}, "0 5/0 of 0"],
    [{ minAvailable: 1, selector: {} }, "4 5/1 of 5"],
  ])("%o allows %s", (spec, told) => {
    expect(counts(guarded(spec))).toBe(told);
  });

  test("follows its pods, and says since when it allows any disruption", () => {
    const cluster = guarded({ minAvailable: 4 });
    expect(statusOf(cluster).conditions).toMatchObject([
      { type: "DisruptionAllowed", status: "True", reason: "SufficientPods", observedGeneration: 1, message: "" },
    ]);
    unready(cluster, 0);
    cluster.sim.clock.settle();
    expect(counts(cluster)).toBe("0 4/4 of 5");
    expect(statusOf(cluster).conditions).toMatchObject([{ status: "False", reason: "InsufficientPods" }]);
    cluster.api.scale("Deployment", "default", "web", 7);
    cluster.sim.clock.settle();
    expect(counts(cluster)).toBe("2 6/4 of 7");
  });

  test("cannot count a share of pods that nobody controls, or whose controller has no scale", () => {
    const { api, sim } = testCluster();
    const template = { metadata: { labels: { run: "web" } }, spec: { containers: [{ name: "c", image: "nginx" }] } };
    api.create("PodDisruptionBudget", budget({ maxUnavailable: 1 }));
    api.create("Pod", { ...template, metadata: { name: "alone", labels: { run: "web" } } });
    sim.clock.settle();
    const read = (): Budget["status"] => api.get("PodDisruptionBudget", "default", "web").status;
    expect(read()).toMatchObject({ disruptionsAllowed: 0, currentHealthy: 1, expectedPods: 0 });
    const told = api.list("Event", { fieldSelector: "reason=UnmanagedPods" });
    expect(told[0]?.message).toContain("(selector: &LabelSelector{MatchLabels:map[string]string{run: web,},");
    api.create("DaemonSet", {
      metadata: { name: "web" },
      spec: { selector: { matchLabels: { run: "web" } }, template },
    });
    sim.clock.settle();
    expect(read().conditions).toMatchObject([
      {
        status: "False",
        reason: "SyncFailed",
        message: "daemonsets.apps does not implement the scale subresource",
      },
    ]);
  });
});

describe("an eviction", () => {
  test("is charged to the pod's budget at once, and refused when there is nothing left of it", () => {
    const cluster = guarded({ minAvailable: 3 });
    expect([0, 1, 2].map((nth) => evict(cluster, nth))).toEqual([
      "ok",
      "ok",
      "429 The disruption budget web needs 3 healthy pods and has 5 currently",
    ]);
    expect(Object.keys(statusOf(cluster).disruptedPods ?? {})).toHaveLength(2);
    expect(statusOf(cluster).conditions).toMatchObject([{ status: "False", reason: "InsufficientPods" }]);
    const [gone] = cluster.pods("web-");
    expect(gone?.metadata.deletionTimestamp).toBeDefined();
    expect(gone?.status.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
      status: "True",
      reason: "EvictionByEvictionAPI",
      message: "Eviction API: evicting",
    });
    cluster.sim.clock.settle();
    expect(counts(cluster)).toBe("2 5/3 of 5");
    expect(statusOf(cluster).disruptedPods).toBeUndefined();
  });

  test("never lets fewer be ready than the budget wants, however fast it is asked for", () => {
    const cluster = guarded({ minAvailable: 3 });
    let least = 9;
    cluster.store.follow("Pod", () => {
      const ready = cluster.pods("web-").filter(({ metadata, status }) => {
        const is = status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True");
        return is && !metadata.deletionTimestamp;
      });
      least = Math.min(least, ready.length);
    });
    let refused = 0;
    for (let round = 0; round < 200; round++) {
      const alive = cluster.pods("web-").findIndex(({ metadata }) => !metadata.deletionTimestamp);
      if (evict(cluster, alive) !== "ok") refused++;
      cluster.sim.clock.advance(second / 20);
    }
    expect(least).toBe(3);
    expect(refused).toBeGreaterThan(0);
  });

  test("of a pod that is not ready goes by the budget's policy; of a pending one it needs none", () => {
    for (const [policy, told] of [
      ["IfHealthyBudget", "429 The disruption budget web needs 5 healthy pods and has 4 currently"],
      ["AlwaysAllow", "ok"],
    ]) {
      const cluster = guarded({ minAvailable: 5, unhealthyPodEvictionPolicy: policy });
      unready(cluster, 0);
      cluster.sim.clock.settle();
      expect(evict(cluster, 0)).toBe(told);
      unready(cluster, 1, "Pending");
      expect(evict(cluster, 1)).toBe("ok");
    }
    const healthy = guarded({ minAvailable: 4 });
    unready(healthy, 0);
    healthy.sim.clock.settle();
    expect(counts(healthy)).toBe("0 4/4 of 5");
    expect(evict(healthy, 0)).toBe("ok");
  });

  test("on trial changes nothing; what there is too much of, or not known yet, is said", () => {
    const cluster = guarded({ minAvailable: 3 });
    const version = cluster.store.version;
    expect(evict(cluster, 0, { dryRun: true })).toBe("ok");
    expect(cluster.store.version).toBe(version);
    cluster.api.patch("PodDisruptionBudget", "default", "web", "merge", { spec: { minAvailable: 5 } });
    expect(evict(cluster, 0)).toBe("429 The disruption budget web is still being processed by the server.");
    cluster.sim.clock.settle();
    expect(evict(cluster, 0, { dryRun: true })).toBe(
      "429 The disruption budget web needs 5 healthy pods and has 5 currently",
    );
    cluster.api.create("PodDisruptionBudget", { ...budget({ minAvailable: 1 }), metadata: { name: "other" } });
    expect(evict(cluster, 0)).toContain("500 This pod has more than one PodDisruptionBudget");
    expect(() => cluster.api.evict("default", "nope")).toThrow('pods "nope" not found');
  });

  test("takes the grace period that it is given", () => {
    const cluster = guarded({ minAvailable: 1 });
    const [first] = cluster.pods("web-");
    cluster.api.evict("default", first?.metadata.name ?? "", { grace: 7 });
    expect(cluster.pods("web-")[0]?.metadata.deletionGracePeriodSeconds).toBe(7);
  });
});
