/** Owns the networks that are judged: each read from a simulated cluster of that design, as its kubelets and plugins have made it. */

import { Cluster } from "../../kernel-lib/cluster/cluster";
import { addToIp, type Family, formatIp, parseIp } from "../../kernel-lib/net/address";
import { type DesignName, designNames } from "../../kernel-lib/node/cni/design";
import type { ModeName } from "../../kernel-lib/node/proxy/mode";
import { type Addresses, type Machine, readNetwork, type Topology } from "./topology";

export type Design = DesignName;

export const designs: readonly Design[] = designNames;

/** Pods of the judged cluster: two on node-1, one on node-2. */
const pods: { readonly [name: string]: string } = { a1: "node-1", a2: "node-1", b1: "node-2" };
/** Services on port 8080, each with the one pod that it leads to: nothing is left to chance. */
const services: { readonly [name: string]: string | undefined } = {
  near: "a2",
  far: "b1",
  self: "a1",
  none: undefined,
};
export const servicePort = 8080;

const made = new Map<Design, Promise<Topology>>();

/** The network that a cluster of this design has made. */
export function topologyOf(design: Design): Promise<Topology> {
  let topology = made.get(design);
  if (!topology) {
    topology = make(design);
    made.set(design, topology);
  }
  return topology;
}

/** The seed's first CNI configuration: every node's host-local gives from the same range, from its beginning. */
export const oneRange = `{ "name": "mynet", "type": "bridge", "bridge": "kube-bridge", "isDefaultGateway": true,
  "ipam": { "type": "host-local", "subnet": "10.1.0.0/16" } }`;

/** Node ports of the judged cluster, when it is asked for its Services by them: both lead to b1, on node-2. */
export const nodePorts = { cluster: 30_080, local: 30_081 } as const;

export async function make(design: Design, cniConfig?: string, mode: ModeName = "iptables"): Promise<Topology> {
  // A VPC has one family.
  const ipFamilies: readonly Family[] = design === "vpc" || cniConfig !== undefined ? ["IPv4"] : ["IPv4", "IPv6"];
  const cluster = new Cluster({ lb: "none", nodes: 2, seed: 7, cni: design, cniConfig, ipFamilies, mode });
  await cluster.start();
  for (const [name, nodeName] of Object.entries(pods)) {
    const containers = [{ name: "pause", image: "registry.k8s.io/pause:3.10" }];
    cluster.api.create(
      "Pod",
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, namespace: "default", labels: { app: name } },
        spec: { nodeName, containers },
      },
      { by: "judge" },
    );
  }
  for (const [name, app] of Object.entries(services)) {
    const both = mode === "nftables" && ipFamilies.length > 1 ? { ipFamilyPolicy: "PreferDualStack" } : {};
    const spec = { ...both, selector: { app: app ?? "nobody" }, ports: [{ port: servicePort, targetPort: 80 }] };
    cluster.api.create(
      "Service",
      { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, spec },
      { by: "judge" },
    );
  }
  if (mode === "nftables") for (const policy of ["cluster", "local"] as const) openNodePort(cluster, policy);
  await cluster.advance("20s");
  const named = (netns: string): string | undefined => {
    if (["node-1", "node-2", "router", "workstation", "internet"].includes(netns)) return netns;
    return /^default\/(a1|a2|b1)$/.exec(netns)?.[1];
  };
  const read = readNetwork(cluster.network, named);
  return { name: design, ...read, names: namesOf(cluster, read.machines) };
}

function openNodePort(cluster: Cluster, policy: keyof typeof nodePorts): void {
  const ports = [{ port: servicePort, targetPort: 80, nodePort: nodePorts[policy] }];
  const externalTrafficPolicy = policy === "local" ? "Local" : "Cluster";
  const spec = { type: "NodePort", selector: { app: "b1" }, ports, externalTrafficPolicy };
  const metadata = { name: `open-${policy}`, namespace: "default" };
  const ipFamilyPolicy = "PreferDualStack";
  const service = { apiVersion: "v1", kind: "Service", metadata, spec: { ...spec, ipFamilyPolicy } };
  cluster.api.create("Service", service, { by: "judge" });
}

function namesOf(cluster: Cluster, machines: readonly Machine[]): Topology["names"] {
  const names: { [name: string]: Addresses } = {};
  for (const pod of Object.keys(pods))
    names[pod] = byVersion((cluster.pod(pod)?.status.podIPs ?? []).flatMap(({ ip }) => ip ?? []));
  for (const node of ["node-1", "node-2"]) {
    const addresses = cluster.store.get("Node", node)?.status.addresses ?? [];
    names[node] = byVersion(addresses.filter(({ type }) => type === "InternalIP").map(({ address }) => address));
  }
  for (const service of Object.keys(services)) {
    names[service] = byVersion(cluster.store.get("Service", `default/${service}`)?.spec.clusterIPs ?? []);
  }
  for (const name of ["workstation", "router", "internet"]) {
    const eth0 = machines.find((machine) => machine.name === name)?.devices.find((device) => device.name === "eth0");
    names[name] = byVersion((eth0?.addresses ?? []).map((address) => address.split("/")[0] ?? ""));
  }
  for (const { name, devices } of machines) {
    for (const { name: device, addresses, link } of devices) {
      const free = addresses.map((address) => address.split("/")[0] ?? "").filter((ip) => !isKnown(names, ip));
      if (link.type !== "loopback" && free.length > 0) names[`${name}/${device}`] = byVersion(free);
    }
  }
  // Nobody has these: beside a pod of each node, beside the nodes; and one beyond all that the router knows.
  names["nobody near"] = beside(names, "a1");
  names["nobody far"] = beside(names, "b1");
  names["nobody on lan"] = beside(names, "workstation");
  names.outside = { 4: "192.0.2.9", 6: "2001:db8:ffff::9" };
  return names;
}

function byVersion(ips: readonly string[]): Addresses {
  const v4 = ips.find((ip) => !ip.includes(":"));
  const v6 = ips.find((ip) => ip.includes(":"));
  return { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) };
}

function isKnown(names: Topology["names"], ip: string): boolean {
  return Object.values(names).some((addresses) => addresses[4] === ip || addresses[6] === ip);
}

/** Further on in the same network, where nobody is. */
function beside(names: Topology["names"], name: string): Addresses {
  const found = names[name] ?? {};
  const ips = Object.values(found).map((ip) => {
    for (let count = 33; ; count++) {
      const other = formatIp(addToIp(parseIp(ip), count));
      if (!isKnown(names, other)) return other;
    }
  });
  return byVersion(ips);
}
