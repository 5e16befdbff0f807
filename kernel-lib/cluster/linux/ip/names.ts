/** Owns the names of network namespaces on a node, as the container runtime gives them to the pods' sandboxes. */
import type { Netns } from "../../../net/netns";
import type { Cluster } from "../../cluster";
import { netnsName } from "../../runtime/processes";

/** A namespace that has a name on a machine (`/var/run/netns`). */
export interface NamedNetns {
  readonly name: string;
  readonly netns: Netns;
}

/** The named namespaces of a machine, in the order in which its pods came; none where no runtime is. */
export function namedNetns(cluster: Cluster, netns: Netns): readonly NamedNetns[] {
  const machine = [...cluster.nodes.values()].find(({ net }) => net.netns === netns);
  return (machine?.kubelet.pods ?? []).flatMap((worker) => {
    const name = netnsName(worker);
    const found = worker.sandboxes[0]?.connected?.netns;
    return name === undefined || !found || found === netns ? [] : [{ name, netns: found }];
  });
}
