import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StatusError } from "../../kernel-lib/api/errors";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { isReady } from "../../kernel-lib/control/pods";
import { second } from "../../kernel-lib/sim/clock";
import { type TestCluster, testCluster } from "./cluster";

type Pod = Kinds["Pod"];

function statefulSet(replicas: number, more: object = {}, image = "nginx"): object {
  return {
    metadata: { name: "web" },
    spec: {
      serviceName: "nginx",
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image }] } },
      ...more,
    },
  };
}

function started(replicas: number, more: object = {}): TestCluster {
  const cluster = testCluster();
  cluster.api.create("StatefulSet", statefulSet(replicas, more));
  cluster.sim.clock.settle();
  return cluster;
}

function change({ api, sim }: TestCluster, spec: object): void {
  api.patch("StatefulSet", "default", "web", "strategic", { spec });
  sim.clock.settle();
}

const image = (name: string): object => ({ template: { spec: { containers: [{ name: "c", image: name }] } } });
const names = (cluster: TestCluster): string[] => cluster.pods("web-").map(({ metadata }) => metadata.name);
const images = (cluster: TestCluster): (string | undefined)[] =>
  cluster.pods("web-").map(({ spec }) => spec.containers[0]?.image);

/** What happens to pods: `+web-0`, `ready web-0`, `ending web-0`, `-web-0`. */
function followed({ store }: TestCluster): string[] {
  const seen: string[] = [];
  store.follow("Pod", ({ type, object, before }) => {
    const { name, deletionTimestamp } = object.metadata;
    if (!name.startsWith("web-")) return;
    if (type === "ADDED") seen.push(`+${name}`);
    else if (type === "DELETED") seen.push(`-${name}`);
    else if (deletionTimestamp && !before?.metadata.deletionTimestamp) seen.push(`ending ${name}`);
    else if (isReady(object) && before && !isReady(before)) seen.push(`ready ${name}`);
  });
  return seen;
}

function messages({ api }: TestCluster): (string | undefined)[] {
  return api.list("Event", { fieldSelector: "involvedObject.kind=StatefulSet" }).map(({ message }) => message);
}

describe("a StatefulSet's pods", () => {
  test("come one after the other, each when the one before is ready, and go from the last", () => {
    const cluster = testCluster();
    const seen = followed(cluster);
    cluster.api.create("StatefulSet", statefulSet(3));
    cluster.sim.clock.settle();
    expect(seen).toEqual(["+web-0", "ready web-0", "+web-1", "ready web-1", "+web-2", "ready web-2"]);
    seen.length = 0;
    change(cluster, { replicas: 1 });
    expect(seen).toEqual(["ending web-2", "-web-2", "ending web-1", "-web-1"]);
    expect(messages(cluster)).toEqual([
      "create Pod web-0 in StatefulSet web successful",
      "create Pod web-1 in StatefulSet web successful",
      "create Pod web-2 in StatefulSet web successful",
      "delete Pod web-2 in StatefulSet web successful",
      "delete Pod web-1 in StatefulSet web successful",
    ]);
  });

  test("carry their name and number everywhere, from the number that the set begins with", () => {
    const cluster = started(2, { ordinals: { start: 4 } });
    const [pod] = cluster.pods("web-") as [Pod];
    const revision = cluster.api.get("StatefulSet", "default", "web").status.updateRevision;
    expect(names(cluster)).toEqual(["web-4", "web-5"]);
    expect(pod.metadata).toMatchObject({
      generateName: "web-",
      labels: {
        app: "web",
        "apps.kubernetes.io/pod-index": "4",
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": "web-4",
      },
    });
    expect(pod.spec).toMatchObject({ hostname: "web-4", subdomain: "nginx" });
  });

  test("all come at once where that was asked for", () => {
    const cluster = testCluster();
    const seen = followed(cluster);
    cluster.api.create("StatefulSet", statefulSet(3, { podManagementPolicy: "Parallel" }));
    cluster.sim.clock.settle();
    expect(seen.slice(0, 3)).toEqual(["+web-0", "+web-1", "+web-2"]);
    seen.length = 0;
    change(cluster, { replicas: 0 });
    expect(seen.slice(0, 3)).toEqual(["ending web-2", "ending web-1", "ending web-0"]);
  });

  test("wait behind one that never becomes ready", () => {
    const cluster = testCluster();
    cluster.api.create("StatefulSet", statefulSet(3, {}, "broken"));
    cluster.sim.clock.settle();
    expect(names(cluster)).toEqual(["web-0"]);
    expect(cluster.api.get("StatefulSet", "default", "web").status).toMatchObject({ replicas: 1, currentReplicas: 1 });
  });

  test("come again under their name, but not before the old one is gone", () => {
    const cluster = started(2);
    const before = cluster.api.get("Pod", "default", "web-0").metadata.uid;
    const seen = followed(cluster);
    cluster.store.delete("Pod", "default/web-0", "test");
    cluster.sim.clock.settle();
    expect(seen).toEqual(["ending web-0", "-web-0", "+web-0", "ready web-0"]);
    expect(cluster.api.get("Pod", "default", "web-0").metadata.uid).not.toBe(before);
    const ended = (pod: Pod): Pod => ({ ...pod, status: { ...pod.status, phase: "Failed" } });
    cluster.store.update("Pod", "default/web-1", ended, "test");
    cluster.sim.clock.settle();
    expect(seen.slice(4)).toEqual(["-web-1", "+web-1", "ready web-1"]);
  });

  test("are looked at as pods only when they are made: what is wrong with them is an event", () => {
    const cluster = testCluster();
    cluster.api.create("StatefulSet", statefulSet(1, {}, ""));
    cluster.sim.clock.settle();
    expect(names(cluster)).toEqual([]);
    const [message] = messages(cluster);
    expect(message).toBe(
      'create Pod web-0 in StatefulSet web failed error: Pod "web-0" is invalid: spec.containers[0].image: Required value',
    );
  });

  test("are adopted by a set that is made again after the first went without them, with its history", () => {
    const cluster = testCluster();
    cluster.api.create("StatefulSet", statefulSet(2, {}, "nginx:1"));
    change(cluster, image("nginx:2"));
    const uids = cluster.pods("web-").map(({ metadata }) => metadata.uid);
    cluster.api.delete("StatefulSet", "default", "web", { propagation: "Orphan" });
    cluster.sim.clock.settle();
    expect(cluster.pods("web-").flatMap(({ metadata }) => metadata.ownerReferences ?? [])).toEqual([]);
    cluster.api.create("StatefulSet", statefulSet(2, {}, "nginx:2"));
    cluster.sim.clock.settle();
    const set = cluster.api.get("StatefulSet", "default", "web");
    expect(cluster.pods("web-").map(({ metadata }) => metadata.uid)).toEqual(uids);
    expect(set.status).toMatchObject({ readyReplicas: 2, updatedReplicas: 2 });
    cluster.api.delete("StatefulSet", "default", "web", { propagation: "Background" });
    cluster.sim.clock.settle();
    expect([names(cluster), cluster.api.list("ControllerRevision", { namespace: "default" })]).toEqual([[], []]);
  });

  test("count as available only after minReadySeconds, and the next one waits for that", () => {
    const cluster = testCluster();
    cluster.api.create("StatefulSet", statefulSet(2, { minReadySeconds: 20 }));
    cluster.sim.clock.advance(15 * second);
    expect(names(cluster)).toEqual(["web-0"]);
    cluster.sim.clock.advance(8 * second);
    expect(names(cluster)).toEqual(["web-0", "web-1"]);
    expect(cluster.api.get("StatefulSet", "default", "web").status).toMatchObject({ availableReplicas: 1 });
    cluster.sim.clock.settle();
    expect(cluster.api.get("StatefulSet", "default", "web").status).toMatchObject({ availableReplicas: 2 });
  });
});

describe("a StatefulSet's update", () => {
  test("goes from the last pod to the first, one at a time", () => {
    const cluster = started(3);
    const seen = followed(cluster);
    change(cluster, image("nginx:2"));
    const each = (at: number): string[] => [`ending web-${at}`, `-web-${at}`, `+web-${at}`, `ready web-${at}`];
    expect(seen).toEqual([...each(2), ...each(1), ...each(0)]);
    const { status } = cluster.api.get("StatefulSet", "default", "web");
    expect(status.currentRevision).toBe(status.updateRevision);
    expect(status).toMatchObject({ currentReplicas: 3, updatedReplicas: 3, readyReplicas: 3 });
  });

  test("stops at the partition, below which a pod comes again as it was", () => {
    const cluster = started(3, { updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 2 } } });
    change(cluster, image("nginx:2"));
    expect(images(cluster)).toEqual(["nginx", "nginx", "nginx:2"]);
    cluster.store.delete("Pod", "default/web-0", "test");
    cluster.sim.clock.settle();
    expect(images(cluster)).toEqual(["nginx", "nginx", "nginx:2"]);
    expect(cluster.api.get("StatefulSet", "default", "web").status).toMatchObject({
      currentReplicas: 2,
      updatedReplicas: 1,
    });
    change(cluster, { updateStrategy: { rollingUpdate: { partition: 0 } } });
    expect(images(cluster)).toEqual(["nginx:2", "nginx:2", "nginx:2"]);
  });

  test("waits for somebody to delete pods where it was told so", () => {
    const cluster = started(2, { updateStrategy: { type: "OnDelete" } });
    change(cluster, image("nginx:2"));
    expect(images(cluster)).toEqual(["nginx", "nginx"]);
    cluster.store.delete("Pod", "default/web-0", "test");
    cluster.sim.clock.settle();
    expect(images(cluster)).toEqual(["nginx:2", "nginx"]);
  });

  test("gets stuck at a pod that does not become ready, until that one is deleted", () => {
    const cluster = started(2);
    change(cluster, image("broken"));
    expect(images(cluster)).toEqual(["nginx", "broken"]);
    change(cluster, image("nginx"));
    expect(images(cluster)).toEqual(["nginx", "broken"]);
    cluster.store.delete("Pod", "default/web-1", "test");
    cluster.sim.clock.settle();
    expect(images(cluster)).toEqual(["nginx", "nginx"]);
  });

  test("is remembered in revisions: one that is back gets a new number, and only so many are kept", () => {
    const cluster = started(1, { revisionHistoryLimit: 1 });
    const revisions = (): number[] =>
      cluster.api
        .list("ControllerRevision", { namespace: "default" })
        .map(({ revision }) => revision)
        .sort();
    change(cluster, image("nginx:2"));
    expect(revisions()).toEqual([1, 2]);
    change(cluster, image("nginx"));
    expect(revisions()).toEqual([2, 3]);
    change(cluster, image("nginx:3"));
    change(cluster, image("nginx:4"));
    expect(revisions()).toEqual([4, 5]);
  });
});

test("whatever is asked of it and when, a pod comes only after all before it are ready, and just its numbers are left", () => {
  const step = fc.oneof(
    fc.record({ replicas: fc.integer({ min: 0, max: 4 }) }),
    fc.constantFrom("nginx:1", "nginx:2", "nginx:3").map(image),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.integer({ min: 0, max: 8 })), { minLength: 1, maxLength: 6 }), (steps) => {
      const cluster = started(2);
      const early: string[] = [];
      cluster.store.follow("Pod", ({ type, object }) => {
        const { name } = object.metadata;
        if (type !== "ADDED" || !name.startsWith("web-")) return;
        for (let before = 0; before < Number(name.slice(4)); before++) {
          const pod = cluster.store.get("Pod", `default/web-${before}`);
          if (!pod || !isReady(pod) || pod.metadata.deletionTimestamp !== undefined) early.push(name);
        }
      });
      for (const [spec, wait] of steps) {
        cluster.api.patch("StatefulSet", "default", "web", "strategic", { spec });
        cluster.sim.clock.advance(wait * second);
      }
      cluster.sim.clock.settle();
      const { spec, status } = cluster.api.get("StatefulSet", "default", "web");
      expect(early).toEqual([]);
      expect(names(cluster)).toEqual(Array.from({ length: spec.replicas ?? 0 }, (_, at) => `web-${at}`));
      expect(new Set(images(cluster)).size).toBeLessThanOrEqual(1);
      expect(status).toMatchObject({ replicas: spec.replicas, currentRevision: status.updateRevision });
    }),
    { numRuns: 15, seed: 7 },
  );
});

test("what is wrong with a StatefulSet is told in the server's words", () => {
  const { api } = testCluster();
  const refused = (act: () => unknown): string => {
    try {
      act();
    } catch (error) {
      if (error instanceof StatusError) return error.message;
      throw error;
    }
    throw new Error("not refused");
  };
  const bad = { podManagementPolicy: "Nope", updateStrategy: { type: "OnDelete", rollingUpdate: { partition: 1 } } };
  expect(refused(() => api.create("StatefulSet", statefulSet(-1, bad)))).toBe(
    'StatefulSet.apps "web" is invalid: [spec.podManagementPolicy: Invalid value: "Nope": must be ' +
      "'OrderedReady' or 'Parallel', spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed " +
      "for updateStrategy 'RollingUpdate', spec.replicas: Invalid value: -1: must be greater than or equal to 0]",
  );
  const other = { selector: { matchLabels: { app: "other" } } };
  expect(refused(() => api.create("StatefulSet", statefulSet(1, other)))).toContain(
    "`selector` does not match template `labels`",
  );
  expect(refused(() => api.create("StatefulSet", { ...statefulSet(1), metadata: { name: "a.b" } }))).toContain(
    "a lowercase RFC 1123 label",
  );
  const warned: string[] = [];
  const claims = { volumeClaimTemplates: [{ metadata: { name: "data" }, spec: {} }] };
  api.create("StatefulSet", statefulSet(1, claims), { warn: (text) => warned.push(text) });
  expect(warned.join()).toContain("PersistentVolumes are not simulated here");
  expect(refused(() => api.patch("StatefulSet", "default", "web", "merge", { spec: { serviceName: "x" } }))).toContain(
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'",
  );
});
