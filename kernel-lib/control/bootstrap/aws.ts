/** Owns the network add-on of EKS: the DaemonSet aws-node and its configuration (amazon-vpc-cni-k8s, config/master). */
import type { Initial } from "./index";

const namespace = "kube-system";
const labels = { "k8s-app": "aws-node" };
const registry = "602401143452.dkr.ecr.us-west-2.amazonaws.com";
const version = "v1.20.4-eksbuild.2";

export function awsObjects(): readonly Initial[] {
  const settings = {
    "branch-eni-cooldown": "60",
    "enable-network-policy-controller": "false",
    "enable-windows-ipam": "false",
    "enable-windows-prefix-delegation": "false",
    "minimum-ip-target": "3",
    "warm-ip-target": "1",
    "warm-prefix-target": "0",
  };
  return [
    { kind: "ServiceAccount", object: { metadata: { name: "aws-node", namespace, labels } } },
    { kind: "ConfigMap", object: { metadata: { name: "amazon-vpc-cni", namespace, labels }, data: settings } },
    { kind: "DaemonSet", object: daemonSet() },
  ];
}

const env: Readonly<Record<string, string>> = {
  AWS_VPC_CNI_NODE_PORT_SUPPORT: "true",
  AWS_VPC_ENI_MTU: "1500",
  AWS_VPC_K8S_CNI_EXTERNALSNAT: "false",
  AWS_VPC_K8S_CNI_RANDOMIZESNAT: "prng",
  ENABLE_IPv4: "true",
  ENABLE_IPv6: "false",
  ENABLE_POD_ENI: "false",
  WARM_ENI_TARGET: "1",
};

function daemonSet(): object {
  const folders = { "cni-bin-dir": "/opt/cni/bin", "cni-net-dir": "/etc/cni/net.d" };
  const mount = (name: string, mountPath: string): object => ({ name, mountPath });
  return {
    metadata: { name: "aws-node", namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "10%" } },
      template: {
        metadata: { labels },
        spec: {
          hostNetwork: true,
          priorityClassName: "system-node-critical",
          serviceAccountName: "aws-node",
          tolerations: [{ operator: "Exists" }],
          initContainers: [
            {
              name: "aws-vpc-cni-init",
              image: `${registry}/amazon-k8s-cni-init:${version}`,
              volumeMounts: [mount("cni-bin-dir", "/host/opt/cni/bin")],
            },
          ],
          containers: [
            {
              name: "aws-node",
              image: `${registry}/amazon-k8s-cni:${version}`,
              env: Object.entries(env).map(([name, value]) => ({ name, value })),
              ports: [{ containerPort: 61678, name: "metrics" }],
              resources: { requests: { cpu: "25m" } },
              securityContext: { capabilities: { add: ["NET_ADMIN", "NET_RAW"] } },
              volumeMounts: [mount("cni-bin-dir", "/host/opt/cni/bin"), mount("cni-net-dir", "/host/etc/cni/net.d")],
            },
          ],
          volumes: Object.entries(folders).map(([name, path]) => ({ name, hostPath: { path } })),
        },
      },
    },
  };
}
