/** Owns what the record of pods' ends promises: true times of every actor, in data, in a table and in a chart. */
import { beforeAll, describe, expect, it } from "vitest";
import { chart } from "../../kernel-lib/cluster/charts";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { bundleOf } from "../../kernel-lib/cluster/display";
import type { Lifeline, PodLife } from "../../kernel-lib/cluster/lifeline";
import type { TrafficReport } from "../../kernel-lib/cluster/traffic";
import { millisecond, second } from "../../kernel-lib/sim/clock";

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx}
spec:
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
      - name: nginx
        image: nginx
        lifecycle: {preStop: {sleep: {seconds: 10}}}
---
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {selector: {app: nginx}, ports: [{port: 80}]}
`;

interface Run {
  readonly cluster: Cluster;
  readonly lifeline: Lifeline;
  readonly report: TrafficReport;
}

async function run(): Promise<Run> {
  const cluster = new Cluster({ seed: 12 });
  await cluster.start();
  cluster.prompt.files.write(`${cluster.prompt.folder}/nginx.yaml`, manifest);
  const prompt = cluster.session();
  await prompt.type("kubectl apply -f nginx.yaml; kubectl wait --for=condition=Available deployment/nginx", () => {});
  await cluster.settle();
  const record = cluster.lifeline({ selector: "app=nginx" });
  const traffic = cluster.traffic({ from: "node/node-1", to: "svc/nginx", rate: 20, duration: "15s", timeout: "1s" });
  await cluster.advance("2s");
  traffic.mark("delete");
  await prompt.type("kubectl delete pod -l app=nginx", () => {});
  const report = await traffic.finished();
  return { cluster, lifeline: record.stop(), report };
}

let made: Run;
let old: PodLife;

beforeAll(async () => {
  made = await run();
  const found = made.lifeline.pods.find(({ deleted }) => deleted !== undefined);
  if (!found) throw new Error("no pod ended");
  old = found;
});

/** Seconds from the deletion to the first moment of these words. */
function when(what: RegExp): number {
  const found = old.moments.find((moment) => what.test(moment.what));
  if (!found) throw new Error(`${what} is none of ${old.moments.map((moment) => moment.what).join("; ")}`);
  return (found.at - (old.deleted ?? 0)) / second;
}

describe("the record", () => {
  it("has the pod that ended and the one that came for it", () => {
    const { pods } = made.lifeline;
    expect(pods.map(({ deleted }) => deleted !== undefined)).toEqual([true, false]);
    expect(pods[1]?.spans.filter(({ actor }) => actor === "pod").map(({ state }) => state)).toEqual([
      "Pending",
      "Running",
    ]);
    expect(new Set(pods.map(({ uid }) => uid)).size).toBe(2);
  });

  it("tells the end in the kubelet's order: told, hook, signal, container, gone", () => {
    expect(when(/^deletionTimestamp set, grace period 30 s$/)).toBe(0);
    expect(when(/hears/)).toBeLessThan(0.5);
    expect(when(/^preStop begun/)).toBeGreaterThanOrEqual(when(/hears/));
    expect(when(/^preStop ended/)).toBeCloseTo(when(/^preStop begun/) + 10, 1);
    expect(when(/^SIG/)).toBeGreaterThanOrEqual(when(/^preStop ended/));
    expect(when(/^ended, exit code/)).toBeGreaterThanOrEqual(when(/^SIG/));
    expect((old.gone ?? 0) - (old.deleted ?? 0)).toBeGreaterThan(10 * second);
    const hook = old.spans.filter(({ actor }) => actor.startsWith("kubelet/"));
    expect(hook.map(({ state }) => state)).toEqual(["preStop"]);
    expect((hook[0]?.to ?? 0) - (hook[0]?.from ?? 0)).toBeCloseTo(10 * second, -5);
  });

  it("has the endpoint's conditions, which never go back from terminating", () => {
    const states = old.spans.filter(({ actor }) => actor === "endpoint/nginx").map(({ state }) => state);
    expect(states.slice(0, 2)).toEqual(["ready, serving", "serving, terminating"]);
    const first = states.findIndex((state) => state.includes("terminating"));
    expect(states.slice(first).every((state) => state.includes("terminating"))).toBe(true);
  });

  it("says of every node when its proxy has learnt, which is after the endpoint's change and before a request fails", () => {
    const { cluster, report } = made;
    const changed = old.spans.find(
      ({ actor, state }) => actor.startsWith("endpoint/") && state.includes("terminating"),
    );
    for (const node of cluster.nodes.keys()) {
      const spans = old.spans.filter(({ actor }) => actor === `kube-proxy/${node}`);
      expect(spans[0]?.state).toBe("sends to it");
      const learnt = spans.at(-1)?.to ?? 0;
      expect(learnt).toBeGreaterThan(changed?.from ?? 0);
      if (node !== "node-1") continue;
      const late = report.outcomes.filter(({ at, pod }) => at > learnt + millisecond && old.pod.endsWith(`/${pod}`));
      expect(late).toEqual([]);
      const before = report.outcomes.filter(({ at, pod }) => at < learnt && old.pod.endsWith(`/${pod}`));
      expect(before.length).toBeGreaterThan(30);
    }
  });

  it("is one after the other: a state of an actor begins where the one before it ended", () => {
    for (const { spans } of made.lifeline.pods) {
      for (const actor of new Set(spans.map((span) => span.actor))) {
        const own = spans.filter((span) => span.actor === actor);
        for (const [at, span] of own.entries()) {
          if (span.to !== undefined) expect(span.to).toBeGreaterThanOrEqual(span.from);
          const next = own[at + 1];
          if (next) expect(next.from).toBeGreaterThanOrEqual(span.to ?? Number.POSITIVE_INFINITY);
        }
      }
    }
  });

  it("is the same for the same seed, byte for byte, traffic and charts with it", async () => {
    const again = await run();
    expect(JSON.stringify(again.lifeline)).toBe(JSON.stringify(made.lifeline));
    expect(JSON.stringify(again.report)).toBe(JSON.stringify(made.report));
    const draw = async ({ lifeline, report }: Run) => bundleOf(await chart.lifeline(lifeline, { traffic: report }));
    expect(await draw(again)).toEqual(await draw(made));
  });

  it("stops when it is told to, and names what is wrong with an option", async () => {
    const { cluster } = made;
    expect(() => cluster.lifeline({ pod: "nope" })).toThrow('pods "nope" not found');
    expect(() => cluster.lifeline({ pod: "x", selector: "a=b" })).toThrow("say either selector or pod");
    expect(() => cluster.lifeline({ selector: "app=(" })).toThrow();
    const record = cluster.lifeline();
    const before = record.stop();
    await cluster.session().type("kubectl delete pod -l app=nginx --wait=false", () => {});
    await cluster.settle();
    expect(record.lifeline()).toEqual(before);
  });

  it("costs the packets nothing: their lines are not written for it", () => {
    const { sim } = made.cluster;
    const record = made.cluster.lifeline();
    expect(sim.journal.read).toBe(false);
    expect(sim.journal.reads("life")).toBe(true);
    record.stop();
    expect(sim.journal.reads("life")).toBe(false);
  });
});

describe("the table", () => {
  it("has a row for each thing that happened, in seconds from the deletion", async () => {
    const text = String((await bundleOf(made.lifeline))["text/plain"]);
    expect(text).toMatch(/^pods app=nginx: what happened, in seconds since the deletion \(\d\d:\d\d:\d\d\)/);
    expect(text).toMatch(/ 0\.000 .* pod object +deletionTimestamp set, grace period 30 s/);
    expect(text).toMatch(/10\.\d{3} .* kubelet +SIG/);
    expect(text).toMatch(/kube-proxy node-2 +has learnt: no new connections/);
    const seconds = [...text.matchAll(/^ *(-?\d+\.\d{3}) /gm)].map(([, number]) => Number(number));
    expect(seconds).toEqual([...seconds].sort((one, other) => one - other));
  });
});

describe("the chart of an end", () => {
  it("has a lane for each actor, a title, a description, and the client below on the same axis", async () => {
    const drawn = await chart.lifeline(made.lifeline, { traffic: made.report });
    const bundle = await bundleOf(drawn);
    expect(Object.keys(bundle)).toEqual(["application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"]);
    const svg = String(bundle["image/svg+xml"]);
    for (const lane of [
      "pod object",
      "condition Ready",
      "kubelet",
      "signals",
      "container nginx",
      "endpoint of nginx",
    ]) {
      expect(svg).toContain(`>${lane}<`);
    }
    for (const node of made.cluster.nodes.keys()) expect(svg).toContain(`>kube-proxy ${node}<`);
    expect(svg).toContain("seconds since the deletion");
    expect(drawn.spec.description).toMatch(/How pod nginx-.* ends.*preStop.*Client: /);
    expect(drawn.text).toContain("deletionTimestamp set, grace period 30 s");
  });

  it("counts seconds from the deletion of the pods that are asked for, not of others before them", async () => {
    const { lifeline } = made;
    const ended = lifeline.pods.find(({ deleted }) => deleted !== undefined) as PodLife;
    const at = (ended.deleted ?? 0) + 5 * second;
    const moments = [{ at, actor: "pod", kind: "API", what: "deletionTimestamp set" }] as const;
    const later = { ...ended, pod: "default/later", deleted: at, spans: [], moments };
    const both = { ...lifeline, pods: [ended, later] };
    expect((await chart.lifeline(both)).text).toContain("later: 5 s deletionTimestamp set");
    const alone = await chart.lifeline(both, { pods: ["later"], from: -1, to: 1 });
    expect(alone.text).toContain("later: 0 s deletionTimestamp set");
    expect(JSON.stringify(alone.spec)).toContain("seconds since the deletion");
  });

  it("draws the deletion below what happens at the same moment", async () => {
    const { lifeline } = made;
    const ended = lifeline.pods.find(({ deleted }) => deleted !== undefined) as PodLife;
    const at = ended.deleted ?? 0;
    const moments = [
      { at, actor: "kubelet", kind: "hook", what: "preStop failed" },
      { at, actor: "kubelet", kind: "API", what: "hears that it is to end" },
    ] as const;
    const drawn = await chart.lifeline({ ...lifeline, pods: [{ ...ended, moments }] });
    const svg = String((await bundleOf(drawn))["image/svg+xml"]);
    const marks = [...svg.matchAll(/aria-label="[^"]*mark: ([^;"]+); who: kubelet/g)].map(([, mark]) => mark);
    expect(marks).toEqual(["deletion", "hook cut off or failed"]);
  });

  it("shows a part of the time when asked, and says what it cannot show", async () => {
    const { lifeline } = made;
    const part = await chart.lifeline(lifeline, { from: -0.5, to: 1 });
    expect(JSON.stringify(part.spec)).toContain('"domain":[-0.5,1]');
    await expect(chart.lifeline(lifeline, { pods: ["nope"] })).rejects.toThrow('"nope" is no pod of this record');
    await expect(chart.lifeline(lifeline, { from: 3, to: 1 })).rejects.toThrow("from 3 to 1 is no span of time");
    await expect(chart.lifeline({ ...lifeline, pods: [] })).rejects.toThrow("there is no pod to draw");
  });
});
