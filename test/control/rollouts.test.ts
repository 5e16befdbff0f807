import { describe, expect, test } from "vitest";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { boundsOf, downTo, proportions, upTo } from "../../kernel-lib/control/rolling";
import { minute, second } from "../../kernel-lib/sim/clock";
import { deployment, type TestCluster, testCluster } from "./cluster";

type Deployment = Kinds["Deployment"];
type ReplicaSet = Kinds["ReplicaSet"];

function wanted(replicas: number, maxSurge: number | string, maxUnavailable: number | string): Deployment {
  const spec = { replicas, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } } };
  return { spec, status: { replicas }, metadata: {} } as unknown as Deployment;
}

/** `size/available max`, the oldest first: ReplicaSets as an old Deployment left them. */
function setsOf(text: string): readonly ReplicaSet[] {
  return text.split(" ").map((word, at) => {
    const found = /^(\d+)(?:\/(\d+))?(?:of(\d+))?$/.exec(word) ?? [];
    const size = found[1] ?? "0";
    const available = found[2] ?? size;
    const max = found[3];
    return {
      metadata: {
        name: `rs-${at}`,
        creationTimestamp: `2026-01-01T00:00:0${at}Z`,
        annotations: max ? { "deployment.kubernetes.io/max-replicas": max } : {},
      },
      spec: { replicas: Number(size) },
      status: { replicas: Number(size), availableReplicas: Number(available) },
    } as unknown as ReplicaSet;
  });
}

describe("the arithmetic of rollouts", () => {
  test.each([
    [4, "25%", "25%", { surge: 1, unavailable: 1 }],
    [3, "25%", "25%", { surge: 1, unavailable: 0 }],
    [10, "25%", "25%", { surge: 3, unavailable: 2 }],
    [1, 0, "99%", { surge: 0, unavailable: 1 }],
    [5, 0, 9, { surge: 0, unavailable: 5 }],
    [0, "25%", "25%", { surge: 0, unavailable: 0 }],
  ] as const)("of %i replicas, a surge of %s and %s unavailable are %o", (replicas, surge, unavailable, bounds) => {
    expect(boundsOf(wanted(replicas, surge, unavailable))).toEqual(bounds);
  });

  // Upstream's own cases: deployment/sync_test.go, TestScale; sizes from the oldest to the newest ReplicaSet.
  test.each([
    ["2 3", 10, 0, 5, "4 6"],
    ["5 5", 5, 0, 10, "2 3"],
    ["1 2 3", 9, 0, 6, "1 3 5"],
    ["8 2", 16, 0, 10, "13 3"],
    ["1 1 1", 6, 0, 3, "2 2 2"],
    ["2 2 2", 3, 0, 6, "1 1 1"],
    ["1 1 1", 5, 0, 3, "1 2 2"],
    ["3 3 3", 5, 0, 9, "1 2 2"],
    ["5 8", 0, 3, 13, "0 0"],
    ["2 3", 6, 0, 5, "2 4"],
    ["7 7", 10, 2, 14, "6 6"],
  ])("%s become with %i replicas and a surge of %i (they were of %i) %s", (before, replicas, surge, max, after) => {
    const sets = setsOf(
      before
        .split(" ")
        .map((size) => `${size}of${max}`)
        .join(" "),
    );
    const sizes = proportions(wanted(replicas, surge, 1), sets);
    expect(sets.map((set) => sizes.get(set)).join(" ")).toBe(after);
  });

  // replicas, surge, unavailable, old sets, the new set → the new set's next size, the old sets' next sizes.
  test.each([
    [10, 3, 2, "10/10", "0/0", 3, "8"],
    [10, 3, 2, "8/8", "5/0", 5, "8"],
    [10, 3, 2, "8/8", "5/2", 5, "6"],
    [10, 0, 2, "10/8", "0/0", 0, "8"],
    [10, 0, 2, "10/7", "0/0", 0, "8"],
    [10, 3, 2, "3/1 5/3", "5/5", 5, "0 3"],
    [3, 1, 0, "3/3", "1/0", 1, "3"],
    [3, 1, 0, "3/3", "1/1", 1, "2"],
    [10, 3, 2, "4/5", "6/6", 9, "4"],
  ])("%i replicas, surge %i, unavailable %i: beside old %s the new %s grows to %i, the old shrink to %s", (...row) => {
    const [replicas, surge, unavailable, olds, news, larger, smaller] = row;
    const target = wanted(replicas, surge, unavailable);
    const [old, [current]] = [setsOf(olds), setsOf(news)];
    expect(upTo(target, current, old)).toBe(larger);
    const sizes = downTo(target, current as ReplicaSet, old);
    expect(old.map((set) => sizes.get(set) ?? set.spec.replicas).join(" ")).toBe(smaller);
  });
});

function setImage({ api }: TestCluster, image: string): void {
  const containers = [{ name: "web", image }];
  api.patch("Deployment", "default", "web", "strategic", { spec: { template: { spec: { containers } } } });
}

function rolledOut(more: object = {}, replicas = 4): TestCluster {
  const cluster = testCluster();
  cluster.api.create("Deployment", deployment("web", replicas, "nginx", more));
  cluster.sim.clock.settle();
  return cluster;
}

function sizes({ api }: TestCluster): string {
  const sets = [...api.list("ReplicaSet", { namespace: "default" })];
  const revision = (set: ReplicaSet): number => {
    return Number(set.metadata.annotations?.["deployment.kubernetes.io/revision"]);
  };
  return sets
    .sort((a, b) => revision(a) - revision(b))
    .map((set) => `${revision(set)}:${set.spec.replicas}`)
    .join(" ");
}

function progress({ api }: TestCluster): string {
  const { conditions = [] } = api.get("Deployment", "default", "web").status;
  return conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`).join(", ");
}

function events({ api }: TestCluster, reason: string): readonly string[] {
  const all = api.list("Event", { namespace: "default" }).filter((event) => event.reason === reason);
  return all.map(({ message = "" }) => message.replace(/web-[a-z0-9]+(-[a-z0-9]{5})?/g, "web-X"));
}

describe("a Deployment", () => {
  test("tells each step, and its conditions stand in the order in which they came", () => {
    const cluster = rolledOut();
    expect(progress(cluster)).toBe("Available=True MinimumReplicasAvailable, Progressing=True NewReplicaSetAvailable");
    setImage(cluster, "nginx:2");
    cluster.sim.clock.settle();
    expect(sizes(cluster)).toBe("1:0 2:4");
    const told = events(cluster, "ScalingReplicaSet");
    expect(told[0]).toBe("Scaled up replica set web-X from 0 to 4");
    expect(told).toContain("Scaled up replica set web-X from 0 to 1");
    expect(told).toContain("Scaled down replica set web-X from 4 to 3");
    expect(told.at(-1)).toBe("Scaled down replica set web-X from 1 to 0");
  });

  test("rolls nothing out while it is paused, but is scaled; on it goes with all changes at once", () => {
    const cluster = rolledOut();
    const { api, sim } = cluster;
    api.patch("Deployment", "default", "web", "merge", { spec: { paused: true } });
    sim.clock.settle();
    expect(progress(cluster)).toContain("Progressing=Unknown DeploymentPaused");
    setImage(cluster, "nginx:2");
    setImage(cluster, "nginx:3");
    api.scale("Deployment", "default", "web", 6);
    sim.clock.settle();
    expect(sizes(cluster)).toBe("1:6");
    sim.clock.advance(30 * minute);
    api.patch("Deployment", "default", "web", "merge", { spec: { paused: null } });
    sim.clock.settle();
    expect(sizes(cluster)).toBe("1:0 2:6");
    expect(cluster.pods("web-").map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(6).fill("nginx:3"));
    // Half an hour's pause is no lack of progress.
    expect(progress(cluster)).toBe("Available=True MinimumReplicasAvailable, Progressing=True NewReplicaSetAvailable");
  });

  test("says that it takes too long by itself, when nothing else happens, and goes on when it can", () => {
    const cluster = rolledOut({ progressDeadlineSeconds: 60 });
    const { sim } = cluster;
    setImage(cluster, "broken");
    sim.clock.settle();
    expect(progress(cluster)).toContain("Progressing=True ReplicaSetUpdated");
    sim.clock.advance(50 * second);
    expect(progress(cluster)).toContain("Progressing=True ReplicaSetUpdated");
    sim.clock.advance(15 * second);
    expect(progress(cluster)).toContain("Progressing=False ProgressDeadlineExceeded");
    setImage(cluster, "nginx");
    sim.clock.settle();
    expect(progress(cluster)).toContain("Progressing=True NewReplicaSetAvailable");
    expect(sizes(cluster)).toBe("2:0 3:4");
  });

  test("waits minReadySeconds with each pod, and no longer", () => {
    const cluster = testCluster();
    const { api, sim } = cluster;
    api.create("Deployment", deployment("web", 2, "nginx", { minReadySeconds: 30 }));
    sim.clock.advance(10 * second);
    const status = (): Deployment["status"] => api.get("Deployment", "default", "web").status;
    expect(status()).toMatchObject({ readyReplicas: 2, unavailableReplicas: 2 });
    expect(progress(cluster)).toContain("Available=False MinimumReplicasUnavailable");
    sim.clock.advance(19 * second);
    expect(status().availableReplicas).toBeUndefined();
    sim.clock.advance(4 * second);
    expect(status()).toMatchObject({ availableReplicas: 2 });
  });

  test("that recreates makes no new pod before the last old one is gone", () => {
    const cluster = rolledOut({ strategy: { type: "Recreate" } });
    let mixed = 0;
    cluster.store.follow("Pod", () => {
      const images = new Set(cluster.pods("web-").map(({ spec }) => spec.containers[0]?.image));
      if (images.size > 1) mixed++;
    });
    setImage(cluster, "nginx:2");
    cluster.sim.clock.advance(second / 2);
    expect(cluster.api.get("Deployment", "default", "web").status).toMatchObject({ terminatingReplicas: 4 });
    cluster.sim.clock.settle();
    expect(mixed).toBe(0);
    expect(sizes(cluster)).toBe("1:0 2:4");
    expect(cluster.api.get("Deployment", "default", "web").status).toMatchObject({
      terminatingReplicas: 0,
      availableReplicas: 4,
    });
  });

  test("keeps as many old ReplicaSets as it should, and remembers the revisions of one that came back", () => {
    const cluster = rolledOut({ revisionHistoryLimit: 2 });
    for (const image of ["nginx:2", "nginx:3", "nginx:4", "nginx:3"]) {
      setImage(cluster, image);
      cluster.sim.clock.settle();
    }
    expect(sizes(cluster)).toBe("2:0 4:0 5:4");
    const back = cluster.api.list("ReplicaSet", { namespace: "default" }).find(({ spec }) => spec.replicas === 4);
    expect(back?.metadata.annotations?.["deployment.kubernetes.io/revision-history"]).toBe("3");
  });

  test("takes another name where its hash is somebody else's", () => {
    const cluster = rolledOut();
    const [set] = cluster.api.list("ReplicaSet", { namespace: "default" });
    cluster.api.delete("Deployment", "default", "web", { propagation: "Orphan" });
    cluster.sim.clock.settle();
    expect(cluster.api.list("ReplicaSet", { namespace: "default" }).map(({ metadata }) => metadata.name)).toEqual([
      set?.metadata.name,
    ]);
    cluster.api.create("Deployment", deployment("web", 2));
    cluster.sim.clock.settle();
    expect(cluster.api.get("Deployment", "default", "web").status).toMatchObject({
      collisionCount: 1,
      availableReplicas: 2,
    });
    expect(cluster.api.list("ReplicaSet", { namespace: "default" })).toHaveLength(2);
  });

  test("is scaled in the middle of a rollout: each ReplicaSet gets its share", () => {
    const cluster = rolledOut(
      { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } },
      10,
    );
    setImage(cluster, "broken");
    cluster.sim.clock.settle();
    expect(sizes(cluster)).toBe("1:8 2:5");
    cluster.api.scale("Deployment", "default", "web", 15);
    cluster.sim.clock.settle();
    // The documentation's own example ("Proportional scaling").
    expect(sizes(cluster)).toBe("1:11 2:7");
  });

  test("says what keeps its pods from being made, until it no longer does", () => {
    const cluster = testCluster();
    const { api, sim } = cluster;
    const draft = deployment("web", 2) as { spec: { template: { spec: object } } };
    draft.spec.template.spec = { ...draft.spec.template.spec, serviceAccountName: "robot" };
    api.create("Deployment", draft);
    sim.clock.advance(5 * second);
    expect(progress(cluster)).toContain("ReplicaFailure=True FailedCreate");
    expect(events(cluster, "FailedCreate")[0]).toContain(
      'is forbidden: error looking up service account default/robot: serviceaccount "robot" not found',
    );
    api.create("ServiceAccount", { metadata: { name: "robot" } });
    sim.clock.advance(2 * minute);
    expect(progress(cluster)).toBe("Available=True MinimumReplicasAvailable, Progressing=True NewReplicaSetAvailable");
  });
});

describe("a DaemonSet", () => {
  const daemons = (updateStrategy: object, more: object = {}): object => ({
    metadata: { name: "web" },
    spec: {
      selector: { matchLabels: { run: "web" } },
      updateStrategy: { type: "RollingUpdate", ...updateStrategy },
      template: {
        metadata: { labels: { run: "web" } },
        spec: { containers: [{ name: "web", image: "nginx" }], terminationGracePeriodSeconds: 1 },
      },
      ...more,
    },
  });

  /** The least that were available, and the most that were there, while a new image was rolled out to six nodes. */
  function rolled(rollingUpdate: object, more: object = {}): { readonly least: number; readonly most: number } {
    const cluster = testCluster(5, 6);
    const { api, sim, store } = cluster;
    api.create("DaemonSet", daemons({ rollingUpdate }, more));
    sim.clock.settle();
    const status = (): Kinds["DaemonSet"]["status"] => api.get("DaemonSet", "default", "web").status;
    expect(status()).toMatchObject({ desiredNumberScheduled: 6, numberAvailable: 6 });
    let [least, most] = [99, 0];
    store.follow("Pod", () => {
      const pods = cluster.pods("web-").filter(({ metadata }) => !metadata.deletionTimestamp);
      const ready = pods.filter((pod) => pod.status.conditions?.some(({ type, status: is }) => type === "Ready" && is));
      least = Math.min(least, ready.length);
      most = Math.max(most, pods.length);
    });
    const containers = [{ name: "web", image: "nginx:2" }];
    api.patch("DaemonSet", "default", "web", "strategic", { spec: { template: { spec: { containers } } } });
    sim.clock.settle();
    expect(cluster.pods("web-").map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(6).fill("nginx:2"));
    expect(status()).toMatchObject({ numberAvailable: 6, updatedNumberScheduled: 6 });
    return { least, most };
  }

  test.each([
    [{ maxUnavailable: 1 }, { least: 5, most: 6 }],
    [{ maxUnavailable: "50%" }, { least: 3, most: 6 }],
    [
      { maxSurge: 1, maxUnavailable: 0 },
      { least: 6, most: 7 },
    ],
    [
      { maxSurge: "34%", maxUnavailable: 0 },
      { least: 6, most: 9 },
    ],
  ])("with %o never has fewer nor more than %o", (rollingUpdate, bounds) => {
    expect(rolled(rollingUpdate)).toEqual(bounds);
  });

  test("keeps a revision for each template, of the old ones so many as it should and those that pods have", () => {
    const cluster = testCluster(5, 2);
    const { api, sim, store } = cluster;
    api.create("DaemonSet", daemons({}, { revisionHistoryLimit: 1 }));
    sim.clock.settle();
    const image = (tag: number): void => {
      const containers = [{ name: "web", image: `nginx:${tag}` }];
      api.patch("DaemonSet", "default", "web", "strategic", { spec: { template: { spec: { containers } } } });
    };
    const revisions = (): string => {
      const all = store.list("ControllerRevision", { namespace: "default" });
      const told = all.map(({ revision, data }) => `${revision} ${/nginx[:\d]*/.exec(JSON.stringify(data))?.[0]}`);
      return told.sort().join(", ");
    };
    expect(revisions()).toBe("1 nginx");
    for (const tag of [2, 3]) {
      image(tag);
      sim.clock.settle();
    }
    expect(revisions()).toBe("2 nginx:2, 3 nginx:3");
    image(2);
    sim.clock.settle();
    // What is back has a new number, and its pods the old hash: it is the same template.
    expect(revisions()).toBe("3 nginx:3, 4 nginx:2");
    const hashes = new Set(cluster.pods("web-").map(({ metadata }) => metadata.labels?.["controller-revision-hash"]));
    const newest = store.list("ControllerRevision", { namespace: "default" }).find(({ revision }) => revision === 4);
    expect([...hashes]).toEqual([newest?.metadata.labels?.["controller-revision-hash"]]);
    expect(newest?.metadata.name).toBe(`web-${[...hashes][0]}`);
    // Nobody's pods are touched when a revision is taken away: it is written again.
    store.delete("ControllerRevision", `default/${newest?.metadata.name}`, "somebody");
    sim.clock.settle();
    expect(revisions()).toBe("3 nginx:3, 4 nginx:2");
    api.delete("DaemonSet", "default", "web", { propagation: "Orphan" });
    sim.clock.settle();
    expect(revisions()).toBe("3 nginx:3, 4 nginx:2");
    api.create("DaemonSet", daemons({}, { revisionHistoryLimit: 1 }));
    sim.clock.settle();
    expect(revisions()).toBe("4 nginx:2, 5 nginx");
    api.delete("DaemonSet", "default", "web");
    sim.clock.settle();
    expect(revisions()).toBe("");
  });

  test("waits minReadySeconds before the next node", () => {
    const cluster = testCluster(5, 3);
    const { api, sim } = cluster;
    api.create("DaemonSet", daemons({}, { minReadySeconds: 20 }));
    sim.clock.advance(60 * second);
    const containers = [{ name: "web", image: "nginx:2" }];
    api.patch("DaemonSet", "default", "web", "strategic", { spec: { template: { spec: { containers } } } });
    const updated: number[] = [];
    for (let at = 0; at < 4; at++) {
      sim.clock.advance(20 * second);
      updated.push(api.get("DaemonSet", "default", "web").status.updatedNumberScheduled ?? 0);
    }
    expect(updated).toEqual([1, 2, 3, 3]);
  });

  test.each([
    [{ maxSurge: 1, maxUnavailable: 1 }, "maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"],
    [{ maxSurge: 0, maxUnavailable: 0 }, "maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
    [{ maxUnavailable: "120%" }, 'maxUnavailable: Invalid value: "120%": must not be greater than 100%'],
  ])("with %o is refused: %s", (rollingUpdate, why) => {
    const { api } = testCluster();
    expect(() => api.create("DaemonSet", daemons({ rollingUpdate }))).toThrow(why);
  });
});
