/** Owns which Service has which address of MetalLB's pools (internal/allocator): given, shared by key, and taken back. */
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import { matchesSelector } from "../../api/selectors";
import { addToIp, type Family, formatIp } from "../../net/address";
import { quotedList } from "./host";
import { confusesBuggyFirmwares, hasAll, type Pool } from "./pools";

type Service = Kinds["Service"];

/** Why an address could not be given; its message is MetalLB's. */
export class AllocationError extends Error {}

interface Allocated {
  readonly ips: readonly string[];
  readonly pool: string;
  readonly ports: readonly string[];
  /** Services with the same may share an address: what they say, and where their traffic goes under Local. */
  readonly sharing: string;
  readonly backend: string;
}

export class Allocator {
  readonly #allocated = new Map<Key, Allocated>();

  /** The pool that a Service has its addresses of. */
  poolOf(service: Key): string | undefined {
    return this.#allocated.get(service)?.pool;
  }

  /** Takes a Service's addresses back; false if it had none. */
  release(service: Key): boolean {
    return this.#allocated.delete(service);
  }

  /** Gives just these addresses. @throws AllocationError if no pool has them, or somebody else has them already */
  assign(key: Key, service: Service, pools: readonly Pool[], ips: readonly string[]): void {
    const pool = pools.find((each) => hasAll(each, ips));
    if (!pool) throw new AllocationError(`${quotedList(ips)} is not allowed in config`);
    const wanted = { ...wishesOf(service), ips, pool: pool.name };
    for (const ip of ips) {
      const problem = this.#problem(key, ip, wanted);
      if (problem !== undefined) throw new AllocationError(problem);
    }
    this.#allocated.set(key, wanted);
  }

  /** Gives the next free address of each family, of one pool. @throws AllocationError */
  fromPool(key: Key, service: Service, pools: readonly Pool[], name: string): readonly string[] {
    const pool = pools.find((each) => each.name === name);
    if (!pool) throw new AllocationError(`unknown pool ${JSON.stringify(name)}`);
    const families = familiesOf(service);
    const ips = families.flatMap((family) => this.#free(key, service, pool, family) ?? []);
    if (ips.length < families.length) {
      const what = families.length > 1 ? "dual" : (families[0] ?? "").toLowerCase();
      throw new AllocationError(`no available IPs in pool ${JSON.stringify(name)} for ${what} IPFamily`);
    }
    this.assign(key, service, pools, ips);
    return ips;
  }

  /** Gives addresses of any pool: those meant for this Service first, by priority. @throws AllocationError */
  fromAny(
    key: Key,
    service: Service,
    pools: readonly Pool[],
    namespaceLabels: Readonly<Record<string, string>>,
  ): readonly string[] {
    const pinned = pools.filter((pool) => pool.allocation && isPinned(pool, service, namespaceLabels)).sort(byPriority);
    const open = pools.filter(({ allocation }) => !allocation);
    for (const { name, autoAssign } of [...pinned, ...open]) {
      if (!autoAssign) continue;
      try {
        return this.fromPool(key, service, pools, name);
      } catch (error) {
        if (!(error instanceof AllocationError)) throw error;
      }
    }
    throw new AllocationError("no available IPs");
  }

  #free(key: Key, service: Service, pool: Pool, family: Family): string | undefined {
    const wanted = wishesOf(service);
    for (const range of pool.ranges) {
      if (range.family !== family) continue;
      for (let ip = range.first; ip <= range.last; ip = addToIp(ip, 1)) {
        const text = formatIp(ip);
        if (pool.avoidBuggyIps && confusesBuggyFirmwares(text)) continue;
        if (this.#problem(key, text, wanted) === undefined) return text;
      }
    }
    return undefined;
  }

  /** Why a Service may not have an address that others have. */
  #problem(key: Key, ip: string, wanted: Pick<Allocated, "ports" | "sharing" | "backend">): string | undefined {
    const others = [...this.#allocated].filter(([other, { ips }]) => other !== key && ips.includes(ip));
    const { sharing, backend } = wanted;
    if (others.some(([, each]) => sharing === "" || each.sharing !== sharing || each.backend !== backend)) {
      const names = others.map(([other]) => other).join(",");
      return `can't change sharing key for ${JSON.stringify(key)}, address also in use by ${names}`;
    }
    for (const port of wanted.ports) {
      const owner = others.find(([, { ports }]) => ports.includes(port));
      if (owner) return `port ${port} is already in use on ${JSON.stringify(ip)}`;
    }
    return undefined;
  }
}

function byPriority(one: Pool, other: Pool): number {
  const rank = ({ allocation }: Pool): number => allocation?.priority || Number.POSITIVE_INFINITY;
  return rank(one) === rank(other) ? 0 : rank(one) - rank(other);
}

function isPinned(
  { allocation }: Pool,
  { metadata }: Service,
  namespaceLabels: Readonly<Record<string, string>>,
): boolean {
  const { namespaces = [], namespaceSelectors = [], serviceSelectors = [] } = allocation ?? {};
  const anyNamespace = namespaces.length === 0 && namespaceSelectors.length === 0;
  const fits =
    namespaces.includes(metadata.namespace ?? "") ||
    namespaceSelectors.some((selector) => matchesSelector(selector, namespaceLabels));
  const labels = metadata.labels ?? {};
  const suits = serviceSelectors.length === 0 || serviceSelectors.some((selector) => matchesSelector(selector, labels));
  return (anyNamespace || fits) && suits;
}

export function familiesOf({ spec }: Service): readonly Family[] {
  return (spec.ipFamilies ?? ["IPv4"]) as readonly Family[];
}

/** An annotation of metallb.io, or by its old name. */
export function annotationOf({ metadata }: Service, name: string): string | undefined {
  return metadata.annotations?.[`metallb.io/${name}`] ?? metadata.annotations?.[`metallb.universe.tf/${name}`];
}

function wishesOf(service: Service): Pick<Allocated, "ports" | "sharing" | "backend"> {
  const { spec } = service;
  const local = spec.externalTrafficPolicy === "Local";
  const selector = Object.entries(spec.selector ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    ports: (spec.ports ?? []).map(({ protocol, port }) => `${protocol ?? "TCP"}/${port}`),
    sharing: annotationOf(service, "allow-shared-ip") ?? "",
    backend: local ? selector.map(([name, value]) => `${name}=${value}`).join(",") : "",
  };
}
