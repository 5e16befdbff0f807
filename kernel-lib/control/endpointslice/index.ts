/**
 * Owns the EndpointSlice controller: it hears of Services, pods and nodes, and writes what `reconcileSlices` decides.
 */
import type { Again, Controller } from "../../api/controller";
import { StatusError } from "../../api/errors";
import { recordEvent } from "../../api/events";
import type { Kinds } from "../../api/kinds";
import { type Key, keyFor, keyOf } from "../../api/meta";
import { second, type Time } from "../../sim/clock";
import type { Context } from "../context";
import { endpointSliceController as by } from "../names";
import { ChangedPods, hasSelector } from "../selected";
import { zoneLabel } from "./endpoint";
import { managedBy, managedByLabel, serviceNameLabel } from "./labels";
import { ServiceMemory } from "./memory";
import type { SliceOptions, SliceWrites } from "./reconcile";
import { TriggerTimes } from "./trigger";
import { ZoneHints } from "./zones";

/** What kube-controller-manager can be told of this controller. */
export interface EndpointSliceFlags {
  /** --max-endpoints-per-slice, 100 */
  readonly maxEndpointsPerSlice?: number;
}

/** How long it waits when somebody else changed a slice of its own (endpointSliceChangeMinSyncDelay). */
const foreignDelay = second;
/** The keys beside Services': the nodes as a whole, and a Service whose slices somebody else changed. */
const nodesKey: Key = "nodes";
const foreignPrefix = "slices of ";
const component = "endpoint-slice-controller";

type Node = Kinds["Node"];

export function endpointSliceControllerOf({ sim, store }: Context, flags: EndpointSliceFlags = {}): Controller {
  const { maxEndpointsPerSlice = 100 } = flags;
  const changed = new ChangedPods(store);
  const triggers = new TriggerTimes();
  const zones = new ZoneHints();
  const memories = new Map<Key, ServiceMemory>();
  const due = new Map<Key, Time>();
  let writing = false;

  function reconcile(key: Key): Again | undefined {
    if (key === nodesKey) return lookAtNodes();
    if (key.startsWith(foreignPrefix)) return afterForeignWrite(key, key.slice(foreignPrefix.length));
    return reconcileService(key);
  }

  function reconcileService(key: Key): undefined {
    const service = store.get("Service", key);
    const pods = [...changed.take(key)].map((pod) => [pod, store.get("Pod", pod)] as const);
    if (!service || service.spec.type === "ExternalName" || !hasSelector(service)) {
      memories.delete(key);
      if (!service) triggers.forget(key);
      return undefined;
    }
    const memory = memories.get(key);
    if (memory?.service === service) {
      const trigger = triggers.of(key, service, pods);
      const writes = memory.change(selected(service, pods), options(trigger));
      if (writes) write(service, memory, writes);
      else lookAtAll(service, trigger);
    } else lookAtAll(service, undefined);
    return undefined;
  }

  function lookAtAll(service: Kinds["Service"], known: string | undefined): void {
    const key = keyOf(service);
    memories.delete(key);
    const namespace = service.metadata.namespace ?? "";
    const pods = store.list("Pod", { namespace, labels: service.spec.selector ?? {} });
    const labels = { [serviceNameLabel]: service.metadata.name, [managedByLabel]: managedBy };
    const existing = store.list("EndpointSlice", { namespace, labels }).filter(({ metadata }) => {
      return metadata.deletionTimestamp === undefined;
    });
    const trigger =
      triggers.of(
        key,
        service,
        pods.map((pod) => [keyOf(pod), pod] as const),
      ) ?? known;
    const memory = new ServiceMemory(service, (name) => store.get("Node", name), pods, existing, options(trigger));
    const { errors } = memory.first;
    if (errors.length === 0 && service.metadata.deletionTimestamp === undefined) memories.set(key, memory);
    write(service, memory, memory.first);
    if (errors.length === 0) return;
    const message = errors.length === 1 ? (errors[0] as string) : `[${errors.join(", ")}]`;
    const about = `${namespace}/${service.metadata.name}`;
    const told = `Error updating Endpoint Slices for Service ${about}: ${message}`;
    recordEvent(sim, store, {
      about: service,
      type: "Warning",
      reason: "FailedToUpdateEndpointSlices",
      message: told,
      component,
    });
    throw new StatusError("InternalError", message);
  }

  function options(trigger: string | undefined): SliceOptions {
    return { controller: managedBy, maxEndpointsPerSlice, zones, ...(trigger !== undefined && { trigger }) };
  }

  function write(
    service: Kinds["Service"],
    memory: ServiceMemory,
    { create, update, remove, events }: SliceWrites,
  ): void {
    writing = true;
    try {
      for (const slice of create) memory.wrote(store.create("EndpointSlice", slice, by));
      for (const slice of update) memory.wrote(store.update("EndpointSlice", keyOf(slice), () => slice, by));
      for (const slice of remove) store.delete("EndpointSlice", keyOf(slice), by);
    } catch (error) {
      memories.delete(keyOf(service));
      throw error;
    } finally {
      writing = false;
    }
    for (const event of events) recordEvent(sim, store, { about: service, ...event, component });
  }

  /** Somebody else changed slices: look at all of them, a second after the first such change. */
  function afterForeignWrite(item: Key, service: Key): Again | undefined {
    const { now } = sim.clock;
    const at = due.get(item) ?? now + foreignDelay;
    due.set(item, at);
    if (now < at) return { after: at - now };
    due.delete(item);
    memories.delete(service);
    return reconcileService(service);
  }

  /** Zones' shares of CPU may be others now: Services whose hints no longer fit get new ones. */
  function lookAtNodes(): undefined {
    zones.setNodes(store.list("Node"));
    for (const key of zones.overloaded()) {
      memories.delete(key);
      reconcileService(key);
    }
    return undefined;
  }

  return {
    name: by,
    watches: {
      Service: (key) => [key],
      Pod: (key, now, before) => changed.note(key, now, before),
      Node: (_key, now, before) => {
        const moved = zoneOf(now) !== zoneOf(before) || (now === undefined) !== (before === undefined);
        if (!moved && isReady(now) === isReady(before)) return [];
        const name = (now ?? before)?.metadata.name ?? "";
        const pods = moved ? store.list("Pod", { node: name }) : [];
        return [nodesKey, ...pods.flatMap((pod) => changed.note(keyOf(pod), pod, undefined))];
      },
      EndpointSlice: (_key, now, before) => {
        if (writing) return [];
        const services = new Set([now, before].flatMap((slice) => serviceOf(slice) ?? []));
        return [...services].filter((key) => memories.has(key)).map((key) => `${foreignPrefix}${key}`);
      },
    },
    reconcile,
  };
}

/** Pods of other Services, and those that are no longer selected, count as gone. */
function selected(
  { spec }: Kinds["Service"],
  pods: readonly (readonly [Key, Kinds["Pod"] | undefined])[],
): readonly (readonly [Key, Kinds["Pod"] | undefined])[] {
  const pairs = Object.entries(spec.selector ?? {});
  return pods.map(([key, pod]) => {
    const fits = pairs.every(([name, value]) => pod?.metadata.labels?.[name] === value);
    return [key, fits ? pod : undefined] as const;
  });
}

/** The Service of a slice that this controller manages. */
function serviceOf(slice: Kinds["EndpointSlice"] | undefined): Key | undefined {
  const { labels, namespace } = slice?.metadata ?? {};
  const name = labels?.[serviceNameLabel];
  return name !== undefined && labels?.[managedByLabel] === managedBy ? keyFor(namespace, name) : undefined;
}

function zoneOf(node: Node | undefined): string | undefined {
  return node?.metadata.labels?.[zoneLabel];
}

function isReady(node: Node | undefined): boolean {
  return node?.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}
