/** Tests of probes as a kubelet does them: when it asks, from where, what counts, and in which words it tells. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { keyFor } from "../../kernel-lib/api/meta";
import { podStatus } from "../../kernel-lib/api/tables/pod";
import { type LifeEvent, lifeWord } from "../../kernel-lib/node/lifeevents";
import type { ProbeSpec } from "../../kernel-lib/node/probes/action";
import type { Outcome } from "../../kernel-lib/node/probes/ask";
import { probeUrl, redirected, urlText } from "../../kernel-lib/node/probes/url";
import { ProbeWorker } from "../../kernel-lib/node/probes/worker";
import { Clock, hour, millisecond, second, type Time } from "../../kernel-lib/sim/clock";
import { type Wired, wire } from "./wired";

type Spec = { readonly [field: string]: unknown };

/** A pod `web` on node-1 with one nginx, and what became of it. */
function web(probes: Spec, more: Spec = {}, options: Parameters<typeof wire>[0] = {}): Wired {
  const wired = wire(options);
  const container = { name: "web", image: "nginx", ports: [{ containerPort: 80, name: "http" }], ...probes };
  wired.pod("web", "node-1", { containers: [container], terminationGracePeriodSeconds: 5, ...more });
  return wired;
}

function condition(wired: Wired, type: string): string | undefined {
  return wired.podNow("web")?.status.conditions?.find((one) => one.type === type)?.status;
}

function statusOf(wired: Wired) {
  return wired.podNow("web")?.status.containerStatuses?.[0];
}

/** What nginx was asked, as its log has it. */
function asked(wired: Wired): readonly string[] {
  const log = wired.nodes["node-1"]?.kubelet.container(keyFor("default", "web"))?.log ?? [];
  return log.map(({ text }) => text).filter((text) => text.includes("GET"));
}

function unhealthy(wired: Wired): readonly string[] {
  return wired.store
    .list("Event")
    .filter(({ reason }) => reason === "Unhealthy" || reason === "ProbeWarning")
    .map(({ message }) => message ?? "");
}

/** Every probe that was done, by kind, with the moment since the cluster began. */
function probesDone(wired: Wired, run: () => void): readonly (readonly [kind: string, at: Time, success: boolean])[] {
  const begin = wired.sim.clock.now;
  const done: (readonly [string, Time, boolean])[] = [];
  const reader = wired.sim.journal.followOnly(lifeWord, ({ at, detail }) => {
    const event = detail as LifeEvent | undefined;
    if (event?.of === "probe") done.push([event.probe, at - begin, event.success]);
  });
  run();
  reader.stop();
  return done;
}

describe("readiness", () => {
  test("an answer makes it ready; the kubelet asks from the node's address on the bridge, under its own name", () => {
    const wired = web({ readinessProbe: { httpGet: { port: "http", path: "/" }, periodSeconds: 5 } });
    wired.sim.clock.settle();
    expect([condition(wired, "Ready"), statusOf(wired)?.ready, statusOf(wired)?.started]).toEqual(["True", true, true]);
    expect(asked(wired)[0]).toMatch(/^10\.244\.1\.1 - - .*"GET \/ HTTP\/1\.1" 200 \d+ "-" "kube-probe\/1\.36" "-"$/);
  });

  test("the first probe comes when the kubelet sees the container run, the next a period later each", () => {
    const wired = web({ readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 7 } });
    const done = probesDone(wired, () => wired.sim.clock.advance(40 * second));
    const times = done.map(([, at]) => at);
    const gaps = times.slice(1).map((at, index) => Math.round((at - (times[index] ?? 0)) / second));
    expect(gaps).toEqual([7, 7, 7, 7, 7]);
    const started = Date.parse(statusOf(wired)?.state?.running?.startedAt ?? "");
    expect((times[0] ?? 0) / 1000 + Date.parse("2026-01-01T00:00:00Z") - started).toBeLessThan(2_000);
  });

  test("what was ready and fails is asked again at once, for the kubelet looks at the pod that changed", () => {
    const wired = web({ readinessProbe: { httpGet: { port: 80 }, periodSeconds: 10, failureThreshold: 2 } });
    wired.sim.clock.settle();
    const done = probesDone(wired, () => {
      wired.nodes["node-1"]?.kubelet
        .container(keyFor("default", "web"))
        ?.spec.files.remove("/usr/share/nginx/html/index.html");
      wired.sim.clock.advance(25 * second);
    });
    expect(condition(wired, "Ready")).toBe("False");
    const failed = done.filter(([, , success]) => !success).map(([, at]) => at);
    expect(Math.round(((failed[1] ?? 0) - (failed[0] ?? 0)) / second)).toBe(10);
    expect((failed[2] ?? 0) - (failed[1] ?? 0)).toBeLessThan(20 * millisecond);
  });

  test("nobody waits for ever: settle ends with a pod that never gets ready, and that pod goes on being asked", () => {
    const wired = web({ readinessProbe: { httpGet: { port: 81 }, periodSeconds: 1 } });
    const begin = wired.sim.clock.now;
    wired.sim.clock.settle();
    const rested = wired.sim.clock.now - begin;
    expect(rested).toBeGreaterThan(30 * second);
    expect(rested).toBeLessThan(80 * second);
    expect(condition(wired, "Ready")).toBe("False");
    expect(probesDone(wired, () => wired.sim.clock.advance(10 * second)).length).toBe(10);
  });

  test("a readiness probe goes on while its pod ends, and a liveness probe does not", () => {
    const wired = web(
      {
        readinessProbe: { httpGet: { port: 80, path: "/?ready" }, periodSeconds: 1 },
        livenessProbe: { httpGet: { port: 80, path: "/?live" }, periodSeconds: 1 },
        lifecycle: { preStop: { sleep: { seconds: 10 } } },
      },
      { terminationGracePeriodSeconds: 30 },
    );
    wired.sim.clock.settle();
    wired.sim.clock.advance(3 * second);
    wired.store.delete("Pod", keyFor("default", "web"), "test", { grace: 30 });
    const kinds = probesDone(wired, () => wired.sim.clock.advance(9 * second)).map(([kind]) => kind);
    expect(kinds.filter((kind) => kind === "readiness").length).toBeGreaterThanOrEqual(8);
    expect(kinds).not.toContain("liveness");
  });
});

describe("what the kubelet says is wrong", () => {
  const get = (port: number | string, path = "/", more: Spec = {}) => ({ httpGet: { port, path, ...more } });
  const ip = "10.244.1.2";
  const cases: readonly (readonly [name: string, probe: Spec, words: string])[] = [
    ["nobody listens", get(81), `Get "http://${ip}:81/": dial tcp ${ip}:81: connect: connection refused`],
    ["a page is not there", get(80, "/none?x=1"), "HTTP probe failed with statuscode: 404"],
    [
      "no TLS is spoken there",
      get(80, "/", { scheme: "HTTPS" }),
      `Get "https://${ip}:80/": http: server gave HTTP response to HTTPS client`,
    ],
    [
      "nobody is at home",
      get(80, "/", { host: "10.244.1.77" }),
      `Get "http://10.244.1.77:80/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    ],
    ["a port is closed", { tcpSocket: { port: 81 } }, `dial tcp ${ip}:81: connect: connection refused`],
    ["a port is silent", { tcpSocket: { port: 80, host: "10.244.1.77" } }, "dial tcp 10.244.1.77:80: i/o timeout"],
    [
      "no health service is there",
      { grpc: { port: 80 } },
      `timeout: failed to connect service "${ip}:80" within 1s: context deadline exceeded`,
    ],
    ["a command fails", { exec: { command: ["say", "not well", "exit 3"] } }, "not well\n"],
    ["a command hangs", { exec: { command: ["sleep", "60"] } }, 'command timed out: "sleep 60" timed out after 1s'],
  ];

  test.each(cases)("%s", (_name, probe, words) => {
    const wired = web({ readinessProbe: { ...probe, periodSeconds: 5 } });
    wired.sim.clock.advance(20 * second);
    expect(unhealthy(wired)).toEqual([`Readiness probe failed: ${words}`]);
    expect(condition(wired, "Ready")).toBe("False");
    const [event] = wired.store.list("Event").filter(({ reason }) => reason === "Unhealthy");
    expect([event?.type, event?.source?.component, event?.involvedObject.fieldPath]).toEqual([
      "Warning",
      "kubelet",
      "spec.containers{web}",
    ]);
    expect(event?.count).toBeGreaterThanOrEqual(4);
  });

  test("what could not be asked at all is told, and counts as nothing", () => {
    const command = ["/no/such"];
    const wired = web({ livenessProbe: { exec: { command }, periodSeconds: 1, failureThreshold: 1 } });
    wired.sim.clock.advance(30 * second);
    expect(unhealthy(wired)[0]).toMatch(
      /^Liveness probe errored and resulted in unknown state: rpc error: .*exec: "\/no\/such": stat \/no\/such: no such file or directory: unknown$/,
    );
    expect(statusOf(wired)?.restartCount).toBe(0);
    const unnamed = web({ readinessProbe: { httpGet: { port: "metrics" } } });
    unnamed.sim.clock.advance(5 * second);
    expect(unhealthy(unnamed)).toEqual([
      'Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "metrics": invalid syntax',
    ]);
  });

  test("redirects lead where they say, and a probe follows them on its own host only", () => {
    const from = probeUrl("HTTP", "10.0.0.1", 8080, "/a/b?c=1");
    const led = (location: string) => urlText(redirected(from, location) ?? from);
    expect(led("/x")).toBe("http://10.0.0.1:8080/x");
    expect(led("../x?y")).toBe("http://10.0.0.1:8080/x?y");
    expect(led("https://10.0.0.1/z")).toBe("https://10.0.0.1/z");
    expect(led("//example.com:81")).toBe("http://example.com:81");
    expect(redirected(from, "mailto:a@b")).toBeUndefined();
    expect(urlText(probeUrl("HTTP", "fd00::5", 80, "healthz"))).toBe("http://[fd00::5]:80/healthz");
  });
});

describe("startup and liveness", () => {
  test("until the startup probe has succeeded nothing else is asked; then readiness is, at once", () => {
    const wired = web({
      startupProbe: { httpGet: { port: 80, path: "/up" }, periodSeconds: 2, failureThreshold: 30 },
      readinessProbe: { httpGet: { port: 80 }, periodSeconds: 60 },
      livenessProbe: { httpGet: { port: 80 }, periodSeconds: 3 },
    });
    const before = probesDone(wired, () => wired.sim.clock.advance(20 * second));
    expect(new Set(before.map(([kind]) => kind))).toEqual(new Set(["startup"]));
    expect([statusOf(wired)?.started, statusOf(wired)?.ready]).toEqual([false, false]);
    wired.nodes["node-1"]?.kubelet
      .container(keyFor("default", "web"))
      ?.spec.files.write("/usr/share/nginx/html/up", "yes");
    const after = probesDone(wired, () => wired.sim.clock.advance(10 * second));
    expect(after.slice(0, 2).map(([kind, , success]) => [kind, success])).toEqual([
      ["startup", true],
      ["readiness", true],
    ]);
    expect((after[1]?.[1] ?? 0) - (after[0]?.[1] ?? 0)).toBeLessThan(20 * millisecond);
    expect(after.filter(([kind]) => kind === "startup").length).toBe(1);
    expect(after.filter(([kind]) => kind === "liveness").length).toBeGreaterThanOrEqual(2);
    expect(condition(wired, "Ready")).toBe("True");
  });

  test("a container that fails its startup probe is killed and begun again", () => {
    const wired = web({ startupProbe: { tcpSocket: { port: 81 }, periodSeconds: 1, failureThreshold: 3 } });
    wired.sim.clock.advance(6 * second);
    expect(statusOf(wired)?.restartCount).toBe(1);
    expect(wired.events("web")).toContain("Normal Killing Container web failed startup probe, will be restarted");
  });

  test("without a restart it is said that there is none", () => {
    const wired = web({ livenessProbe: { tcpSocket: { port: 81 }, periodSeconds: 1 } }, { restartPolicy: "Never" });
    wired.sim.clock.advance(10 * second);
    expect(wired.events("web")).toContain("Normal Killing Container web failed liveness probe");
    expect(statusOf(wired)?.restartCount).toBe(0);
    expect(wired.podNow("web")?.status.phase).toBe("Succeeded");
  });

  test("the delay before the first probe counts from the container's start, in whole seconds", () => {
    const wired = web({ livenessProbe: { tcpSocket: { port: 80 }, initialDelaySeconds: 8, periodSeconds: 1 } });
    const done = probesDone(wired, () => wired.sim.clock.advance(20 * second));
    const started = Date.parse(statusOf(wired)?.state?.running?.startedAt ?? "") - Date.parse("2026-01-01T00:00:00Z");
    const first = (done[0]?.[1] ?? 0) / 1000 - started;
    expect(first).toBeGreaterThanOrEqual(8_000);
    expect(first).toBeLessThan(9_001);
  });

  /**
   * The worker that kills a container starts it again in the same turn, and knows of ends only what was before: the first
   * restarts come at once, however short the runs were; the wait is doubled all the same (doBackOff in pkg/kubelet/kuberuntime).
   */
  test("restarts after failed probes come at once while the run before was longer ago than the back-off", () => {
    const wired = web({ livenessProbe: { tcpSocket: { port: 81 }, periodSeconds: 4, failureThreshold: 4 } });
    const starts: Time[] = [];
    const begin = wired.sim.clock.now;
    const waits = new Set<string | undefined>();
    wired.store.follow("Pod", ({ object }) => waits.add(object.status.containerStatuses?.[0]?.state?.waiting?.reason));
    const reader = wired.sim.journal.followOnly(lifeWord, ({ at, detail }) => {
      const event = detail as LifeEvent | undefined;
      if (event?.of === "container" && event.state === "started") starts.push(at - begin);
    });
    wired.sim.clock.advance(240 * second);
    reader.stop();
    const gaps = starts.slice(1).map((at, index) => Math.round((at - (starts[index] ?? 0)) / second));
    // Runs of 16 s: waits of 0 (nothing known), 10 and 20 s from the end before are over by then; that of 40 s is not.
    expect(gaps.slice(0, 2).every((gap) => gap <= 17)).toBe(true);
    expect(gaps.find((gap) => gap > 17)).toBeGreaterThanOrEqual(35);
    expect(statusOf(wired)?.lastState?.terminated?.reason).toBe("Completed");
    expect(waits).toContain("CrashLoopBackOff");
    // So much was told of the failed probes that nobody hears of the back-off (client-go's spam filter).
    expect(wired.events("web").filter((line) => line.startsWith("Warning BackOff"))).toEqual([]);
  });
});

/** What worker.go does at every tick, one after the other: the slow and plain statement of what counts. */
function reference(
  kind: "startup" | "readiness" | "liveness",
  spec: ProbeSpec,
  outcomes: readonly Outcome["result"][],
) {
  let [good, last, run, held] = [kind === "liveness", undefined as boolean | undefined, 0, false];
  const said: boolean[] = [];
  for (const result of outcomes) {
    if (!held && result !== "error") {
      const success = result !== "failure";
      run = last === success ? run + 1 : 1;
      last = success;
      if (run >= (success ? (spec.successThreshold ?? 1) : (spec.failureThreshold ?? 3))) {
        good = success;
        if ((kind === "liveness" && !success) || kind === "startup") [held, run] = [true, 0];
      }
    }
    said.push(good);
  }
  return said;
}

test("thresholds count as the kubelet counts them, whatever the answers", () => {
  const results = ["success", "failure", "warning", "error"] as const;
  const property = fc.property(
    fc.constantFrom("startup" as const, "readiness" as const, "liveness" as const),
    fc.record({
      successThreshold: fc.integer({ min: 1, max: 4 }),
      failureThreshold: fc.integer({ min: 1, max: 4 }),
      periodSeconds: fc.integer({ min: 1, max: 5 }),
    }),
    fc.array(fc.constantFrom(...results), { minLength: 1, maxLength: 40 }),
    (kind, spec, outcomes) => {
      const clock = new Clock(hour);
      const said: boolean[] = [];
      let at = 0;
      const worker: ProbeWorker = new ProbeWorker(kind, spec, {
        get now() {
          return clock.now;
        },
        after: (delay, run, timerKind) => clock.after(delay, run, timerKind),
        ask: (_probe, told) => {
          const timer = clock.after(millisecond, () => told({ result: outcomes[at++] ?? "success", message: "" }));
          return { cancel: () => timer.cancel() };
        },
        heard: () => said.push(worker.good),
        changed: () => {},
      });
      worker.begin(clock.now, false);
      worker.resume();
      clock.advance(outcomes.length * spec.periodSeconds * second - 10 * millisecond);
      const wanted = reference(kind, spec, outcomes);
      expect(said).toEqual(wanted.slice(0, said.length));
      // Only a worker that is on hold stops asking.
      if (said.length < outcomes.length) expect(new Set(wanted.slice(said.length - 1)).size).toBe(1);
      expect(kind !== "readiness" || said.length === outcomes.length).toBe(true);
    },
  );
  fc.assert(property, { numRuns: 300, seed: 6 });
});

test("a probe that takes longer than its period is followed by the next at once, and none is made up for", () => {
  const wired = web({ readinessProbe: { exec: { command: ["sleep", "60"] }, periodSeconds: 1, timeoutSeconds: 3 } });
  const times = probesDone(wired, () => wired.sim.clock.advance(20 * second)).map(([, at]) => at);
  const gaps = times.slice(1).map((at, index) => Math.round((at - (times[index] ?? 0)) / (100 * millisecond)));
  expect(gaps.every((gap) => gap === 30)).toBe(true);
});

const sidecars = {
  initContainers: [
    { name: "first", image: "busybox", command: ["sh", "-c", "exit 0"] },
    {
      name: "proxy",
      image: "nginx",
      restartPolicy: "Always",
      startupProbe: { httpGet: { port: 80 }, initialDelaySeconds: 6, periodSeconds: 1 },
      livenessProbe: { httpGet: { port: 80, path: "/up" }, periodSeconds: 2, failureThreshold: 5 },
    },
    { name: "last", image: "busybox", command: ["sh", "-c", "exit 0"] },
  ],
};

describe("init containers and sidecars", () => {
  const initOf = (wired: Wired, name: string) =>
    wired.podNow("web")?.status.initContainerStatuses?.find((status) => status.name === name);

  test("a sidecar is waited for until its startup probe has succeeded, and begins again without stopping the pod", () => {
    const wired = web({ image: "busybox", command: ["sleep", "36000"] }, sidecars);
    wired.sim.clock.advance(5 * second);
    expect([podStatus(wired.podNow("web") as Kinds["Pod"]), wired.podNow("web")?.status.phase]).toEqual([
      "Init:1/3",
      "Pending",
    ]);
    expect([initOf(wired, "proxy")?.started, initOf(wired, "first")?.ready]).toEqual([false, true]);
    expect(statusOf(wired)?.state?.waiting?.reason).toBe("PodInitializing");
    wired.sim.clock.advance(8 * second);
    expect([wired.podNow("web")?.status.phase, initOf(wired, "proxy")?.ready]).toEqual(["Running", true]);
    const { pods } = wired.nodes["node-1"]?.kubelet ?? { pods: [] };
    expect(pods[0]?.lives.map(({ stage }) => stage)).toEqual(["done", "running", "done", "running"]);
    // Its page was never there: it is killed in its turn, while the main container goes on.
    wired.sim.clock.advance(20 * second);
    expect(wired.events("web")).toContain("Normal Killing Init container proxy failed liveness probe");
    expect(initOf(wired, "proxy")?.restartCount).toBeGreaterThan(0);
    expect([statusOf(wired)?.restartCount, condition(wired, "Initialized")]).toEqual([0, "True"]);
  });

  test("a pod is over when its main containers are: its sidecars end with it", () => {
    const job = { name: "web", image: "busybox", command: ["sh", "-c", "exit 3"] };
    const plain = [{ name: "proxy", image: "nginx", restartPolicy: "Always" }];
    const wired = web({}, { initContainers: plain, containers: [job], restartPolicy: "Never" });
    wired.sim.clock.settle();
    expect(wired.podNow("web")?.status.phase).toBe("Failed");
    expect(initOf(wired, "proxy")?.state?.terminated?.exitCode).toBe(0);
    expect(statusOf(wired)?.state?.terminated?.exitCode).toBe(3);
    const why = wired.podNow("web")?.status.conditions?.find(({ type }) => type === "Ready")?.reason;
    expect(why).toBe("PodFailed");
  });

  test("an init container that fails is tried again later and later, and ends a pod that never restarts", () => {
    const failing = [{ name: "setup", image: "busybox", command: ["sh", "-c", "exit 2"] }];
    const wired = web({}, { initContainers: failing });
    wired.sim.clock.advance(50 * second);
    expect(podStatus(wired.podNow("web") as Kinds["Pod"])).toBe("Init:CrashLoopBackOff");
    expect(initOf(wired, "setup")?.restartCount).toBe(3);
    expect(condition(wired, "Initialized")).toBe("False");
    const never = web({}, { initContainers: failing, restartPolicy: "Never" });
    never.sim.clock.settle();
    expect(podStatus(never.podNow("web") as Kinds["Pod"])).toBe("Init:Error");
    expect(never.podNow("web")?.status.phase).toBe("Failed");
  });

  test("a container's own policy and rules come before its pod's", () => {
    const own = { image: "busybox", command: ["sh", "-c", "exit 42"] };
    const rules = [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }];
    const wired = web({ ...own, restartPolicy: "Never", restartPolicyRules: rules }, { restartPolicy: "Never" });
    const never = web({ ...own, restartPolicy: "Never" });
    for (const one of [wired, never]) one.sim.clock.advance(10 * second);
    expect([statusOf(wired)?.restartCount, statusOf(never)?.restartCount]).toEqual([1, 0]);
  });
});

describe("what else makes a pod ready, or ends it", () => {
  test("a readiness gate holds it back until somebody says so", () => {
    const wired = web({}, { readinessGates: [{ conditionType: "example.com/lb" }] });
    wired.sim.clock.settle();
    const ready = () => wired.podNow("web")?.status.conditions?.find(({ type }) => type === "Ready");
    expect(ready()).toMatchObject({
      status: "False",
      reason: "ReadinessGatesNotReady",
      message: 'corresponding condition of pod readiness gate "example.com/lb" does not exist.',
    });
    expect(condition(wired, "ContainersReady")).toBe("True");
    const say = (status: "True" | "False") =>
      wired.store.update(
        "Pod",
        keyFor("default", "web"),
        (pod) => {
          const others = (pod.status.conditions ?? []).filter(({ type }) => type !== "example.com/lb");
          return { ...pod, status: { ...pod.status, conditions: [...others, { type: "example.com/lb", status }] } };
        },
        "test",
      );
    say("False");
    wired.sim.clock.settle();
    expect(ready()?.message).toBe('the status of pod readiness gate "example.com/lb" is not "True", but False');
    say("True");
    wired.sim.clock.settle();
    expect(ready()?.status).toBe("True");
  });

  test("a pod that may live only so long is ended when that is over", () => {
    const wired = web({}, { activeDeadlineSeconds: 30 });
    wired.sim.clock.advance(29 * second);
    expect(wired.podNow("web")?.status.phase).toBe("Running");
    wired.sim.clock.advance(8 * second);
    expect(wired.podNow("web")?.status).toMatchObject({
      phase: "Failed",
      reason: "DeadlineExceeded",
      message: "Pod was active on the node longer than the specified deadline",
    });
    expect(wired.events("web")).toContain(
      "Normal DeadlineExceeded Pod was active on the node longer than the specified deadline",
    );
  });
});

test("a pod without probes has no timer of a probe, and costs a day nothing", () => {
  const wired = wire();
  for (let at = 0; at < 20; at++) wired.pod(`plain-${at}`, "node-1");
  wired.sim.clock.settle();
  const lives = wired.nodes["node-1"]?.kubelet.pods.flatMap((pod) => pod.lives) ?? [];
  expect(lives.length).toBe(20);
  expect(lives.every(({ probes }) => probes === undefined)).toBe(true);
  expect(probesDone(wired, () => wired.sim.clock.advance(24 * hour))).toEqual([]);
});
