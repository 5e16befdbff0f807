/** Owns the small cluster of the load balancers' tests: two echo servers on two of three nodes, behind every kind of Service. */
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../kernel-lib/cluster/options";

const pod = (name: string, node: string, labels: string, image: string, more = ""): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${labels} } }
spec: { nodeName: ${node}, containers: [{ name: it, image: ${image}${more} }] }
`;

const service = (name: string, type: string, policy: string, nodePort: number): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  type: ${type}
  externalTrafficPolicy: ${policy}
  selector: { app: web }
  ports: [{ port: 80, targetPort: 8080, nodePort: ${nodePort} }]
`;

const manifests = [
  pod("web-1", "node-1", "web", "registry.k8s.io/echoserver:1.4"),
  pod("web-2", "node-2", "web", "registry.k8s.io/echoserver:1.4"),
  pod("curl-1", "node-1", "curl", "curlimages/curl", ", command: [sleep, 1d]"),
  pod("curl-3", "node-3", "curl", "curlimages/curl", ", command: [sleep, 1d]"),
  service("cluster", "LoadBalancer", "Cluster", 30001),
  service("local", "LoadBalancer", "Local", 30002),
].join("---");

/** The cluster, up, with its load balancers made and their health checks through. */
export async function balanced(options: ClusterOptions): Promise<Cluster> {
  const cluster = new Cluster({ seed: 7, ...options });
  await cluster.start();
  cluster.prompt.files.write(`${cluster.prompt.folder}/all.yaml`, manifests);
  await run(cluster, "kubectl apply -f all.yaml");
  await run(cluster, "kubectl wait --for=condition=Ready pod --all --timeout=60s");
  await cluster.advance("90s");
  return cluster;
}

/** Types a line at the prompt; gives what it printed. @throws Error if it failed, unless that may be */
export async function run(cluster: Cluster, line: string, mayFail = false): Promise<string> {
  let said = "";
  const exitCode = await cluster.session().type(line, (_, part) => {
    said += part;
  });
  if (exitCode !== 0 && !mayFail) throw new Error(`${line}: exit code ${exitCode}\n${said}`);
  return said;
}

/** Where a Service's load balancer is: its address, or its name's. */
export function addressOf(cluster: Cluster, name: string): string {
  const [ingress] = cluster.store.get("Service", `default/${name}`)?.status.loadBalancer?.ingress ?? [];
  return ingress?.ip ?? ingress?.hostname ?? "<pending>";
}

/** What can become of a connection, in few words: `50 % web-1 sees 10.244.2.0`. */
export function outcomes(cluster: Cluster, from: string, to: string): string {
  const shares = new Map<string, number>();
  for (const { probability, end, name, source } of cluster.explain({ from, to }).outcomes) {
    const what = end === "delivered" ? `${name.replace("pod/", "")} sees ${source}` : end;
    shares.set(what, (shares.get(what) ?? 0) + probability);
  }
  const parts = [...shares].sort(([one], [other]) => (one < other ? -1 : 1));
  return parts.map(([what, share]) => `${Math.round(share * 100)} % ${what}`).join(", ");
}
