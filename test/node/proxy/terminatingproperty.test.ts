/**
 * Judges a rollout under traffic from every node, for some seeds of each mode: after a node's proxy has learnt of an
 * endpoint's end no new connection from that node reaches it, unless only ending endpoints remain.
 */
import { describe, expect, it } from "vitest";
import { Cluster } from "../../../kernel-lib/cluster/cluster";
import { type LifeEvent, lifeWord } from "../../../kernel-lib/node/lifeevents";
import type { ModeName } from "../../../kernel-lib/node/proxy/mode";
import type { Time } from "../../../kernel-lib/sim/clock";

const service = "default/web";
const clients = ["c1", "c2", "c3"] as const;

const manifests = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 4
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: web, image: nginx, lifecycle: { preStop: { sleep: { seconds: 4 } } } }] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, clusterIP: 10.96.0.77, ports: [{ port: 80 }] }
${clients
  .map(
    (name) => `---
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec: { nodeName: node-${name.slice(1)}, containers: [{ name: it, image: curlimages/curl, command: [sleep, 1d] }] }
`,
  )
  .join("")}`;

/** What slices said of endpoints, and what each node's proxy knew of it. */
class Record {
  /** When a pod was first no ready endpoint any more because it ends, by its name. */
  readonly ended = new Map<string, Time>();
  /** Whether some endpoint was ready, from each moment on. */
  readonly ready: { readonly at: Time; readonly any: boolean }[] = [];
  /** By node: when its rules changed, and of which moment they are. */
  readonly rules = new Map<string, { readonly at: Time; readonly asOf: Time }[]>();

  constructor(cluster: Cluster) {
    cluster.store.follow("EndpointSlice", ({ object, type }) => {
      if (object.metadata.labels?.["kubernetes.io/service-name"] !== "web") return;
      const endpoints = type === "DELETED" ? [] : object.endpoints;
      this.ready.push({ at: cluster.now, any: endpoints.some(({ conditions }) => conditions?.ready) });
      for (const { conditions, targetRef } of endpoints) {
        const name = targetRef?.name ?? "";
        if (conditions?.terminating && !this.ended.has(name)) this.ended.set(name, cluster.now);
        if (!conditions?.terminating && this.ended.has(name)) throw new Error(`${name} came back from its end`);
      }
    });
    cluster.sim.journal.follow(({ at, what, detail }) => {
      const event = detail as LifeEvent;
      if (what !== lifeWord || event.of !== "proxy") return;
      const asOf = event.asOf[service];
      if (asOf !== undefined) this.rules.set(event.node, [...(this.rules.get(event.node) ?? []), { at, asOf }]);
    });
  }

  /** When a node's rules first had a pod's end. */
  learnt(node: string, pod: string): Time | undefined {
    const ended = this.ended.get(pod);
    return ended === undefined ? undefined : this.rules.get(node)?.find(({ asOf }) => asOf >= ended)?.at;
  }
}

async function rollout(mode: ModeName, seed: number): Promise<{ readonly late: string[]; readonly windows: number[] }> {
  const cluster = new Cluster({ mode, seed, nodes: 3, lb: "none" });
  await cluster.start();
  cluster.prompt.files.write(`${cluster.prompt.folder}/all.yaml`, manifests);
  const type = (line: string): Promise<number> => cluster.session().type(line, () => {});
  await type("kubectl apply -f all.yaml");
  await cluster.advance("60s");
  const record = new Record(cluster);
  const traffics = clients.map((name) =>
    cluster.traffic({ from: `pod/${name}`, to: "http://10.96.0.77/", rate: 25, duration: "14s", timeout: "2s" }),
  );
  await cluster.advance("2s");
  await type("kubectl rollout restart deployment web");
  const late: string[] = [];
  const windows: number[] = [];
  for (const [at, traffic] of traffics.entries()) {
    const node = `node-${at + 1}`;
    const { outcomes } = await traffic.finished();
    for (const { pod = "", at: begun } of outcomes) {
      const learnt = record.learnt(node, pod);
      if (learnt === undefined) continue;
      if (begun > learnt && record.ready.every((one) => one.any)) late.push(`${begun} ${node} ${pod} (${learnt})`);
      if (begun > (record.ended.get(pod) ?? 0)) windows.push(begun);
    }
  }
  expect(record.ended.size).toBe(4);
  return { late, windows };
}

describe.each(["iptables", "nftables", "ipvs"] as const)("%s", (mode) => {
  it("no new connection reaches a pod after the node's proxy has learnt of its end", async () => {
    let between = 0;
    for (const seed of [1, 2]) {
      const { late, windows } = await rollout(mode, seed);
      expect(late, `seed ${seed}`).toEqual([]);
      between += windows.length;
    }
    // Before it has learnt they do: else nothing was judged.
    expect(between).toBeGreaterThan(0);
  }, 120_000);
});
