/** Owns the small cluster of the tests of pictures: a client on node-1, a web server on node-2, Services with and without pods. */
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../kernel-lib/cluster/options";

export const designs = ["bridge", "routes", "host-gw", "vxlan", "vpc"] as const;

const manifests = `
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: node-1, containers: [{name: client, image: curlimages/curl, command: [sleep, 1d]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web}}
spec: {nodeName: node-2, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
`;

/** The cluster, up and at rest. */
export async function withPods(options: ClusterOptions): Promise<Cluster> {
  const cluster = new Cluster(options);
  await cluster.start();
  cluster.prompt.files.write(`${cluster.prompt.folder}/pods.yaml`, manifests);
  let said = "";
  const exitCode = await cluster.session().type("kubectl apply -f pods.yaml", (_, part) => {
    said += part;
  });
  if (exitCode !== 0) throw new Error(said);
  await cluster.settle();
  return cluster;
}
