/** Owns what a cluster has from the start, as kubeadm and the network add-on's manifest make it. */
import type { Kind } from "../../api/kinds";
import type { Api } from "../../api/rest";
import { corednsObjects } from "./coredns";
import { flannelObjects } from "./flannel";
import { kubeProxyObjects } from "./kubeproxy";
import { nodeDraft } from "./nodes";

export interface BootstrapNode {
  readonly name: string;
  /** The node's own address. */
  readonly ip: string;
  readonly controlPlane?: boolean;
  readonly zone?: string;
}

export interface ClusterOptions {
  readonly nodes: readonly BootstrapNode[];
  /** `iptables`, `nftables`, `ipvs`, `userspace`. */
  readonly mode: string;
  /** `flannel` brings kube-flannel with its backend; `none` leaves the network to somebody else. */
  readonly network: { readonly addon: "flannel"; readonly backend: "vxlan" | "host-gw" } | { readonly addon: "none" };
  readonly podCidr: string;
  /** Of the Service `kubernetes`: the first of the range. */
  readonly apiServerIp: string;
  readonly dnsIp: string;
}

/** An object to be made, and whether through admission (as a client makes it) or as it stands. */
export interface Initial {
  readonly kind: Kind;
  readonly object: object;
}

const namespaces = ["default", "kube-node-lease", "kube-public", "kube-system"];

/** All of it, in the order in which it must be made. */
export function initialObjects(options: ClusterOptions): readonly Initial[] {
  const { network } = options;
  const first = options.nodes.find((node) => node.controlPlane) ?? options.nodes[0];
  return [
    ...namespaces.map((name): Initial => ({ kind: "Namespace", object: { metadata: { name } } })),
    ...options.nodes.map((node): Initial => ({ kind: "Node", object: nodeDraft(node) })),
    ...(first ? kubernetesService(options.apiServerIp, first.ip) : []),
    ...corednsObjects(options.dnsIp),
    ...kubeProxyObjects(options.mode, options.podCidr),
    ...(network.addon === "flannel" ? flannelObjects(network.backend, options.podCidr) : []),
  ];
}

/** Makes all of it in an empty store. */
export function bootstrap(api: Api, options: ClusterOptions): void {
  for (const { kind, object } of initialObjects(options)) api.create(kind, object, { by: "kubeadm" });
}

const apiServerPort = 6443;

/** default/kubernetes, whose endpoints the API server itself writes. */
function kubernetesService(clusterIP: string, address: string): readonly Initial[] {
  const ports = [{ name: "https", port: 443, protocol: "TCP", targetPort: apiServerPort }];
  const labels = { component: "apiserver", provider: "kubernetes" };
  const name = "kubernetes";
  return [
    { kind: "Service", object: { metadata: { name, labels }, spec: { type: "ClusterIP", clusterIP, ports } } },
    {
      kind: "Endpoints",
      object: {
        metadata: { name, labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
        subsets: [{ addresses: [{ ip: address }], ports: [{ name: "https", port: apiServerPort, protocol: "TCP" }] }],
      },
    },
    {
      kind: "EndpointSlice",
      object: {
        metadata: { name, labels: { "kubernetes.io/service-name": name } },
        addressType: "IPv4",
        endpoints: [{ addresses: [address], conditions: { ready: true } }],
        ports: [{ name: "https", port: apiServerPort, protocol: "TCP" }],
      },
    },
  ];
}
