/** Owns what the charts of a way promise: a lane for each place, a mark for each thing that happened, and words; bars of plain rows. */
import { describe, expect, it } from "vitest";
import { bars } from "../../kernel-lib/cluster/bars";
import { bundleOf } from "../../kernel-lib/cluster/display";
import { timeline } from "../../kernel-lib/cluster/timeline";
import { withPods } from "./withpods";

type Value = { readonly time: number; readonly place: string; readonly mark: string; readonly way: string };

describe("the timeline of a trace", () => {
  it("has a mark for each send, receive, NAT and tunnel, in the lane of its place, at its time", async () => {
    const cluster = await withPods({ seed: 5 });
    const trace = await cluster.trace({ from: "pod/client", to: "svc/web:80" });
    const { spec, text } = await timeline(trace);
    const { values } = spec.data as { readonly values: readonly Value[] };
    expect([...new Set(values.map(({ place }) => place))]).toEqual(["client", "node-1", "node-2", "web-1"]);
    const nat = trace.steps.filter(({ kind }) => kind === "nat");
    expect(values.filter(({ mark }) => mark === "NAT").map(({ time }) => time)).toEqual(nat.map(({ time }) => time));
    expect(values.filter(({ mark, way }) => mark === "tunnel" && way === "out").map(({ place }) => place)).toEqual([
      "node-1",
      "node-2",
    ]);
    expect(values.filter(({ mark }) => mark === "arrives")).toHaveLength(2);
    expect(text).toMatch(/client: goes out\n {2}.* node-1: comes in, NAT, goes out, tunnel\n/);
  });

  it("shows as a spec, as an SVG with its story, and as text; the same bytes each time", async () => {
    const cluster = await withPods({ seed: 5 });
    const trace = await cluster.trace({ from: "pod/client", to: "pod/web-1", protocol: "icmp" });
    const bundle = await bundleOf(await timeline(trace));
    expect(Object.keys(bundle)).toEqual(["application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"]);
    expect(bundle["image/svg+xml"]).toMatch(/<title>pod\/client → pod\/web-1 over time<\/title><desc>.*node-2/);
    expect(bundle).toEqual(await bundleOf(await timeline(trace)));
  });
});

describe("bars of plain rows", () => {
  const rows = [
    { design: "vxlan", hops: 6, octets: 90 },
    { design: "host-gw", hops: 4, octets: 40 },
  ];

  it("have a panel for each measure with its unit, and say all numbers in words", async () => {
    const measures = [
      { field: "hops", title: "hops" },
      { field: "octets", title: "octets of headers" },
    ];
    const { spec, text } = await bars("Hops per design", rows, { measures });
    expect(spec.hconcat).toHaveLength(2);
    expect(text).toBe(
      "Hops per design\n  vxlan: 6 hops, 90 octets of headers\n  host-gw: 4 hops, 40 octets of headers",
    );
    expect(spec.description).toContain("host-gw: 4 hops, 40 octets of headers");
    const svg = (await bundleOf(await bars("Hops per design", rows)))["image/svg+xml"];
    expect(svg).toMatch(/<title>Hops per design<\/title><desc>Hops per design: vxlan: 6 hops, 90 octets/);
  });

  it("say which row lacks what", async () => {
    await expect(bars("x", [])).rejects.toThrow("bars: there is no row to draw");
    await expect(bars("x", [...rows, { design: "vpc", hops: 4 }])).rejects.toThrow(
      'bars: a row has no "octets": {"design":"vpc","hops":4}',
    );
  });
});
