/**
 * Owns the subsets of v1 Endpoints: addresses that share their ports, sorted, and cut at a thousand
 * (pkg/api/v1/endpoints, truncateEndpoints of pkg/controller/endpoint).
 */
import type { Kinds } from "../api/kinds";

export type Subset = NonNullable<Kinds["Endpoints"]["subsets"]>[number];
export type Address = NonNullable<Subset["addresses"]>[number];
export type Port = NonNullable<Subset["ports"]>[number];

/** The most addresses that one Endpoints object holds. */
export const capacity = 1000;

/** One pod as an address. */
export interface Entry {
  readonly address: Address;
  readonly ready: boolean;
  readonly ports: readonly Port[];
  /** The same text for the same ports. */
  readonly hash: string;
}

/** Addresses in the order in which Endpoints list them: by their text, then by uid. */
export function compareAddresses(one: Address, other: Address): number {
  if (one.ip !== other.ip) return one.ip < other.ip ? -1 : 1;
  const [a, b] = [one.targetRef?.uid ?? "", other.targetRef?.uid ?? ""];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Ports with the same addresses share a subset (RepackSubsets). */
export function repack(entries: readonly Entry[]): readonly Subset[] {
  const byPort = new Map<string, { readonly port: Port | undefined; readonly entries: Entry[] }>();
  for (const entry of entries) {
    const ports: readonly (Port | undefined)[] = entry.ports.length > 0 ? entry.ports : [undefined];
    for (const port of ports) {
      const hash = JSON.stringify(port ?? null);
      const known = byPort.get(hash) ?? { port, entries: [] };
      byPort.set(hash, known);
      known.entries.push(entry);
    }
  }
  const byAddresses = new Map<string, { readonly ports: Port[]; readonly entries: readonly Entry[] }>();
  for (const { port, entries: holders } of byPort.values()) {
    const texts = holders.map(({ address, ready }) => `${address.ip} ${address.targetRef?.uid} ${ready}`);
    const hash = texts.sort().join(",");
    const known = byAddresses.get(hash) ?? { ports: [], entries: holders };
    byAddresses.set(hash, known);
    if (port) known.ports.push(port);
  }
  return [...byAddresses.values()].map(({ ports, entries: holders }) => {
    const sorted = (ready: boolean): Address[] => {
      const fitting = holders.filter((entry) => entry.ready === ready);
      return fitting.map(({ address }) => address).sort(compareAddresses);
    };
    return subsetOf(sorted(true), sorted(false), ports);
  });
}

/** A subset as it is written: what is empty is left out. */
export function subsetOf(ready: readonly Address[], waiting: readonly Address[], ports: readonly Port[]): Subset {
  const bare = ports.map(({ name, ...port }) => (name ? { name, ...port } : port));
  return {
    ...(ready.length > 0 && { addresses: ready }),
    ...(waiting.length > 0 && { notReadyAddresses: waiting }),
    ...(bare.length > 0 && { ports: bare }),
  };
}

/** At most a thousand addresses: ready ones first, each subset by its part of all; the same array if they fit. */
export function truncated(subsets: readonly Subset[]): readonly Subset[] {
  const count = (of: "addresses" | "notReadyAddresses"): number => {
    return subsets.reduce((sum, subset) => sum + (subset[of]?.length ?? 0), 0);
  };
  const [ready, waiting] = [count("addresses"), count("notReadyAddresses")];
  if (ready + waiting <= capacity) return subsets;
  const cut = ready > capacity ? "addresses" : "notReadyAddresses";
  const most = ready > capacity ? capacity : capacity - ready;
  const all = ready > capacity ? ready : waiting;
  let left = most;
  return subsets.map((subset) => {
    const own = subset[cut] ?? [];
    const kept = own.slice(0, Math.min(left, Math.ceil((own.length / all) * most)));
    left -= kept.length;
    const addresses = cut === "addresses" ? kept : (subset.addresses ?? []);
    return subsetOf(addresses, cut === "addresses" ? [] : kept, subset.ports ?? []);
  });
}
