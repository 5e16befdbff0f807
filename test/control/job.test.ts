import { describe, expect, test } from "vitest";
import { StatusError } from "../../kernel-lib/api/errors";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { rfc3339 } from "../../kernel-lib/api/time";
import { isActive } from "../../kernel-lib/control/pods";
import { second } from "../../kernel-lib/sim/clock";
import { type TestCluster, testCluster } from "./cluster";

type Pod = Kinds["Pod"];

function job(more: object = {}): object {
  const template = { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "busybox" }] } };
  return { metadata: { name: "pi" }, spec: { template, ...more } };
}

/** The end of a pod's container, as a kubelet tells it. */
function end({ store, sim }: TestCluster, name: string, exitCode = 0): void {
  const change = (pod: Pod): Pod => {
    const terminated = { exitCode, finishedAt: rfc3339(sim.clock.now) };
    const containerStatuses = [
      { name: "c", ready: false, restartCount: 0, image: "", imageID: "", state: { terminated } },
    ];
    const conditions = [{ type: "Ready", status: "False" }];
    const phase = exitCode === 0 ? "Succeeded" : "Failed";
    return { ...pod, status: { ...pod.status, phase, conditions, containerStatuses } };
  };
  store.update("Pod", `default/${name}`, change, "kubelet");
}

const running = (cluster: TestCluster): string[] =>
  cluster
    .pods("pi-")
    .filter(isActive)
    .map(({ metadata }) => metadata.name);
const get = (cluster: TestCluster): Kinds["Job"] => cluster.api.get("Job", "default", "pi");
const conditions = (cluster: TestCluster): string[] =>
  (get(cluster).status.conditions ?? []).map(({ type, reason }) => `${type} ${reason}`);

function reasons({ api }: TestCluster): string[] {
  const told = api.list("Event", { fieldSelector: "involvedObject.kind=Job" });
  return told.map(({ reason = "", message = "" }) => `${reason} ${message.replace(/: pi-.*/, "")}`);
}

function started(more: object = {}): TestCluster {
  const cluster = testCluster();
  cluster.api.create("Job", job(more));
  cluster.sim.clock.settle();
  return cluster;
}

/** Ends the first running pod, and lets the controller see it. */
function endFirst(cluster: TestCluster, exitCode = 0, wait = 5): void {
  const [first] = running(cluster);
  if (first !== undefined) end(cluster, first, exitCode);
  cluster.sim.clock.advance(wait * second);
}

describe("a Job", () => {
  test("is found by its uid, which the server writes into selector, template and labels", () => {
    const cluster = started();
    const { metadata, spec } = get(cluster);
    const labels = {
      "batch.kubernetes.io/controller-uid": metadata.uid,
      "batch.kubernetes.io/job-name": "pi",
      "controller-uid": metadata.uid,
      "job-name": "pi",
    };
    expect(spec.selector).toEqual({ matchLabels: { "batch.kubernetes.io/controller-uid": metadata.uid } });
    expect(spec.template.metadata?.labels).toEqual(labels);
    expect(metadata.labels).toEqual(labels);
    expect(spec).toMatchObject({ backoffLimit: 6, completionMode: "NonIndexed", completions: 1, parallelism: 1 });
    expect(cluster.pods("pi-")[0]?.metadata).toMatchObject({
      labels,
      finalizers: ["batch.kubernetes.io/job-tracking"],
      ownerReferences: [{ kind: "Job", name: "pi", controller: true }],
    });
  });

  test("never has more pods than it may, and is complete when enough of them succeeded", () => {
    const cluster = started({ completions: 3, parallelism: 2 });
    expect(running(cluster)).toHaveLength(2);
    expect(get(cluster).status).toMatchObject({ active: 2, ready: 2 });
    endFirst(cluster);
    expect([running(cluster).length, get(cluster).status.succeeded]).toEqual([2, 1]);
    endFirst(cluster);
    expect([running(cluster).length, get(cluster).status.succeeded]).toEqual([1, 2]);
    endFirst(cluster);
    const { status } = get(cluster);
    expect(status).toMatchObject({ succeeded: 3, ready: 0, terminating: 0, uncountedTerminatedPods: {} });
    expect(status.active).toBeUndefined();
    expect(status.completionTime).toBeDefined();
    expect(conditions(cluster)).toEqual(["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]);
    expect(cluster.pods("pi-").flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([]);
    expect(reasons(cluster)).toContain("Completed Job completed");
    expect(cluster.api.table("Job", [get(cluster)]).rows[0]?.cells.slice(0, 3)).toEqual(["pi", "Complete", "3/3"]);
  });

  test("without a number of completions is done when one pod succeeded and no other is at work", () => {
    const cluster = started({ parallelism: 2 });
    expect(cluster.api.table("Job", [get(cluster)]).rows[0]?.cells[2]).toBe("0/1 of 2");
    endFirst(cluster);
    expect([running(cluster).length, conditions(cluster)]).toEqual([1, []]);
    endFirst(cluster);
    expect(conditions(cluster).at(-1)).toBe("Complete CompletionsReached");
  });

  test("waits ten seconds after a failure, twice as long after the next, and gives up after its limit", () => {
    const cluster = started({ backoffLimit: 2, completions: 1 });
    const made: number[] = [];
    let failed = cluster.sim.clock.now;
    cluster.store.follow("Pod", ({ type }) => {
      if (type === "ADDED") made.push(Math.round((cluster.sim.clock.now - failed) / second));
    });
    for (let attempt = 0; attempt < 3; attempt++) {
      failed = cluster.sim.clock.now;
      endFirst(cluster, 3, 60);
    }
    expect(made).toEqual([10, 20]);
    expect(conditions(cluster)).toEqual(["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
    expect(get(cluster).status.failed).toBe(3);
    expect(reasons(cluster).at(-1)).toBe("BackoffLimitExceeded Job has reached the specified backoff limit");
  });

  test("takes its other pods down when it fails, and has failed only when they are gone", () => {
    const cluster = started({ backoffLimit: 0, parallelism: 3, completions: 3 });
    const [first] = running(cluster);
    end(cluster, first as string, 1);
    cluster.sim.clock.advance(1.5 * second);
    expect(conditions(cluster)).toEqual(["FailureTarget BackoffLimitExceeded"]);
    expect(get(cluster).status).toMatchObject({ terminating: 2, failed: 3 });
    cluster.sim.clock.settle();
    expect(conditions(cluster)).toEqual(["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
    expect(cluster.pods("pi-").map(({ metadata }) => metadata.name)).toEqual([first]);
  });

  test("counts restarts of containers where they are restarted in their pod", () => {
    const template = { spec: { restartPolicy: "OnFailure", containers: [{ name: "c", image: "busybox" }] } };
    const cluster = started({ template, backoffLimit: 2 });
    const [name] = running(cluster);
    const restarted = (pod: Pod): Pod => {
      const status = { name: "c", ready: true, restartCount: 2, image: "", imageID: "" };
      return { ...pod, status: { ...pod.status, containerStatuses: [status] } };
    };
    cluster.store.update("Pod", `default/${name}`, restarted, "kubelet");
    cluster.sim.clock.settle();
    expect(conditions(cluster).at(-1)).toBe("Failed BackoffLimitExceeded");
    expect(cluster.pods("pi-")).toEqual([]);
  });

  test("ends at its deadline", () => {
    const cluster = started({ activeDeadlineSeconds: 30 });
    cluster.sim.clock.advance(20 * second);
    expect(conditions(cluster)).toEqual([]);
    cluster.sim.clock.advance(20 * second);
    expect(conditions(cluster)).toEqual(["FailureTarget DeadlineExceeded", "Failed DeadlineExceeded"]);
    expect(reasons(cluster).at(-1)).toBe("DeadlineExceeded Job was active longer than specified deadline");
  });

  test("goes by itself some time after its end, with its pods", () => {
    const cluster = started({ ttlSecondsAfterFinished: 60 });
    endFirst(cluster, 0, 50);
    expect(conditions(cluster).at(-1)).toBe("Complete CompletionsReached");
    cluster.sim.clock.advance(20 * second);
    expect([cluster.api.list("Job"), cluster.pods("pi-")]).toEqual([[], []]);
  });

  test("that is suspended has no pods, and begins its time anew when it goes on", () => {
    const cluster = started({ suspend: true });
    expect([cluster.pods("pi-"), get(cluster).status.startTime, conditions(cluster)]).toEqual([
      [],
      undefined,
      ["Suspended JobSuspended"],
    ]);
    cluster.api.patch("Job", "default", "pi", "merge", { spec: { suspend: false } });
    cluster.sim.clock.settle();
    expect([running(cluster).length, conditions(cluster)]).toEqual([1, ["Suspended JobResumed"]]);
    const start = get(cluster).status.startTime;
    cluster.sim.clock.advance(10 * second);
    cluster.api.patch("Job", "default", "pi", "merge", { spec: { suspend: true } });
    cluster.sim.clock.settle();
    expect([cluster.pods("pi-"), get(cluster).status.failed]).toEqual([[], undefined]);
    cluster.api.patch("Job", "default", "pi", "merge", { spec: { suspend: false } });
    cluster.sim.clock.settle();
    expect(get(cluster).status.startTime).not.toBe(start);
    expect(reasons(cluster)).toEqual(expect.arrayContaining(["Suspended Job suspended", "Resumed Job resumed"]));
  });

  test("makes another pod for one that is deleted: after the back-off, or only when that one has failed", () => {
    for (const policy of ["TerminatingOrFailed", "Failed"]) {
      const cluster = started({ podReplacementPolicy: policy });
      const [name = ""] = running(cluster);
      cluster.store.delete("Pod", `default/${name}`, "test");
      cluster.sim.clock.advance(20 * second);
      expect(running(cluster)).toHaveLength(policy === "Failed" ? 0 : 1);
      if (policy === "Failed") end(cluster, name, 143);
      cluster.sim.clock.advance(20 * second);
      expect([running(cluster).length, get(cluster).status.failed]).toEqual([1, 1]);
      expect(running(cluster)).not.toContain(name);
    }
  });

  test("that is deleted lets its pods go, counted or not", () => {
    const cluster = started({ parallelism: 2, completions: 2 });
    cluster.api.delete("Job", "default", "pi", { propagation: "Background" });
    cluster.sim.clock.settle();
    expect([cluster.api.list("Job"), cluster.pods("pi-")]).toEqual([[], []]);
    const orphaned = started();
    orphaned.api.delete("Job", "default", "pi", { propagation: "Orphan" });
    orphaned.sim.clock.settle();
    expect(orphaned.pods("pi-").map(({ metadata }) => [metadata.finalizers, metadata.ownerReferences])).toEqual([
      [undefined, undefined],
    ]);
  });
});

describe("an indexed Job", () => {
  test("has one pod for each number, tells it its number, and tries a failed number again", () => {
    const cluster = started({ completionMode: "Indexed", completions: 3, parallelism: 2 });
    const [zero, one] = cluster.pods("pi-") as [Pod, Pod];
    expect([zero.metadata.name, one.metadata.name].map((name) => name.slice(0, 5))).toEqual(["pi-0-", "pi-1-"]);
    expect(one.spec.hostname).toBe("pi-1");
    const index = "batch.kubernetes.io/job-completion-index";
    expect([one.metadata.annotations?.[index], one.metadata.labels?.[index]]).toEqual(["1", "1"]);
    expect(one.spec.containers[0]?.env).toEqual([
      {
        name: "JOB_COMPLETION_INDEX",
        valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: `metadata.labels['${index}']` } },
      },
    ]);
    end(cluster, zero.metadata.name, 1);
    end(cluster, one.metadata.name);
    cluster.sim.clock.advance(30 * second);
    expect(get(cluster).status).toMatchObject({ completedIndexes: "1", succeeded: 1, failed: 1 });
    expect(running(cluster).map((name) => name.slice(0, 5))).toEqual(["pi-0-", "pi-2-"]);
    endFirst(cluster);
    endFirst(cluster);
    expect(get(cluster).status).toMatchObject({ completedIndexes: "0-2", succeeded: 3, failed: 1 });
    expect(conditions(cluster).at(-1)).toBe("Complete CompletionsReached");
  });

  test("may grow and shrink as long as all of it runs at once", () => {
    const cluster = started({ completionMode: "Indexed", completions: 2, parallelism: 2 });
    cluster.api.patch("Job", "default", "pi", "merge", { spec: { completions: 3, parallelism: 3 } });
    cluster.sim.clock.settle();
    expect(running(cluster)).toHaveLength(3);
    const grow = (): unknown => cluster.api.patch("Job", "default", "pi", "merge", { spec: { completions: 4 } });
    expect(grow).toThrow("spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism");
  });
});

test("what is wrong with a Job is told in the server's words", () => {
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
  const always = { template: { spec: { containers: [{ name: "c", image: "busybox" }] } } };
  expect(refused(() => api.create("Job", job(always)))).toBe(
    'Job.batch "pi" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
  );
  expect(refused(() => api.create("Job", job({ completionMode: "Indexed", parallelism: 2 })))).toBe(
    'Job.batch "pi" is invalid: spec.completions: Required value: when completion mode is Indexed',
  );
  expect(refused(() => api.create("Job", job({ completions: -1, podReplacementPolicy: "x" })))).toBe(
    'Job.batch "pi" is invalid: [spec.completions: Invalid value: -1: must be greater than or equal to 0, ' +
      'spec.podReplacementPolicy: Unsupported value: "x": supported values: "Failed", "TerminatingOrFailed"]',
  );
  const own = { selector: { matchLabels: { a: "b" } } };
  expect(refused(() => api.create("Job", job(own)))).toContain("`selector` not auto-generated");
  const warned: string[] = [];
  const rules = [{ action: "FailJob", onExitCodes: { operator: "In", values: [42] } }];
  api.create("Job", job({ podFailurePolicy: { rules } }), { warn: (text) => warned.push(text) });
  expect(warned).toEqual(["spec.podFailurePolicy: not simulated here, and ignored"]);
  const image = { spec: { template: { spec: { containers: [{ name: "c", image: "other" }] } } } };
  expect(refused(() => api.patch("Job", "default", "pi", "strategic", image))).toMatch(
    /^Job.batch "pi" is invalid: spec.template: Invalid value: .*: field is immutable$/,
  );
});
