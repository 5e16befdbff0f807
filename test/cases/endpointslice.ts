/** Owns the judgement of one case of endpointslice_{reconcile,packing,tables}.json: what upstream says, against ours. */
import type { Kinds } from "../../kernel-lib/api/kinds";
import { reconcileSlices } from "../../kernel-lib/control/endpointslice/reconcile";
import { ZoneHints } from "../../kernel-lib/control/endpointslice/zones";
import { compact, differences, only } from "./compare";
import { checkTable } from "./slicetables";

type Slice = Kinds["EndpointSlice"];

/** A case as its file has it. */
export interface CaseObject {
  readonly name: string;
  readonly config?: unknown;
  readonly objects?: unknown;
  readonly input?: unknown;
  readonly function?: string;
  readonly query?: unknown;
  readonly upstream?: unknown;
  readonly expect: unknown;
  readonly expectCount?: number;
}

interface Expected {
  readonly error?: boolean;
  readonly errorText?: string;
  readonly actions?: { readonly create: number; readonly update: number; readonly delete: number };
  readonly endpointsPerSlice?: readonly number[];
  readonly hints?: Readonly<Record<string, unknown>>;
  readonly slices?: readonly (Slice & { readonly name?: string; readonly count?: number })[];
  readonly compare?: string;
}

interface Config {
  readonly controllerName: string;
  readonly maxEndpointsPerSlice: number;
  readonly topologyAwareRouting?: boolean;
  readonly featureGates?: { readonly PreferSameTrafficDistribution?: boolean };
}

const trigger = "endpoints.kubernetes.io/last-change-trigger-time";
const expectations = ["error", "errorText", "actions", "endpointsPerSlice", "hints", "slices", "compare"];

/** What differs from what upstream's test states; nothing: it passes. */
export function checkEndpointSliceCase(one: CaseObject): readonly string[] {
  if (one.function !== undefined) return checkTable(one);
  const wanted = one.expect as Expected;
  const unknown = Object.keys(wanted).filter((key) => !expectations.includes(key));
  const config = one.config as Config;
  const [service] = only(one.objects, "Service");
  if (!service) return ["objects: expected a Service, got none"];
  const existing = only(one.objects, "EndpointSlice");
  const nodes = only(one.objects, "Node");
  const zones = config.topologyAwareRouting ? new ZoneHints() : undefined;
  zones?.setNodes(nodes);
  const options = {
    controller: config.controllerName,
    maxEndpointsPerSlice: config.maxEndpointsPerSlice,
    trigger: "2024-01-01T00:00:00Z",
    ...(zones && { zones }),
    preferSame: config.featureGates?.PreferSameTrafficDistribution ?? true,
  };
  const nodeOf = (name: string): Kinds["Node"] | undefined => nodes.find(({ metadata }) => metadata.name === name);
  const { create, update, remove, errors } = reconcileSlices(
    service,
    only(one.objects, "Pod"),
    nodeOf,
    existing,
    options,
  );
  const touched = new Set([...update, ...remove].map(({ metadata }) => metadata.name));
  const kept = existing.filter(({ metadata }) => !touched.has(metadata.name));
  const after = [...kept, ...update, ...create] as readonly Slice[];
  const sizes = (list: readonly number[] | undefined): readonly number[] => [...(list ?? [])].sort((a, b) => a - b);
  const text = errors.length > 1 ? `[${errors.join(", ")}]` : errors[0];
  const counts = { create: create.length, update: update.length, delete: remove.length };
  return [
    ...unknown.map((key) => `unknown expectation ${key}`),
    ...differences("error", wanted.error ?? false, errors.length > 0),
    ...differences("errorText", wanted.errorText, wanted.errorText === undefined ? undefined : text),
    ...(wanted.actions ? differences("actions", wanted.actions, counts) : []),
    ...differences("endpointsPerSlice", sizes(wanted.endpointsPerSlice), sizes(after.map(sizeOf))),
    ...(wanted.hints ? checkHints(wanted.hints, after) : []),
    ...(wanted.slices ? checkSlices(wanted, after, existing) : []),
  ];
}

function sizeOf(slice: Slice & { readonly count?: number }): number {
  return slice.count ?? (slice.endpoints ?? []).length;
}

/** Which pod lands in which of several like slices is not fixed: such slices are compared by all that they hold. */
function checkSlices(wanted: Expected, after: readonly Slice[], existing: readonly Slice[]): readonly string[] {
  const [first] = wanted.slices ?? [];
  const list = wanted.slices ?? [];
  if (!first || first.metadata === undefined) return checkSummaries(list, after);
  const names = (slices: readonly Slice[]): readonly string[] => {
    const known = new Set(existing.map(({ metadata }) => metadata.name));
    return slices.map(({ metadata }) => (known.has(metadata.name) ? "<kept>" : "<generated>")).sort();
  };
  const hintsCount = wanted.compare?.startsWith("full slices") ?? true;
  return [
    ...differences("slices: names", names(list), names(after)),
    ...differences("slices: all but endpoints", outsides(list), outsides(after)),
    ...differences("slices: endpoints by ports", insides(list, hintsCount), insides(after, hintsCount)),
  ];
}

function checkSummaries(list: NonNullable<Expected["slices"]>, after: readonly Slice[]): readonly string[] {
  const shape = (slices: readonly (Slice & { readonly count?: number })[]): readonly string[] => {
    return slices.map((slice) => compact([slice.addressType, slice.ports ?? [], sizeOf(slice)])).sort();
  };
  return differences("slices", shape(list), shape(after));
}

/** Metadata, ports and address type; the trigger's time by its presence, generated names aside. */
function outsides(slices: readonly Slice[]): readonly string[] {
  return slices
    .map(({ metadata, addressType, ports }) => {
      const { labels, ownerReferences, annotations } = metadata;
      const marks = annotations?.[trigger] === undefined ? annotations : { ...annotations, [trigger]: "some time" };
      return compact({ labels, ownerReferences, annotations: marks ?? {}, addressType, ports: ports ?? [] });
    })
    .sort();
}

function insides(slices: readonly Slice[], hints: boolean): readonly string[] {
  return slices
    .flatMap(({ addressType, ports, endpoints }) => {
      return (endpoints ?? []).map((endpoint) => {
        const { hints: own, ...bare } = endpoint;
        return compact([addressType, ports ?? [], hints ? { ...bare, ...(own && { hints: own }) } : bare]);
      });
    })
    .sort();
}

/** How many endpoints are hinted for each zone and node, and how many for another zone than their own. */
function checkHints(wanted: Readonly<Record<string, unknown>>, after: readonly Slice[]): readonly string[] {
  const endpoints = after.flatMap((slice) => slice.endpoints ?? []);
  const zones = endpoints.flatMap(({ hints }) => (hints?.forZones ?? []).map(({ name }) => name));
  const nodes = endpoints.flatMap(({ hints }) => (hints?.forNodes ?? []).map(({ name }) => name));
  const count = (names: readonly string[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  };
  const crossing = endpoints.filter(({ zone, hints }) => hints?.forZones?.some(({ name }) => name !== zone)).length;
  return Object.entries(wanted).flatMap(([key, value]) => {
    switch (key) {
      case "expectedCrossZoneHints":
      case "wantEndpointsWithCrossZoneHints":
        return differences(key, value, crossing);
      case "expectedHints":
      case "wantHintsDistributionByZone":
        return differences(key, value ?? {}, count(zones));
      case "wantHintsDistributionByNode":
        return differences(key, value ?? {}, count(nodes));
      default:
        return [`unknown expectation hints.${key}`];
    }
  });
}
