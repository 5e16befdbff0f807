/** Measures the sizes that the design must carry: ten thousand pods to Ready, and Kubernetes' own published limits. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { Measurement } from "./main";

/** What is put on a cluster: so many Deployments of so many pods, each with a Service, spread over namespaces. */
interface Load {
  readonly nodes: number;
  readonly deployments: number;
  readonly replicas: number;
  readonly namespaces: number;
}

/** kwok's own gate for ten thousand pods is 60 s. */
const tenThousand: Load = { nodes: 100, deployments: 10, replicas: 1_000, namespaces: 1 };
/** kubernetes.io, "Considerations for large clusters", and SIG Scalability's thresholds: 10,000 Services. */
const limits: Load = { nodes: 5_000, deployments: 10_000, replicas: 15, namespaces: 50 };

/** How many nodes that nobody has looked at are asked for a way; each and those behind it then hold all rules. */
const asked = 1;
/** Seconds of the wall clock after which a cluster is given up, and between two lines on how far it is. */
const patience = Number(process.env.KUBEBOOK_BENCH_SECONDS ?? 1_200);
const linePeriod = 15;

interface Span {
  readonly wall: number;
  /** Seconds of processor time: what the wall clock would show on a machine that does nothing else. */
  readonly processor: number;
}

export async function benchScale(): Promise<readonly Measurement[]> {
  // The first run compiles what the engine must compile.
  await tenThousandPods();
  const small = await tenThousandPods();
  return [
    { name: "10,000 pods of Deployments to Ready, with slices", value: small.wall, unit: "s", aim: "≤ 2" },
    { name: "10,000 pods: processor time", value: small.processor, unit: "s" },
    ...(await publishedLimits()),
  ];
}

async function tenThousandPods(): Promise<Span> {
  const cluster = new Cluster({ nodes: tenThousand.nodes, lb: "none" });
  await cluster.start();
  return spanOf(() => put(cluster, tenThousand));
}

async function publishedLimits(): Promise<readonly Measurement[]> {
  const before = heap();
  let cluster: Cluster | undefined;
  const size = "5,000 nodes, 150,000 pods, 10,000 Services";
  const start = await spanOf(async () => {
    cluster = new Cluster({ nodes: limits.nodes, lb: "none" });
    await told(cluster, () => cluster?.start());
  });
  if (!cluster) throw new Error("there is no cluster");
  const made = cluster;
  let problem: string | undefined;
  const converge = await spanOf(async () => {
    await told(made, () => put(made, limits)).catch((error: Error) => {
      problem = error.message;
    });
  });
  if (problem !== undefined) return [{ name: `${size}: joined and converged`, unit: "s", skipped: problem }];
  const peak = process.memoryUsage().rss / 1e9;
  const held = (heap() - before) / 1e9;
  return [
    { name: "5,000 nodes join", value: start.wall, unit: "s" },
    { name: "5,000 nodes join: processor time", value: start.processor, unit: "s" },
    { name: `${size}: joined and converged`, value: start.wall + converge.wall, unit: "s", aim: "≤ 60" },
    { name: `${size}: processor time`, value: start.processor + converge.processor, unit: "s", aim: "≤ 60" },
    { name: `${size}: held`, value: held, unit: "GB", aim: "≤ 4" },
    { name: `${size}: resident at the end`, value: peak, unit: "GB" },
    { name: `${size}: events held`, value: made.store.count("Event"), unit: "events" },
    { name: `a node that nobody had looked at says the way to a Service`, value: askAround(made), unit: "ms" },
  ];
}

/** Tells on standard error how far a cluster is while `run` runs, and gives it up after `patience`. */
async function told(cluster: Cluster, run: () => Promise<void> | undefined): Promise<void> {
  const begun = performance.now();
  const seconds = (): number => Math.round((performance.now() - begun) / 1000);
  const counts = (): string => {
    const running = cluster.store.list("Pod").filter(({ status }) => status.phase === "Running").length;
    const [nodes, pods] = [cluster.store.count("Node"), cluster.store.count("Pod")];
    const { heapUsed } = process.memoryUsage();
    const { user } = process.cpuUsage();
    const used = `${(user / 1e6).toFixed(0)} s of processor time, ${(heapUsed / 1e9).toFixed(2)} GB`;
    return `${nodes} nodes, ${running} of ${pods} pods run; ${used}`;
  };
  let late: string | undefined;
  const timer = setInterval(() => {
    process.stderr.write(`scale       ${seconds()} s: ${counts()}\n`);
    if (seconds() < patience) return;
    late = `given up after ${seconds()} s: ${counts()}`;
    cluster.driver.interrupt();
  }, linePeriod * 1000);
  try {
    await run();
  } catch (error) {
    throw late === undefined ? error : new Error(late);
  } finally {
    clearInterval(timer);
  }
}

/** Puts a load on a cluster and lets it come to rest. */
async function put({ api, store, driver }: Cluster, load: Load): Promise<void> {
  const { deployments, replicas, namespaces } = load;
  const there = store.count("Pod");
  const by = { by: "bench" };
  const spaceOf = (at: number): string => (namespaces === 1 ? "default" : `load-${at % namespaces}`);
  if (namespaces > 1) {
    for (let at = 0; at < namespaces; at++) api.create("Namespace", { metadata: { name: spaceOf(at) } }, by);
    await driver.settle();
  }
  for (let at = 0; at < deployments; at++) {
    const metadata = { name: `web-${at}`, namespace: spaceOf(at) };
    const labels = { app: metadata.name };
    api.create("Service", { metadata, spec: { selector: labels, ports: [{ port: 80 }] } }, by);
    const containers = [{ name: "nginx", image: "nginx:1.29", ports: [{ containerPort: 80 }] }];
    const spec = {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    };
    api.create("Deployment", { metadata, spec }, by);
  }
  await driver.settle();
  const isReady = store.list("Pod").filter(({ status }) => {
    return status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
  });
  const wanted = there + deployments * replicas;
  if (isReady.length !== wanted) throw new Error(`${isReady.length} of ${wanted} pods are ready`);
  let endpoints = 0;
  for (const slice of store.list("EndpointSlice")) {
    if (slice.metadata.labels?.["kubernetes.io/service-name"]?.startsWith("web-")) endpoints += slice.endpoints.length;
  }
  if (endpoints !== deployments * replicas) throw new Error(`${endpoints} endpoints are in slices`);
}

/** Milliseconds that one question takes on a node where nothing was made yet. */
function askAround(cluster: Cluster): number {
  const begun = performance.now();
  for (let at = 1; at <= asked; at++) {
    const node = `node-${at * Math.floor(limits.nodes / (asked + 1))}`;
    const { outcomes } = cluster.explain({
      from: `node/${node}`,
      to: `svc/load-${at % limits.namespaces}/web-${at}:80`,
    });
    if (outcomes.length !== limits.replicas) throw new Error(`${node} knows ${outcomes.length} endpoints`);
  }
  return (performance.now() - begun) / asked;
}

async function spanOf(run: () => Promise<void>): Promise<Span> {
  const [wall, used] = [performance.now(), process.cpuUsage()];
  await run();
  const { user, system } = process.cpuUsage(used);
  return { wall: (performance.now() - wall) / 1000, processor: (user + system) / 1e6 };
}

/** Octets in use, without what nobody holds any more. */
function heap(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}
