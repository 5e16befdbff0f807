/** Owns the Node object that a kubelet registers: labels, addresses, capacity, conditions, versions. */
import type { Draft } from "../api/kinds";
import { rfc3339 } from "../api/time";
import { formatIp } from "../net/address";
import type { Time } from "../sim/clock";
import type { NodeOptions } from "./node";

/** The version of Kubernetes that all of this follows. */
export const kubernetesVersion = "v1.36.0";
const controlPlane = "node-role.kubernetes.io/control-plane";

/** A Node as a kubelet that has just started registers it, and as kubeadm marks a control plane. */
export function newNode(options: NodeOptions, now: Time): Draft<"Node"> {
  const { name, ip, ipv6, externalIp, zone } = options;
  const cpu = String(options.cpus ?? 4);
  const memory = options.memoryKib ?? 8 * 1024 * 1024;
  const resources = (kib: number) => ({ cpu, "ephemeral-storage": "61202244Ki", memory: `${kib}Ki`, pods: "110" });
  return {
    kind: "Node",
    metadata: {
      name,
      labels: {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        ...(options.controlPlane && {
          [controlPlane]: "",
          "node.kubernetes.io/exclude-from-external-load-balancers": "",
        }),
        ...(zone !== undefined && { "topology.kubernetes.io/zone": zone }),
      },
      annotations: {
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
      },
    },
    spec: options.controlPlane ? { taints: [{ key: controlPlane, effect: "NoSchedule" }] } : {},
    status: {
      addresses: [
        { type: "InternalIP", address: formatIp(ip) },
        ...(ipv6 === undefined ? [] : [{ type: "InternalIP", address: formatIp(ipv6) }]),
        ...(externalIp === undefined ? [] : [{ type: "ExternalIP", address: formatIp(externalIp) }]),
        { type: "Hostname", address: name },
      ],
      capacity: resources(memory),
      // What the kubelet keeps for its eviction threshold (100 Mi).
      allocatable: resources(memory - 102_400),
      conditions: [
        pressure("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", now),
        pressure("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", now),
        pressure("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available", now),
        readyCondition(false, now),
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      images: [],
      nodeInfo: {
        architecture: "amd64",
        bootID: "",
        containerRuntimeVersion: "containerd://2.2.0",
        kernelVersion: "6.12.0-amd64",
        kubeProxyVersion: "",
        kubeletVersion: kubernetesVersion,
        machineID: "",
        operatingSystem: "linux",
        osImage: "Debian GNU/Linux 13 (trixie)",
        systemUUID: "",
      },
    },
  } as Draft<"Node">;
}

function pressure(type: string, reason: string, message: string, now: Time) {
  const at = rfc3339(now);
  return { type, status: "False", lastHeartbeatTime: at, lastTransitionTime: at, reason, message };
}

/** `Ready`: the kubelet works, and its pods can have a network. */
export function readyCondition(ready: boolean, now: Time) {
  const at = rfc3339(now);
  const shared = { type: "Ready", lastHeartbeatTime: at, lastTransitionTime: at };
  if (ready) return { ...shared, status: "True", reason: "KubeletReady", message: "kubelet is posting ready status" };
  const message =
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
  return { ...shared, status: "False", reason: "KubeletNotReady", message };
}
