/** Owns the contract of a kube-proxy mode: what a node should do goes in, rules of its namespace come out. */
import type { NodeNet } from "../node";
import type { ServicePort } from "./view";

/** One object serves all nodes; what it wrote on which it keeps by node. */
export interface ProxyMode {
  readonly name: string;
  /**
   * Makes the node's namespace do what the view says.
   * @param view all service ports, sorted by name; a port that did not change is the same object as the last time
   */
  sync(view: readonly ServicePort[], node: NodeNet): void;
}
