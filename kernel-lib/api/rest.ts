/**
 * Owns the API: the one door through which clients read and write objects, with defaults, validation and its errors.
 */
import type { Sim } from "../sim/sim";
import { applyDefaults, validate, validateUpdate } from "./admission";
import { decode, type FieldValidation } from "./decode";
import { selectOwnPods } from "./defaults/job";
import { admitPod } from "./defaults/pod";
import type { DeleteOptions } from "./deletion";
import {
  alreadyExists,
  badRequest,
  conflict,
  type FieldError,
  forbidden,
  invalid,
  invalidValue,
  notFound,
  notServed,
  StatusError,
} from "./errors";
import { type EvictionOptions, evictPod } from "./eviction";
import { fieldLabels, fieldValue } from "./fields";
import { jsonPatch } from "./jsonpatch";
import {
  apiVersionOf,
  type Draft,
  isServed,
  type Kind,
  type Kinds,
  type KubeObject,
  type Resource,
  resourceOf,
} from "./kinds";
import { keyFor, keyOf, type Meta } from "./meta";
import type { Fresh } from "./mutable";
import { mergePatch, strategicMerge } from "./patch";
import { matchesAll, parseFieldSelector, parseSelector, SelectorError } from "./selectors";
import { ServiceAddresses } from "./service/addresses";
import type { Store } from "./store";
import { type Table, tableOf } from "./tables";
import { selectorText } from "./tables/labels";
import { rfc3339 } from "./time";
import { validateMeta, validateMetaUpdate } from "./validation/meta";
import { deprecationOf, warningsOf } from "./warnings";

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
  /** Default `Strict`, as kubectl asks for when it creates and applies; a patch of kubectl's asks for `Warn`. */
  readonly fieldValidation?: FieldValidation;
  /** Told what the server warns of, in its words (the header `Warning` of HTTP). */
  readonly warn?: (text: string) => void;
  /** Of a patch: nothing but the status is written. */
  readonly subresource?: "status";
}

/** `json`: a list of operations (RFC 6902); `merge`: RFC 7386; `strategic`: Kubernetes' own. */
export type PatchType = "strategic" | "merge" | "json";

export type Scalable = "Deployment" | "ReplicaSet" | "StatefulSet";

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
  /** One range for cluster IPs, or one of each family: the first family is the default. Default `10.96.0.0/12`. */
  readonly serviceCidrs?: readonly string[];
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
  /** A pod's subresource `eviction` (policy/v1 Eviction): deletes it if its PodDisruptionBudget allows that. */
  evict(namespace: string, name: string, options?: EvictionOptions): void;
  getScale(kind: Scalable, namespace: string, name: string): Scale;
  scale(kind: Scalable, namespace: string, name: string, replicas: number, options?: WriteOptions): Scale;
}

/** The API in front of a store. One for a store: it follows who has which address. */
export function createApi(sim: Sim, store: Store, options: ApiOptions = {}): Api {
  return new Server(sim, store, options);
}

class Server implements Api {
  readonly store: Store;
  readonly #sim: Sim;
  readonly #addresses: ServiceAddresses;
  readonly #suffixes;

  constructor(sim: Sim, store: Store, options: ApiOptions) {
    this.store = store;
    this.#sim = sim;
    this.#suffixes = sim.random.fork("api/volumes");
    this.#addresses = new ServiceAddresses(store, sim.random.fork("api"), {
      serviceCidrs: options.serviceCidrs ?? ["10.96.0.0/12"],
      nodePorts: options.nodePorts ?? [30_000, 32_767],
    });
  }

  get<K extends Kind>(kind: K, namespace: string, name: string): Kinds[K] {
    const resource = resourceOf(kind);
    const found = this.store.get(kind, keyFor(resource.namespaced ? namespace : undefined, name));
    if (!found) throw notFound(resource, name);
    return found;
  }

  list<K extends Kind>(kind: K, options: ListOptions = {}): readonly Kinds[K][] {
    const labels = parsed(() => parseSelector(options.labelSelector ?? ""));
    const fields = parsed(() => parseFieldSelector(options.fieldSelector ?? ""));
    for (const { field } of fields) {
      if (!fieldLabels(kind).includes(field)) throw badRequest(`field label not supported: ${field}`);
    }
    const equal = labels.filter(({ operator, values }) => operator === "In" && values.length === 1);
    const found = this.store.list(kind, {
      ...(options.namespace !== undefined && resourceOf(kind).namespaced && { namespace: options.namespace }),
      labels: Object.fromEntries(equal.map(({ key, values }) => [key, values[0] as string])),
    });
    const matching = found.filter((object) => {
      return (
        matchesAll(labels, object.metadata.labels ?? {}) &&
        fields.every(({ field, equal, value }) => (fieldValue(object, field) === value) === equal)
      );
    });
    return matching.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  table<K extends Kind>(kind: K, objects: readonly Kinds[K][]): Table {
    return tableOf(kind, objects, this.#sim.clock.now, this.store.version);
  }

  create<K extends Kind>(kind: K, object: object, options: WriteOptions = {}): Kinds[K] {
    const resource = resourceOf(kind);
    if (!isServed(resource, this.store)) throw notServed();
    const fresh = this.#fresh(kind, object, options);
    const meta = fresh.metadata;
    if (resource.namespaced) this.#checkNamespace(resource, meta);
    for (const field of serverFields) delete meta[field];
    if (resource.subresources.includes("status") && kind !== "Node") delete (fresh as { status?: unknown }).status;
    applyDefaults(kind, fresh);
    const errors: FieldError[] = [];
    if (kind === "Pod") {
      admitPod(fresh as unknown as Fresh<"Pod">, this.#suffixes.suffix());
      this.#checkServiceAccount(fresh as unknown as Fresh<"Pod">);
    }
    if (kind === "Job") this.#identify(fresh as unknown as Fresh<"Job">);
    if (kind === "Service") this.#assign(fresh as unknown as Fresh<"Service">, undefined);
    errors.push(...validateMeta(resource, meta), ...validate(kind, fresh as unknown as Kinds[K]));
    if (errors.length > 0) throw invalid(resource, meta.name ?? meta.generateName ?? "", errors);
    checkSize(fresh);
    this.#warn(kind, fresh, options);
    const draft = fresh as unknown as Draft<K>;
    if (!options.dryRun) return this.store.create(kind, draft, options.by ?? "kubectl");
    const name = meta.name ?? `${meta.generateName}${this.#suffixes.suffix()}`;
    if (this.store.get(kind, keyFor(meta.namespace, name))) throw alreadyExists(resource, name);
    const identity = { name, creationTimestamp: rfc3339(this.#sim.clock.now) };
    return { ...fresh, metadata: { ...meta, ...identity } } as unknown as Kinds[K];
  }

  update<K extends Kind>(kind: K, object: object, options: WriteOptions = {}): Kinds[K] {
    const resource = resourceOf(kind);
    const fresh = this.#fresh(kind, object, options);
    const meta = fresh.metadata;
    const before = this.get(kind, meta.namespace ?? "", meta.name ?? "");
    if (meta.resourceVersion && meta.resourceVersion !== before.metadata.resourceVersion) {
      throw conflict(resource, before.metadata.name);
    }
    applyDefaults(kind, fresh);
    if (kind === "Service") this.#assign(fresh as unknown as Fresh<"Service">, before as Kinds["Service"]);
    const errors: FieldError[] = [...validateMeta(resource, meta)];
    errors.push(...validateMetaUpdate(meta as Meta, before.metadata));
    errors.push(...validate(kind, fresh as unknown as Kinds[K]));
    const now = { ...fresh, metadata: { ...meta, ...kept(before.metadata) } } as unknown as Kinds[K] & Status;
    const status = (before as Status).status;
    const whole = resource.subresources.includes("status") && status !== undefined ? { ...now, status } : now;
    errors.push(...validateUpdate(kind, whole, before));
    if (errors.length > 0) throw invalid(resource, before.metadata.name, errors);
    checkSize(whole);
    this.#warn(kind, whole, options);
    if (options.dryRun) return whole;
    return this.store.update(kind, keyOf(before), () => whole, options.by ?? "kubectl");
  }

  patch<K extends Kind>(
    kind: K,
    namespace: string,
    name: string,
    type: PatchType,
    patch: unknown,
    options: WriteOptions = {},
  ): Kinds[K] {
    const before = this.get(kind, namespace, name);
    const patched = patches[type](before, patch);
    if (typeof patched !== "object" || patched === null) throw badRequest("the patch does not leave an object");
    const renamed = (patched as Partial<KubeObject>).metadata?.name;
    if (renamed !== name) {
      throw badRequest(`the name of the object (${renamed}) does not match the name on the URL (${name})`);
    }
    if (options.subresource === "status") return this.#writeStatus(kind, before, patched, { ...options, namespace });
    return this.update(kind, patched, { ...options, namespace });
  }

  #writeStatus<K extends Kind>(kind: K, before: Kinds[K], patched: object, options: WriteOptions): Kinds[K] {
    if (!resourceOf(kind).subresources.includes("status")) throw notServed();
    const { status } = this.#fresh(kind, patched, options) as unknown as Status;
    const written = (now: Kinds[K]): Kinds[K] => ({ ...now, status });
    if (options.dryRun) return written(before);
    return this.store.update(kind, keyOf(before), written, options.by ?? "kubectl");
  }

  delete<K extends Kind>(
    kind: K,
    namespace: string,
    name: string,
    options: DeleteOptions & { readonly by?: string; readonly dryRun?: boolean } = {},
  ): Kinds[K] {
    const found = this.get(kind, namespace, name);
    if (kind === "Namespace" && protectedNamespaces.includes(name)) {
      throw forbidden(resourceOf(kind), name, "this namespace may not be deleted");
    }
    if (options.dryRun) return found;
    return this.store.delete(kind, keyOf(found), options.by ?? "kubectl", options);
  }

  evict(namespace: string, name: string, options: EvictionOptions = {}): void {
    evictPod(this.store, keyFor(namespace, name), options, this.#sim.clock.now);
  }

  getScale(kind: Scalable, namespace: string, name: string): Scale {
    const { metadata, spec, status } = this.get(kind, namespace, name);
    const selector = selectorText(spec.selector);
    return {
      apiVersion: "autoscaling/v1",
      kind: "Scale",
      metadata,
      spec: { replicas: spec.replicas ?? 1 },
      status: { replicas: status.replicas ?? 0, selector },
    };
  }

  scale(kind: Scalable, namespace: string, name: string, replicas: number, options: WriteOptions = {}): Scale {
    if (!Number.isInteger(replicas) || replicas < 0) {
      const error = invalidValue("spec.replicas", replicas, "must be greater than or equal to 0");
      throw new StatusError("Invalid", `Scale.autoscaling "${name}" is invalid: ${error.field}: ${error.message}`);
    }
    const before = this.get(kind, namespace, name);
    const now = { ...before, spec: { ...before.spec, replicas } };
    if (!options.dryRun) {
      this.store.update(kind, keyOf(before), () => now as typeof before, options.by ?? "kubectl-scale");
    }
    return { ...this.getScale(kind, namespace, name), spec: { replicas } };
  }

  #warn(kind: Kind, object: object, { warn }: WriteOptions): void {
    if (!warn) return;
    const deprecation = deprecationOf(kind);
    if (deprecation !== undefined) warn(deprecation);
    for (const warning of warningsOf(object as KubeObject)) warn(warning);
  }

  /** A Job's name and uid stand in its selector: they are given before it is looked at. */
  #identify(job: Fresh<"Job">): void {
    const { metadata } = job;
    if (!metadata.name && metadata.generateName) metadata.name = `${metadata.generateName}${this.#suffixes.suffix()}`;
    metadata.uid = this.store.newUid();
    selectOwnPods(job, metadata.uid);
  }

  /** What cannot be handed out is told before anything else is looked at, as the API server does it. */
  #assign(service: Fresh<"Service">, before: Kinds["Service"] | undefined): void {
    const errors = this.#addresses.assign(service, before);
    if (errors.length > 0) throw invalid(resourceOf("Service"), service.metadata.name ?? "", errors);
  }

  /** Decoded strictly, in its namespace. */
  #fresh<K extends Kind>(kind: K, object: object, options: WriteOptions): Fresh<K> {
    const resource = resourceOf(kind);
    const { namespace, fieldValidation, warn } = options;
    const decoded = decode(resource, object, fieldValidation, warn) as unknown as Fresh<K>;
    const meta = { ...decoded.metadata };
    if (resource.namespaced) {
      if (meta.namespace && namespace !== undefined && meta.namespace !== namespace) {
        throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
      }
      meta.namespace = meta.namespace || (namespace ?? "default");
    }
    return { ...decoded, apiVersion: apiVersionOf(resource), kind, metadata: meta };
  }

  #checkNamespace(resource: Resource, { namespace = "", name, generateName }: Fresh<"Pod">["metadata"]): void {
    const found = this.store.get("Namespace", namespace);
    if (!found) throw notFound(resourceOf("Namespace"), namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw forbidden(resource, name ?? generateName ?? "", why);
  }

  /** The ServiceAccount admission plugin. */
  #checkServiceAccount({ metadata, spec }: Fresh<"Pod">): void {
    const account = spec?.serviceAccountName ?? "default";
    const namespace = metadata.namespace ?? "default";
    if (this.store.get("ServiceAccount", keyFor(namespace, account))) return;
    const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`;
    throw forbidden(resourceOf("Pod"), metadata.name ?? metadata.generateName ?? "", why);
  }
}

const patches: { readonly [T in PatchType]: (before: KubeObject, patch: unknown) => unknown } = {
  strategic: strategicMerge,
  merge: mergePatch,
  json: jsonPatch,
};

/** etcd's `--max-request-bytes`. */
const mostBytes = 1.5 * 1024 * 1024;

function checkSize(object: object): void {
  if (JSON.stringify(object).length > mostBytes) throw new StatusError("Unknown", "etcdserver: request is too large");
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message);
    throw error;
  }
}

type Status = { readonly status?: unknown };

const serverFields = [
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "selfLink",
  "managedFields",
] as const;

const protectedNamespaces = ["default", "kube-system", "kube-public"];

/** What the server knows better than whoever replaces an object. */
function kept(meta: Meta): Partial<Meta> {
  const { uid, resourceVersion, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds } = meta;
  return {
    uid,
    resourceVersion,
    creationTimestamp,
    ...(generation !== undefined && { generation }),
    ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    ...(deletionGracePeriodSeconds !== undefined && { deletionGracePeriodSeconds }),
  };
}
