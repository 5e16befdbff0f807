/** Judges what becomes of pods whose node tells them to go, is no more, or is given up: taint eviction and pod garbage collection. */
import { describe, expect, test } from "vitest";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { second } from "../../kernel-lib/sim/clock";
import { deployment, type TestCluster, testCluster } from "./cluster";

const taint = ({ api }: TestCluster, node: string, ...taints: readonly object[]): unknown =>
  api.patch("Node", "", node, "merge", { spec: { taints: taints.length > 0 ? taints : null } });

const web = ({ pods }: TestCluster): string =>
  pods("")
    .map(({ metadata, spec }) => `${metadata.name}@${spec.nodeName}${metadata.deletionTimestamp ? " ends" : ""}`)
    .join(", ");

/** A pod on node-1 that tolerates what is said, besides what admission adds. */
function pod(cluster: TestCluster, name: string, ...tolerations: readonly object[]): void {
  const spec = { nodeName: "node-1", tolerations, containers: [{ name: "it", image: "nginx" }] };
  cluster.api.create("Pod", { metadata: { name }, spec });
}

describe("a taint of effect NoExecute", () => {
  test("ends pods that do not tolerate it at once, others after their time, and some never", () => {
    const cluster = testCluster();
    const { sim, store } = cluster;
    const told: string[] = [];
    store.follow("Event", ({ object }) => {
      if (object.reason === "TaintManagerEviction" && object.metadata.namespace === "default")
        told.push(object.message ?? "");
    });
    const a = { key: "a", operator: "Exists" };
    pod(cluster, "none");
    pod(cluster, "short", { ...a, tolerationSeconds: 30 });
    pod(cluster, "first", { ...a, tolerationSeconds: 60 }, { ...a, value: undefined, tolerationSeconds: 10 });
    pod(cluster, "always", a);
    pod(cluster, "other", { key: "a", value: "c", effect: "NoExecute" });
    sim.clock.advance(5 * second);
    const reasons: (string | undefined)[] = [];
    store.follow("Pod", ({ object, type }) => {
      if (type === "DELETED" && object.metadata.namespace === "default")
        reasons.push(object.status.conditions?.find((each) => each.type === "DisruptionTarget")?.reason);
    });
    taint(cluster, "node-1", { key: "a", value: "b", effect: "NoExecute" });
    sim.clock.advance(5 * second);
    expect(web(cluster)).toBe("always@node-1, first@node-1, short@node-1");
    expect(reasons).toEqual(["DeletionByTaintManager", "DeletionByTaintManager"]);
    sim.clock.advance(27 * second);
    expect(web(cluster)).toBe("always@node-1, first@node-1");
    taint(cluster, "node-1");
    sim.clock.advance(5 * second);
    expect(told.map((text) => text.replace(/ Pod default/, "")).sort()).toEqual([
      "Cancelling deletion of/first",
      "Marking for deletion/none",
      "Marking for deletion/other",
      "Marking for deletion/short",
    ]);
    // Its time begins anew with the next taint.
    taint(cluster, "node-1", { key: "a", value: "b", effect: "NoExecute" });
    sim.clock.advance(55 * second);
    expect(web(cluster)).toBe("always@node-1, first@node-1");
    sim.clock.advance(7 * second);
    expect(web(cluster)).toBe("always@node-1");
    // One that comes late is looked at, too.
    pod(cluster, "late");
    sim.clock.advance(3 * second);
    expect(web(cluster)).toBe("always@node-1");
  });

  test("moves a Deployment's pods to other nodes, and leaves daemons that tolerate it", () => {
    const cluster = testCluster();
    cluster.api.create("Deployment", deployment("web", 6));
    cluster.sim.clock.settle();
    const daemons = (): string[] => {
      const all = cluster.store.list("Pod", { node: "node-1" });
      return all.map(({ metadata }) => metadata.name.slice(0, metadata.name.lastIndexOf("-"))).sort();
    };
    expect(daemons()).toEqual(expect.arrayContaining(["kube-flannel-ds", "kube-proxy"]));
    taint(cluster, "node-1", { key: "away", effect: "NoExecute" });
    cluster.sim.clock.advance(20 * second);
    expect(cluster.pods("web-").filter(({ spec }) => spec.nodeName === "node-1")).toEqual([]);
    expect(cluster.pods("web-").filter(({ status }) => status.phase === "Running")).toHaveLength(6);
    // flannel's tolerate what keeps new pods away (NoSchedule) only, and are not made again there.
    expect(daemons()).toEqual(["kube-proxy"]);
  });
});

describe("pods of a node", () => {
  test("that was deleted have failed a minute later, and are gone: others take their place", () => {
    const cluster = testCluster();
    const { api, sim, store } = cluster;
    api.create("Deployment", deployment("web", 6));
    pod(cluster, "bare");
    sim.clock.settle();
    const ends: string[] = [];
    store.follow("Pod", ({ object, type }) => {
      const reason = object.status.conditions?.find((each) => each.type === "DisruptionTarget")?.reason;
      if (type === "DELETED" && object.metadata.namespace === "default") ends.push(`${object.status.phase} ${reason}`);
    });
    const there = cluster.pods("").filter(({ spec }) => spec.nodeName === "node-1").length;
    api.delete("Node", "", "node-1");
    sim.clock.advance(59 * second);
    expect(ends).toEqual([]);
    sim.clock.advance(22 * second);
    expect(ends).toEqual(Array(there).fill("Failed DeletionByPodGC"));
    sim.clock.advance(5 * second);
    const left = cluster.pods("");
    expect(left.map(({ spec }) => spec.nodeName)).not.toContain("node-1");
    expect(left.filter(({ status }) => status.phase === "Running")).toHaveLength(6);
    // A node of that name that is back in time keeps its pods.
    const object = api.get("Node", "", "node-2") as unknown as Record<string, unknown>;
    api.delete("Node", "", "node-2");
    sim.clock.advance(30 * second);
    const { uid, resourceVersion, ...metadata } = (object as unknown as Kinds["Node"]).metadata;
    api.create("Node", { ...object, metadata });
    sim.clock.advance(120 * second);
    expect(ends).toHaveLength(there);
  });

  test("that is out of service go without anybody who ends them; those of one that is only tainted do not", () => {
    const cluster = testCluster();
    const { api, sim, store } = cluster;
    pod(cluster, "bare");
    sim.clock.settle();
    const ready = (status: string): unknown =>
      store.update(
        "Node",
        "node-1",
        (now) => {
          const conditions = [{ type: "Ready", status, reason: "it", message: "" }];
          return { ...now, status: { ...now.status, conditions } } as unknown as Kinds["Node"];
        },
        "judge",
      );
    // Its kubelet is silent: what is deleted stays.
    const patch = { metadata: { finalizers: ["example.com/wait"] } };
    api.patch("Pod", "default", "bare", "merge", patch);
    ready("True");
    api.delete("Pod", "default", "bare");
    taint(cluster, "node-1", { key: "node.kubernetes.io/out-of-service", value: "nodeshutdown", effect: "NoSchedule" });
    sim.clock.advance(60 * second);
    expect(api.get("Pod", "default", "bare").status.phase).toBe("Running");
    ready("Unknown");
    taint(cluster, "node-1", { key: "node.kubernetes.io/out-of-service", value: "off", effect: "NoSchedule" });
    sim.clock.advance(25 * second);
    expect(api.get("Pod", "default", "bare").status.phase).toBe("Failed");
  });
});
