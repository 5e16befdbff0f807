/** Owns the arithmetic of hints by zone: how many endpoints each zone should have, and which ones change sides. */
import type { Endpoint } from "./endpoint";

export interface EventNote {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** How many endpoints one zone may and should have. */
export interface Allocation {
  readonly minimum: number;
  readonly maximum: number;
  readonly desired: number;
}

type Allocations = ReadonlyMap<string, Allocation>;

/** Each zone's allocation by its share, or why there can be none (getAllocations). */
export function allocationsOf(
  ratios: ReadonlyMap<string, number> | undefined,
  count: number,
  overload: number,
): Allocations | string {
  if (!ratios) return "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
  if (ratios.size < 2) return "Nodes only ready in one zone";
  const about = `(${count} endpoints, ${ratios.size} zones)`;
  if (ratios.size > count) return `Insufficient number of endpoints ${about}`;
  const least = [...ratios].map(([zone, ratio]) => {
    const desired = ratio * count;
    const minimum = Math.ceil(desired * (1 / (1 + overload)));
    return { zone, minimum, desired: Math.max(desired, minimum) };
  });
  const total = least.reduce((sum, { minimum }) => sum + minimum, 0);
  if (total > count) {
    return `Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ${about}`;
  }
  return new Map(
    least.map(({ zone, minimum, desired }) => [zone, { minimum, desired, maximum: minimum + count - total }]),
  );
}

/** How many hints a slice has for each zone; undefined if they are not to be left as they are (getHintsByZone). */
export function hintsByZone(
  endpoints: readonly Endpoint[],
  given: ReadonlyMap<string, number>,
  allocations: Allocations,
): ReadonlyMap<string, number> | undefined {
  const counts = new Map<string, number>();
  for (const { conditions, hints } of endpoints) {
    if (!conditions?.ready) continue;
    if (!hints?.forZones?.length) return undefined;
    for (const { name } of hints.forZones) {
      if (!allocations.has(name)) return undefined;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  for (const [zone, count] of counts) {
    if (count + (given.get(zone) ?? 0) > (allocations.get(zone)?.maximum ?? 0)) return undefined;
  }
  return counts;
}

/** How many endpoints each zone gives to others, and how many each receives (getGivingAndReceivingZones). */
export function transfers(
  allocations: Allocations,
  given: ReadonlyMap<string, number>,
): { readonly giving: Map<string, number>; readonly receiving: Map<string, number> } {
  const surplus = new Map<string, number>();
  const need = new Map<string, number>();
  for (const [zone, { desired }] of allocations) {
    const has = given.get(zone) ?? 0;
    if (has > desired) surplus.set(zone, has - desired);
    else if (has < desired) need.set(zone, desired - has);
  }
  const giving = new Map<string, number>();
  const receiving = new Map<string, number>();
  for (;;) {
    const from = most(surplus);
    const to = most(need);
    if (!from || !to || (from.count < 1 && to.count < 1) || from.count < 0.5 || to.count < 0.5) break;
    move(giving, surplus, from.zone);
    move(receiving, need, to.zone);
  }
  return { giving, receiving };
}

function move(to: Map<string, number>, from: Map<string, number>, zone: string): void {
  to.set(zone, (to.get(zone) ?? 0) + 1);
  from.set(zone, (from.get(zone) ?? 0) - 1);
}

/** Upstream takes any of equals, as a Go map has them; here the first by name. */
function most(zones: ReadonlyMap<string, number>): { readonly zone: string; readonly count: number } | undefined {
  let best: { readonly zone: string; readonly count: number } | undefined;
  for (const [zone, count] of zones) {
    if (count > 0 && (!best || count > best.count || (count === best.count && zone < best.zone)))
      best = { zone, count };
  }
  return best;
}

/**
 * Hints every ready endpoint for its own zone, or for one that receives while its own has some to give
 * (redistributeHints). `given` is brought up to date.
 */
export function redistribute(
  slices: readonly (readonly Endpoint[])[],
  giving: Map<string, number>,
  receiving: Map<string, number>,
  given: Map<string, number>,
): readonly (readonly Endpoint[])[] {
  const takers = [...receiving]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([zone, count]) => {
      return Array.from({ length: count }, () => zone);
    });
  const zoneFor = (own: string): string => {
    const left = giving.get(own) ?? 0;
    const taker = left > 0 ? takers.shift() : undefined;
    if (taker === undefined) return own;
    giving.set(own, left - 1);
    given.set(own, (given.get(own) ?? 0) - 1);
    given.set(taker, (given.get(taker) ?? 0) + 1);
    return taker;
  };
  return slices.map((endpoints) => {
    return endpoints.map((endpoint) => {
      if (!endpoint.conditions?.ready || !endpoint.zone) return endpoint;
      return { ...endpoint, hints: { forZones: [{ name: zoneFor(endpoint.zone) }] } };
    });
  });
}
