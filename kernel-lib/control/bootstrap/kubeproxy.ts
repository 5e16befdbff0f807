/** Owns kube-proxy's DaemonSet and configuration as kubeadm (cmd/kubeadm/app/phases/addons/proxy) or EKS installs them. */

import type { Initial } from "./index";
import { kubernetesVersion } from "./version";

const namespace = "kube-system";
const labels = { "k8s-app": "kube-proxy" };

/** The file `config.conf` of the ConfigMap; `mode` is what decides. */
export function proxyConfig(mode: string, clusterCidr: string): string {
  return `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
clusterCIDR: ${clusterCidr || '""'}
kind: KubeProxyConfiguration
mode: ${mode}
`;
}

/** @param clusterCidr `""`: nobody knows where pods live, as in a VPC */
export function kubeProxyObjects(mode: string, clusterCidr: string, by: "kubeadm" | "eks"): readonly Initial[] {
  const config = proxyConfig(mode, clusterCidr);
  return [
    { kind: "ServiceAccount", object: { metadata: { name: "kube-proxy", namespace } } },
    ...(by === "kubeadm"
      ? [configMap("kube-proxy", { "config.conf": config, "kubeconfig.conf": kubeconfig })]
      : [configMap("kube-proxy", { kubeconfig }), configMap("kube-proxy-config", { config })]),
    { kind: "DaemonSet", object: by === "kubeadm" ? daemonSet(kubeadm) : daemonSet(eks) },
  ];
}

function configMap(name: string, data: Readonly<Record<string, string>>): Initial {
  return { kind: "ConfigMap", object: { metadata: { name, namespace, labels: { app: "kube-proxy" } }, data } };
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
