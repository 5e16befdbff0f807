/** Owns what a cluster has from the start, as kubeadm and the network add-on's manifest make it. */
import type { Kind } from "../../api/kinds";
import type { Api } from "../../api/rest";
import { awsObjects } from "./aws";
import { corednsObjects } from "./coredns";
import { flannelObjects } from "./flannel";
import { kubeProxyObjects } from "./kubeproxy";
import { metallbObjects } from "./metallb";

/** The network add-on: kube-flannel, aws-node as EKS has it, or none (somebody wires the nodes by hand). */
export type NetworkAddon =
  | {
      readonly addon: "flannel";
      readonly backend: "vxlan" | "host-gw";
      /** Another cni-conf.json than flannel's own. */
      readonly config?: string;
    }
  | { readonly addon: "aws" }
  | { readonly addon: "none" };

export interface ClusterOptions {
  /** Where the API server is: the control plane's own address. */
  readonly apiServer: string;
  /** `iptables`, `nftables`, `ipvs`, `userspace`. */
  readonly mode: string;
  /** IPVS's way of choosing; default rr. */
  readonly scheduler?: string;
  /** kube-proxy's minSyncPeriod; default `0s`, which is its own. */
  readonly minSyncPeriod?: string;
  readonly network: NetworkAddon;
  /** Where all pods live, a prefix of each family; none in a VPC, where pods have addresses of the nodes' network. */
  readonly podCidrs: readonly string[];
  /** Of the Service `kubernetes`: the first of the range. */
  readonly apiServerIp: string;
  readonly dnsIp: string;
  /** MetalLB is installed, with these addresses to give. */
  readonly metallb?: readonly string[];
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
  return [
    ...namespaces.map((name): Initial => ({ kind: "Namespace", object: { metadata: { name } } })),
    ...kubernetesService(options.apiServerIp, options.apiServer),
    ...corednsObjects(options.dnsIp),
    ...kubeProxyObjects({
      mode: options.mode,
      scheduler: options.scheduler ?? "",
      minSyncPeriod: options.minSyncPeriod ?? "0s",
      strictArp: options.metallb !== undefined,
      clusterCidr: options.podCidrs.join(","),
      by: network.addon === "aws" ? "eks" : "kubeadm",
    }),
    ...(network.addon === "flannel" ? flannelObjects(network.backend, options.podCidrs, network.config) : []),
    ...(network.addon === "aws" ? awsObjects() : []),
    ...(options.metallb ? metallbObjects(options.metallb) : []),
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
