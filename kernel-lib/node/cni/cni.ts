/** Owns the contract of a network design: what the kubelet asks when a pod begins and ends, and what nodes do for peers. */
import type { Controller } from "../../api/controller";
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import type { Ip } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { NodeNet } from "../node";

/**
 * A failure to connect a pod, in the words of who failed; the kubelet puts it into a FailedCreatePodSandBox event and
 * tries again.
 */
export class CniError extends Error {
  /** @param message all of it, as libcni says it: `plugin type="bridge" name="mynet" failed (add): …` */
  constructor(message: string) {
    super(message);
    this.name = "CniError";
  }
}

/** The pod that asks for a network. */
export interface PodToConnect {
  readonly key: Key;
  readonly uid: string;
  /** Of its sandbox, 64 hexadecimal digits: CNI_CONTAINERID. */
  readonly id: string;
  /** A new namespace with only `lo` in it. */
  readonly netns: Netns;
  /** Nobody looks at it yet: what only shows in a namespace may be put off (`node.later`). */
  readonly lazy?: boolean;
  /** What `hostPort`s ask for; for the portmap plugin. */
  readonly portMappings?: readonly PortMapping[];
}

/** One `hostPort` of a container. */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp" | "sctp";
}

/** A text for /etc/cni/net.d, the same for all nodes or made for each. */
export type ConfigText = string | ((node: Pick<NodeNet, "name" | "podCidrs">) => string);

/** The text for one node; `own` is what the design writes by itself. */
export function configTextFor(node: NodeNet, given: ConfigText | undefined, own: () => string): string {
  return given === undefined ? own() : typeof given === "string" ? given : given(node);
}

/** One design, for all nodes: what it holds per node it keeps by the node. */
export interface Cni {
  readonly name: string;
  /** Sets a machine up before anything runs on it. */
  prepare?(node: NodeNet): void;
  /** Whether the node's container runtime has a network to give: until then the node is NotReady, and pods wait. */
  ready(node: NodeNet): boolean;
  /** Connects a pod: device, addresses, routes. @throws CniError */
  addPod(pod: PodToConnect, node: NodeNet): readonly Ip[];
  /** Takes it away again; no error if it is gone. */
  deletePod(pod: PodToConnect, node: NodeNet): void;
  /** Brings the node in step with the cluster's nodes. `nodes` is asked only when it is needed. */
  syncPeers(nodes: () => readonly Kinds["Node"][], node: NodeNet): void;
  /** What runs beside the nodes for this design: a cloud's route controller, say. */
  readonly beside?: readonly Controller[];
}
