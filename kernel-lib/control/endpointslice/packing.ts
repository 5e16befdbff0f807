/**
 * Owns how endpoints are put into slices: as few writes as possible, existing slices filled first
 * (reconcileByPortMapping).
 */
import type { Kinds } from "../../api/kinds";
import type { Labels } from "../../api/meta";
import type { Endpoint } from "./endpoint";
import { sliceLabels } from "./labels";
import { endpointHash, isUnchanged, type NewSlice, type Slice } from "./slice";

/** What is to be packed: slices and endpoints of one Service, address type and list of ports. */
export interface Load {
  readonly service: Kinds["Service"];
  readonly slices: readonly Slice[];
  /** All that should be in them, by hash. */
  readonly wanted: ReadonlyMap<string, Endpoint>;
  /** Hashes of those that may not be in a slice yet. */
  readonly candidates: Iterable<string>;
  /** False of a slice: nothing that it holds has changed. */
  readonly isTouched: (slice: Slice) => boolean;
  /** In which slice (by name) an endpoint is; brought up to date, but for slices that have no name yet. */
  readonly placed: Map<string, string>;
  readonly make: () => NewSlice;
  readonly controller: string;
  readonly maxEndpointsPerSlice: number;
}

export interface Packed {
  readonly create: readonly NewSlice[];
  readonly update: readonly Slice[];
  readonly remove: readonly Slice[];
}

/** An existing slice while it is worked on. */
interface Draft {
  readonly slice: Slice;
  endpoints: Endpoint[];
  labels: Labels;
  state: "unchanged" | "update" | "remove";
}

/** Which slices to create, update and remove so that the wanted endpoints are in them, each once. */
export function packSlices(load: Load): Packed {
  const { placed, wanted, maxEndpointsPerSlice: most } = load;
  const drafts = load.slices.map((slice) => (load.isTouched(slice) ? keepDesired(slice, load) : untouched(slice)));
  const missing = new Map<string, Endpoint>();
  for (const hash of load.candidates) {
    const endpoint = wanted.get(hash);
    if (endpoint && !placed.has(hash)) missing.set(hash, endpoint);
  }
  const fuller = (a: Draft, b: Draft): number => b.endpoints.length - a.endpoints.length;
  for (const draft of drafts.filter(({ state }) => state === "update").sort(fuller)) {
    fill(draft.endpoints, missing, most, (hash) => placed.set(hash, draft.slice.metadata.name));
  }
  const create: NewSlice[] = [];
  while (missing.size > 0) {
    const roomy = missing.size < most ? closest(drafts, missing.size, most) : undefined;
    if (roomy) {
      roomy.state = "update";
      roomy.endpoints = [...roomy.slice.endpoints];
      fill(roomy.endpoints, missing, most, (hash) => placed.set(hash, roomy.slice.metadata.name));
    } else {
      const endpoints: Endpoint[] = [];
      fill(endpoints, missing, most, () => {});
      create.push({ ...load.make(), endpoints });
    }
  }
  const update = drafts
    .filter(({ state }) => state === "update")
    .map(({ slice, endpoints, labels }): Slice => {
      return { ...slice, endpoints, metadata: { ...slice.metadata, labels } };
    });
  return { create, update, remove: drafts.filter(({ state }) => state === "remove").map(({ slice }) => slice) };
}

function untouched(slice: Slice): Draft {
  return { slice, endpoints: slice.endpoints as Endpoint[], labels: slice.metadata.labels ?? {}, state: "unchanged" };
}

/** Keeps of a slice what is still wanted, as it is now; what another slice holds already is let go. */
function keepDesired(slice: Slice, { service, wanted, placed, controller }: Load): Draft {
  const { name } = slice.metadata;
  const endpoints: Endpoint[] = [];
  let changed = false;
  const before = slice.endpoints ?? [];
  const kept = new Set<string>();
  for (const old of before) {
    const hash = endpointHash(old);
    const holder = placed.get(hash);
    const now = holder === undefined || holder === name ? wanted.get(hash) : undefined;
    if (!now || kept.has(hash)) {
      if (!now && holder === name) placed.delete(hash);
      continue;
    }
    changed ||= !isUnchanged(now, old);
    endpoints.push(now);
    kept.add(hash);
    placed.set(hash, name);
  }
  const labels = sliceLabels(slice, service, controller);
  if (changed || endpoints.length !== before.length) {
    return { slice, endpoints, labels: labels.labels, state: endpoints.length === 0 ? "remove" : "update" };
  }
  // Without a change of its own it stays as it is, hints included.
  const own = [...before];
  return labels.changed
    ? { slice, endpoints: own, labels: labels.labels, state: "update" }
    : { slice, endpoints: own, labels: slice.metadata.labels ?? {}, state: "unchanged" };
}

function fill(
  endpoints: Endpoint[],
  missing: Map<string, Endpoint>,
  most: number,
  placing: (hash: string) => void,
): void {
  for (const [hash, endpoint] of missing) {
    if (endpoints.length >= most) return;
    endpoints.push(endpoint);
    placing(hash);
    missing.delete(hash);
  }
}

/** The unchanged slice that all of them just fit into. */
function closest(drafts: readonly Draft[], count: number, most: number): Draft | undefined {
  let best: Draft | undefined;
  for (const draft of drafts) {
    if (draft.state !== "unchanged") continue;
    const total = draft.endpoints.length + count;
    if (total <= most && (!best || draft.endpoints.length > best.endpoints.length)) best = draft;
  }
  return best;
}
