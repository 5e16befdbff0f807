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

describe("a question that names nothing", () => {
  it.each([
    [{ from: "pod/nope", to: "svc/web:80" }, 'pods "nope" not found'],
    [{ from: "client", to: "svc/web:80" }, 'from: "client" is none of pod/[namespace/]name, node/name, workstation'],
    [{ from: "pod/client", to: "svc/nope:80" }, 'services "nope" not found'],
    [{ from: "pod/client", to: "web" }, 'to: "web" is none of'],
    [{ from: "pod/client", to: "web:80" }, "a Service is svc/web:80"],
    [{ from: "node/node-9", to: "svc/web:80" }, 'nodes "node-9" not found'],
  ])("%j says so", async (question, words) => {
    expect(() => cluster.explain(question)).toThrow(words);
    await expect(cluster.load({ ...question, requests: 1 })).rejects.toThrow(words);
  });

  it("a number of requests that is none", async () => {
    await expect(cluster.load({ ...web, requests: 0 })).rejects.toThrow("requests: 0 is no whole number");
  });
});
