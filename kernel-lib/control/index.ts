/** Owns the door to the control plane: all controllers, started on one store, each with its own pace. */
import { type Controller, type Pace, type RunningController, runController } from "../api/controller";
import type { Store } from "../api/store";
import { millisecond } from "../sim/clock";
import type { Sim } from "../sim/sim";
import { daemonSetControllerOf } from "./daemonset";
import { deploymentControllerOf } from "./deployment";
import { endpointsControllerOf } from "./endpoints";
import { endpointSliceControllerOf } from "./endpointslice";
import { endpointSliceMirroringControllerOf } from "./endpointslice/mirroring";
import { garbageCollectorOf } from "./garbage";
import { namespaceControllerOf, serviceAccountControllerOf } from "./namespaces";
import { nodeIpamControllerOf } from "./nodeipam";
import { replicaSetControllerOf } from "./replicaset";
import { schedulerOf } from "./scheduler";

export interface ControlOptions {
  /** Default `10.244.0.0/16`; a node gets a /24 (a /64 of an IPv6 prefix). Empty: nodes get no ranges. */
  readonly podCidrs?: readonly string[];
  /** PEM text for kube-root-ca.crt. */
  readonly caCertificate?: string;
  /** Other paces than the default ones, by controller name. */
  readonly paces?: Readonly<Record<string, Pace>>;
}

/**
 * From a write until a controller hears of it (watch latency), and how long one reconcile takes: the orders of magnitude
 * of a small idle cluster. The EndpointSlice controller's pace is part of how long traffic still goes to a dying pod.
 */
export const paces: Readonly<Record<string, Pace>> = {
  "deployment-controller": { hear: 5 * millisecond, work: 5 * millisecond },
  "replicaset-controller": { hear: 5 * millisecond, work: 5 * millisecond },
  "daemonset-controller": { hear: 5 * millisecond, work: 5 * millisecond },
  "default-scheduler": { hear: 5 * millisecond, work: 2 * millisecond },
  "endpointslice-controller": { hear: 10 * millisecond, work: 5 * millisecond },
  "endpointslice-mirroring-controller": { hear: 10 * millisecond, work: 5 * millisecond },
  "endpoints-controller": { hear: 10 * millisecond, work: 5 * millisecond },
  "generic-garbage-collector": { hear: 20 * millisecond, work: millisecond },
  "namespace-controller": { hear: 10 * millisecond, work: 5 * millisecond },
  "serviceaccount-controller": { hear: 5 * millisecond, work: 5 * millisecond },
  "node-ipam-controller": { hear: 5 * millisecond, work: millisecond },
};

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
    schedulerOf(context),
    endpointSliceControllerOf(context),
    endpointSliceMirroringControllerOf(context),
    endpointsControllerOf(context),
    garbageCollectorOf(context),
  ];
  return controllers.map((controller) => {
    return runController(sim, store, controller, options.paces?.[controller.name] ?? paces[controller.name]);
  });
}
