/** Owns kube-proxy's DaemonSet and configuration as kubeadm (cmd/kubeadm/app/phases/addons/proxy) or EKS installs them. */

import type { Initial } from "./index";
import { kubernetesVersion } from "./version";

const namespace = "kube-system";
const labels = { "k8s-app": "kube-proxy" };

/** What an installer is told of kube-proxy. */
export interface ProxyOptions {
  /** `iptables`, `nftables`, `ipvs`, `userspace`. */
  readonly mode: string;
  /** IPVS's way of choosing; `""`: its default, rr. */
  readonly scheduler: string;
  /** The least time between two syncs; `0s`: its default, 1 s. */
  readonly minSyncPeriod: string;
  /** With IPVS: a node answers ARP only for what its own device has, as MetalLB's installation asks for. */
  readonly strictArp: boolean;
  /** Where pods live, a prefix of each family with a comma between; `""`: nobody knows, as in a VPC. */
  readonly clusterCidr: string;
  readonly by: "kubeadm" | "eks";
}

/**
 * `config.conf` as kubeadm writes it: every field is there, and those that nobody set are empty, which means kube-proxy's
 * default. `mode` is what decides.
 */
function kubeadmConfig({ mode, scheduler, minSyncPeriod, strictArp, clusterCidr }: ProxyOptions): string {
  return `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: ${clusterCidr || '""'}
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: ${minSyncPeriod}
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: ${minSyncPeriod}
  scheduler: ${JSON.stringify(scheduler)}
  strictARP: ${strictArp}
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ${mode}
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: ${minSyncPeriod}
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
`;
}

/** `config` as EKS writes it: what AWS chose is said, and metrics are open to other machines. */
function eksConfig({ mode, scheduler, minSyncPeriod, strictArp, clusterCidr }: ProxyOptions): string {
  return `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  acceptContentTypes: ""
  burst: 10
  contentType: application/vnd.kubernetes.protobuf
  kubeconfig: /var/lib/kube-proxy/kubeconfig
  qps: 5
clusterCIDR: ${clusterCidr || '""'}
configSyncPeriod: 15m0s
conntrack:
  maxPerCore: 32768
  min: 131072
  tcpCloseWaitTimeout: 1h0m0s
  tcpEstablishedTimeout: 24h0m0s
enableProfiling: false
healthzBindAddress: 0.0.0.0:10256
hostnameOverride: ""
iptables:
  masqueradeAll: false
  masqueradeBit: 14
  minSyncPeriod: ${minSyncPeriod}
  syncPeriod: 30s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: ${minSyncPeriod}
  scheduler: ${JSON.stringify(scheduler)}
${strictArp ? "  strictARP: true\n" : ""}  syncPeriod: 30s
kind: KubeProxyConfiguration
metricsBindAddress: 0.0.0.0:10249
mode: "${mode}"
nodePortAddresses: null
oomScoreAdj: -998
portRange: ""
`;
}

export function kubeProxyObjects(options: ProxyOptions): readonly Initial[] {
  return [
    { kind: "ServiceAccount", object: { metadata: { name: "kube-proxy", namespace } } },
    ...(options.by === "kubeadm"
      ? [configMap("kube-proxy", { "config.conf": kubeadmConfig(options), "kubeconfig.conf": kubeconfig })]
      : [
          configMap("kube-proxy", { kubeconfig }, eksLabels),
          configMap("kube-proxy-config", { config: eksConfig(options) }, eksLabels),
        ]),
    { kind: "DaemonSet", object: options.by === "kubeadm" ? daemonSet(kubeadm) : daemonSet(eks) },
  ];
}

const eksLabels = { "eks.amazonaws.com/component": "kube-proxy", "k8s-app": "kube-proxy" };

function configMap(
  name: string,
  data: Readonly<Record<string, string>>,
  labels: object = { app: "kube-proxy" },
): Initial {
  return { kind: "ConfigMap", object: { metadata: { name, namespace, labels }, data } };
}

/** Where an installer takes the image from, and how it hands over the configuration. */
interface Install {
  readonly image: string;
  readonly command: readonly string[];
  readonly volumes: readonly { readonly name: string; readonly configMap: string; readonly mountPath: string }[];
}

const kubeadm: Install = {
  image: `registry.k8s.io/kube-proxy:${kubernetesVersion}`,
  command: [
    "/usr/local/bin/kube-proxy",
    "--config=/var/lib/kube-proxy/config.conf",
    "--hostname-override=$(NODE_NAME)",
  ],
  volumes: [{ name: "kube-proxy", configMap: "kube-proxy", mountPath: "/var/lib/kube-proxy" }],
};

const eks: Install = {
  image: `602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/kube-proxy:${kubernetesVersion}-eksbuild.1`,
  command: ["kube-proxy", "--v=2", "--config=/var/lib/kube-proxy-config/config", "--hostname-override=$(NODE_NAME)"],
  volumes: [
    { name: "kubeconfig", configMap: "kube-proxy", mountPath: "/var/lib/kube-proxy/" },
    { name: "config", configMap: "kube-proxy-config", mountPath: "/var/lib/kube-proxy-config/" },
  ],
};

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    server: https://192.168.1.10:6443
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
`;

function daemonSet({ image, command, volumes }: Install): object {
  return {
    metadata: { name: "kube-proxy", namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      updateStrategy: { type: "RollingUpdate" },
      template: {
        metadata: { labels },
        spec: {
          priorityClassName: "system-node-critical",
          containers: [
            {
              name: "kube-proxy",
              image,
              imagePullPolicy: "IfNotPresent",
              command,
              securityContext: { privileged: true },
              volumeMounts: [
                ...volumes.map(({ name, mountPath }) => ({ name, mountPath })),
                { name: "xtables-lock", mountPath: "/run/xtables.lock" },
                { name: "lib-modules", mountPath: "/lib/modules", readOnly: true },
              ],
              env: [{ name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }],
            },
          ],
          hostNetwork: true,
          serviceAccountName: "kube-proxy",
          volumes: [
            ...volumes.map(({ name, configMap: from }) => ({ name, configMap: { name: from } })),
            { name: "xtables-lock", hostPath: { path: "/run/xtables.lock", type: "FileOrCreate" } },
            { name: "lib-modules", hostPath: { path: "/lib/modules" } },
          ],
          tolerations: [{ operator: "Exists" }],
          nodeSelector: { "kubernetes.io/os": "linux" },
        },
      },
    },
  };
}
