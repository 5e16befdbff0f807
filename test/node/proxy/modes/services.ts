/** Owns the Services of the table of modes: one or two for each feature, with slices written by hand, in both families. */
import type { Family } from "../../../../kernel-lib/net/address";
import type { Site } from "./site";

/** What a packet is sent to; `own` and `other` are nodes as seen from where the client is. */
export type To = "cluster IP" | "external IP" | "balancer IP" | "own node" | "other node" | "own cni0" | "localhost";

export interface Row {
  readonly to: To;
  /** 0 for ICMP: an echo request. */
  readonly port: number;
  readonly protocol?: "udp" | "sctp" | "icmp";
}

/** An endpoint of the site by its name, with what its slice says of it. */
export interface Listed {
  readonly pod: "a1" | "b2" | "h2";
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  readonly zone?: string;
  readonly forNode?: string;
}

export interface Feature {
  readonly title: string;
  readonly rows: readonly Row[];
  /** Parts of the Service's spec, but addresses, ports and families. */
  readonly spec?: { readonly [field: string]: unknown };
  readonly nodePort?: number;
  readonly external?: boolean;
  readonly balancer?: "VIP" | "Proxy";
  /** May come to the balancer's IP, by family. */
  readonly ranges?: readonly string[];
  readonly protocol?: "UDP" | "SCTP";
  readonly endpoints: readonly Listed[];
}

const both: readonly Listed[] = [{ pod: "a1" }, { pod: "b2" }];
const far: readonly Listed[] = [{ pod: "b2" }];
const leaving = { ready: false, serving: true, terminating: true } as const;
const unready = { ready: false, serving: false, terminating: false } as const;
const gone = { ready: false, serving: false, terminating: true } as const;

const inside: readonly Row[] = [{ to: "cluster IP", port: 80 }];
const anyNode = (port: number): readonly Row[] => [
  { to: "own node", port },
  { to: "other node", port },
];
const vips: readonly Row[] = [
  { to: "external IP", port: 80 },
  { to: "balancer IP", port: 80 },
];
const local = { externalTrafficPolicy: "Local" } as const;

export const features: readonly Feature[] = [
  {
    title: "Cluster IP",
    rows: [
      ...inside,
      { to: "cluster IP", port: 81 },
      { to: "cluster IP", port: 80, protocol: "udp" },
      { to: "cluster IP", port: 0, protocol: "icmp" },
    ],
    endpoints: both,
  },
  {
    title: "Node port",
    nodePort: 30_080,
    rows: [
      ...anyNode(30_080),
      { to: "own cni0", port: 30_080 },
      { to: "localhost", port: 30_080 },
      { to: "own node", port: 30_079 },
      { to: "own node", port: 30_080, protocol: "udp" },
    ],
    endpoints: both,
  },
  {
    title: "Node port, externalTrafficPolicy Local",
    nodePort: 30_081,
    spec: local,
    rows: [...anyNode(30_081), { to: "localhost", port: 30_081 }],
    endpoints: [{ pod: "a1" }, { pod: "b2" }],
  },
  { title: "Node port, nobody behind it", nodePort: 30_082, rows: anyNode(30_082), endpoints: [] },
  {
    title: "External IP",
    external: true,
    rows: [
      { to: "external IP", port: 80 },
      { to: "external IP", port: 81 },
      { to: "external IP", port: 0, protocol: "icmp" },
    ],
    endpoints: both,
  },
  { title: "Load balancer, ipMode VIP", balancer: "VIP", rows: vips.slice(1), endpoints: both },
  { title: "Load balancer, ipMode Proxy", balancer: "Proxy", rows: vips.slice(1), endpoints: both },
  {
    title: "External IP and load balancer, externalTrafficPolicy Local",
    external: true,
    balancer: "VIP",
    spec: local,
    rows: [...inside, ...vips],
    endpoints: both,
  },
  {
    title: "The same, with endpoints of another node only",
    external: true,
    balancer: "VIP",
    nodePort: 30_083,
    spec: local,
    rows: [...inside, ...vips, ...anyNode(30_083)],
    endpoints: far,
  },
  {
    title: "The same, nobody behind it",
    external: true,
    balancer: "VIP",
    nodePort: 30_084,
    spec: local,
    rows: [...inside, ...vips, ...anyNode(30_084)],
    endpoints: [],
  },
  {
    title: "Source ranges with the client outside among them",
    balancer: "VIP",
    nodePort: 30_085,
    ranges: ["203.0.113.0/24", "2001:db8:99::/64"],
    rows: [...inside, ...vips.slice(1), ...anyNode(30_085)],
    endpoints: both,
  },
  {
    title: "Source ranges with nodes and pods among them",
    balancer: "VIP",
    ranges: ["192.168.1.0/24", "10.244.0.0/16", "fd00:192:168:1::/64", "fd00:10:244::/56"],
    rows: vips.slice(1),
    endpoints: both,
  },
  {
    title: "internalTrafficPolicy Local",
    spec: { internalTrafficPolicy: "Local" },
    nodePort: 30_086,
    rows: [...inside, ...anyNode(30_086)],
    endpoints: both,
  },
  {
    title: "internalTrafficPolicy Local, nobody behind it",
    spec: { internalTrafficPolicy: "Local" },
    rows: inside,
    endpoints: [],
  },
  { title: "Nobody behind it", rows: inside, endpoints: [] },
  { title: "Nobody ready", rows: inside, endpoints: [{ pod: "a1", ...unready }] },
  {
    title: "All terminate, one serves",
    rows: inside,
    endpoints: [
      { pod: "a1", ...leaving },
      { pod: "b2", ...gone },
    ],
  },
  {
    title: "One is ready, one terminates and serves",
    rows: inside,
    endpoints: [{ pod: "a1", ...leaving }, { pod: "b2" }],
  },
  {
    title: "The same, externalTrafficPolicy Local",
    spec: local,
    nodePort: 30_087,
    rows: [...inside, ...anyNode(30_087)],
    endpoints: [{ pod: "a1", ...leaving }, { pod: "b2" }],
  },
  {
    title: "The same, internalTrafficPolicy Local",
    spec: { internalTrafficPolicy: "Local" },
    rows: inside,
    endpoints: [{ pod: "a1", ...leaving }, { pod: "b2" }],
  },
  {
    title: "publishNotReadyAddresses",
    spec: { publishNotReadyAddresses: true },
    rows: inside,
    endpoints: [{ pod: "a1", ready: true, serving: false, terminating: false }],
  },
  {
    title: "Hints by zone",
    spec: { trafficDistribution: "PreferSameZone" },
    nodePort: 30_088,
    rows: [...inside, ...anyNode(30_088)],
    endpoints: [
      { pod: "a1", zone: "a" },
      { pod: "b2", zone: "b" },
    ],
  },
  {
    title: "Hints by node",
    spec: { trafficDistribution: "PreferSameNode" },
    rows: inside,
    endpoints: [
      { pod: "a1", zone: "a", forNode: "node-1" },
      { pod: "b2", zone: "b", forNode: "node-2" },
    ],
  },
  {
    title: "Hints that one endpoint lacks",
    spec: { trafficDistribution: "PreferSameZone" },
    rows: inside,
    endpoints: [{ pod: "a1", zone: "a" }, { pod: "b2" }],
  },
  { title: "Endpoints on the host's network", rows: inside, endpoints: [{ pod: "a1" }, { pod: "h2" }] },
  {
    title: "Three endpoints",
    rows: inside,
    endpoints: [{ pod: "a1" }, { pod: "b2" }, { pod: "h2" }],
  },
  {
    title: "Affinity",
    spec: { sessionAffinity: "ClientIP" },
    nodePort: 30_089,
    rows: [...inside, ...anyNode(30_089)],
    endpoints: both,
  },
  {
    title: "UDP",
    protocol: "UDP",
    nodePort: 30_090,
    rows: [
      { to: "cluster IP", port: 80, protocol: "udp" },
      { to: "own node", port: 30_090, protocol: "udp" },
      { to: "own node", port: 30_090 },
    ],
    endpoints: both,
  },
  {
    title: "SCTP",
    protocol: "SCTP",
    nodePort: 30_091,
    rows: [
      { to: "cluster IP", port: 80, protocol: "sctp" },
      { to: "own node", port: 30_091, protocol: "sctp" },
    ],
    endpoints: both,
  },
];

/** The addresses of the nth feature: cluster IP, external IP, balancer's IP. */
export function addressesOf(
  index: number,
  family: Family,
): { readonly [kind in "cluster" | "external" | "balancer"]: string } {
  const n = index + 1;
  return family === "IPv4"
    ? { cluster: `10.96.100.${n}`, external: `198.18.5.${n}`, balancer: `192.0.2.${n}` }
    : { cluster: `fd00:10:96::1${hex(n)}`, external: `2001:db8:51::${hex(n)}`, balancer: `2001:db8:2::${hex(n)}` };
}

function hex(n: number): string {
  return n
    .toString(16)
    .padStart(2, "0")
    .replace(/^0(?=.$)/, "");
}

/** Makes the nth feature's Service and its slices. */
export function make(feature: Feature, index: number, site: Site): void {
  const name = `service-${index + 1}`;
  const v4 = addressesOf(index, "IPv4");
  const v6 = addressesOf(index, "IPv6");
  const { nodePort, external, balancer, protocol = "TCP" } = feature;
  const type = balancer ? "LoadBalancer" : nodePort === undefined ? "ClusterIP" : "NodePort";
  site.cluster.api.create("Service", {
    metadata: { name },
    spec: {
      type,
      ipFamilyPolicy: "RequireDualStack",
      ipFamilies: ["IPv4", "IPv6"],
      clusterIPs: [v4.cluster, v6.cluster],
      clusterIP: v4.cluster,
      ports: [{ port: 80, targetPort: 80, protocol, ...(nodePort !== undefined && { nodePort }) }],
      ...(external && { externalIPs: [v4.external, v6.external] }),
      ...(feature.ranges && { loadBalancerSourceRanges: feature.ranges }),
      ...feature.spec,
    },
  });
  if (balancer) {
    const ingress = [v4, v6].map((ips) => ({ ip: ips.balancer, ipMode: balancer }));
    site.cluster.store.update(
      "Service",
      `default/${name}`,
      (now) => ({ ...now, status: { loadBalancer: { ingress } } }),
      "test",
    );
  }
  for (const family of ["IPv4", "IPv6"] as const) {
    if (feature.endpoints.length === 0) continue;
    site.cluster.api.create("EndpointSlice", {
      metadata: { name: `${name}-${family.toLowerCase()}`, labels: { "kubernetes.io/service-name": name } },
      addressType: family,
      ports: [{ name: "", port: 80, protocol }],
      endpoints: feature.endpoints.map((listed) => endpointOf(listed, family, site)),
    });
  }
}

function endpointOf({ pod, zone, forNode, ...conditions }: Listed, family: Family, site: Site): object {
  const ready = conditions.ready ?? true;
  return {
    addresses: [site.address(pod, family)],
    nodeName: `node-${pod.slice(1)}`,
    conditions: { serving: ready, terminating: false, ...conditions, ready },
    ...((zone || forNode) && {
      hints: { ...(zone && { forZones: [{ name: zone }] }), ...(forNode && { forNodes: [{ name: forNode }] }) },
    }),
  };
}
