import fc from "fast-check";
import { expect, test } from "vitest";
import type { LifeEvent } from "../../kernel-lib/node/lifeevents";
import { lifeWord } from "../../kernel-lib/node/lifeevents";
import { millisecond, second, type Time } from "../../kernel-lib/sim/clock";
import { type Wired, wire } from "./wired";

const busybox = (script: string, more: object = {}) => ({
  name: "main",
  image: "busybox:1.28",
  command: ["sh", "-c", script],
  ...more,
});

/** What happened to a pod, in seconds since the kubelet heard that it is to end. */
class Diary {
  readonly events: { readonly at: Time; readonly event: LifeEvent }[] = [];

  constructor(cluster: Wired) {
    cluster.sim.journal.followOnly(lifeWord, ({ detail, at }) => {
      this.events.push({ at, event: detail as LifeEvent });
    });
  }

  get told(): Time {
    return this.events.find(({ event }) => event.of === "pod" && event.state === "told")?.at ?? Number.NaN;
  }

  /** `main SIGTERM 3`, `main preStop begun 0`, `main ended 5`, `removed 6`. */
  get lines(): readonly string[] {
    return this.events.flatMap(({ at, event }) => {
      const time = (at - this.told) / second;
      switch (event.of) {
        case "signal":
          return [`${event.container} ${event.signal} ${time}`];
        case "hook":
          return [`${event.container} ${event.hook} ${event.state} ${time}`];
        case "container":
          return event.state === "ended" ? [`${event.container} ended ${time}`] : [];
        case "pod":
          return event.state === "removed" ? [`removed ${time}`] : [];
        default:
          return [];
      }
    });
  }

  time(line: string): number | undefined {
    const found = this.lines.find((one) => one.startsWith(`${line} `));
    return found === undefined ? undefined : Number(found.slice(line.length + 1));
  }
}

/** Starts a pod, and deletes it. */
function ended(spec: object, grace?: number): { readonly cluster: Wired; readonly diary: Diary } {
  const cluster = wire();
  cluster.pod("web", "node-1", spec);
  cluster.sim.clock.advance(10 * second);
  expect(cluster.podNow("web")?.status.phase).toBe("Running");
  const diary = new Diary(cluster);
  cluster.store.delete("Pod", "default/web", "test", grace === undefined ? {} : { grace });
  return { cluster, diary };
}

test("without hooks the stop signal comes at once, SIGKILL when grace is over, and the status says how it went", () => {
  const { cluster, diary } = ended({ terminationGracePeriodSeconds: 30, containers: [busybox("forever")] });
  cluster.sim.clock.advance(30 * second + 500 * millisecond);
  expect(diary.lines).toEqual(["main SIGTERM 0", "main SIGKILL 30", "main ended 30"]);
  expect(cluster.podNow("web")?.status).toMatchObject({
    phase: "Failed",
    containerStatuses: [{ state: { terminated: { exitCode: 137, reason: "Error" } }, ready: false }],
  });
  expect(cluster.podNow("web")?.status.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
    status: "False",
    reason: "PodFailed",
  });
  cluster.sim.clock.settle();
  expect(cluster.podNow("web")).toBeUndefined();
  expect(diary.time("removed")).toBeCloseTo(30.95, 3);
  expect(cluster.events("web").filter((line) => !/Pull|Created|Started/.test(line))).toEqual([
    "Normal Killing Stopping container main",
  ]);
});

test("a program that ends in order is Completed, its pod Succeeded, and it is Ready until then", () => {
  const { cluster, diary } = ended({ containers: [busybox("term 4")] });
  cluster.sim.clock.advance(3 * second);
  expect(cluster.podNow("web")?.metadata.deletionGracePeriodSeconds).toBe(30);
  expect(cluster.podNow("web")?.status.containerStatuses?.[0]).toMatchObject({ ready: true, state: { running: {} } });
  cluster.sim.clock.advance(second + 300 * millisecond);
  expect(diary.time("main ended")).toBe(4);
  expect(cluster.podNow("web")?.status).toMatchObject({
    phase: "Succeeded",
    containerStatuses: [{ state: { terminated: { exitCode: 0, reason: "Completed" } }, ready: false }],
  });
});

test("the tutorial's pod: a hook that outlasts grace is left at 120 s, and fails when its container is gone", () => {
  const hook = { preStop: { exec: { command: ["/bin/sh", "-c", "sleep 180"] } } };
  const containers = [{ name: "nginx", image: "nginx:latest", lifecycle: hook }];
  const { cluster, diary } = ended({ terminationGracePeriodSeconds: 120, containers });
  cluster.sim.clock.advance(119 * second);
  expect(cluster.podNow("web")?.status.containerStatuses?.[0]?.ready).toBe(true);
  cluster.sim.clock.settle();
  expect(cluster.podNow("web")).toBeUndefined();
  expect(diary.lines).toEqual([
    "nginx preStop begun 0",
    "nginx preStop cut off 120",
    "nginx SIGQUIT 120",
    "nginx ended 120",
    expect.stringMatching(/^removed 120\.95/),
  ]);
  expect(cluster.events("web").slice(-2)).toEqual([
    "Normal Killing Stopping container nginx",
    "Warning FailedPreStopHook PreStopHook failed",
  ]);
});

test("sidecars end after all others, the last one first; who is not their elder waits for nobody", () => {
  const sidecar = (name: string, script: string) => busybox(script, { name, restartPolicy: "Always" });
  const { cluster, diary } = ended({
    initContainers: [sidecar("first", "term 1"), busybox("exit 0", { name: "init" }), sidecar("second", "term 2")],
    containers: [busybox("term 3", { name: "one" }), busybox("term 5", { name: "two" })],
  });
  cluster.sim.clock.advance(4 * second);
  // The kubelet's worker waits: nothing of the status changes until the last has stopped.
  expect(cluster.podNow("web")?.status.containerStatuses?.map(({ ready }) => ready)).toEqual([true, true]);
  cluster.sim.clock.settle();
  expect(diary.lines.slice(0, -1)).toEqual([
    "one SIGTERM 0",
    "two SIGTERM 0",
    "one ended 3",
    "two ended 5",
    "second SIGTERM 5",
    "second ended 7",
    "first SIGTERM 7",
    "first ended 8",
  ]);
  expect(cluster.podNow("web")).toBeUndefined();
});

test("when grace is over before their turn, sidecars have two seconds", () => {
  const proxy = busybox("forever", { name: "proxy", restartPolicy: "Always" });
  const { cluster, diary } = ended({
    terminationGracePeriodSeconds: 6,
    initContainers: [proxy],
    containers: [busybox("forever")],
  });
  cluster.sim.clock.settle();
  expect(diary.lines.slice(0, -1)).toEqual([
    "main SIGTERM 0",
    "proxy SIGTERM 6",
    "main SIGKILL 6",
    "main ended 6",
    "proxy SIGKILL 8",
    "proxy ended 8",
  ]);
});

test("deleted again with less: the hook runs anew in what is left, the signal is not sent twice, and events count", () => {
  const lifecycle = { preStop: { sleep: { seconds: 5 } } };
  const { cluster, diary } = ended({
    terminationGracePeriodSeconds: 60,
    containers: [busybox("forever", { lifecycle })],
  });
  cluster.sim.clock.advance(3 * second);
  const told = cluster.podNow("web")?.metadata.deletionTimestamp;
  cluster.store.delete("Pod", "default/web", "test", { grace: 20 });
  cluster.store.delete("Pod", "default/web", "test", { grace: 40 });
  expect(cluster.podNow("web")?.metadata.deletionGracePeriodSeconds).toBe(20);
  expect(Date.parse(told ?? "") - Date.parse(cluster.podNow("web")?.metadata.deletionTimestamp ?? "")).toBe(40_000);
  cluster.sim.clock.advance(7 * second);
  cluster.store.delete("Pod", "default/web", "test", { grace: 1 });
  cluster.sim.clock.settle();
  const lines = diary.lines.map((line) => line.replace(/(\d+\.\d)\d+$/, "$1"));
  expect(lines).toEqual([
    "main preStop begun 0",
    "main preStop cut off 3",
    "main preStop begun 3",
    "main preStop ended 8",
    "main SIGTERM 8",
    "main preStop begun 10",
    "main preStop cut off 11",
    "main SIGKILL 13",
    "main ended 13",
    "removed 13.9",
  ]);
  const killing = cluster.store.list("Event").find(({ reason }) => reason === "Killing");
  expect(killing?.count).toBe(3);
});

test("deleted by force its object goes at once, and its containers have a moment still", () => {
  const lifecycle = { preStop: { sleep: { seconds: 5 } } };
  const { cluster, diary } = ended({ containers: [busybox("forever", { lifecycle })] }, 0);
  expect(cluster.podNow("web")).toBeUndefined();
  cluster.sim.clock.settle();
  expect(diary.lines).toEqual([
    "main preStop begun 0",
    "main preStop cut off 1",
    "main SIGTERM 1",
    "main SIGKILL 3",
    "main ended 3",
    "removed 3.95",
  ]);
});

test("a postStart hook keeps its container from being told as running, and kills it when it fails", () => {
  const cluster = wire();
  const diary = new Diary(cluster);
  const hook = (command: string) => ({ lifecycle: { postStart: { exec: { command: ["sh", "-c", command] } } } });
  cluster.pod("slow", "node-1", { containers: [busybox("forever", hook("sleep 7"))] });
  cluster.pod("bad", "node-2", { terminationGracePeriodSeconds: 4, containers: [busybox("forever", hook("exit 1"))] });
  cluster.sim.clock.advance(4 * second);
  const state = (name: string) => cluster.podNow(name)?.status.containerStatuses?.[0]?.state;
  expect(state("slow")?.waiting?.reason).toBe("ContainerCreating");
  cluster.sim.clock.advance(7 * second);
  expect(state("slow")?.running).toBeDefined();
  expect(cluster.events("bad").filter((line) => /Hook|Killing/.test(line))).toEqual([
    "Warning FailedPostStartHook PostStartHook failed",
    "Normal Killing FailedPostStartHook",
  ]);
  expect(diary.lines.map((line) => line.replace(/ \S+$/, "")).slice(0, 6)).toEqual(
    expect.arrayContaining([
      "main postStart begun",
      "main postStart failed",
      "main SIGTERM",
      "main SIGKILL",
      "main ended",
    ]),
  );
});

test("hooks ask over HTTP by real packets, and any answer will do", () => {
  const cluster = wire();
  const hook = (port: number, path: string) => ({ lifecycle: { preStop: { httpGet: { path, port } } } });
  cluster.pod("web", "node-1", { containers: [{ name: "main", image: "nginx", ...hook(80, "/none") }] });
  cluster.pod("deaf", "node-1", { containers: [{ name: "main", image: "nginx", ...hook(81, "/") }] });
  cluster.sim.clock.advance(10 * second);
  const log = cluster.nodes["node-1"]?.kubelet.container("default/web");
  for (const name of ["web", "deaf"]) cluster.store.delete("Pod", `default/${name}`, "test");
  cluster.sim.clock.settle();
  expect(log?.log.map(({ text }) => text).find((line) => line.includes('] "GET'))).toMatch(
    /^10\.244\.1\.1 - - \[.*\] "GET \/none HTTP\/1\.1" 404 .* "kube-lifecycle\/1\.36"/,
  );
  expect(cluster.events("web").some((line) => line.includes("FailedPreStopHook"))).toBe(false);
  expect(cluster.events("deaf").some((line) => line.includes("FailedPreStopHook"))).toBe(true);
});

const hooks = fc.oneof(
  fc.constant(undefined),
  fc.record({ kind: fc.constantFrom("sleep", "exec"), seconds: fc.integer({ min: 1, max: 50 }) }),
  fc.constant({ kind: "fails", seconds: 0.001 } as const),
);
const manners = fc.oneof(
  fc.constant(undefined),
  fc.integer({ min: 0, max: 45_000 }).map((after) => after / 1000),
);

test("whatever the hook, the grace and the program: the signal comes at the end of the first two, SIGKILL with the rest, two seconds at least", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), hooks, manners, (grace, hook, dies) => {
      const preStop =
        hook?.kind === "sleep"
          ? { sleep: { seconds: hook.seconds } }
          : { exec: { command: hook?.kind === "fails" ? ["sh", "-c", "exit 1"] : ["sleep", `${hook?.seconds}`] } };
      const script = dies === undefined ? "forever" : `term ${dies}`;
      const containers = [busybox(script, hook ? { lifecycle: { preStop } } : {})];
      const { cluster, diary } = ended({ terminationGracePeriodSeconds: grace, containers });
      cluster.sim.clock.settle();
      const signal = Math.min(hook?.seconds ?? 0, grace);
      const kill = Math.max(grace, signal + 2);
      const end = dies === undefined ? kill : Math.min(kill, signal + dies);
      expect(diary.time("main SIGTERM")).toBe(signal);
      expect(diary.time("main ended")).toBeCloseTo(end, 5);
      // Who is gone by then is not killed; both at one moment may come in either order.
      if (dies === undefined || signal + dies > kill) expect(diary.time("main SIGKILL")).toBe(kill);
      else if (signal + dies < kill) expect(diary.time("main SIGKILL")).toBeUndefined();
      expect(diary.time("removed")).toBeCloseTo(end + 0.95, 5);
      expect(cluster.podNow("web")).toBeUndefined();
    }),
    { numRuns: 150, seed: 20 },
  );
});
