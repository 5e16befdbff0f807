/** Owns a node as it joins: labels, the control plane's taint, addresses, what it has to give, and that it is ready. */
import { kubernetesVersion } from "../../kernel-lib/control/bootstrap/version";

export interface TestNode {
  readonly name: string;
  readonly ip: string;
  readonly controlPlane?: boolean;
  readonly zone?: string;
}

/** What every node of this cluster is made of. */
const machine = {
  capacity: { cpu: "4", "ephemeral-storage": "61202244Ki", memory: "8130224Ki", pods: "110" },
  allocatable: { cpu: "4", "ephemeral-storage": "56403987978", memory: "8027824Ki", pods: "110" },
};

/** A Node for the API; the pod range is given by node IPAM, conditions and heartbeats are the kubelet's. */
export function nodeDraft({ name, ip, controlPlane = false, zone }: TestNode): object {
  const role = "node-role.kubernetes.io/control-plane";
  return {
    metadata: {
      name,
      labels: {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        ...(controlPlane && { [role]: "", "node.kubernetes.io/exclude-from-external-load-balancers": "" }),
        ...(zone !== undefined && { "topology.kubernetes.io/zone": zone }),
      },
    },
    spec: controlPlane ? { taints: [{ effect: "NoSchedule", key: role }] } : {},
    status: {
      addresses: [
        { address: ip, type: "InternalIP" },
        { address: name, type: "Hostname" },
      ],
      ...machine,
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      nodeInfo: {
        architecture: "amd64",
        bootID: "",
        containerRuntimeVersion: "containerd://2.2.1",
        kernelVersion: "6.12.48+deb13-amd64",
        kubeProxyVersion: "",
        kubeletVersion: kubernetesVersion,
        machineID: "",
        operatingSystem: "linux",
        osImage: "Debian GNU/Linux 13 (trixie)",
        systemUUID: "",
      },
    },
  };
}
