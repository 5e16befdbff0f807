/** Owns the door to the control plane: all controllers, started on one store, each with its own pace. */
import { type Controller, type RunningController, runController } from "../api/controller";
import { defaultPropagation, type Propagation } from "../api/propagation";
import type { Store } from "../api/store";
import { millisecond, type Time } from "../sim/clock";
import type { Sim } from "../sim/sim";
import { daemonSetControllerOf } from "./daemonset";
import { deploymentControllerOf } from "./deployment";
import { disruptionControllerOf } from "./disruption";
import { endpointsControllerOf } from "./endpoints";
import { endpointSliceControllerOf } from "./endpointslice";
import { endpointSliceMirroringControllerOf } from "./endpointslice/mirroring";
import { garbageCollectorOf } from "./garbage";
import { jobControllerOf } from "./job";
import { namespaceControllerOf, serviceAccountControllerOf } from "./namespaces";
import { nodeIpamControllerOf } from "./nodeipam";
import { podGarbageCollectorOf } from "./podgc";
import { replicaSetControllerOf } from "./replicaset";
import { schedulerOf } from "./scheduler";
import { statefulSetControllerOf } from "./statefulset";
import { taintEvictionControllerOf } from "./tainteviction";
import { ttlAfterFinishedControllerOf } from "./ttlafterfinished";

export interface ControlOptions {
  /** Default `10.244.0.0/16`; a node gets a /24 (a /64 of an IPv6 prefix). Empty: nodes get no ranges. */
  readonly podCidrs?: readonly string[];
  /** PEM text for kube-root-ca.crt. */
  readonly caCertificate?: string;
  /** Other delays than the default ones. */
  readonly propagation?: Pick<Propagation, "controllers" | "slices">;
}

/** How long one reconcile takes: the order of magnitude of a small idle cluster. */
const works: Readonly<Record<string, Time>> = {
  "default-scheduler": 2 * millisecond,
  "generic-garbage-collector": 15 * millisecond,
  "namespace-controller": 10 * millisecond,
  "node-ipam-controller": millisecond,
};

/** Who writes endpoints: its delay is part of how long traffic still goes to a dying pod. */
const ofEndpoints = new Set(["endpointslice-controller", "endpointslice-mirroring-controller", "endpoints-controller"]);

/** Starts kube-controller-manager's and kube-scheduler's loops. */
export function startControllers(sim: Sim, store: Store, options: ControlOptions = {}): readonly RunningController[] {
  const context = { sim, store };
  const { podCidrs = ["10.244.0.0/16"] } = options;
  const controllers: readonly Controller[] = [
    nodeIpamControllerOf(context, { podCidrs, nodeMasks: { IPv4: 24, IPv6: 64 } }),
    serviceAccountControllerOf(context, options.caCertificate ?? ""),
    namespaceControllerOf(context),
    deploymentControllerOf(context),
    replicaSetControllerOf(context),
    daemonSetControllerOf(context),
    statefulSetControllerOf(context),
    jobControllerOf(context),
    ttlAfterFinishedControllerOf(context),
    disruptionControllerOf(context),
    schedulerOf(context),
    endpointSliceControllerOf(context),
    endpointSliceMirroringControllerOf(context),
    endpointsControllerOf(context),
    garbageCollectorOf(context),
    taintEvictionControllerOf(context),
    podGarbageCollectorOf(context),
  ];
  const { controllers: others, slices } = options.propagation ?? defaultPropagation;
  return controllers.map((controller) => {
    const { name } = controller;
    const pace = { hear: ofEndpoints.has(name) ? slices : others, work: works[name] ?? 5 * millisecond };
    return runController(sim, store, controller, pace);
  });
}
