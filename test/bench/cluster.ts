/** Owns the measurements of the cluster: how long a start takes, a line at the prompt, and a thousand requests. */
import { startCluster } from "../../kernel-lib/cluster/lab";
import type { Measurement } from "./main";

/** Each is timed so often; the median counts, the first time apart (it includes what the engine must still compile). */
const rounds = 5;

/** Start of a cluster, a command at its prompt, and the chapter's cell of 1,000 requests. */
export async function benchCluster(): Promise<readonly Measurement[]> {
  const starts: number[] = [];
  const lines: number[] = [];
  const cells: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let begun = performance.now();
    const cluster = await startCluster({ seed: 5 });
    starts.push(performance.now() - begun);
    const session = cluster.session();
    const type = (text: string): Promise<number> => session.type(text, () => {});
    await type("kubectl create deployment web --image=nginx --replicas=3\nkubectl expose deployment web --port=80");
    await type("kubectl run client --image=busybox -- sleep 3600");
    await type("kubectl wait --for=condition=Available deployment/web");
    begun = performance.now();
    for (let line = 0; line < 20; line++) await type("kubectl get pods -o wide | grep web");
    lines.push((performance.now() - begun) / 20);
    begun = performance.now();
    await cluster.load({ from: "pod/client", to: "svc/web:80", requests: 1000 });
    cells.push((performance.now() - begun) / 1000);
  }
  return [
    { name: "start of a cluster of 4 nodes, the first", value: (starts[0] ?? 0) / 1000, unit: "s" },
    { name: "start of a cluster of 4 nodes", value: median(starts) / 1000, unit: "s" },
    { name: "a line at the prompt (kubectl | grep)", value: median(lines), unit: "ms" },
    { name: "1,000 requests over a Service, the first time", value: cells[0] ?? 0, unit: "s", aim: "≤ 0.5" },
    { name: "1,000 requests over a Service", value: median(cells), unit: "s", aim: "≤ 0.5" },
  ];
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
