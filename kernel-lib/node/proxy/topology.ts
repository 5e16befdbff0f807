/** Owns the choice of endpoints: which ones a node uses for a service port, by policy, readiness and hints. */
import type { Endpoint } from "./view";

/** What the choice depends on, of a service port. */
export interface TrafficPolicies {
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** Whether anything from outside can be meant for it: a node port, an external IP or a load balancer's IP. */
  readonly externallyAccessible: boolean;
}

/** Where the choosing node stands. */
export interface Place {
  readonly node: string;
  readonly zone?: string;
  /** False: no hints are looked at (before v1.33 feature gates and a Service's annotation decided that). */
  readonly hints?: boolean;
  /** False: hints that name nodes are not looked at (feature gate PreferSameTrafficDistribution, on since v1.35). */
  readonly nodeHints?: boolean;
}

/** The choice. Undefined: the service port never uses endpoints of this kind; empty: it does, and there are none. */
export interface Choice {
  /** For traffic whose policy is Cluster. */
  readonly cluster: readonly Endpoint[] | undefined;
  /** For traffic whose policy is Local. */
  readonly local: readonly Endpoint[] | undefined;
  /** All that this node may have to send to: the union of the two. */
  readonly reachable: readonly Endpoint[];
  /** Whether there is an endpoint to be used anywhere in the cluster (it decides REJECT or DROP). */
  readonly hasAny: boolean;
}

type Nearness = "node" | "zone" | "anywhere";

/**
 * Which of `endpoints` a node uses (CategorizeEndpoints in kubernetes/kubernetes pkg/proxy/topology.go, v1.36).
 *
 * Ready endpoints are used, near ones only where hints say so. If there is none, those that terminate but still
 * serve are used (KEP-1669): decided apart for the whole cluster and for this node. What is unready and not
 * terminating is never used.
 */
export function chooseEndpoints(endpoints: readonly Endpoint[], policies: TrafficPolicies, place: Place): Choice {
  const usesCluster = !policies.internalLocal || policies.externallyAccessible;
  const usesLocal = policies.internalLocal || (policies.externalLocal && policies.externallyAccessible);
  const isLocal = (endpoint: Endpoint): boolean => endpoint.node === place.node && place.node !== "";

  const nearness = usesCluster ? nearnessByHints(endpoints, place) : "anywhere";
  const cluster = usesCluster
    ? readyOrTerminating(endpoints, (endpoint) => isNear(endpoint, nearness, place))
    : undefined;
  if (!usesLocal) return { cluster, local: undefined, reachable: cluster ?? [], hasAny: (cluster?.length ?? 0) > 0 };

  const local = readyOrTerminating(endpoints.filter(isLocal), () => true);
  const hasAny = endpoints.some((endpoint) => endpoint.ready || isLeaving(endpoint));
  return { cluster, local, reachable: cluster ? union(cluster, local) : local, hasAny };
}

function isLeaving(endpoint: Endpoint): boolean {
  return endpoint.serving && endpoint.terminating;
}

function readyOrTerminating(
  endpoints: readonly Endpoint[],
  near: (endpoint: Endpoint) => boolean,
): readonly Endpoint[] {
  const ready = endpoints.filter((endpoint) => endpoint.ready && near(endpoint));
  return ready.length > 0 ? ready : endpoints.filter(isLeaving);
}

/** Hints count only if every ready endpoint has one and at least one of them names this place. */
function nearnessByHints(endpoints: readonly Endpoint[], place: Place): Nearness {
  if (place.hints === false) return "anywhere";
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  const all = (names: (endpoint: Endpoint) => readonly string[], here: string): boolean =>
    ready.every((endpoint) => names(endpoint).length > 0) && ready.some((endpoint) => names(endpoint).includes(here));
  if (place.nodeHints !== false && all((endpoint) => endpoint.nodeHints, place.node)) return "node";
  if (place.zone && all((endpoint) => endpoint.zoneHints, place.zone)) return "zone";
  return "anywhere";
}

function isNear(endpoint: Endpoint, nearness: Nearness, place: Place): boolean {
  if (nearness === "node") return endpoint.nodeHints.includes(place.node);
  if (nearness === "zone") return endpoint.zoneHints.includes(place.zone ?? "");
  return true;
}

/** Both lists in the order of the endpoints' addresses, each endpoint once. */
function union(cluster: readonly Endpoint[], local: readonly Endpoint[]): readonly Endpoint[] {
  const extra = local.filter((endpoint) => !cluster.includes(endpoint));
  return extra.length === 0 ? cluster : [...cluster, ...extra].sort(byAddress);
}

/** The order in which kube-proxy lists endpoints: by `ip:port` as text. */
export function byAddress(one: Endpoint, other: Endpoint): number {
  return one.address < other.address ? -1 : one.address > other.address ? 1 : 0;
}
