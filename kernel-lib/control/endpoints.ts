/** Owns the old Endpoints of Services with selectors: one object a Service (pkg/controller/endpoint). */
import type { Controller } from "../api/controller";
import { same } from "../api/equal";
import type { Draft, Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import type { Context } from "./context";
import { belongs, hasClusterIp, ServicePorts, setsHostname } from "./endpointslice/endpoint";
import { headlessLabel } from "./endpointslice/labels";
import { portHash } from "./endpointslice/slice";
import { TriggerTimes } from "./endpointslice/trigger";
import {
  type Address,
  compareAddresses,
  type Entry,
  type Port,
  repack,
  type Subset,
  subsetOf,
  truncated,
} from "./endpointsubsets";
import { endpointsController as by } from "./names";
import { isReady } from "./pods";
import { ChangedPods, hasSelector } from "./selected";

type Pod = Kinds["Pod"];
type Service = Kinds["Service"];
type Endpoints = Kinds["Endpoints"];

const capacityAnnotation = "endpoints.kubernetes.io/over-capacity";
const triggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";
const managedByLabel = "endpoints.kubernetes.io/managed-by";

export function endpointsControllerOf({ store }: Context): Controller {
  const changed = new ChangedPods(store);
  const triggers = new TriggerTimes();
  const memories = new Map<Key, Addresses>();

  function reconcile(key: Key): undefined {
    const service = store.get("Service", key);
    const touched = changed.take(key);
    if (!service || service.spec.type === "ExternalName" || !hasSelector(service)) {
      memories.delete(key);
      if (service) return undefined;
      triggers.forget(key);
      if (store.get("Endpoints", key)) store.delete("Endpoints", key, by);
      return undefined;
    }
    const known = memories.get(key);
    const memory = known?.service === service ? known : new Addresses(service);
    memories.set(key, memory);
    const selector = service.spec.selector ?? {};
    const namespace = service.metadata.namespace ?? "";
    const pods: readonly (readonly [Key, Pod | undefined])[] =
      memory === known
        ? [...touched].map((pod) => [pod, selectedPod(store.get("Pod", pod), selector)] as const)
        : store.list("Pod", { namespace, labels: selector }).map((pod) => [keyOf(pod), pod] as const);
    const trigger = triggers.of(key, service, pods);
    for (const [pod, now] of pods) memory.set(pod, now);
    write(service, memory.subsets(), trigger);
    return undefined;
  }

  function write(service: Service, all: readonly Subset[], trigger: string | undefined): void {
    const key = keyOf(service);
    const subsets = truncated(all);
    const now = store.get("Endpoints", key);
    const labels = labelsOf(service);
    const over = subsets !== all;
    if (now && same(now.subsets ?? [], subsets) && same(now.metadata.labels, labels) && isMarked(now) === over) return;
    const { [capacityAnnotation]: _over, [triggerAnnotation]: _trigger, ...others } = now?.metadata.annotations ?? {};
    const annotations = {
      ...others,
      ...(trigger !== undefined && { [triggerAnnotation]: trigger }),
      ...(over && { [capacityAnnotation]: "truncated" }),
    };
    const filled = {
      labels,
      ...(Object.keys(annotations).length > 0 && { annotations }),
    };
    if (!now) {
      const { name, namespace } = service.metadata;
      const metadata = { name, namespace: namespace ?? "default", ...filled };
      const draft: Draft<"Endpoints"> = { kind: "Endpoints", metadata, ...(subsets.length > 0 && { subsets }) };
      store.create("Endpoints", draft, by);
      return;
    }
    store.update(
      "Endpoints",
      key,
      ({ subsets: _old, ...current }) => {
        const { annotations: _gone, ...metadata } = current.metadata;
        return { ...current, metadata: { ...metadata, ...filled }, ...(subsets.length > 0 && { subsets }) };
      },
      by,
    );
  }

  return {
    name: by,
    watches: {
      Service: (key) => [key],
      Pod: (key, now, before) => changed.note(key, now, before),
      // Only a deletion is put right at once; what somebody wrote into one stays until something of it changes.
      Endpoints: (key, now) => (now ? [] : [key]),
    },
    reconcile,
  };
}

function selectedPod(pod: Pod | undefined, selector: Readonly<Record<string, string>>): Pod | undefined {
  return Object.entries(selector).every(([name, value]) => pod?.metadata.labels?.[name] === value) ? pod : undefined;
}

function isMarked({ metadata }: Endpoints): boolean {
  return metadata.annotations?.[capacityAnnotation] !== undefined;
}

function labelsOf({ metadata, spec }: Service): Readonly<Record<string, string>> {
  const { [headlessLabel]: _headless, ...own } = metadata.labels ?? {};
  return { ...own, ...(!hasClusterIp(spec) && { [headlessLabel]: "" }), [managedByLabel]: "endpoint-controller" };
}

/** The addresses of one Service, kept sorted, so that a pod's change costs no look at the others. */
export class Addresses {
  readonly #entries = new Map<Key, Entry>();
  readonly #hashes = new Map<string, number>();
  readonly #ready: Address[] = [];
  readonly #waiting: Address[] = [];

  readonly #ports: ServicePorts;

  constructor(readonly service: Service) {
    this.#ports = new ServicePorts(service);
  }

  /** Puts a pod's address in its place, or takes it away. */
  set(key: Key, pod: Pod | undefined): void {
    const before = this.#entries.get(key);
    const now = pod && entryOf(this.service, pod, this.#ports);
    if (before && now && before.hash === now.hash && before.ready === now.ready && same(before.address, now.address)) {
      return;
    }
    if (before) {
      const list = this.#listOf(before);
      list.splice(place(list, before.address), 1);
      this.#count(before.hash, -1);
      this.#entries.delete(key);
    }
    if (!now) return;
    const list = this.#listOf(now);
    list.splice(place(list, now.address), 0, now.address);
    this.#count(now.hash, 1);
    this.#entries.set(key, now);
  }

  /** All of them, also beyond what one object may hold. */
  subsets(): readonly Subset[] {
    if (this.#hashes.size > 1) return repack([...this.#entries.values()]);
    for (const { ports } of this.#entries.values()) return [subsetOf([...this.#ready], [...this.#waiting], ports)];
    return [];
  }

  #listOf({ ready }: Entry): Address[] {
    return ready ? this.#ready : this.#waiting;
  }

  #count(hash: string, by: number): void {
    const count = (this.#hashes.get(hash) ?? 0) + by;
    if (count === 0) this.#hashes.delete(hash);
    else this.#hashes.set(hash, count);
  }
}

/** Where an address is in a sorted list, or would be. */
function place(list: readonly Address[], address: Address): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareAddresses(list[middle] as Address, address) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A pod as an address; undefined if it has none to give. */
function entryOf(service: Service, pod: Pod, known: ServicePorts): Entry | undefined {
  const { spec } = service;
  if (!belongs(pod, Boolean(spec.publishNotReadyAddresses))) return undefined;
  const ip = pod.status.podIPs?.find((each) => each.ip?.includes(":") === isIpv6(service, pod))?.ip;
  const found = known.of(pod);
  const ports = found as readonly Port[];
  if (!ip || (ports.length === 0 && ((spec.ports?.length ?? 0) > 0 || spec.clusterIP !== "None"))) return undefined;
  const { name, namespace = "", uid } = pod.metadata;
  return {
    address: {
      ip,
      ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
      ...(setsHostname(pod, service) && pod.spec.hostname && { hostname: pod.spec.hostname }),
      targetRef: { kind: "Pod", name, namespace, uid },
    },
    ready: Boolean(spec.publishNotReadyAddresses) || isReady(pod),
    ports,
    hash: portHash(found),
  };
}

/** Endpoints have one family: the Service's first. */
function isIpv6({ spec }: Service, pod: Pod): boolean {
  if (spec.ipFamilies?.length) return spec.ipFamilies[0] === "IPv6";
  return Boolean((hasClusterIp(spec) ? spec.clusterIP : pod.status.podIP)?.includes(":"));
}
