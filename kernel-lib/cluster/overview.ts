/** Owns a cluster in a few lines: its nodes, its network, its Services' addresses and the time in it. */
import { rfc3339 } from "../api/time";
import type { Cluster } from "./cluster";
import { proxyModes } from "./setmode";

/** What a notebook shows of a cluster. @param addresses the ranges of Services, and the address of its DNS */
export function overview(
  cluster: Pick<Cluster, "nodes" | "options" | "store" | "now">,
  { services, dns }: { readonly services: readonly string[]; readonly dns: string },
): string {
  const nodes = cluster.store.list("Node");
  const version = nodes[0]?.status.nodeInfo?.kubeletVersion ?? "";
  const lines = nodes.map((node) => {
    const ip = node.status.addresses?.find(({ type }) => type === "InternalIP")?.address ?? "";
    const ready = node.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
    return `  ${node.metadata.name.padEnd(14)} ${ready ? "Ready   " : "NotReady"}  ${ip.padEnd(14)} pods ${node.spec.podCIDR ?? ""}`;
  });
  const { cni, seed, mode } = cluster.options;
  const modes = proxyModes(cluster).join(" and ") || mode;
  const time = rfc3339(cluster.now).replace("T", " ").replace("Z", "");
  return [
    `Kubernetes ${version}: ${nodes.length} nodes, network ${cni}, kube-proxy ${modes}, seed ${seed}`,
    ...lines,
    `  workstation    outside   192.168.1.100`,
    `Services ${services.join(" and ")}, DNS ${dns}. It is ${time} in the cluster.`,
  ].join("\n");
}
