/** Owns one run: a seed's cluster, its traffic with a change in the middle, and what it came to. */
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { TrafficOptions, TrafficReport } from "../../kernel-lib/cluster/traffic";
import { millisecond, second } from "../../kernel-lib/sim/clock";
import { type Ending, endingsOf } from "./endings";
import { type Ends, judgeConnections, judgeSignals, judgeStrategy, judgeTold } from "./judge";
import { imageOf, manifestsOf, nodePort } from "./manifests";
import { Record } from "./record";
import { type Choice, type Situation, situationOf } from "./situation";

/** What one run came to: plain data, it goes from process to process. */
export interface Verdict {
  readonly situation: Situation;
  readonly requests: number;
  readonly failed: number;
  readonly byKind: TrafficReport["byKind"];
  readonly firstFailure: string | undefined;
  /** Statements that did not hold. */
  readonly broken: readonly string[];
  /** How many ends were judged, and how many connections came before the proxies knew. */
  readonly ends: number;
  readonly between: number;
}

const waitForAddress = "kubectl wait --for=jsonpath='{.status.loadBalancer.ingress}' service/web --timeout=90s";

/** @throws Error if the cluster could not be brought to where the run begins */
export async function runSeed(seed: number, choice: Choice = {}): Promise<Verdict> {
  const situation = situationOf(seed, choice);
  const { mode, cni, propagation, clientNode, way, changeAfter } = situation;
  const lb = way === "balancer" || way === "local" ? "cloud" : "none";
  const endings = endingsOf(seed, clientNode);
  const cluster = new Cluster({ seed, mode, cni, propagation, lb });
  await cluster.start();
  cluster.prompt.files.write(`${cluster.prompt.folder}/all.yaml`, manifestsOf(situation, endings));
  await type(cluster, "kubectl apply -f all.yaml");
  await type(cluster, "kubectl rollout status deployment/web --timeout=120s");
  await type(cluster, "kubectl wait --for=condition=Ready pod --all --timeout=60s");
  if (lb === "cloud") await type(cluster, waitForAddress);
  // Load balancers and slow proxies know of the pods too.
  await cluster.advance("10s");
  const record = new Record(cluster);
  const traffic = cluster.traffic(trafficOf(cluster, situation));
  for (const { name, asked, deleteAfter } of endings) {
    const options = asked === undefined ? {} : { grace: asked };
    cluster.sim.clock.after(deleteAfter, () => cluster.api.delete("Pod", "default", name, options), "background");
  }
  await cluster.advance(changeAfter / 1000);
  traffic.mark("change");
  const broken = [...(await change(cluster, situation))];
  if (!traffic.over) traffic.mark("after");
  const report = await traffic.finished();
  return judged(situation, record, report, endings, broken);
}

function judged(
  situation: Situation,
  record: Record,
  report: TrafficReport,
  endings: readonly Ending[],
  broken: string[],
): Verdict {
  const told = Math.max(...((situation.propagation.kubelet ?? "").match(/\d+/g)?.map(Number) ?? [0])) * millisecond;
  let ends = 0;
  for (const end of record.ends.values()) {
    // Those that were told to end too late to have ended.
    if (end.ended === undefined && end.deleted + end.grace + 3 * second > report.ended) continue;
    const ending = endings.find(({ name }) => name === end.pod);
    broken.push(...judgeTold(end, told), ...judgeSignals(end, ending ?? webEnds(situation)));
    ends++;
  }
  for (const { name } of endings) if (!record.ends.has(name)) broken.push(`${name} was never deleted`);
  const connections = judgeConnections(situation, record, report);
  if (situation.mode !== "userspace") broken.push(...connections.wrong);
  broken.push(...record.returned, ...judgeStrategy(situation, record));
  const { requests, failed, byKind, failures, began } = report;
  const [first] = failures;
  const firstFailure =
    first &&
    `request ${first.number} at ${(first.at - began) / second} s to ${first.pod ?? "nobody"}: ${first.message ?? first.result}`;
  return { situation, requests, failed, byKind, firstFailure, broken, ends, between: connections.between };
}

/** How the pods of the Deployment are to end. */
function webEnds({ preStop, server }: Situation): Ends {
  const hook = preStop ?? ({ kind: "none", seconds: 0 } as const);
  return { hook, signal: server === "nginx" ? "SIGQUIT" : "SIGTERM", answer: undefined };
}

const addresses: Readonly<{ [node: string]: string }> = {
  "node-1": "192.168.1.11",
  "node-2": "192.168.1.12",
  "node-3": "192.168.1.13",
};

export function trafficOf(cluster: Cluster, { way, clientNode, connections, retries }: Situation): TrafficOptions {
  const load = {
    rate: 50,
    duration: "60s",
    timeout: "8s",
    retries,
    keepAlive: connections > 0 && { connections },
  } as const;
  switch (way) {
    case "pod":
      return { from: "pod/client", to: "svc/web", ...load };
    case "node":
      return { from: `node/${clientNode}`, to: "svc/web", ...load };
    case "nodeport":
      return { from: "workstation", to: `http://${addresses[clientNode]}:${nodePort}/`, ...load };
    default: {
      const ip = cluster.store.get("Service", "default/web")?.status.loadBalancer?.ingress?.[0]?.ip;
      if (ip === undefined) throw new Error("the Service has no load balancer");
      return { from: "client", to: `http://${ip}/`, ...load };
    }
  }
}

/** Does it, and waits until it is through; gives what went wrong. */
export async function change(cluster: Cluster, situation: Situation): Promise<readonly string[]> {
  const lines: { readonly [what in Situation["change"]]: readonly string[] } = {
    restart: ["kubectl rollout restart deployment/web"],
    image: [`kubectl set image deployment/web web=${imageOf(situation, true)}`],
    scale: [`kubectl scale deployment/web --replicas=${situation.scaleTo}`],
    drain: [`kubectl drain ${situation.drained} --ignore-daemonsets --timeout=50s`],
  };
  for (const line of [...lines[situation.change], "kubectl rollout status deployment/web --timeout=50s"]) {
    const { exitCode, said } = await typed(cluster, line);
    if (exitCode !== 0) return [`${line}: exit code ${exitCode}: ${said.trim().split("\n").at(-1)}`];
  }
  return [];
}

async function type(cluster: Cluster, line: string): Promise<void> {
  const { exitCode, said } = await typed(cluster, line);
  if (exitCode !== 0) throw new Error(`${line}: exit code ${exitCode}\n${said}`);
}

async function typed(cluster: Cluster, line: string): Promise<{ readonly exitCode: number; readonly said: string }> {
  let said = "";
  const exitCode = await cluster.session().type(line, (_, part) => {
    said += part;
  });
  return { exitCode, said };
}
