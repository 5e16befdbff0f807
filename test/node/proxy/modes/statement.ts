/**
 * Owns what traffic policies mean, as rules of a few words: who gets a packet, and whose address they see. It is drawn from the
 * reference page on virtual IPs, KEP-1669, KEP-2086 and the modes' own documents, and knows no rule, chain or set of any node.
 */
import type { ModeName } from "../../../../kernel-lib/node/proxy/mode";
import type { Policy } from "./matrix";
import type { Listed, To } from "./services";
import type { PlaceName } from "./site";

export interface Situation {
  readonly mode: ModeName;
  readonly policy: Policy;
  readonly to: To;
  readonly place: PlaceName;
}

/** `a1 sees client`, `b2 sees node-1`, or one verdict: `reject`, `drop`, `away`, `hung up`. */
export type Ends = readonly string[];

/** A packet at the node that decides: who sent it, as that node sees it, and whose address it bears. */
export interface Arriving {
  readonly node: string;
  readonly sender: "pod" | "node" | "outside";
  readonly bears: string;
}

/** What becomes of a packet; sorted. */
export function meant(situation: Situation): Ends {
  return meantAt(situation, arrivingOf(situation), situation.place);
}

/** The same, of a packet as it arrives at the node that decides. @param self the endpoint that sent it, if one did */
export function meantAt(
  { mode, policy, to }: Pick<Situation, "mode" | "policy" | "to">,
  arriving: Arriving,
  self?: string,
): Ends {
  if (mode === "userspace") return byProxy(policy, to, arriving);
  const chosen = mode === "ipvs" ? byIpvs(policy, to, arriving) : byRules(mode, policy, to, arriving);
  if (typeof chosen === "string") return [chosen];
  const changes = mode === "ipvs" ? changedByIpvs : changedByRules;
  const isChanged = (pod: string): boolean =>
    // Who reaches itself would answer itself; and flannel lets only pods' addresses through its tunnel.
    pod === self || changes(policy, to, arriving) || (arriving.sender !== "pod" && nodeOf(pod) !== arriving.node);
  return chosen.map((pod) => `${pod} sees ${isChanged(pod) ? arriving.node : arriving.bears}`).sort();
}

/** A pod's packet to another node leaves the pods' network, so that its own node has put its address there. */
function arrivingOf({ to, place }: Situation): Arriving {
  const node = `node-${place.at(-1)}`;
  const isPod = /^[ac]\d$/.test(place);
  if (to !== "other node") {
    return { node, sender: isPod ? "pod" : place.startsWith("node") ? "node" : "outside", bears: "client" };
  }
  return { node: node === "node-1" ? "node-3" : "node-1", sender: "outside", bears: isPod ? node : "client" };
}

/** The proxy knows who is ready, and nothing else; it asks with a connection of its own. */
function byProxy({ endpoints }: Policy, to: To, { node, sender }: Arriving): Ends {
  if (to === "external IP" && sender !== "outside") return ["away"];
  const ready = endpoints.filter(isReady);
  return ready.length > 0 ? ready.map(({ pod }) => `${pod} sees ${node}`).sort() : ["hung up"];
}

/**
 * Cluster: all that are ready, or if none is, those that terminate and still serve. Local: the same of this node alone; but the
 * cluster's own pods and nodes take the short cut to all, where they come by an address meant for outside.
 */
function byRules(
  mode: ModeName,
  { endpoints, internalPolicy, externalPolicy }: Policy,
  to: To,
  { node, sender }: Arriving,
): readonly string[] | "reject" | "drop" | "away" {
  const all = usable(endpoints);
  if (all.length === 0) {
    // iptables mode's refusals are for what comes in or goes through: not for a node's own packets.
    const leaves = mode === "iptables" && sender === "node" && (to === "external IP" || to === "balancer IP");
    return leaves ? "away" : "reject";
  }
  const isLocal = to === "cluster IP" ? internalPolicy === "Local" : externalPolicy === "Local" && sender === "outside";
  const found = isLocal ? usable(here(endpoints, node)) : all;
  return found.length > 0 ? found : "drop";
}

/** By the cluster IP all but pods are masqueraded; from outside everybody is, and under Local only the node itself. */
function changedByRules({ externalPolicy }: Policy, to: To, { sender }: Arriving): boolean {
  if (to === "cluster IP") return sender !== "pod";
  return externalPolicy === "Cluster" || sender === "node";
}

/**
 * One virtual server for all who ask: under Local it has the node's own endpoints, and where there are none, the cluster's
 * (kubernetes/kubernetes#97081), unless nothing from outside can be meant for the Service.
 */
function byIpvs(
  { endpoints, internalPolicy, externalPolicy, type }: Policy,
  to: To,
  { node }: Arriving,
): readonly string[] | "reject" {
  const own = usable(here(endpoints, node));
  const isLocal = (to === "cluster IP" ? internalPolicy : externalPolicy) === "Local";
  if (isLocal && own.length > 0) return own;
  const all = internalPolicy === "Local" && type === "ClusterIP" ? [] : usable(endpoints);
  return all.length > 0 && (!isLocal || type !== "ClusterIP") ? all : "reject";
}

/** As by rules, but that Local spares the node itself too. */
function changedByIpvs({ externalPolicy }: Policy, to: To, { sender }: Arriving): boolean {
  return to === "cluster IP" ? sender !== "pod" : externalPolicy === "Cluster";
}

/** Those that may get something: the ready ones, else those that terminate and still serve. */
export function usable(endpoints: readonly Listed[]): readonly string[] {
  const ready = endpoints.filter(isReady);
  const found = ready.length > 0 ? ready : endpoints.filter(({ serving, terminating }) => serving && terminating);
  return found.map(({ pod }) => pod);
}

/** Whether a load balancer's health check counts it, too. */
export function isReady({ ready = true }: Listed): boolean {
  return ready;
}

function here(endpoints: readonly Listed[], node: string): readonly Listed[] {
  return endpoints.filter(({ pod }) => nodeOf(pod) === node);
}

export function nodeOf(pod: string): string {
  return `node-${pod.at(-1)}`;
}
