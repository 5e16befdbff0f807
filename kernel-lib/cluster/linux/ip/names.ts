/** Owns the names of network namespaces on a node, as the container runtime gives them to the pods' sandboxes. */
import { sha256 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import type { Netns } from "../../../net/netns";
import type { Cluster } from "../../cluster";

/** A namespace that has a name on a machine (`/var/run/netns`). */
export interface NamedNetns {
  readonly name: string;
  readonly netns: Netns;
}

/** The namespaces of a machine, in the order in which its devices lead to them; none for a pod's own namespace. */
export function namedNetns(cluster: Cluster, netns: Netns): readonly NamedNetns[] {
  const machine = [...cluster.nodes.values()].some(({ net }) => net.netns === netns);
  if (!machine) return [];
  const found: NamedNetns[] = [];
  for (const { link } of netns.devices.values()) {
    const other = link.type === "veth" ? link.peer?.netns : undefined;
    if (other && other !== netns && !found.some((each) => each.netns === other)) {
      found.push({ name: sandboxName(other), netns: other });
    }
  }
  return found;
}

/** `cni-` and a UUID (containerd, pkg/netns), here one that follows from the pod's name. */
function sandboxName(netns: Netns): string {
  const hex = bytesToHex(sha256(`netns/${netns.name}`));
  const cut = [0, 8, 12, 16, 20, 32].map((at, index, all) => hex.slice(at, all[index + 1])).slice(0, 5);
  return `cni-${cut.join("-")}`;
}
