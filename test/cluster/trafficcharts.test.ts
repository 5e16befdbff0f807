/** Owns what the charts of traffic promise: every request counted once, failures told apart beyond their colour, the same bytes. */
import { describe, expect, it } from "vitest";
import { bundleOf } from "../../kernel-lib/cluster/display";
import type { FailureKind, TrafficOutcome, TrafficReport } from "../../kernel-lib/cluster/traffic";
import { checkTraffic } from "../../kernel-lib/cluster/traffic/options";
import { reportOf } from "../../kernel-lib/cluster/traffic/report";
import { failures, traffic } from "../../kernel-lib/cluster/trafficcharts";
import { second } from "../../kernel-lib/sim/clock";

/** Ten requests a second, all answered but those at these tenths of seconds. */
function aReport(failed: Readonly<Record<number, FailureKind>>, marks: readonly number[] = [2, 6]): TrafficReport {
  const checked = checkTraffic({ from: "pod/client", to: "http://web/", rate: 10, duration: "10s" });
  const outcomes = Array.from({ length: 100 }, (_, at): TrafficOutcome => {
    const result = failed[at] ?? "ok";
    const about = { during: "exchange", reused: false, attempts: 1, pod: `web-${at % 2}` } as const;
    return { number: at + 1, at: (at * second) / 10, took: 200 + at, result, ...about };
  });
  const named = marks.map((at, index) => ({ name: index === 0 ? "rollout" : "after", at: at * second }));
  return reportOf(checked, { began: 0, ended: 10 * second, outcomes, marks: named }, () => ({}));
}

const some = aReport({ 25: "refused", 26: "refused", 31: "timeout" });

describe("the report", () => {
  it("adds up, by kind, by pod and by phase", () => {
    expect(some).toMatchObject({ requests: 100, ok: 97, failed: 3, byKind: { refused: 2, timeout: 1 } });
    expect(some.byPod).toEqual({ "web-0": 49, "web-1": 48 });
    const phases = some.phases.map(({ name, requests, failed }) => [name, requests, failed]);
    expect(phases).toEqual([
      ["before", 20, 0],
      ["rollout", 40, 3],
      ["after", 40, 0],
    ]);
    expect(some.latency).toEqual({ p50: 251, p90: 290, p99: 299, max: 299 });
    expect(some.failures.map(({ number }) => number)).toEqual([26, 27, 32]);
  });

  it("has no first phase where the mark is the beginning, and none without a mark", () => {
    expect(aReport({}, [0, 5]).phases.map(({ name }) => name)).toEqual(["rollout", "after"]);
    expect(aReport({}, []).phases).toEqual([]);
  });
});

describe("the chart of traffic", () => {
  it("writes the names of marks beside one another, however near they are", async () => {
    const labels = async (marks: readonly number[]): Promise<readonly (readonly [unknown, unknown])[]> => {
      const { spec } = await traffic(aReport({}, marks));
      const [panel] = spec.vconcat as {
        layer: { mark: { type?: string; align?: string }; data: { values: { name: string }[] } }[];
      }[];
      const texts = panel?.layer.filter(({ mark }) => mark.type === "text") ?? [];
      return texts.flatMap(({ mark, data }) => data.values.map(({ name }) => [name, mark.align] as const));
    };
    expect(await labels([2, 6])).toEqual([
      ["rollout", "left"],
      ["after", "left"],
    ]);
    expect(await labels([2, 2.5])).toEqual([
      ["rollout", "right"],
      ["after", "left"],
    ]);
    // Where it would stick out on the left it stays.
    expect(await labels([0.1, 0.6])).toEqual([
      ["rollout", "left"],
      ["after", "left"],
    ]);
  });

  it("counts what was answered, puts each failure into the lane of its kind, and labels the marks", async () => {
    const { spec, text } = await traffic(some);
    const [answered, failed] = spec.vconcat as { layer: { data: { values: Record<string, unknown>[] } }[] }[];
    const bars = answered?.layer[0]?.data.values as { s: number; to: number; answered: number }[];
    const sum = bars.reduce((total, bar) => total + bar.answered * (bar.to - bar.s), 0);
    expect(sum).toBeCloseTo(97, 6);
    // Who answered, one above the other; each bar stands for equally many requests.
    const first = bars.filter(({ s }) => s === bars[0]?.s);
    expect(first).toEqual([
      { s: -2, to: -1.8, pod: "web-0", answered: 5, low: 0, high: 5 },
      { s: -2, to: -1.8, pod: "web-1", answered: 5, low: 5, high: 10 },
    ]);
    expect(failed?.layer[0]?.data.values.map(({ s, kind }) => [s, kind])).toEqual([
      [0.5, "refused"],
      [0.6, "refused"],
      [1.1, "timeout"],
    ]);
    const bundle = await bundleOf(await traffic(some));
    expect(Object.keys(bundle)).toEqual(["application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"]);
    const svg = String(bundle["image/svg+xml"]);
    for (const words of [">refused 2<", ">timeout 1<", ">rollout<", ">after<", ">web-0<", "seconds since rollout"]) {
      expect(svg).toContain(words);
    }
    expect(text).toContain("rollout: 40 requests, 3 failed: refused 2, timeout 1");
    expect(text).toContain("refused from 0.5 s to 0.6 s");
    expect(bundle).toEqual(await bundleOf(await traffic(some)));
  });

  it("says that no request failed", async () => {
    const { spec, text } = await traffic(aReport({}));
    expect((spec.vconcat as object[]).length).toBe(1);
    expect(text).toContain("100 requests: no request failed");
  });
});

describe("several runs side by side", () => {
  it("have a bar each with the counts by kind, also where nothing failed", async () => {
    const runs = { "no preStop": some, "grace too short": aReport({ 5: "reset" }), "full recipe": aReport({}) };
    const { spec, text } = await failures(runs);
    const [bars, words] = spec.layer as { data: { values: object[] } }[];
    expect(bars?.data.values).toMatchObject([
      { run: "no preStop", kind: "refused", count: 2 },
      { run: "no preStop", kind: "timeout", count: 1 },
      { run: "grace too short", kind: "reset", count: 1 },
    ]);
    expect(words?.data.values).toMatchObject([{ label: "refused 2, timeout 1" }, { label: "reset 1" }, { label: "0" }]);
    expect(text).toContain("full recipe: no request failed, of 100 requests");
    await expect(failures({})).rejects.toThrow("there is no run to draw");
  });
});
