/** Owns flannel's DaemonSet and configuration as its manifest kube-flannel.yml installs them. */
import type { Initial } from "./index";

const namespace = "kube-flannel";
const labels = { app: "flannel", tier: "node", "k8s-app": "flannel" };
const image = "ghcr.io/flannel-io/flannel:v0.27.4";
const pluginImage = "ghcr.io/flannel-io/flannel-cni-plugin:v1.8.0-flannel1";

/** How the plugin makes pods' interfaces: cni-conf.json of the ConfigMap. */
const cniConfig = `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "flannel",
      "delegate": {
        "hairpinMode": true,
        "isDefaultGateway": true
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      }
    }
  ]
}
`;

/** net-conf.json of the ConfigMap; the backend's type decides how pods of other nodes are reached. */
export function netConfig(backend: "vxlan" | "host-gw", podCidrs: readonly string[]): string {
  const ipv4 = podCidrs.find((prefix) => !prefix.includes(":"));
  const ipv6 = podCidrs.find((prefix) => prefix.includes(":"));
  const lines = [
    ...(ipv4 === undefined ? [] : [`  "Network": "${ipv4}",\n`]),
    ...(ipv6 === undefined ? [] : [`  "EnableIPv6": true,\n  "IPv6Network": "${ipv6}",\n`]),
  ];
  return `{
${lines.join("")}  "EnableNFTables": false,
  "Backend": {
    "Type": "${backend}"
  }
}
`;
}

export function flannelObjects(
  backend: "vxlan" | "host-gw",
  podCidrs: readonly string[],
  config = cniConfig,
): readonly Initial[] {
  const data = { "cni-conf.json": config, "net-conf.json": netConfig(backend, podCidrs) };
  const pod = { "k8s-app": "flannel", "pod-security.kubernetes.io/enforce": "privileged" };
  return [
    { kind: "Namespace", object: { metadata: { name: namespace, labels: pod } } },
    { kind: "ServiceAccount", object: { metadata: { name: "flannel", namespace, labels: { "k8s-app": "flannel" } } } },
    { kind: "ConfigMap", object: { metadata: { name: "kube-flannel-cfg", namespace, labels }, data } },
    { kind: "DaemonSet", object: daemonSet() },
  ];
}

function daemonSet(): object {
  const selector = { app: "flannel", "k8s-app": "flannel" };
  return {
    metadata: { name: "kube-flannel-ds", namespace, labels },
    spec: {
      selector: { matchLabels: selector },
      template: {
        metadata: { labels },
        spec: {
          hostNetwork: true,
          priorityClassName: "system-node-critical",
          tolerations: [{ operator: "Exists", effect: "NoSchedule" }],
          serviceAccountName: "flannel",
          initContainers: [
            installer("install-cni-plugin", pluginImage, ["-f", "/flannel", "/opt/cni/bin/flannel"], {
              "cni-plugin": "/opt/cni/bin",
            }),
            installer(
              "install-cni",
              image,
              ["-f", "/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"],
              {
                cni: "/etc/cni/net.d",
                "flannel-cfg": "/etc/kube-flannel/",
              },
            ),
          ],
          containers: [daemon],
          volumes: [
            { name: "run", hostPath: { path: "/run/flannel" } },
            { name: "cni-plugin", hostPath: { path: "/opt/cni/bin" } },
            { name: "cni", hostPath: { path: "/etc/cni/net.d" } },
            { name: "flannel-cfg", configMap: { name: "kube-flannel-cfg" } },
            { name: "xtables-lock", hostPath: { path: "/run/xtables.lock", type: "FileOrCreate" } },
          ],
        },
      },
    },
  };
}

function installer(
  name: string,
  from: string,
  args: readonly string[],
  mounts: Readonly<Record<string, string>>,
): object {
  const volumeMounts = Object.entries(mounts).map(([volume, mountPath]) => ({ name: volume, mountPath }));
  return { name, image: from, command: ["cp"], args, volumeMounts };
}

const daemon = {
  name: "kube-flannel",
  image,
  command: ["/opt/bin/flanneld"],
  args: ["--ip-masq", "--kube-subnet-mgr"],
  resources: { requests: { cpu: "100m", memory: "50Mi" } },
  securityContext: { privileged: false, capabilities: { add: ["NET_ADMIN", "NET_RAW"] } },
  env: [
    { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
    { name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
    { name: "EVENT_QUEUE_DEPTH", value: "5000" },
    { name: "CONT_WHEN_CACHE_NOT_READY", value: "false" },
  ],
  volumeMounts: [
    { name: "run", mountPath: "/run/flannel" },
    { name: "flannel-cfg", mountPath: "/etc/kube-flannel/" },
    { name: "xtables-lock", mountPath: "/run/xtables.lock" },
  ],
};
