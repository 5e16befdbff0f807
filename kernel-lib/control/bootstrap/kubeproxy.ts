/** Owns kube-proxy's DaemonSet and configuration as kubeadm installs them (cmd/kubeadm/app/phases/addons/proxy). */

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
clusterCIDR: ${clusterCidr}
kind: KubeProxyConfiguration
mode: ${mode}
`;
}

export function kubeProxyObjects(mode: string, clusterCidr: string): readonly Initial[] {
  const data = { "config.conf": proxyConfig(mode, clusterCidr), "kubeconfig.conf": kubeconfig };
  return [
    { kind: "ServiceAccount", object: { metadata: { name: "kube-proxy", namespace } } },
    { kind: "ConfigMap", object: { metadata: { name: "kube-proxy", namespace, labels: { app: "kube-proxy" } }, data } },
    { kind: "DaemonSet", object: daemonSet() },
  ];
}

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

function daemonSet(): object {
  const config = { name: "kube-proxy", mountPath: "/var/lib/kube-proxy" };
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
              image: `registry.k8s.io/kube-proxy:${kubernetesVersion}`,
              imagePullPolicy: "IfNotPresent",
              command: [
                "/usr/local/bin/kube-proxy",
                "--config=/var/lib/kube-proxy/config.conf",
                "--hostname-override=$(NODE_NAME)",
              ],
              securityContext: { privileged: true },
              volumeMounts: [
                config,
                { name: "xtables-lock", mountPath: "/run/xtables.lock" },
                { name: "lib-modules", mountPath: "/lib/modules", readOnly: true },
              ],
              env: [{ name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }],
            },
          ],
          hostNetwork: true,
          serviceAccountName: "kube-proxy",
          volumes: [
            { name: "kube-proxy", configMap: { name: "kube-proxy" } },
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
