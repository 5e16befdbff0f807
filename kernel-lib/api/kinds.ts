/** Owns the list of kinds: their types, and the names by which the API and kubectl know them. */
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from "kubernetes-types/apps/v1";
import type { Job } from "kubernetes-types/batch/v1";
import type {
  ConfigMap,
  Endpoints,
  Event,
  Namespace,
  Node,
  Pod,
  Secret,
  Service,
  ServiceAccount,
} from "kubernetes-types/core/v1";
import type { EndpointSlice } from "kubernetes-types/discovery/v1";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1";
import type { DraftMeta, Immutable, Meta } from "./meta";
import {
  type BGPAdvertisementSpec,
  type BGPPeerSpec,
  type IPAddressPoolSpec,
  type L2AdvertisementSpec,
  metallbResource,
} from "./metallb";

type Filled = "spec" | "status";

/** An object in the store: admission has filled `spec` and `status`, the store the metadata. */
type Stored<T, K extends string, V extends string> = Immutable<
  Omit<T, "apiVersion" | "kind" | "metadata" | Filled> & {
    [F in Extract<keyof T, Filled>]-?: Exclude<T[F], undefined>;
  }
> & { readonly apiVersion: V; readonly kind: K; readonly metadata: Meta };

/** What v1.36 has and the type package (1.30) has not. */
interface NewerEndpoint {
  readonly hints?: { readonly forNodes?: readonly { readonly name: string }[] };
}
/** KEP-5067. */
interface Observed {
  readonly observedGeneration?: number;
}
interface NewerPodStatus extends Observed {
  readonly conditions?: readonly (NonNullable<StoredPod["status"]["conditions"]>[number] & Observed)[];
}
type StoredPod = Stored<Pod, "Pod", "v1">;
type StoredSlice = Stored<EndpointSlice, "EndpointSlice", "discovery.k8s.io/v1">;

/** A kind that is defined by an add-on (a custom resource). */
interface Custom<K extends string, V extends string, S> {
  readonly apiVersion: V;
  readonly kind: K;
  readonly metadata: Meta;
  readonly spec: Immutable<S>;
  readonly status?: Immutable<Record<string, unknown>>;
}

/** Every kind, by name. */
export interface Kinds {
  Pod: Omit<StoredPod, "status"> & { readonly status: Omit<StoredPod["status"], "conditions"> & NewerPodStatus };
  Node: Stored<Node, "Node", "v1">;
  Namespace: Stored<Namespace, "Namespace", "v1">;
  Service: Stored<Service, "Service", "v1">;
  Endpoints: Stored<Endpoints, "Endpoints", "v1">;
  EndpointSlice: Omit<StoredSlice, "endpoints"> & {
    readonly endpoints: readonly (StoredSlice["endpoints"][number] & NewerEndpoint)[];
  };
  Deployment: Stored<Deployment, "Deployment", "apps/v1">;
  ReplicaSet: Stored<ReplicaSet, "ReplicaSet", "apps/v1">;
  DaemonSet: Stored<DaemonSet, "DaemonSet", "apps/v1">;
  StatefulSet: Stored<StatefulSet, "StatefulSet", "apps/v1">;
  ControllerRevision: Stored<ControllerRevision, "ControllerRevision", "apps/v1">;
  Job: Stored<Job, "Job", "batch/v1">;
  ConfigMap: Stored<ConfigMap, "ConfigMap", "v1">;
  Secret: Stored<Secret, "Secret", "v1">;
  Event: Stored<Event, "Event", "v1">;
  ServiceAccount: Stored<ServiceAccount, "ServiceAccount", "v1">;
  PodDisruptionBudget: Stored<PodDisruptionBudget, "PodDisruptionBudget", "policy/v1">;
  IPAddressPool: Custom<"IPAddressPool", "metallb.io/v1beta1", IPAddressPoolSpec>;
  L2Advertisement: Custom<"L2Advertisement", "metallb.io/v1beta1", L2AdvertisementSpec>;
  BGPAdvertisement: Custom<"BGPAdvertisement", "metallb.io/v1beta1", BGPAdvertisementSpec>;
  BGPPeer: Custom<"BGPPeer", "metallb.io/v1beta2", BGPPeerSpec>;
}

export type Kind = keyof Kinds;
export type KubeObject = Kinds[Kind];

/** An object on its way in: as written in a manifest, before defaults, identity and times. */
export type Draft<K extends Kind> = K extends Kind
  ? Omit<Kinds[K], "metadata" | "status" | "apiVersion"> & {
      readonly apiVersion?: string;
      readonly metadata: DraftMeta;
      readonly status?: unknown;
    }
  : never;

/** How the API and kubectl speak of one kind. */
export interface Resource {
  readonly kind: Kind;
  /** `""` for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly subresources: readonly ("status" | "scale")[];
  /** Of an add-on's kinds: the namespace that is there when the add-on and its definitions are. */
  readonly definedIn?: string;
}

const all = ["all"] as const;
const scaled = ["status", "scale"] as const;

function core(kind: Kind, plural: string, rest: Partial<Resource> = {}): Resource {
  const singular = kind.toLowerCase();
  const base = { kind, group: "", version: "v1", plural, singular, shortNames: [], categories: [], namespaced: true };
  return { ...base, subresources: [], ...rest };
}

/** In the order in which `kubectl get all` prints them; the rest follows. */
const table: { readonly [K in Kind]: Resource } = {
  Pod: core("Pod", "pods", { shortNames: ["po"], categories: all, subresources: ["status"] }),
  Service: core("Service", "services", { shortNames: ["svc"], categories: all, subresources: ["status"] }),
  DaemonSet: core("DaemonSet", "daemonsets", {
    group: "apps",
    shortNames: ["ds"],
    categories: all,
    subresources: ["status"],
  }),
  Deployment: core("Deployment", "deployments", {
    group: "apps",
    shortNames: ["deploy"],
    categories: all,
    subresources: scaled,
  }),
  ReplicaSet: core("ReplicaSet", "replicasets", {
    group: "apps",
    shortNames: ["rs"],
    categories: all,
    subresources: scaled,
  }),
  StatefulSet: core("StatefulSet", "statefulsets", {
    group: "apps",
    shortNames: ["sts"],
    categories: all,
    subresources: scaled,
  }),
  Job: core("Job", "jobs", { group: "batch", categories: all, subresources: ["status"] }),
  Node: core("Node", "nodes", { shortNames: ["no"], namespaced: false, subresources: ["status"] }),
  Namespace: core("Namespace", "namespaces", { shortNames: ["ns"], namespaced: false, subresources: ["status"] }),
  Endpoints: core("Endpoints", "endpoints", { shortNames: ["ep"] }),
  EndpointSlice: core("EndpointSlice", "endpointslices", { group: "discovery.k8s.io" }),
  ConfigMap: core("ConfigMap", "configmaps", { shortNames: ["cm"] }),
  Secret: core("Secret", "secrets"),
  Event: core("Event", "events", { shortNames: ["ev"] }),
  ServiceAccount: core("ServiceAccount", "serviceaccounts", { shortNames: ["sa"] }),
  ControllerRevision: core("ControllerRevision", "controllerrevisions", { group: "apps" }),
  PodDisruptionBudget: core("PodDisruptionBudget", "poddisruptionbudgets", {
    group: "policy",
    shortNames: ["pdb"],
    subresources: ["status"],
  }),
  IPAddressPool: metallbResource("IPAddressPool", "v1beta1"),
  L2Advertisement: metallbResource("L2Advertisement", "v1beta1"),
  BGPAdvertisement: metallbResource("BGPAdvertisement", "v1beta1"),
  BGPPeer: metallbResource("BGPPeer", "v1beta2"),
};

/** All resources; those of the category `all` come first, in kubectl's order. */
export const resources: readonly Resource[] = Object.values(table);

/** Whether this cluster has a resource: those of add-ons only where these are. */
export function isServed(
  { definedIn }: Resource,
  namespaces: { get(kind: "Namespace", name: string): unknown },
): boolean {
  return definedIn === undefined || namespaces.get("Namespace", definedIn) !== undefined;
}

/** The resource of a kind. */
export function resourceOf(kind: Kind): Resource {
  return table[kind];
}

/** `v1`, `apps/v1`. */
export function apiVersionOf(resource: Resource): string {
  return versions[resource.kind];
}

const versions = Object.fromEntries(
  resources.map(({ kind, group, version }) => [kind, group === "" ? version : `${group}/${version}`]),
) as { readonly [K in Kind]: string };

/** `pods`, `deployments.apps`: as the API server names a resource in its errors. */
export function qualifiedName(resource: Resource): string {
  return resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** Finds the kind that a manifest means; undefined if this cluster has none such. */
export function findKind(apiVersion: string, kind: string): Resource | undefined {
  const found = Object.hasOwn(table, kind) ? table[kind as Kind] : undefined;
  return found && apiVersionOf(found) === apiVersion ? found : undefined;
}

/**
 * Finds what somebody typed at kubectl: `pods`, `pod`, `po`, `Pod`, `deployments.apps`, `deployments.v1.apps`.
 * Undefined: "the server doesn't have a resource type".
 */
export function findResource(typed: string): Resource | undefined {
  const word = typed.toLowerCase();
  const dot = word.indexOf(".");
  const name = dot < 0 ? word : word.slice(0, dot);
  const found = resources.find((r) => r.plural === name || r.singular === name || r.shortNames.includes(name));
  if (!found || dot < 0) return found;
  const suffix = word.slice(dot + 1);
  return suffix === found.group || suffix === `${found.version}.${found.group}` ? found : undefined;
}

/** The resources of a category (`all`), in kubectl's order; none if there is no such category. */
export function findCategory(category: string): readonly Resource[] {
  return resources.filter((resource) => resource.categories.includes(category));
}
