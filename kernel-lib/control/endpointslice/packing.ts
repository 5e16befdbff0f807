/**
 * Owns how endpoints are put into slices: as few writes as possible, existing slices filled first
 * (reconcileByPortMapping).
 */
import { same } from "../../api/equal";
import type { Kinds } from "../../api/kinds";
import type { Labels } from "../../api/meta";
import type { Endpoint } from "./endpoint";
import { sliceLabels } from "./labels";
import { endpointHash, type Group, type NewSlice, type SliceOptions } from "./reconcile";

type Slice = Kinds["EndpointSlice"];

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

export function packSlices(
  service: Kinds["Service"],
  existing: readonly Slice[],
  group: Group,
  make: () => NewSlice,
  { controller, maxEndpointsPerSlice: most }: SliceOptions,
): Packed {
  const missing = new Map(group.endpoints);
  const drafts = existing.map((slice) => keepDesired(service, slice, missing, controller));
  const fuller = (a: Draft, b: Draft): number => b.endpoints.length - a.endpoints.length;
  for (const draft of drafts.filter(({ state }) => state === "update").sort(fuller))
    fill(draft.endpoints, missing, most);
  const create: NewSlice[] = [];
  while (missing.size > 0) {
    const roomy = missing.size < most ? closest(drafts, missing.size, most) : undefined;
    if (roomy) {
      roomy.state = "update";
      fill(roomy.endpoints, missing, most);
    } else {
      const endpoints: Endpoint[] = [];
      fill(endpoints, missing, most);
      create.push({ ...make(), endpoints });
    }
  }
  const update = drafts
    .filter(({ state }) => state === "update")
    .map(({ slice, endpoints, labels }): Slice => {
      return { ...slice, endpoints, metadata: { ...slice.metadata, labels } };
    });
  return { create, update, remove: drafts.filter(({ state }) => state === "remove").map(({ slice }) => slice) };
}

/** Keeps of a slice what is still wanted, as it is now; what it holds is no longer missing. */
function keepDesired(
  service: Kinds["Service"],
  slice: Slice,
  missing: Map<string, Endpoint>,
  controller: string,
): Draft {
  const endpoints: Endpoint[] = [];
  let changed = false;
  const before = slice.endpoints ?? [];
  for (const old of before) {
    const hash = endpointHash(old);
    const wanted = missing.get(hash);
    if (!wanted) continue;
    const { hints } = old;
    const now = hints === undefined ? wanted : { ...wanted, hints };
    changed ||= !same(now, old);
    endpoints.push(now);
    missing.delete(hash);
  }
  const labels = sliceLabels(slice, service, controller);
  const touched = changed || endpoints.length !== before.length;
  const state = touched ? (endpoints.length === 0 ? "remove" : "update") : labels.changed ? "update" : "unchanged";
  const kept = slice.metadata.labels ?? {};
  return { slice, endpoints, labels: state === "unchanged" ? kept : labels.labels, state };
}

function fill(endpoints: Endpoint[], missing: Map<string, Endpoint>, most: number): void {
  for (const [hash, endpoint] of missing) {
    if (endpoints.length >= most) return;
    endpoints.push(endpoint);
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
