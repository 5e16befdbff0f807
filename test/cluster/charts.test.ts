/** Owns what a chart promises: true counts, the expectation beside them, words for who does not see it, the same bytes each time. */
import { describe, expect, it } from "vitest";
import { distribution, order } from "../../kernel-lib/cluster/charts";
import { bundleOf } from "../../kernel-lib/cluster/display";
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
  const expected = names.map((name) => {
    return { probability: 1 / 3, end: "delivered" as const, endpoint: "", name: `pod/${name}`, source: "", rules: [] };
  });
  return {
    from: "pod/client",
    to: "svc/web:80",
    outcomes,
    byPod,
    expected,
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
