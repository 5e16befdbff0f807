/** Owns what asking the cluster promises: `explain` adds up and agrees with what happens; a wrong question says which word is wrong. */
import { beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { bundleOf } from "../../kernel-lib/cluster/display";

let cluster: Cluster;

beforeAll(async () => {
  cluster = new Cluster({ seed: 3 });
  await cluster.start();
  const lines = `
kubectl create deployment web --image=nginx --replicas=3
kubectl expose deployment web --port=80
kubectl create service clusterip empty --tcp=80
kubectl run client --image=busybox -- sleep 1d
kubectl wait --for=condition=Ready pod --all --timeout=60s`;
  let printed = "";
  const code = await cluster.session().type(lines, (_stream, text) => {
    printed += text;
  });
  expect(code, printed).toBe(0);
});

const web = { from: "pod/client", to: "svc/web:80" };

describe("explain", () => {
  it("gives every ready pod its share, with the source kept, and the shares add up to one", () => {
    const { outcomes } = cluster.explain(web);
    expect(outcomes.map(({ end }) => end)).toEqual(["delivered", "delivered", "delivered"]);
    for (const { probability } of outcomes) expect(probability).toBeCloseTo(1 / 3, 9);
    expect(outcomes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
    expect(new Set(outcomes.map(({ source }) => source))).toEqual(new Set([cluster.podIp("client")]));
    expect(new Set(outcomes.map(({ name }) => name)).size).toBe(3);
  });

  it("moves nothing: the same dice fall after it as without it", async () => {
    const twin = async (asks: number): Promise<Readonly<Record<string, number>>> => {
      const other = new Cluster({ seed: 3 });
      await other.start();
      for (let i = 0; i < asks; i++) other.explain({ from: "node/node-1", to: "svc/kube-system/kube-dns:53" });
      return (await other.load({ from: "node/node-1", to: "svc/kube-system/kube-dns:9153", requests: 20 })).byPod;
    };
    expect(await twin(5)).toEqual(await twin(0));
  });

  it("tells a Service without endpoints as rejected", () => {
    expect(cluster.explain({ from: "pod/client", to: "svc/empty:80" }).outcomes).toMatchObject([
      { probability: 1, end: "rejected" },
    ]);
  });
});

describe("load", () => {
  it("counts every request once, and stays near what explain expects", async () => {
    const load = await cluster.load({ ...web, requests: 600 });
    expect(load.outcomes.length).toBe(600);
    expect(load.outcomes.every(({ result, status }) => result === "answered" && status === 200)).toBe(true);
    const counts = Object.values(load.byPod);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(600);
    // Chi-square with 2 degrees of freedom: beyond 18.4 in one run of 10,000, and this run is always the same one.
    const chiSquare = counts.reduce((sum, count) => sum + (count - 200) ** 2 / 200, 0);
    expect(counts.length).toBe(3);
    expect(chiSquare).toBeLessThan(18.4);
    for (let at = 1; at < load.outcomes.length; at++) {
      const before = load.outcomes[at - 1];
      expect(load.outcomes[at]?.at).toBeGreaterThanOrEqual((before?.at ?? 0) + (before?.took ?? 0));
    }
  });

  it("counts refusals under their word", async () => {
    const load = await cluster.load({ from: "pod/client", to: "svc/empty:80", requests: 3 });
    expect(load.byPod).toEqual({ refused: 3 });
    expect((await bundleOf(load))["text/plain"]).toContain("refused");
  });
});

describe("load at flow level", () => {
  it("spreads thousands of connections as the rules say, in no time", async () => {
    const before = cluster.now;
    const load = await cluster.load({ ...web, connections: 5_000 });
    expect(cluster.now).toBe(before);
    expect(load.outcomes.length).toBe(5_000);
    expect(
      load.outcomes.every(({ result, source }) => result === "answered" && source === cluster.podIp("client")),
    ).toBe(true);
    expect(Object.keys(load.byPod).length).toBe(3);
    expect(load.chiSquare?.degrees).toBe(2);
    expect(load.chiSquare?.p).toBeGreaterThan(0.0001);
    expect(load.walked?.rules).toBeGreaterThan(10);
    expect((await bundleOf(load))["text/plain"]).toMatch(
      /5,000 connections from .* · χ² = .* with 2 degrees of freedom/,
    );
  });

  it("keeps what comes from one UDP port at one pod, and lets several clients take turns", async () => {
    const dns = { to: "svc/kube-system/kube-dns:53", protocol: "udp" } as const;
    const pinned = await cluster.load({ ...dns, from: "pod/client", connections: 50, sourcePorts: [5353] });
    expect(Object.values(pinned.byPod).sort((one, other) => one - other)).toEqual([0, 50]);
    expect(pinned.chiSquare?.p).toBeLessThan(1e-9);
    const free = await cluster.load({ ...dns, from: ["pod/client", "node/node-1", "node/node-2"], connections: 90 });
    expect(Math.min(...Object.values(free.byPod))).toBeGreaterThan(20);
    expect(new Set(free.outcomes.map(({ source }) => source)).size).toBeGreaterThan(1);
    expect(free.expected.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
  });

  it("counts a Service without endpoints as refused, and one kept open until its end as open", async () => {
    expect((await cluster.load({ from: "pod/client", to: "svc/empty:80", connections: 5 })).byPod).toEqual({
      refused: 5,
    });
    const node = cluster.nodes.get(cluster.store.get("Pod", "default/client")?.spec.nodeName ?? "")?.net.netns;
    node?.conntrack.delete(() => true);
    await cluster.load({ ...web, connections: 10, open: true });
    expect(node?.conntrack.list().filter(({ tcp }) => tcp === "TIME_WAIT").length).toBe(10);
  });
});

describe("keep-alive", () => {
  it("pins all requests of a client to the pod that its connection went to", async () => {
    const load = await cluster.load({ ...web, requests: 40, keepAlive: true });
    expect(load.outcomes.map(({ result, status }) => `${result} ${status}`)).toEqual(Array(40).fill("answered 200"));
    expect(Object.values(load.byPod).sort((one, other) => one - other)).toEqual([0, 0, 40]);
    expect(load.chiSquare?.p).toBeLessThan(1e-9);
  });

  it("says that nobody listens, once a request", async () => {
    const load = await cluster.load({ from: "pod/client", to: "svc/empty:80", requests: 3, keepAlive: true });
    expect(load.byPod).toEqual({ refused: 3 });
  });
});

describe("who answered", () => {
  it.each(["nftables", "ipvs", "userspace"] as const)(
    "is a pod's name in %s mode too, however it was asked",
    async (mode) => {
      const other = new Cluster({ seed: 3, mode });
      await other.start();
      const lines = `
kubectl create deployment web --image=nginx --replicas=3
kubectl expose deployment web --port=80
kubectl wait --for=condition=Available deployment/web`;
      await other.session().type(lines, () => {});
      const question = { from: "node/node-1", to: "svc/web:80" };
      const kinds = [{ requests: 30 }, { connections: 30 }, { requests: 3, keepAlive: true }];
      for (const kind of kinds) {
        const load = await other.load({ ...question, ...kind });
        expect(Object.keys(load.byPod).filter((name) => !/^web-[0-9a-z]+-[0-9a-z]{5}$/.test(name))).toEqual([]);
        expect(Object.keys(load.byPod).length).toBe(3);
        const even = mode !== "nftables" && !kind.keepAlive;
        if (even) expect(Object.values(load.byPod)).toEqual([10, 10, 10]);
        if (kind.keepAlive) expect(Math.max(...Object.values(load.byPod))).toBe(3);
      }
    },
  );
});

describe("a question that names nothing", () => {
  it.each([
    [{ from: "pod/nope", to: "svc/web:80" }, 'pods "nope" not found'],
    [{ from: "laptop", to: "svc/web:80" }, 'from: "laptop" is none of pod/[namespace/]name, node/name, workstation'],
    [{ from: "pod/client", to: "svc/nope:80" }, 'services "nope" not found'],
    [{ from: "pod/client", to: "web" }, 'to: "web" is none of'],
    [{ from: "pod/client", to: "web:80" }, "a Service is svc/web:80"],
    [{ from: "node/node-9", to: "svc/web:80" }, 'nodes "node-9" not found'],
  ])("%j says so", async (question, words) => {
    expect(() => cluster.explain(question)).toThrow(words);
    await expect(cluster.load({ ...question, requests: 1 })).rejects.toThrow(words);
  });

  it.each([
    [{ requests: 5, connections: 5 }, "say either requests"],
    [{}, "say either requests"],
    [{ connections: 0.5 }, "connections: 0.5 is no whole number"],
    [{ requests: 5, protocol: "udp" as const }, "make connections to speak udp"],
    [{ requests: 5, open: true }, "open: an option of connections"],
    [{ connections: 5, keepAlive: true }, "keepAlive: an option of requests"],
    [{ connections: 5, sourcePorts: [70_000] }, "sourcePorts: 70000 is no port"],
  ])("%j says which option is wrong", async (options, words) => {
    await expect(cluster.load({ ...web, ...options })).rejects.toThrow(words);
  });

  it("a number of requests that is none", async () => {
    await expect(cluster.load({ ...web, requests: 0 })).rejects.toThrow("requests: 0 is no whole number");
  });
});
