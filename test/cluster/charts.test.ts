/** Owns what a chart promises: true counts, the expectation beside them, words for who does not see it, the same bytes each time. */
import { describe, expect, it } from "vitest";
import { distribution, order } from "../../kernel-lib/cluster/charts";
import { chiSquare } from "../../kernel-lib/cluster/chisquare";
import { bundleOf } from "../../kernel-lib/cluster/display";
import type { Outcome } from "../../kernel-lib/cluster/explain";
import { growth } from "../../kernel-lib/cluster/growth";
import type { Load } from "../../kernel-lib/cluster/load";
import { coloursOf } from "../../kernel-lib/cluster/palette";

function aLoad(picks: string): Load {
  const names = ["web-a", "web-b", "web-c"];
  const outcomes = [...picks].map((letter, at) => {
    const name = `pod/${names["abc".indexOf(letter)]}`;
    return { at, took: 1, result: letter === "x" ? ("refused" as const) : ("answered" as const), name };
  });
  const byPod: Record<string, number> = { "web-a": 0, "web-b": 0, "web-c": 0 };
  for (const { result, name } of outcomes) {
    const label = result === "answered" ? name.slice(4) : result;
    byPod[label] = (byPod[label] ?? 0) + 1;
  }
  const expected = names.map((name): Outcome => {
    const way = { why: "", netns: name, masqueraded: false, chosenBy: "", rules: [], hops: [] };
    const outcome = { probability: 1 / 3, end: "delivered", endpoint: "", name: `pod/${name}`, source: "" } as const;
    return { ...outcome, ...way, walked: { rules: 0, lookups: 0 } };
  });
  return {
    from: "pod/client",
    to: "svc/web:80",
    outcomes,
    byPod,
    expected,
    chiSquare: undefined,
    colours: coloursOf({}, Object.keys(byPod)),
  };
}

describe("the distribution chart", () => {
  it("draws each pod's count beside what was expected, failures among them", async () => {
    const { spec, text } = await distribution(aLoad("aabcaax"));
    const expected = 2.333;
    expect(spec.data).toEqual({
      values: [
        { pod: "web-a", requests: 4, expected },
        { pod: "web-b", requests: 1, expected },
        { pod: "web-c", requests: 1, expected },
        { pod: "refused", requests: 1, expected: 0 },
      ],
    });
    expect(text).toContain("web-a 4 (expected 2.3)");
  });

  it("shows as a spec, as an SVG with title and description, and as text; the same bytes each time", async () => {
    const bundle = await bundleOf(await distribution(aLoad("abc")));
    expect(Object.keys(bundle)).toEqual(["application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"]);
    expect(bundle["image/svg+xml"]).toMatch(/^<svg role="img".*<title>3 requests over 3 pods<\/title><desc>.*web-b 1/);
    expect(bundle).toEqual(await bundleOf(await distribution(aLoad("abc"))));
  });
});

describe("several loads side by side", () => {
  const loads = {
    random: aLoad("abacbbca"),
    "in turn": { ...aLoad("abcabcab"), chiSquare: chiSquare([3, 3, 2], [3, 3, 2]) },
  };

  it("have a panel each, whose words say which", async () => {
    const { spec, text } = await distribution(loads);
    const panels = spec.hconcat as {
      title: { text: string; subtitle: string };
      data: { values: { requests: number }[] };
    }[];
    expect(panels.map(({ title }) => title.text)).toEqual(["random", "in turn"]);
    expect(panels[1]?.title.subtitle).toBe("χ² = 0, p > 0.9999");
    expect(panels.map(({ data }) => data.values.map(({ requests }) => requests))).toEqual([
      [3, 3, 2],
      [3, 3, 2],
    ]);
    expect(text).toContain("in turn: web-a 3 (expected 2.7)");
    expect(spec.description).toContain("in turn: χ² = 0 with 2 degrees of freedom");
  });

  it("agree on the order of pods and on their colours, whichever each saw first", async () => {
    const turned = aLoad("cab");
    const { byPod, colours } = turned;
    const reversed = <T>(record: Readonly<Record<string, T>>) => Object.fromEntries(Object.entries(record).reverse());
    const less = { ...turned, byPod: { "web-c": 1, "web-b": 2 }, colours: coloursOf({}, ["web-c", "web-b"]) };
    const more = { ...turned, byPod: reversed(byPod), colours: reversed(colours) };
    for (const draw of [distribution, order]) {
      const { spec } = await draw({ one: turned, other: more, third: less });
      const scales = JSON.stringify(spec).match(/"domain":\["[^\]]*\],"range":\[[^\]]*\]/g) ?? [];
      expect(scales.length).toBe(3);
      expect(new Set(scales).size).toBe(1);
      expect(scales[0]).toContain('["web-a","web-b","web-c"]');
    }
  });

  it("have a strip each for the order, with one set of letters", async () => {
    const { spec, text } = await order(loads, { first: 6 });
    expect((spec.vconcat as object[]).length).toBe(2);
    expect(text).toContain("  random: ABACBB\n  in turn: ABCABC\n  A = web-a");
  });
});

describe("the chart of growth", () => {
  const curves = [
    {
      name: "iptables",
      points: [
        [1, 12],
        [100, 111],
        [10_000, 10_011],
      ] as const,
    },
    {
      name: "nftables",
      points: [
        [1, 9],
        [100, 9],
        [10_000, 9],
      ] as const,
    },
  ];
  const walked = { title: "counted", axis: "rules tested", curves };

  it("counts in powers on both axes, and says every value in words", async () => {
    const measured = { ...walked, title: "measured", axis: "µs", scale: "linear" as const };
    const { spec, text } = await growth("Rules as Services grow", [walked, measured], { of: "Services" });
    const [left, right] = spec.hconcat as { encoding: { x: { scale: object }; y: { scale: object } } }[];
    expect(left?.encoding.x.scale).toMatchObject({ type: "log" });
    expect(left?.encoding.y.scale).toEqual({ type: "log", domain: [1, 100_000] });
    expect(right?.encoding.y.scale).toEqual({ type: "linear" });
    expect(text).toContain("counted, iptables: 12 at 1, 111 at 100, 10,011 at 10,000");
    expect(spec.description).toContain("measured, nftables: 9 at 1");
  });

  it("refuses what has no place on such an axis", async () => {
    const zero = { ...walked, curves: [{ name: "none", points: [[1, 0]] as const }] };
    await expect(growth("x", [zero], { of: "Services" })).rejects.toThrow("[1, 0] has no place on a logarithmic axis");
    await expect(growth("x", [], { of: "Services" })).rejects.toThrow("there is no curve to draw");
    const empty = { ...walked, curves: [{ name: "none", points: [] }] };
    await expect(growth("x", [empty], { of: "Services" })).rejects.toThrow("none has no point");
  });
});

describe("the chart of the order", () => {
  it("keeps the order of the picks, in lanes and in words", async () => {
    const { spec, text } = await order(aLoad("abbcaab"), { first: 5 });
    expect((spec.data as { values: object[] }).values.map((value) => Object.values(value))).toEqual([
      [1, "web-a"],
      [2, "web-b"],
      [3, "web-b"],
      [4, "web-c"],
      [5, "web-a"],
    ]);
    expect(text).toContain("ABBCA\n  A = web-a, B = web-b, C = web-c");
  });
});

describe("the palette", () => {
  it("keeps a pod's colour while others come and go", () => {
    const store = {};
    const first = coloursOf(store, ["web-a", "web-b"]);
    const later = coloursOf(store, ["web-c", "web-b"]);
    expect(later["web-b"]).toBe(first["web-b"]);
    expect(new Set([...Object.values(first), later["web-c"]]).size).toBe(3);
  });
});
