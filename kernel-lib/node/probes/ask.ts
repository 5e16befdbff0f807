/** Owns what is common to the ways in which a kubelet asks a container how it is. */
import type { Files } from "../../apps/files";
import type { Netns } from "../../net/netns";
import type { Random } from "../../sim/random";
import type { Sim } from "../../sim/sim";

/** From where is asked: the machine that the kubelet runs on. */
export interface Asker {
  readonly sim: Sim;
  /** The node's own namespace: what is sent has the node's address on the bridge. */
  readonly netns: Netns;
  /** For ports, keys and DNS ids: a stream of its own, so that probes move nobody's dice. */
  readonly random: Random;
  /** The node's: /etc/hosts and /etc/resolv.conf. */
  readonly files: Files;
}

/**
 * What one probe came to (pkg/probe/probe.go): a `warning` counts as a success and is told; an `error` could not be asked at
 * all, is told, and counts as nothing.
 */
export interface Outcome {
  readonly result: "success" | "failure" | "warning" | "error";
  /** What was found wrong, as the event says it. */
  readonly message: string;
}

/** A question that waits for its answer. */
export interface Asking {
  /** Nobody wants to know any more: connections are given up, and nobody is told. */
  cancel(): void;
}
