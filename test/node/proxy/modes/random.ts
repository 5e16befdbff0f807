/** Owns random worlds for the modes: Services with their slices as plain words, as manifests, and what they mean. */
import fc from "fast-check";
import type { Kinds } from "../../../../kernel-lib/api/kinds";
import { contains, parseCidr, parseIp } from "../../../../kernel-lib/net/address";
import type { ModeName } from "../../../../kernel-lib/node/proxy/mode";
import { service } from "../modelab";

/** `published`: not serving, but ready all the same, by publishNotReadyAddresses. */
type State = "ready" | "published" | "unready" | "leaving" | "gone";

interface WordEndpoint {
  /** A pod of the lab. */
  readonly pod: string;
  readonly state: State;
}

/** A Service in a few words; its number gives it its addresses. */
export interface WordService {
  readonly number: number;
  readonly protocol: "TCP" | "UDP";
  readonly type: "ClusterIP" | "NodePort" | "LoadBalancer";
  readonly external: boolean;
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  readonly affinity: boolean;
  readonly ranges: "all" | "outside" | "inside";
  readonly hints: "none" | "zone" | "node" | "partly";
  readonly endpoints: readonly WordEndpoint[];
  /** It has the external IP and the node port that others like it have too. */
  readonly fights?: boolean;
}

export const podNames = ["pod-1-2", "pod-1-3", "pod-2-2", "pod-2-3"] as const;
export const zones: { readonly [node: string]: string } = { "node-1": "a", "node-2": "b" };
export const outsideIp = "198.18.0.9";

const state = fc.constantFrom<State>("ready", "ready", "published", "unready", "leaving", "gone");
const endpoint = fc.record({ pod: fc.constantFrom(...podNames), state });

const words = {
  number: fc.integer({ min: 1, max: 4 }),
  protocol: fc.constantFrom("TCP", "TCP", "UDP"),
  type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer"),
  external: fc.boolean(),
  internalLocal: fc.boolean(),
  externalLocal: fc.boolean(),
  affinity: fc.boolean(),
  ranges: fc.constantFrom("all", "outside", "inside"),
  hints: fc.constantFrom("none", "none", "zone", "node", "partly"),
  endpoints: fc.uniqueArray(endpoint, { selector: ({ pod }) => pod, maxLength: 4 }),
};

const atMostFour = (of: fc.Arbitrary<WordService>): fc.Arbitrary<readonly WordService[]> =>
  fc.uniqueArray(of, { selector: ({ number }) => number, maxLength: 4 });

/** Up to four Services, none of them twice. */
export const world = atMostFour(fc.record(words));

/** Worlds one after another, in which much stays as it was; some Services fight over an external IP and a node port. */
export function history(fighting: boolean): fc.Arbitrary<readonly (readonly WordService[])[]> {
  const one = fc.record({ ...words, fights: fighting ? fc.boolean() : fc.constant(false) });
  return fc
    .array(one, { minLength: 2, maxLength: 6 })
    .chain((pool) => fc.array(atMostFour(fc.constantFrom(...pool)), { minLength: 2, maxLength: 6 }));
}

export const ipsOf = ({ number, fights }: Pick<WordService, "number" | "fights">) => ({
  cluster: `10.96.0.${50 + number}`,
  external: `203.0.113.${fights ? 50 : 50 + number}`,
  balancer: `203.0.113.${100 + number}`,
});
export const nodePortOf = ({ number, fights }: Pick<WordService, "number" | "fights">): number =>
  30_000 + (fights ? 0 : number);
const rangesOf = { all: [], outside: ["198.18.0.0/15"], inside: ["10.244.0.0/16", "192.168.1.0/24"] } as const;

export function isOpen({ type, external }: WordService): boolean {
  return type !== "ClusterIP" || external;
}

export function serviceOf(words: WordService): Kinds["Service"] {
  const ips = ipsOf(words);
  const { type, external, protocol } = words;
  const spec = {
    type,
    clusterIP: ips.cluster,
    clusterIPs: [ips.cluster],
    ports: [{ port: 80, protocol, ...(type !== "ClusterIP" && { nodePort: nodePortOf(words) }) }],
    ...(external && { externalIPs: [ips.external] }),
    ...(type === "LoadBalancer" && { loadBalancerSourceRanges: rangesOf[words.ranges] }),
    internalTrafficPolicy: words.internalLocal ? "Local" : "Cluster",
    ...(isOpen(words) && { externalTrafficPolicy: words.externalLocal ? "Local" : "Cluster" }),
    ...(words.affinity && {
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
    }),
  };
  const status = type === "LoadBalancer" ? { loadBalancer: { ingress: [{ ip: ips.balancer }] } } : {};
  return service(`s${words.number}`, spec, status);
}

export function nodeOf(pod: string): string {
  return `node-${pod.split("-")[1]}`;
}

export function addressOf(pod: string): string {
  const [, node, host] = pod.split("-");
  return `10.244.${node}.${host}`;
}

/** Two slices: what is in the second could as well be in the first. */
export function slicesOf(words: WordService): readonly Kinds["EndpointSlice"][] {
  const name = `s${words.number}`;
  return [0, 1].map((half) => {
    return {
      kind: "EndpointSlice",
      metadata: { namespace: "default", name: `${name}-${half}`, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "", port: 80, protocol: words.protocol }],
      endpoints: words.endpoints
        .map((each, at) => endpointOf(each, at, words))
        .filter((_, at) => (at >= 2 ? 1 : 0) === half),
    } as unknown as Kinds["EndpointSlice"];
  });
}

function endpointOf({ pod, state: now }: WordEndpoint, at: number, { hints }: WordService): object {
  const node = nodeOf(pod);
  const forZones = { forZones: [{ name: zones[node] }] };
  const hinted = hints === "none" || (hints === "partly" && at === 0) ? {} : forZones;
  return {
    addresses: [addressOf(pod)],
    nodeName: node,
    conditions: {
      ready: now === "ready" || now === "published",
      serving: now === "ready" || now === "leaving",
      terminating: now === "leaving" || now === "gone",
    },
    ...(hints !== "none" && { hints: hints === "node" ? { ...forZones, forNodes: [{ name: node }] } : hinted }),
  };
}

// ── What it means ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Who asks: a pod, a node, or somebody outside; and the node whose rules are asked. */
export interface Asker {
  readonly who: "pod" | "node" | "outside";
  readonly ip: string;
  readonly node: string;
}

export type Kind = "cluster" | "external" | "balancer" | "node port";

/** The pods that may get it, sorted; or a verdict. */
export type Meaning = readonly string[] | "reject" | "drop" | "away" | "hung up";

/** What becomes of a packet for a Service, in a mode: Kubernetes' documents and the modes' sources, without any rule. */
export function meaning(mode: ModeName, words: WordService, kind: Kind, asker: Asker): Meaning {
  const chosen = choose(words, asker.node);
  if (mode === "userspace") {
    if (kind === "external" && asker.who !== "outside") return "away";
    return chosen.ready.length > 0 ? chosen.ready : "hung up";
  }
  const any = chosen.any.length > 0;
  // Of what a node itself sends, IPVS sees the first packet before the filter table does.
  const firewalled = any || mode === "nftables" || (mode === "ipvs" && asker.who !== "node");
  if (kind === "balancer" && !isAllowed(words, asker) && firewalled) return "drop";
  const isLocal = kind === "cluster" ? words.internalLocal : words.externalLocal;
  // Only where something outside can be meant for it are the cluster's endpoints used beside an internal policy Local.
  const cluster = words.internalLocal && !isOpen(words) ? [] : chosen.cluster;
  if (mode === "ipvs") {
    const servers = isLocal && chosen.local.length > 0 ? chosen.local : cluster;
    return servers.length > 0 ? servers : "reject";
  }
  const shortCut = kind !== "cluster" && asker.who !== "outside";
  const found = isLocal && !shortCut ? chosen.local : cluster;
  if (found.length > 0) return found;
  if (any) return "drop";
  return mode === "iptables" && asker.who === "node" && (kind === "external" || kind === "balancer")
    ? "away"
    : "reject";
}

function isAllowed({ ranges }: WordService, { ip }: Asker): boolean {
  const allowed = rangesOf[ranges];
  return allowed.length === 0 || allowed.some((range) => contains(parseCidr(range), parseIp(ip)));
}

function choose({ endpoints, hints }: WordService, node: string) {
  const named = (wanted: (each: WordEndpoint) => boolean): readonly string[] =>
    endpoints
      .filter(wanted)
      .map(({ pod }) => pod)
      .sort();
  const isReady = (each: WordEndpoint): boolean => each.state === "ready" || each.state === "published";
  const leaving = named((each) => each.state === "leaving");
  const ready = named(isReady);
  const unhinted = hints === "partly" ? endpoints.slice(0, 1).filter(isReady) : [];
  const near = ready.filter((pod) => nodeOf(pod) === node);
  // A node is its zone here, so that both kinds of hints mean the same.
  const usesHints = hints !== "none" && unhinted.length === 0 && near.length > 0;
  const here = (pods: readonly string[]): readonly string[] => pods.filter((pod) => nodeOf(pod) === node);
  return {
    ready,
    any: [...ready, ...leaving],
    cluster: ready.length === 0 ? leaving : usesHints ? near : ready,
    local: here(ready).length > 0 ? here(ready) : here(leaving),
  };
}
