/** Owns the types of objects while admission still works on them: fresh copies, not yet in the store. */
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from "kubernetes-types/apps/v1";
import type { Job } from "kubernetes-types/batch/v1";
import type * as core from "kubernetes-types/core/v1";
import type { EndpointSlice } from "kubernetes-types/discovery/v1";
import type { ObjectMeta } from "kubernetes-types/meta/v1";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1";
import type { Kind } from "./kinds";
import type { BGPAdvertisementSpec, BGPPeerSpec, IPAddressPoolSpec, L2AdvertisementSpec } from "./metallb";

/** Writable all the way down. */
export type Writable<T> = T extends readonly (infer U)[]
  ? Writable<U>[]
  : T extends object
    ? { -readonly [K in keyof T]: Writable<T[K]> }
    : T;

interface Raw {
  Pod: core.Pod;
  Node: core.Node;
  Namespace: core.Namespace;
  Service: core.Service;
  Endpoints: core.Endpoints;
  EndpointSlice: EndpointSlice;
  Deployment: Deployment;
  ReplicaSet: ReplicaSet;
  DaemonSet: DaemonSet;
  StatefulSet: StatefulSet;
  ControllerRevision: ControllerRevision;
  Job: Job;
  ConfigMap: core.ConfigMap;
  Secret: core.Secret;
  Event: core.Event;
  ServiceAccount: core.ServiceAccount;
  PodDisruptionBudget: PodDisruptionBudget;
  IPAddressPool: { spec?: IPAddressPoolSpec };
  L2Advertisement: { spec?: L2AdvertisementSpec };
  BGPAdvertisement: { spec?: BGPAdvertisementSpec };
  BGPPeer: { spec?: BGPPeerSpec };
}

/** An object on its way through admission. */
export type Fresh<K extends Kind> = Omit<Writable<Raw[K]>, "metadata" | "kind" | "apiVersion"> & {
  apiVersion: string;
  kind: K;
  metadata: Writable<ObjectMeta>;
};
