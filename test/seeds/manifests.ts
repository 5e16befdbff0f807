/** Owns the objects of a run: the Deployment with its recipe, its Service, the client, and some pods that only end. */
import { stringify } from "yaml";
import type { Ending } from "./endings";
import { replicas, type Situation } from "./situation";

export const clusterIp = "10.96.0.77";
export const nodePort = 30080;

/** All of them as one file of YAML. */
export function manifestsOf(situation: Situation, endings: readonly Ending[]): string {
  const objects: object[] = [deployment(situation), service(situation)];
  if (situation.way === "pod") objects.push(client(situation));
  if (situation.pdb !== undefined) objects.push(budget(situation.pdb));
  for (const { pod } of endings) objects.push(pod);
  return objects.map((object) => stringify(object)).join("---\n");
}

/** Where it listens. */
export function portOf({ server }: Situation): number {
  return server === "nginx" ? 80 : 8080;
}

/** The image before the change, or after it. */
export function imageOf({ server }: Situation, changed = false): string {
  if (server === "nginx") return changed ? "nginx:1.29" : "nginx:1.28";
  return changed ? "kubebook/web:1.1" : "kubebook/web:1.0";
}

const labels = { app: "web" };

function deployment(situation: Situation): object {
  const { surge, unavailable, grace } = situation;
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable } },
      template: {
        metadata: { labels },
        spec: { terminationGracePeriodSeconds: grace, containers: [container(situation)] },
      },
    },
  };
}

function container(situation: Situation): object {
  const { server, startSeconds, answerMilliseconds, drainSeconds, preStop, probe } = situation;
  const env = {
    ON_SIGTERM: server,
    START_SECONDS: `${startSeconds}`,
    ANSWER_MILLISECONDS: `${answerMilliseconds}`,
    DRAIN_SECONDS: `${drainSeconds}`,
  };
  return {
    name: "web",
    image: imageOf(situation),
    ...(server !== "nginx" && { env: Object.entries(env).map(([name, value]) => ({ name, value })) }),
    ...(preStop && { lifecycle: { preStop: hookOf(preStop) } }),
    ...(probe && { readinessProbe: probeOf(situation, probe) }),
  };
}

/** A hook that waits. */
export function hookOf({ kind, seconds }: NonNullable<Situation["preStop"]>): object {
  return kind === "sleep" ? { sleep: { seconds } } : { exec: { command: ["sleep", `${seconds}`] } };
}

function probeOf(situation: Situation, { kind, ...figures }: NonNullable<Situation["probe"]>): object {
  const [port, path] = [portOf(situation), situation.server === "nginx" ? "/" : "/healthz"];
  switch (kind) {
    case "httpGet":
      return { httpGet: { port, path }, ...figures };
    case "tcpSocket":
      return { tcpSocket: { port }, ...figures };
    case "exec":
      return { exec: { command: ["wget", "-q", "-O", "-", `http://localhost:${port}${path}`] }, ...figures };
  }
}

function service(situation: Situation): object {
  const { way } = situation;
  const type = way === "nodeport" ? "NodePort" : way === "balancer" || way === "local" ? "LoadBalancer" : "ClusterIP";
  const port = { port: 80, targetPort: portOf(situation), ...(type !== "ClusterIP" && { nodePort }) };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: {
      ...{ type, selector: labels, clusterIP: clusterIp, ports: [port] },
      ...(way === "local" && { externalTrafficPolicy: "Local" }),
    },
  };
}

function client({ clientNode }: Situation): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "client" },
    spec: { nodeName: clientNode, containers: [{ name: "it", image: "busybox", command: ["sleep", "1d"] }] },
  };
}

function budget(maxUnavailable: number): object {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "web" },
    spec: { maxUnavailable, selector: { matchLabels: labels } },
  };
}
