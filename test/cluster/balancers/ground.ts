/** Owns the clusters of the table of balancers' paths: every form of load balancer, with a Service for each policy and placement. */

import type { Kind } from "../../../kernel-lib/api/kinds";
import { Cluster } from "../../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../../kernel-lib/cluster/options";
import { parseCidr, parseIp } from "../../../kernel-lib/net/address";
import type { Netns } from "../../../kernel-lib/net/netns";
import type { ModeName } from "../../../kernel-lib/node/proxy/mode";
import { type Policy, policies } from "../../node/proxy/modes/matrix";
import { run } from "../balanced";

/** How a Service is reached from outside. `static`: its external IP, which somebody told the router of. */
export const forms = ["static", "layer2", "bgp", "forwarder", "proxy"] as const;
export type Form = (typeof forms)[number];

export const clients = ["client", "workstation", "pod/c1", "pod/c3", "node/node-1", "node/node-3"] as const;
export type Client = (typeof clients)[number];

/** Of the table of policies those that differ from outside: external IPs by policy, and load balancers' addresses. */
export const served: { readonly [form in Form]: readonly Policy[] } = {
  static: policies.filter(({ type }) => type === "External IP"),
  layer2: openToAll(),
  bgp: openToAll(),
  forwarder: openToAll(),
  proxy: openToAll(),
};

function openToAll(): readonly Policy[] {
  return policies.filter(({ type, internalPolicy }) => type === "LoadBalancer" && internalPolicy === "Cluster");
}

export const grounds = ["metallb", "cloud", "cloud-proxy"] as const;
export type GroundName = (typeof grounds)[number];

export const formsOf: { readonly [ground in GroundName]: readonly Form[] } = {
  metallb: ["static", "layer2", "bgp"],
  cloud: ["forwarder"],
  "cloud-proxy": ["proxy"],
};

/** Pods a1 and c1 on node-1, b2 on node-2, c3 on node-3. */
const pods = ["a1", "b2", "c1", "c3"];

export interface Ground {
  readonly cluster: Cluster;
  readonly mode: ModeName;
  readonly lb: GroundName;
}

/** Such a cluster without Services: its router knows ways to external IPs, and to MetalLB's two further pools. */
export async function groundOf(lb: GroundName, mode: ModeName, options: ClusterOptions = {}): Promise<Ground> {
  const cluster = new Cluster({ nodes: 3, seed: 6, lb, mode, ...options });
  await cluster.start();
  for (const name of pods) {
    const spec = { nodeName: `node-${name.slice(1)}`, containers: [{ name: "web", image: "nginx" }] };
    cluster.api.create("Pod", { metadata: { name }, spec });
  }
  const to = parseCidr(staticRange);
  netnsOf(cluster, "internet").routes.add({ to, via: parseIp("203.0.113.2"), device: "eth0" });
  const nexthops = staticNodes.map((name) => ({ via: cluster.node(name).net.ip, device: "eth0" }));
  netnsOf(cluster, "router").routes.add({ to, nexthops });
  if (lb === "metallb") addPools(cluster);
  if (lb === "metallb" && mode === "ipvs") await answerStrictly(cluster);
  await cluster.advance("30s");
  return { cluster, mode, lb };
}

const staticRange = "198.18.6.0/24";
/** Who takes external IPs: one node with an endpoint, perhaps, and one that never has any. */
export const staticNodes = ["node-1", "node-3"] as const;

function addPools(cluster: Cluster): void {
  const make = (kind: Kind, version: string, name: string, spec: object): void => {
    const object = { apiVersion: `metallb.io/${version}`, kind, metadata: { name }, spec };
    cluster.api.create(kind, object, { namespace: "metallb-system" });
  };
  make("IPAddressPool", "v1beta1", "near", { addresses: ["192.168.1.200-192.168.1.239"], autoAssign: false });
  make("IPAddressPool", "v1beta1", "public", { addresses: ["203.0.113.200-203.0.113.249"], autoAssign: false });
  make("L2Advertisement", "v1beta1", "near", { ipAddressPools: ["near"] });
  make("BGPAdvertisement", "v1beta1", "public", { ipAddressPools: ["public"] });
  make("BGPPeer", "v1beta2", "router", { myASN: 64500, peerASN: 64501, peerAddress: "192.168.1.1" });
}

/** Without strictARP every node answers for every address of a Service: it has them all on its dummy device. */
async function answerStrictly(cluster: Cluster): Promise<void> {
  const key = "kube-system/kube-proxy";
  const config = cluster.store.get("ConfigMap", key)?.data?.["config.conf"] ?? "";
  const data = { "config.conf": config.replace("strictARP: false", "strictARP: true") };
  cluster.store.update("ConfigMap", key, (now) => ({ ...now, data: { ...now.data, ...data } }), "test");
  await run(cluster, "kubectl rollout restart ds kube-proxy -n kube-system");
  await cluster.advance("60s");
}

export function netnsOf(cluster: Cluster, name: string): Netns {
  const found = cluster.network.namespaces.get(name);
  if (!found) throw new Error(`no namespace ${name}`);
  return found;
}

/**
 * Makes a ground's Services, and waits until balancers have them and have asked after their nodes' health.
 * @returns where each is reached from outside, by form and index
 */
export async function serve({ cluster, lb }: Ground): Promise<(form: Form, index: number) => string> {
  for (const form of formsOf[lb]) {
    for (const [index, policy] of served[form].entries()) make(cluster, form, policy, index);
  }
  await cluster.advance("120s");
  const names = formsOf[lb].flatMap((form) => served[form].map((_, index) => nameOf(form, index)));
  const said = await Promise.all(names.map((name) => addressOf(cluster, name)));
  const vips = new Map(names.map((name, at) => [name, said[at] ?? ""]));
  return (form, index) => vips.get(nameOf(form, index)) ?? "";
}

function make(cluster: Cluster, form: Form, policy: Policy, index: number): void {
  const { type, externalPolicy, endpoints } = policy;
  const name = nameOf(form, index);
  const pool = form === "layer2" ? "near" : form === "bgp" ? "public" : undefined;
  cluster.api.create("Service", {
    metadata: { name, ...(pool && { annotations: { "metallb.io/address-pool": pool } }) },
    spec: {
      type: type === "LoadBalancer" ? type : "ClusterIP",
      externalTrafficPolicy: externalPolicy,
      ports: [{ port: 80 }],
      ...(form === "static" && { externalIPs: [`198.18.6.${index + 1}`] }),
    },
  });
  if (endpoints.length === 0) return;
  cluster.api.create("EndpointSlice", {
    metadata: { name, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ name: "", port: 80, protocol: "TCP" }],
    endpoints: endpoints.map(({ pod, ready = true, serving = ready, terminating = false }) => ({
      addresses: [cluster.podIp(pod)],
      nodeName: `node-${pod.slice(1)}`,
      // Who writes slices by hand may leave out what goes without saying.
      conditions: { ready, ...((serving || terminating) && { serving, terminating }) },
    })),
  });
}

function nameOf(form: Form, index: number): string {
  return `${form}-${index + 1}`;
}

/** The address of a Service to those outside; a name is asked for. */
export async function addressOf(cluster: Cluster, name: string): Promise<string> {
  const { spec, status } = cluster.store.get("Service", `default/${name}`) ?? {};
  const [ingress] = status?.loadBalancer?.ingress ?? [];
  const found = spec?.externalIPs?.[0] ?? ingress?.ip;
  if (found !== undefined) return found;
  if (ingress?.hostname === undefined) throw new Error(`${name} has no address`);
  return (await run(cluster, `ssh client dig +short ${ingress.hostname}`)).trim();
}
