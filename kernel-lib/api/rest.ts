/** Owns the API: the one door through which clients read and write objects, with defaults, validation and its errors. */
import type { Sim } from "../sim/sim";
import type { DeleteOptions } from "./deletion";
import type { Draft, Kind, Kinds } from "./kinds";
import type { Store } from "./store";
import type { Table } from "./tables/table";

/** Which objects a list is of; selectors as typed (`app=web,tier!=db`, `status.phase=Running`). */
export interface ListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WriteOptions {
  /** The namespace of the request's path; the object's own must agree. Default `default`. */
  readonly namespace?: string;
  /** Admit and answer, but write nothing. */
  readonly dryRun?: boolean;
  /** Who writes (`kubectl-create`, …). Default `kubectl`. */
  readonly by?: string;
}

export type PatchType = "strategic" | "merge" | "json";

/** A scale subresource: autoscaling/v1 Scale. */
export interface Scale {
  readonly apiVersion: "autoscaling/v1";
  readonly kind: "Scale";
  readonly metadata: Kinds["Deployment"]["metadata"];
  readonly spec: { readonly replicas: number };
  readonly status: { readonly replicas: number; readonly selector: string };
}

/** What a cluster is made with, as far as the API server must know. CIDRs as text. */
export interface ApiOptions {
  /** Default `10.96.0.0/12`. */
  readonly serviceCidr?: string;
  /** Default `30000-32767`. */
  readonly nodePorts?: readonly [number, number];
}

/** All methods throw StatusError with the API server's message. Namespaces: `""` for what belongs to none. */
export interface Api {
  readonly store: Store;
  get<K extends Kind>(kind: K, namespace: string, name: string): Kinds[K];
  /** Sorted by namespace and name, as etcd keeps them. */
  list<K extends Kind>(kind: K, options?: ListOptions): readonly Kinds[K][];
  /** The Table that `kubectl get` asks for. One object: `rows` of it; ages are as of now. */
  table<K extends Kind>(kind: K, objects: readonly Kinds[K][]): Table;
  /** `object` is whatever a client sent: fields are checked (strictly), defaults filled, errors all reported. */
  create<K extends Kind>(kind: K, object: Draft<K> | object, options?: WriteOptions): Kinds[K];
  /** Replaces; metadata.resourceVersion, if given, must be the current one. */
  update<K extends Kind>(kind: K, object: Kinds[K] | Draft<K> | object, options?: WriteOptions): Kinds[K];
  patch<K extends Kind>(
    kind: K,
    namespace: string,
    name: string,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions,
  ): Kinds[K];
  delete<K extends Kind>(
    kind: K,
    namespace: string,
    name: string,
    options?: DeleteOptions & { readonly by?: string; readonly dryRun?: boolean },
  ): Kinds[K];
  getScale(kind: "Deployment" | "ReplicaSet", namespace: string, name: string): Scale;
  scale(
    kind: "Deployment" | "ReplicaSet",
    namespace: string,
    name: string,
    replicas: number,
    options?: WriteOptions,
  ): Scale;
}

export declare function createApi(sim: Sim, store: Store, options?: ApiOptions): Api;
