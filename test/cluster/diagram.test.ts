/** Owns what the picture of a way promises: every hop once, NAT where it happened, nothing on top of one another, the same bytes. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../kernel-lib/cluster/cluster";
import { drawTrace } from "../../kernel-lib/cluster/diagram";
import { bundleOf } from "../../kernel-lib/cluster/display";
import { type Drawing, svgOfDrawing, wrap } from "../../kernel-lib/cluster/drawing";
import type { Trace, TraceQuestion } from "../../kernel-lib/cluster/trace";
import { clashes, namesIn } from "./pictures";
import { designs, withPods } from "./withpods";

const words = { caption: "from → to", subtitle: "answered", description: "in words" };

function drawn(trace: Trace): Drawing {
  return drawTrace(trace, words);
}

const questions: readonly TraceQuestion[] = [
  { from: "pod/client", to: "svc/web:80" },
  { from: "pod/client", to: "pod/web-1:80" },
  { from: "pod/client", to: "pod/web-1", protocol: "icmp" },
  { from: "pod/web-1", to: "svc/kube-system/kube-dns:53", protocol: "udp" },
  { from: "pod/web-1", to: "svc/web:80" },
  { from: "workstation", to: "node/node-3:30080" },
  { from: "pod/client", to: "workstation", protocol: "icmp" },
  { from: "node/node-1", to: "pod/client", protocol: "icmp" },
  { from: "pod/client", to: "svc/nobody:80" },
];

describe.each(designs)("the picture of a way in design %s", (cni) => {
  const traces: Trace[] = [];
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await withPods({ seed: 5, cni });
    for (const question of questions) traces.push(await cluster.trace(question));
  });

  it("numbers every hop once, and has one card for each", () => {
    for (const trace of traces) {
      const numbers = trace.hops.map(({ number }) => number);
      expect(numbers).toEqual(numbers.map((_, at) => at + 1));
      expect(numbers.length, `${trace.from} → ${trace.to}`).toBeGreaterThan(1);
      const cards = namesIn(drawn(trace).marks).filter((name) => name.startsWith("card "));
      expect(new Set(cards)).toEqual(new Set(numbers.map((number) => `card ${number}`)));
      expect(cards).toHaveLength(numbers.length);
    }
  });

  it("marks NAT where, and only where, a hop changed an address", () => {
    for (const trace of traces) {
      const changed = trace.hops.filter(({ kind, before, after }) => {
        const same = before.source === after.source && before.target === after.target;
        return kind !== "tunnel" && !same;
      });
      const marked = new Set(namesIn(drawn(trace).marks).filter((name) => name.startsWith("nat ")));
      expect(marked, `${trace.from} → ${trace.to}`).toEqual(new Set(changed.map(({ number }) => `nat ${number}`)));
    }
    expect(traces[0]?.hops.some(({ changes }) => changes.some(({ kind }) => kind === "dnat"))).toBe(true);
  });

  it("lets no text lie on another or hang out", () => {
    for (const trace of traces) expect(clashes(drawn(trace)), `${trace.from} → ${trace.to}`).toEqual([]);
  });

  it("has at most a dozen places", () => {
    for (const trace of traces) {
      const places = namesIn(drawn(trace).marks).filter((name) =>
        /^(pod|bridge|tunnel|host|router|workstation) /.test(name),
      );
      expect(places.length).toBeLessThanOrEqual(12);
    }
  });
});

describe("a way that ends early", () => {
  it("ends in red at the tunnel that does not know where to", async () => {
    const cluster = await withPods({ seed: 5 });
    const { link } = cluster.node("node-1").net.netns.device("flannel.1");
    if (link.type !== "vxlan") throw new Error("flannel.1 is no tunnel");
    for (const [mac] of [...link.fdb]) link.fdb.delete(mac);
    const trace = await cluster.trace({ from: "pod/client", to: "pod/web-1:80" });
    expect(trace.hops.map(({ where, device }) => `${where} ${device}`)).toEqual([
      "pod/client eth0",
      "node/node-1 cni0",
      "node/node-1 flannel.1",
    ]);
    expect(trace.hops.at(-1)?.end).toEqual({
      fate: "drop",
      why: expect.stringMatching(/^flannel\.1: no FDB entry for [0-9a-f:]{17}$/),
    });
    expect(svgOfDrawing(drawn(trace))).toContain("✕ flannel.1: no FDB");
  });

  it("shows what a wire lost behind the hop that sent it, and that nobody answered", async () => {
    const cluster = await withPods({ seed: 5 });
    const lan = cluster.network.segments.get("lan");
    if (!lan) throw new Error("there is no lan");
    await cluster.trace({ from: "pod/client", to: "pod/web-1:80" });
    lan.loss = 1;
    const trace = await cluster.trace({ from: "pod/client", to: "pod/web-1:53", protocol: "udp" });
    expect(trace.outcome.result).toBe("timeout");
    const { device, end } = trace.hops.at(-1) ?? {};
    expect({ device, fate: end?.fate }).toEqual({ device: "flannel.1", fate: "lost" });
    const text = String((await bundleOf(trace))["text/plain"]);
    expect(text).toContain("no answer");
  });
});

describe("the SVG", () => {
  it("is one with a role, a title and its story in words, text as text, and the same bytes for the same seed", async () => {
    const once = async (): Promise<string> => {
      const cluster = await withPods({ seed: 7 });
      return String((await bundleOf(await cluster.trace({ from: "pod/client", to: "svc/web:80" })))["image/svg+xml"]);
    };
    const svg = await once();
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" role="img" viewBox/);
    expect(svg).toMatch(/<title>pod\/client → svc\/web:80<\/title><desc>From pod\/client to svc\/web:80: answered/);
    expect(svg).toMatch(/<desc>[^<]*1, going, pod\/client eth0: .*destination .* → /);
    expect(svg).not.toMatch(/<path|<script|foreignObject|#fff"/);
    expect(await once()).toBe(svg);
  });
});

describe("the HTML", () => {
  it("holds the same picture, with words for who does not see it, and every step folded under it", async () => {
    const cluster = await withPods({ seed: 7 });
    const trace = await cluster.trace({ from: "pod/client", to: "svc/web:80" });
    const bundle = await bundleOf(trace);
    const html = String(bundle["text/html"]);
    const [, alternative, data = ""] =
      /<img alt="([^"]*)" style="[^"]*" src="data:image\/svg\+xml,([^"]*)">/.exec(html) ?? [];
    expect(alternative).toMatch(/^From pod\/client to svc\/web:80: answered/);
    expect(decodeURIComponent(data)).toBe(bundle["image/svg+xml"]);
    expect(html.match(/<details><summary>/g)).toHaveLength(2);
    expect(html).toContain("-j DNAT --to-destination");
  });
});

describe("wrapped text", () => {
  it("breaks at blanks, or where there is none inside a word, and says where it was cut", () => {
    expect(wrap("one two three", 45, 10)).toEqual(["one two", "three"]);
    expect(wrap("KUBE-SEP-TIQJFJVSHRJZTTZW", 90, 10).join("")).toBe("KUBE-SEP-TIQJFJVSHRJZTTZW");
    expect(wrap("one two three four five", 45, 10, 2).at(-1)).toMatch(/…$/);
  });
});
