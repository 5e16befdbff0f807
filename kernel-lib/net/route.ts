/** Owns routes: a namespace's table, and which of them a destination takes. */
import { type Cidr, contains, type Family, formatIp, type Ip, isLinkLocal, networkOf, widthOf } from "./address";

import { withoutDevice } from "./multipath";
import type { Failure } from "./socket";

/** One of the ways of a multipath route. */
export interface NextHop {
  readonly via: Ip;
  readonly device: string;
  /** Its share among the others; 1 unless said. */
  readonly weight: number;
}

/** One route, as `ip route` shows it. */
export interface Route {
  readonly to: Cidr;
  /** Of `blackhole` nobody is told, of `unreachable` and `prohibit` the sender is. */
  readonly type: "unicast" | "local" | "broadcast" | "multicast" | "blackhole" | "unreachable" | "prohibit";
  readonly device?: string;
  /** The next hop; without one the destination itself is a neighbour. */
  readonly via?: Ip;
  /** Several ways of the same cost (ECMP), instead of `via` and `device`: multipath.ts. */
  readonly nexthops?: readonly NextHop[];
  /** Take the next hop for a neighbour though no route says so. */
  readonly onlink?: boolean;
  /** The source address that packets of this namespace get. */
  readonly source?: Ip;
  readonly scope: "global" | "link" | "host";
  /** Who wrote it: kernel, boot (by hand), static, ra, bird … */
  readonly protocol: string;
  readonly metric: number;
  /** Smaller than the device's, where the way is narrower (`ip route add … mtu 1400`). */
  readonly mtu?: number;
}

/** What to say to add a route; the rest follows, as with `ip route add`. */
export interface RouteOptions {
  readonly to: Cidr;
  readonly type?: Route["type"];
  readonly device?: string;
  readonly via?: Ip;
  readonly nexthops?: readonly { readonly via: Ip; readonly device?: string; readonly weight?: number }[];
  readonly onlink?: boolean;
  readonly source?: Ip;
  readonly scope?: Route["scope"];
  readonly protocol?: Route["protocol"];
  readonly metric?: number;
  readonly mtu?: number;
  /** The kernel's own: beside others to the same prefix. */
  readonly append?: boolean;
}

/** What a lookup found: the route, the device and the neighbour to hand the packet to. */
export interface RouteResult {
  readonly route: Route;
  readonly device: string;
  readonly nextHop: Ip;
}

/** Called before routes are looked at: what was put off is done then (`ipv6`: for an IPv6 address). */
export interface Preparation {
  all(): void;
  ipv6(): void;
}

const rememberedLookups = 10_000;

/**
 * The routes of one namespace, `local` ones among them (Linux keeps those in a table of their own that is asked first).
 * A lookup is a map access per prefix length in use, longest first.
 */
export class Routes {
  readonly #lengths: number[] = [];
  readonly #byLength = new Map<number, Map<Ip, Route[]>>();
  readonly #locals = new Map<Ip, Route>();
  readonly #localNets: Route[] = [];
  /** What lookups have found, until something changes. */
  readonly #found = new Map<Ip, RouteResult | undefined>();
  readonly #before: Preparation;

  constructor(before: Preparation) {
    this.#before = before;
  }

  /** What was looked up before is looked up anew: something that was put off may change it. */
  forgetLookups(): void {
    this.#found.clear();
  }

  /** Adds a route. Throws as `ip route` says it, if there is one already or its next hop cannot be reached. */
  add(given: RouteOptions): Route {
    const options = plainly(given);
    // What the kernel adds by itself, for an address, asks nothing of the others.
    if (options.protocol !== "kernel") this.#before.all();
    this.#found.clear();
    const route = completed(options, this.#deviceTowards(options), this.#hopsOf(options));
    if (route.type === "local" || route.type === "broadcast") {
      if (route.to.length === widthOf(route.to.ip)) this.#locals.set(route.to.ip, route);
      else this.#localNets.push(route);
      return route;
    }
    const key = bucketKey(route.to);
    let nets = this.#byLength.get(key);
    if (!nets) {
      nets = new Map();
      this.#byLength.set(key, nets);
      this.#lengths.push(key);
      this.#lengths.sort((one, other) => other - one);
    }
    const net = networkOf(route.to).ip;
    const same = nets.get(net) ?? [];
    if (!options.append && same.some((other) => isTwin(route, other))) {
      throw new RangeError("RTNETLINK answers: File exists");
    }
    nets.set(
      net,
      [...same, route].sort((one, other) => one.metric - other.metric),
    );
    return route;
  }

  /** `ip route replace`: instead of one to the same prefix with the same metric, if there is one. */
  replace(options: RouteOptions): Route {
    this.#before.all();
    const metric = options.metric ?? defaultMetric(options.to.ip);
    const old = this.#byLength.get(bucketKey(options.to))?.get(networkOf(options.to).ip);
    const [twin] = old?.filter((route) => route.metric === metric) ?? [];
    if (!twin) return this.add(options);
    const towards = this.#deviceTowards(options);
    this.#drop(options.to, (route) => route === twin);
    return this.add({ ...options, ...(towards === undefined ? {} : { device: towards }) });
  }

  /** Takes away the route to exactly this prefix (by this device, …); false if there is none. */
  delete(to: Cidr, device?: string, type?: Route["type"], metric?: number, via?: Ip): boolean {
    this.#before.all();
    this.#found.clear();
    if (type === "local" || type === "broadcast") return this.#locals.delete(to.ip);
    const first = this.#byLength
      .get(bucketKey(to))
      ?.get(networkOf(to).ip)
      ?.find(
        (route) =>
          (device === undefined || route.device === device) &&
          (type === undefined || route.type === type) &&
          (metric === undefined || route.metric === metric) &&
          (via === undefined || route.via === via),
      );
    return first !== undefined && this.#drop(to, (route) => route === first);
  }

  #drop(to: Cidr, matching: (route: Route) => boolean): boolean {
    this.#found.clear();
    const nets = this.#byLength.get(bucketKey(to));
    const net = networkOf(to).ip;
    const same = nets?.get(net);
    const rest = same?.filter((route) => !matching(route)) ?? [];
    if (rest.length > 0) nets?.set(net, rest);
    else nets?.delete(net);
    return rest.length < (same?.length ?? 0);
  }

  /** Takes away every route by a device, when it goes away; `down`: its own addresses stay this host's. */
  deleteDevice(device: string, down = false): void {
    this.#found.clear();
    for (const nets of this.#byLength.values()) {
      for (const [net, routes] of nets) {
        const rest = routes.flatMap((route) => withoutHops(route, device) ?? []);
        if (rest.length > 0) nets.set(net, rest);
        else nets.delete(net);
      }
    }
    for (const [ip, route] of this.#locals) {
      if (route.device === device && !(down && route.type === "local")) this.#locals.delete(ip);
    }
  }

  /** Whether the address is this namespace's own. */
  isLocal(ip: Ip): boolean {
    if (typeof ip === "bigint") this.#before.ipv6();
    const route = this.#locals.get(ip);
    if (route) return route.type === "local";
    return this.#localNets.some((net) => contains(net.to, ip));
  }

  /** Whether the address is the broadcast address of one of this namespace's networks. */
  isBroadcast(ip: Ip): boolean {
    return ip === 0xffffffff || this.#locals.get(ip)?.type === "broadcast";
  }

  /** Whether packets to an address end here: it is this namespace's own, or a broadcast address. */
  endHere(ip: Ip): boolean {
    if (typeof ip === "bigint") this.#before.ipv6();
    if (this.#locals.has(ip) || ip === 0xffffffff) return true;
    const known = this.#found.get(ip);
    return known ? known.route.type === "local" : this.#localNets.some((net) => contains(net.to, ip));
  }

  /** The route to an address: the longest prefix, then the lowest metric. Undefined: "Network is unreachable". */
  lookup(ip: Ip): RouteResult | undefined {
    const known = this.#found.get(ip);
    if (known) return known;
    if (typeof ip === "bigint") this.#before.ipv6();
    this.#before.all();
    const found = this.#search(ip);
    if (this.#found.size >= rememberedLookups) this.#found.clear();
    this.#found.set(ip, found);
    return found;
  }

  #search(ip: Ip): RouteResult | undefined {
    const local = this.#locals.get(ip) ?? this.#localNets.find((net) => contains(net.to, ip));
    if (local) return { route: local, device: local.type === "local" ? "lo" : (local.device ?? "lo"), nextHop: ip };
    const wide = typeof ip === "number" ? 0 : 1000;
    for (const key of this.#lengths) {
      const length = key - wide;
      if (length < 0 || length > widthOf(ip)) continue;
      const route = this.#byLength.get(key)?.get(networkOf({ ip, length }).ip)?.[0];
      if (route) return resultOf(route, ip);
    }
    return undefined;
  }

  /** `ip route get ADDRESS oif DEVICE`: the best route that leaves by this device (link-local addresses need it said). */
  lookupBy(device: string, ip: Ip): RouteResult | undefined {
    this.#before.all();
    if (typeof ip === "bigint") this.#before.ipv6();
    for (const key of this.#lengths) {
      if (key >= 1000 !== (typeof ip === "bigint")) continue;
      const length = key % 1000;
      const routes = this.#byLength.get(key)?.get(networkOf({ ip, length }).ip);
      const route = routes?.find((each) => each.device === device);
      if (route) return { route, device, nextHop: route.via ?? ip };
    }
    return undefined;
  }

  /**
   * The routes of a family, as `ip route` lists them (`local`: the other table, which is asked first): in IPv4 the default
   * comes first; in IPv6 a prefix comes after all that are within it, so that the default comes last.
   */
  list(family: Family = "IPv4", table: "main" | "local" = "main"): readonly Route[] {
    this.#before.all();
    const wanted = family === "IPv4" ? "number" : "bigint";
    if (family === "IPv6") this.#before.ipv6();
    const all = table === "main" ? this.#main() : [...this.#localNets, ...this.#locals.values()];
    const found = all.filter(({ to }) => typeof to.ip === wanted);
    if (family === "IPv6") return found.sort(({ to: one }, { to: other }) => byTree(one, other));
    return found.sort(({ to: one }, { to: other }) => compareIps(one.ip, other.ip) || one.length - other.length);
  }

  #main(): Route[] {
    const routes: Route[] = [];
    for (const nets of this.#byLength.values()) for (const same of nets.values()) routes.push(...same);
    return routes;
  }

  #hopsOf({ nexthops }: RouteOptions): readonly NextHop[] | undefined {
    return nexthops?.map((hop) => ({ ...hop, device: this.#deviceTowards(hop) ?? "", weight: hop.weight ?? 1 }));
  }

  /** A next hop must be a neighbour already, by the route to it, which then says the device too. */
  #deviceTowards({ via, device, onlink }: Pick<RouteOptions, "via" | "device" | "onlink">): string | undefined {
    if (via === undefined || (onlink && device !== undefined)) return device;
    // An IPv6 router is usually named by its link-local address, which says nothing without its device.
    if (typeof via === "bigint" && isLinkLocal(via) && device !== undefined) return device;
    const found = this.lookup(via);
    const near = found?.route.scope === "link" && (device === undefined || found.device === device);
    if (!found || !near) throw new RangeError("Error: Nexthop has invalid gateway.");
    return found.device;
  }
}

/** A single next hop is no multipath route. */
function plainly({ nexthops, ...options }: RouteOptions): RouteOptions {
  const [first, ...more] = nexthops ?? [];
  if (!first || !nexthops || more.length > 0) return nexthops ? { ...options, nexthops } : options;
  return { ...options, via: first.via, ...(first.device !== undefined && { device: first.device }) };
}

function resultOf(route: Route, ip: Ip): RouteResult {
  const first = route.nexthops?.[0];
  return { route, device: first?.device ?? route.device ?? "", nextHop: first?.via ?? route.via ?? ip };
}

/** A route that does not go by a device: itself, with fewer next hops, or none at all. */
function withoutHops(route: Route, device: string): Route | undefined {
  if (!route.nexthops) return route.device === device ? undefined : route;
  const nexthops = withoutDevice(route.nexthops, device);
  return nexthops && { ...route, nexthops };
}

/** How a local call fails on a route that leads nowhere (net/ipv4/fib_semantics.c, fib_props); undefined for others. */
export function refusalOf({ type }: Route): Failure | undefined {
  switch (type) {
    case "blackhole":
      return { outcome: "unreachable", errno: "EINVAL" };
    case "unreachable":
      return { outcome: "unreachable", errno: "EHOSTUNREACH" };
    case "prohibit":
      return { outcome: "unreachable", errno: "EACCES" };
    default:
      return undefined;
  }
}

/** The lines of a multipath route's next hops, as iproute2 prints them below it; empty for any other. */
export function nexthopText({ nexthops = [] }: Route): string {
  return nexthops
    .map(({ via, device, weight }) => `\n\tnexthop via ${formatIp(via)} dev ${device} weight ${weight} `)
    .join("");
}

/** The route that was chosen, for the journal. */
export function describeRoute({ route, device, nextHop }: RouteResult): string {
  const several = route.nexthops && `, one of ${route.nexthops.length} next hops`;
  if (route.type === "local") return `route: local, ${formatIp(nextHop)} is this host's own address`;
  const to = route.to.length === 0 ? "default" : `${formatIp(networkOf(route.to).ip)}/${route.to.length}`;
  const via = route.via === undefined && !several ? "" : ` via ${formatIp(nextHop)}`;
  return `route: ${to}${via} dev ${device}${route.onlink ? " onlink" : ""}${several ?? ""}`;
}

function completed(options: RouteOptions, device: string | undefined, nexthops: readonly NextHop[] | undefined): Route {
  const type = options.type ?? "unicast";
  const nearby = type === "unicast" && options.via === undefined && !nexthops;
  return {
    to: options.to,
    type,
    ...(device === undefined ? {} : { device }),
    ...(options.via === undefined ? {} : { via: options.via }),
    ...(nexthops ? { nexthops } : {}),
    ...(options.onlink ? { onlink: true } : {}),
    ...(options.source === undefined ? {} : { source: options.source }),
    ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
    scope: options.scope ?? (type === "local" ? "host" : nearby ? "link" : "global"),
    protocol: options.protocol ?? "boot",
    metric: options.metric ?? (type === "local" || type === "broadcast" ? 0 : defaultMetric(options.to.ip)),
  };
}

/** net/ipv6: IP6_RT_PRIO_USER */
function defaultMetric(ip: Ip): number {
  return typeof ip === "number" ? 0 : 1024;
}

/** IPv4 has one route for a prefix and a metric; IPv6 one for each next hop. */
function isTwin(one: Route, other: Route): boolean {
  if (one.metric !== other.metric) return false;
  return typeof one.to.ip === "number" || (one.device === other.device && one.via === other.via);
}

/** IPv6 prefixes are kept beside IPv4 ones, 1000 further on. */
function bucketKey(to: Cidr): number {
  return to.length + (typeof to.ip === "number" ? 0 : 1000);
}

/** As the kernel walks its tree of prefixes (ip6_fib.c, fib6_walk): a node after both of its branches. */
function byTree(one: Cidr, other: Cidr): number {
  const isNested = one.length < other.length ? contains(one, other.ip) : contains(other, one.ip);
  return isNested ? other.length - one.length : compareIps(one.ip, other.ip);
}

function compareIps(one: Ip, other: Ip): number {
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return one < other ? -1 : one > other ? 1 : 0;
}
