/**
 * Owns hints by zone for Services annotated `topology-mode: Auto`: each zone gets endpoints by its share of the nodes'
 * CPU (staging/src/k8s.io/endpointslice/topologycache).
 */
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import { quantityValue } from "../../api/quantity";
import { type AddressType, type Endpoint, zoneLabel } from "./endpoint";
import { type Slicing, withoutHints } from "./hints";
import { allocationsOf, type EventNote, hintsByZone, redistribute, transfers } from "./zoneshares";

/** How much CPU each zone's nodes have, and its part of all. */
export interface ZoneShares {
  readonly millicores: ReadonlyMap<string, number>;
  readonly ratios: ReadonlyMap<string, number>;
}

export type ZoneEvent = EventNote;
type Counts = ReadonlyMap<string, number>;

const controlPlaneLabels = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/**
 * The zones' shares of the ready workers' CPU; undefined if one of them has no zone or no CPU, or all are in one zone
 * (SetNodes).
 */
export function zoneShares(nodes: readonly Kinds["Node"][]): ZoneShares | undefined {
  const millicores = new Map<string, number>();
  let total = 0;
  for (const { metadata, status } of nodes) {
    if (controlPlaneLabels.some((label) => metadata.labels?.[label] !== undefined)) continue;
    if (!status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True")) continue;
    const cpu = Math.ceil(quantityValue(status.allocatable?.cpu) * 1000);
    const zone = metadata.labels?.[zoneLabel];
    if (!zone || cpu === 0) return undefined;
    millicores.set(zone, (millicores.get(zone) ?? 0) + cpu);
    total += cpu;
  }
  if (millicores.size < 2) return undefined;
  const zones = [...millicores].sort(([a], [b]) => (a < b ? -1 : 1));
  return { millicores: new Map(zones), ratios: new Map(zones.map(([zone, cpu]) => [zone, cpu / total])) };
}

/** No zone may have fewer endpoints than make each carry this much more than its part. */
const overload = 0.2;

/** What is known of the zones, and how many hints each Service has for each of them. */
export class ZoneHints {
  #ratios: Counts | undefined;
  readonly #given = new Map<Key, Map<AddressType, Counts>>();
  readonly #populated = new Set<Key>();

  setNodes(nodes: readonly Kinds["Node"][]): void {
    this.#ratios = zoneShares(nodes)?.ratios;
  }

  /** For those who know the shares already. */
  setRatios(ratios: Counts): void {
    this.#ratios = ratios;
  }

  /** Services whose hints no longer fit the zones' shares. */
  overloaded(): readonly Key[] {
    return [...this.#given].flatMap(([key, types]) => {
      return [...types.values()].some((given) => this.#isOverloaded(given)) ? [key] : [];
    });
  }

  isPopulated(service: Key): boolean {
    return this.#populated.has(service);
  }

  /** How many endpoints of a Service are hinted for each zone. */
  given(service: Key, type: AddressType): Counts | undefined {
    return this.#given.get(service)?.get(type);
  }

  remove(service: Key, type: AddressType): void {
    const types = this.#given.get(service);
    types?.delete(type);
    if (types?.size === 0) this.#given.delete(service);
    this.#populated.delete(service);
  }

  /** Gives each ready endpoint a hint, or takes all hints away where the shares cannot be met (AddHints). */
  add(service: Key, type: AddressType, slicing: Slicing): Slicing & { readonly events: readonly ZoneEvent[] } {
    const give = (why: string): Slicing & { readonly events: readonly ZoneEvent[] } => {
      this.remove(service, type);
      return { ...withoutHints(slicing), events: [disabled(why, type)] };
    };
    const all = [...slicing.create, ...slicing.update, ...slicing.unchanged].flatMap(({ endpoints }) => endpoints);
    const allocations = allocationsOf(this.#ratios, all.filter(isReady).length, overload);
    if (typeof allocations === "string") return give(allocations);

    const given = new Map<string, number>();
    const unchanged: Kinds["EndpointSlice"][] = [];
    const update = [...slicing.update];
    for (const slice of slicing.unchanged) {
      const counts = hintsByZone(slice.endpoints, given, allocations);
      (counts ? unchanged : update).push(slice);
      for (const [zone, count] of counts ?? []) given.set(zone, (given.get(zone) ?? 0) + count);
    }
    const open = [...slicing.create, ...update];
    if (open.some(({ endpoints }) => endpoints.some((endpoint) => isReady(endpoint) && !endpoint.zone))) {
      return give("One or more endpoints do not have a zone specified");
    }
    for (const { endpoints } of open) {
      for (const endpoint of endpoints.filter(isReady)) {
        given.set(endpoint.zone ?? "", (given.get(endpoint.zone ?? "") ?? 0) + 1);
      }
    }
    const { giving, receiving } = transfers(allocations, given);
    const hinted = redistribute(
      open.map(({ endpoints }) => endpoints),
      giving,
      receiving,
      given,
    );
    if (given.size === 0) return give("No hints allocated for zones");

    const isNew = !this.#populated.has(service);
    const types = this.#given.get(service) ?? new Map<AddressType, Counts>();
    this.#given.set(service, types.set(type, given));
    this.#populated.add(service);
    return {
      create: slicing.create.map((slice, at) => ({ ...slice, endpoints: hinted[at] ?? [] })),
      update: update.map((slice, at) => ({ ...slice, endpoints: hinted[slicing.create.length + at] ?? [] })),
      unchanged,
      events: isNew ? [enabled(type)] : [],
    };
  }

  #isOverloaded(given: Counts): boolean {
    if (given.size === 0) return false;
    if (!this.#ratios) return true;
    const total = [...given.values()].reduce((sum, count) => sum + count, 0);
    return [...this.#ratios].some(([zone, ratio]) => {
      const count = given.get(zone);
      return count === undefined || count < Math.ceil(total * ratio * (1 / (1 + overload)));
    });
  }
}

function isReady({ conditions }: Endpoint): boolean {
  return conditions?.ready === true;
}

export function disabled(why: string, type: AddressType): ZoneEvent {
  return { type: "Warning", reason: "TopologyAwareHintsDisabled", message: `${why}, addressType: ${type}` };
}

function enabled(type: AddressType): ZoneEvent {
  const message = `Topology Aware Hints has been enabled, addressType: ${type}`;
  return { type: "Normal", reason: "TopologyAwareHintsEnabled", message };
}
