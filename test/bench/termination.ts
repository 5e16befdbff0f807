/** Measures how pods end under load: one that takes its whole grace period, and a rollout as the suite of seeds runs it. */
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { TrafficOptions, TrafficReport } from "../../kernel-lib/cluster/traffic";
import type { Measurement } from "./main";

export async function benchTermination(): Promise<readonly Measurement[]> {
  return [
    {
      name: "a 120 s termination with 100 requests/s, a connection each",
      value: await best((seed) => termination(seed, {})),
      unit: "s",
      aim: "≤ 1.5",
    },
    {
      name: "the same over connections that are kept alive",
      value: await best((seed) => termination(seed, { keepAlive: true })),
      unit: "s",
    },
    {
      name: "one seed of a 10-pod rollout under 50 requests/s for 60 s, all in",
      value: await best(rollout),
      unit: "s",
      aim: "≤ 1.1",
    },
  ];
}

/** Of five, so that the first ones warm up. @param run gives the seconds that it took */
async function best(run: (seed: number) => Promise<number>): Promise<number> {
  const all: number[] = [];
  for (const seed of [1, 2, 3, 4, 5]) all.push(await run(seed));
  return Math.min(...all);
}

const stubborn = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx}
spec:
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      terminationGracePeriodSeconds: 120
      containers:
      - {name: nginx, image: nginx, lifecycle: {preStop: {exec: {command: [sh, -c, sleep 180]}}}}
---
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {selector: {app: nginx}, ports: [{port: 80}]}
`;

/** The tutorial's end of a pod, with its record: from the deletion to the last answer. */
async function termination(seed: number, options: Partial<TrafficOptions>): Promise<number> {
  const cluster = new Cluster({ seed });
  await cluster.start();
  const prompt = cluster.session();
  cluster.prompt.files.write(`${cluster.prompt.folder}/nginx.yaml`, stubborn);
  await prompt.type("kubectl apply -f nginx.yaml && kubectl rollout status deployment/nginx", () => {});
  await prompt.type("kubectl run client --image=busybox -- sleep 1d", () => {});
  await prompt.type("kubectl wait --for=condition=Ready pod/client", () => {});
  const began = performance.now();
  const record = cluster.lifeline({ selector: "app=nginx" });
  const load = { from: "pod/client", to: "svc/nginx", rate: 100, duration: "120s" } as const;
  const traffic = cluster.traffic({ ...load, ...options });
  await prompt.type("kubectl delete pod -l app=nginx", () => {});
  const report = await traffic.finished();
  const seconds = (performance.now() - began) / 1000;
  check(report, 12_000);
  const ended = record.stop().pods.filter(({ gone }) => gone !== undefined);
  if (ended.length !== 1) throw new Error(`${ended.length} pods ended`);
  return seconds;
}

/** All that one seed costs: the cluster, ten pods, their replacement, and its 3,000 requests. */
async function rollout(seed: number): Promise<number> {
  const began = performance.now();
  const cluster = new Cluster({ seed });
  await cluster.start();
  const prompt = cluster.session();
  const lines = `
kubectl create deployment web --image=nginx --replicas=10
kubectl expose deployment web --port=80
kubectl run client --image=busybox -- sleep 1d
kubectl wait --for=condition=Ready pod --all --timeout=60s`;
  await prompt.type(lines, () => {});
  const traffic = cluster.traffic({ from: "pod/client", to: "svc/web", rate: 50, duration: "60s", timeout: "2s" });
  await cluster.advance("5s");
  traffic.mark("rollout");
  const change = "kubectl set image deployment/web nginx=nginx:1.29 && kubectl rollout status deployment/web";
  const exitCode = await prompt.type(change, () => {});
  if (exitCode !== 0) throw new Error(`the rollout ended with ${exitCode}`);
  traffic.mark("after");
  check(await traffic.finished(), 3_000);
  return (performance.now() - began) / 1000;
}

function check({ requests, ok, byPod }: TrafficReport, wanted: number): void {
  if (requests !== wanted || ok < wanted * 0.9) throw new Error(`${ok} of ${requests} requests were answered`);
  if (Object.keys(byPod).length < 2) throw new Error("only one pod answered: nothing was replaced");
}
