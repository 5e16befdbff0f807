/**
 * Owns the hints that keep traffic near its source by a Service's own wish: trafficDistribution
 * (staging/src/k8s.io/endpointslice/trafficdist), and which of the two ways of giving hints holds.
 */
import type { Kinds } from "../../api/kinds";
import type { Labels } from "../../api/meta";
import type { Endpoint } from "./endpoint";
import type { NewSlice } from "./slice";

type Slice = Kinds["EndpointSlice"];

/** What a reconcile is about to do with the slices of one address type. */
export interface Slicing {
  readonly create: readonly NewSlice[];
  readonly update: readonly Slice[];
  /** Those that nothing but hints would change. */
  readonly unchanged: readonly Slice[];
}

const olderAnnotation = "service.kubernetes.io/topology-aware-hints";
const modeAnnotation = "service.kubernetes.io/topology-mode";

/** Whether an annotation asks for hints by the zones' shares of CPU; the older annotation outranks the newer one. */
export function hintsEnabled(annotations: Labels | undefined): boolean {
  const value = annotations?.[olderAnnotation] ?? annotations?.[modeAnnotation];
  return value === "Auto" || value === "auto";
}

/** Whether a Service's trafficDistribution is one that is followed; without the gate only the oldest value is. */
export function isFollowed(distribution: string | undefined | null, preferSame = true): boolean {
  if (distribution === "PreferClose") return true;
  return preferSame && (distribution === "PreferSameZone" || distribution === "PreferSameNode");
}

/** Takes all hints away; slices that had some must be written. */
export function withoutHints(slicing: Slicing): Slicing {
  return rehint(slicing, (slice) => slice.endpoints.some(({ hints }) => hints !== undefined), bare);
}

/**
 * Gives every ready endpoint a hint for its own zone, and for its own node where the node is preferred; any other
 * distribution takes hints away (ReconcileHints).
 */
export function hintByDistribution(slicing: Slicing, distribution: string | undefined | null): Slicing {
  if (!isFollowed(distribution)) return withoutHints(slicing);
  const nodes = distribution === "PreferSameNode";
  const hint = (endpoint: Endpoint): Endpoint => {
    if (!endpoint.conditions?.ready) return endpoint;
    const { zone, nodeName } = endpoint;
    const forZones = zone !== undefined ? { forZones: [{ name: zone }] } : undefined;
    const forNodes = nodes && nodeName !== undefined ? { forNodes: [{ name: nodeName }] } : undefined;
    if (!forZones && !forNodes) return bare(endpoint);
    return { ...endpoint, hints: { ...forZones, ...forNodes } };
  };
  return rehint(slicing, (slice) => slice.endpoints.some((endpoint) => !isHinted(endpoint, nodes)), hint);
}

/** Whether a ready endpoint has the hints that it should have; of others nothing is asked. */
function isHinted({ conditions, zone, nodeName, hints }: Endpoint, nodes: boolean): boolean {
  if (!conditions?.ready) return true;
  const wanted = nodes ? nodeName : undefined;
  return isJust(hints?.forZones ?? [], zone) && isJust(hints?.forNodes ?? [], wanted);
}

function isJust(names: readonly { readonly name: string }[], wanted: string | undefined): boolean {
  return wanted === undefined ? names.length === 0 : names.length === 1 && names[0]?.name === wanted;
}

/** An endpoint without its hints; the same object if it has none. */
export function bare(endpoint: Endpoint): Endpoint {
  if (endpoint.hints === undefined) return endpoint;
  const { hints: _gone, ...rest } = endpoint;
  return rest;
}

function rehint(slicing: Slicing, needs: (slice: Slice) => boolean, hint: (endpoint: Endpoint) => Endpoint): Slicing {
  const stale = slicing.unchanged.filter(needs);
  const hinted = <T extends NewSlice | Slice>(slice: T): T => ({ ...slice, endpoints: slice.endpoints.map(hint) });
  return {
    create: slicing.create.map(hinted),
    update: [...slicing.update, ...stale].map(hinted),
    unchanged: stale.length === 0 ? slicing.unchanged : slicing.unchanged.filter((slice) => !stale.includes(slice)),
  };
}
