/** Owns the life of pods on one node: what the store wants of them, done in virtual time, and told to the store. */

import type { Again, Controller } from "../api/controller";
import type { Key } from "../api/meta";
import type { Store } from "../api/store";
import type { ProcessRunner } from "../apps/app";
import type { Registry } from "../apps/image";
import type { Cni } from "./cni/cni";
import type { Container } from "./container";
import { defaultFigures, type NodeFigures } from "./figures";
import type { NodeNet } from "./node";

/** What a kubelet is handed. */
export interface KubeletParts {
  readonly store: Store;
  readonly node: NodeNet;
  readonly cni: Cni;
  readonly registry: Registry;
  readonly runner: ProcessRunner;
  /** Default `cluster.local`. */
  readonly clusterDomain?: string;
  /** Default `10.96.0.10`. */
  readonly dnsIp?: string;
  readonly figures?: NodeFigures;
}
