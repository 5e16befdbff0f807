/** Owns the contract of a network plugin: what the kubelet asks when a pod begins and ends, and what nodes do for peers. */
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import type { Ip } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { NodeNet } from "../node";

/** A plugin's failure, in its own words; the kubelet puts it into a FailedCreatePodSandBox event and tries again. */
export class CniError extends Error {
  constructor(
    readonly plugin: string,
    message: string,
  ) {
    super(message);
    this.name = "CniError";
  }
}

/** The pod that asks for a network. */
export interface PodToConnect {
  readonly key: Key;
  readonly uid: string;
  /** A new namespace with only `lo` in it. */
  readonly netns: Netns;
}

/** One plugin, for all nodes: what it holds per node it keeps by the node's name. */
export interface Cni {
  readonly name: string;
  /** Whether the node's own set-up is there: until then the node is NotReady, and pods wait. */
  ready(node: NodeNet): boolean;
  /** Connects a pod: device, address, routes. @throws CniError */
  addPod(pod: PodToConnect, node: NodeNet): readonly Ip[];
  /** Takes it away again; no error if it is gone. */
  deletePod(pod: Pick<PodToConnect, "key" | "uid">, node: NodeNet): void;
  /** Brings routes, tunnels and neighbours in step with the cluster's nodes. */
  syncPeers(nodes: readonly Kinds["Node"][], node: NodeNet): void;
}
