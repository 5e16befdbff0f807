/** Owns the decision which slices to write: from Service, pods, nodes and the slices there are (reconciler.go). */
import type { Kinds } from "../../api/kinds";
import { type Key, keyOf } from "../../api/meta";
import { Desired, type NodeOf } from "./desired";
import type { AddressType } from "./endpoint";
import { hintByDistribution, hintsEnabled, isFollowed, type Slicing, withoutHints } from "./hints";
import { packSlices } from "./packing";
import { isOwned, isPlaceholder, type NewSlice, newSlice, portHash, type Slice } from "./slice";
import { disabled, type ZoneEvent, type ZoneHints } from "./zones";

type Service = Kinds["Service"];

export interface SliceOptions {
  readonly controller: string;
  readonly maxEndpointsPerSlice: number;
  /** RFC 3339: when the change happened that these writes answer to. */
  readonly trigger?: string;
  /** What is known of the zones; without it the annotation topology-mode does nothing. */
  readonly zones?: ZoneHints;
  /** False: trafficDistribution knows PreferClose only (feature gate PreferSameTrafficDistribution). */
  readonly preferSame?: boolean;
}

export interface SliceWrites {
  readonly create: readonly NewSlice[];
  readonly update: readonly Slice[];
  readonly remove: readonly Slice[];
  /** Pods that had to be left out: their node is not known (yet). */
  readonly errors: readonly string[];
  /** What there is to be told about the Service. */
  readonly events: readonly ZoneEvent[];
}

/** In which slice (by name) each endpoint (by hash) is. */
export type Placed = ReadonlyMap<AddressType, Map<string, string>>;

/** What must be written so that the slices say which pods the Service has. */
export function reconcileSlices(
  service: Service,
  pods: readonly Kinds["Pod"][],
  nodes: NodeOf,
  existing: readonly Slice[],
  options: SliceOptions,
): SliceWrites {
  return writeAll(new Desired(service, nodes, pods), existing, options).writes;
}

/** Looks at everything: all slices, all pods. */
export function writeAll(
  desired: Desired,
  existing: readonly Slice[],
  options: SliceOptions,
): { readonly writes: SliceWrites; readonly placed: Placed } {
  const { types, service } = desired;
  const foreign = existing.filter(({ addressType }) => !types.includes(addressType as AddressType));
  for (const { addressType } of foreign) options.zones?.remove(keyOf(service), addressType as AddressType);
  const placed: Placed = new Map(types.map((type) => [type, new Map<string, string>()]));
  const parts = types.map((type) => {
    const slices = existing.filter(({ addressType }) => addressType === type);
    return writeType(desired, slices, type, placed, options);
  });
  return {
    writes: {
      create: parts.flatMap(({ create }) => create),
      update: parts.flatMap(({ update }) => update),
      remove: [...parts.flatMap(({ remove }) => remove), ...foreign],
      errors: desired.errors,
      events: parts.flatMap(({ events }) => events),
    },
    placed,
  };
}

type TypeWrites = Omit<SliceWrites, "errors">;

function writeType(
  desired: Desired,
  existing: readonly Slice[],
  type: AddressType,
  placed: Placed,
  options: SliceOptions,
): TypeWrites {
  const { service, groups } = desired;
  const mine = existing.filter((slice) => isOwned(slice, service));
  const remove = existing.filter((slice) => !isOwned(slice, service));
  const create: NewSlice[] = [];
  const update: Slice[] = [];
  for (const [hash, group] of groups) {
    const wanted = group.endpoints.get(type) ?? new Map();
    const packed = packSlices({
      service,
      slices: mine.filter((slice) => portHash(slice.ports ?? []) === hash),
      wanted,
      candidates: wanted.keys(),
      isTouched: () => true,
      placed: placed.get(type) ?? new Map(),
      make: () => newSlice(service, group.ports, type, options.controller),
      ...options,
    });
    create.push(...packed.create);
    update.push(...packed.update);
    remove.push(...packed.remove);
  }
  remove.push(...mine.filter((slice) => !groups.has(portHash(slice.ports ?? []))));
  if (existing.length === remove.length && create.length === 0) {
    const placeholder = newSlice(service, [], type, options.controller);
    const only = remove[0];
    if (remove.length === 1 && only && isPlaceholder(only, placeholder)) remove.length = 0;
    else create.push(placeholder);
  }
  const touched = new Set([...update, ...remove].map(({ metadata }) => metadata.name));
  const unchanged = existing.filter(({ metadata }) => !touched.has(metadata.name));
  const { events, ...slicing } = hinted(service, type, { create, update, unchanged }, options);
  return { ...finish(service, slicing, remove, options.trigger), events };
}

/** Hints, by the annotation or by trafficDistribution; the annotation outranks it. */
export function hinted(
  service: Service,
  type: AddressType,
  slicing: Slicing,
  { zones, preferSame }: SliceOptions,
): Slicing & { readonly events: readonly ZoneEvent[] } {
  const key: Key = keyOf(service);
  const byZones = hintsEnabled(service.metadata.annotations);
  if (byZones && zones) return zones.add(key, type, slicing);
  const events = zones?.isPopulated(key) ? [disabled("Topology Aware Hints has been disabled", type)] : [];
  zones?.remove(key, type);
  const { trafficDistribution } = service.spec;
  const near = isFollowed(trafficDistribution, preferSame) && !byZones;
  return { ...(near ? hintByDistribution(slicing, trafficDistribution) : withoutHints(slicing)), events };
}

const triggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

/** A slice to create takes the name of one to delete: one write instead of two. Then all get the trigger time. */
export function finish(
  service: Service,
  slicing: Slicing,
  unwanted: readonly Slice[],
  trigger: string | undefined,
): Pick<SliceWrites, "create" | "update" | "remove"> {
  const create = [...slicing.create];
  const update = [...slicing.update];
  const remove = unwanted.filter((slice) => {
    const last = create[create.length - 1];
    if (!last || slice.addressType !== last.addressType || !isOwned(slice, service)) return true;
    create.pop();
    const { generateName: _name, ...metadata } = last.metadata;
    update.push({
      ...slice,
      ports: last.ports ?? [],
      endpoints: last.endpoints,
      metadata: { ...slice.metadata, ...metadata },
    });
    return false;
  });
  const stamped = <T extends { readonly metadata: NewSlice["metadata"] }>(slice: T): T => {
    const { [triggerAnnotation]: _old, ...rest } = slice.metadata.annotations ?? {};
    const annotations = trigger === undefined ? rest : { ...rest, [triggerAnnotation]: trigger };
    const { annotations: _gone, ...metadata } = slice.metadata;
    return { ...slice, metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) } };
  };
  const ending = service.metadata.deletionTimestamp !== undefined;
  return { create: ending ? [] : create.map(stamped), update: update.map(stamped), remove };
}
