/** Owns asking a static world one question: where it comes in, every outcome, and whether all of them arrive. */
import type { Kinds } from "../../api/kinds";
import { type Family, family as familyOf, formatIp, formatSocketAddress, type Ip, tryParseIp } from "../../net/address";
import { type AskedFlow, askFlow, type ExplainQuestion, type Outcome, outcomesOf } from "../explain";
import { keyIn } from "../question";
import { adviceOn } from "./advice";
import { fabricName, nodeWith, outsideName, podIps, type StaticWorld } from "./world";

/** What becomes of a packet. `unreachable`: it left the nodes for an address that nobody has. */
export type Fate = "delivered" | "rejected" | "dropped" | "refused" | "unreachable";

/** One thing that can happen in a static world. */
export interface StaticOutcome extends Outcome {
  readonly fate: Fate;
  /** The node that a packet from outside comes in by. */
  readonly entry?: string;
}

/** The answer to a question. */
export interface StaticAnswer {
  readonly from: string;
  readonly to: string;
  readonly protocol: "tcp" | "udp" | "sctp";
  /** The packet as it was sent. */
  readonly source: string;
  readonly target: string;
  /** Whether everything that can happen (with a probability above 0) is that it is delivered. */
  readonly delivered: boolean;
  readonly outcomes: readonly StaticOutcome[];
  /** What the question was taken to mean, and what was assumed. */
  readonly notes: readonly string[];
  /** What may be wrong, and what to look at. */
  readonly advice: readonly string[];
}

/** One way in: which node, and what is asked of it. */
interface Entry {
  readonly to: string;
  readonly node?: string;
}

/** A load balancer that may choose among more nodes than this: ask for one of them. */
const mostEntries = 50;

/** Asks. @throws Error that says which word of the question is wrong, and what it could be */
export function askWorld(world: StaticWorld, question: ExplainQuestion): StaticAnswer {
  const notes: string[] = [];
  const entries = entriesOf(world, question, notes);
  const asked = entries.map(({ to, node }) => {
    const { node: _given, ...rest } = question;
    return { node, flow: askFlow(world, { ...rest, to, ...(node !== undefined && { node }) }) };
  });
  const [first] = asked;
  if (!first) throw new Error(`to: no node takes packets for ${question.to} from outside`);
  const outcomes = asked.flatMap(({ node, flow }) =>
    outcomesOf(world, flow).map((outcome): StaticOutcome => {
      const share = outcome.probability / asked.length;
      return withFate(world, flow, { ...outcome, hops: outcome.hops, probability: share }, node);
    }),
  );
  const { flow, netns } = first.flow;
  const source = flow.source ?? netns.sourceFor(flow.target);
  const merged = outcomes.filter(({ probability }) => probability > 0);
  return {
    from: question.from,
    to: question.to,
    protocol: flow.protocol,
    source: source === undefined ? question.from : formatIp(source),
    target: formatSocketAddress(flow.target, flow.targetPort),
    delivered: merged.every(({ fate }) => fate === "delivered"),
    outcomes: [...merged].sort((one, other) => other.probability - one.probability),
    notes: [...notes, ...world.notes],
    advice: adviceOn(world, first.flow, merged),
  };
}

/** Who sends: a pod or node at its place; any other address somewhere outside, which comes in by a node. */
function entriesOf(world: StaticWorld, question: ExplainQuestion, notes: string[]): readonly Entry[] {
  const { from, to, node } = question;
  const ip = tryParseIp(from.replace(/^\[(.*)\]$/, "$1"));
  if (ip === undefined || isOurs(world, ip)) {
    if (node === undefined) return [{ to }];
    const where = ip === undefined ? from : `${from}, which is in the cluster,`;
    throw new Error(`--node is said of an address outside: ${where} sends from where it is`);
  }
  const target = outsideTarget(world, question, familyOf(ip), notes);
  if (node !== undefined) return [{ to: target.at(node), node }];
  const nodes = target.nodes?.();
  if (nodes === undefined) return [{ to: target.at("") }];
  if (nodes.length > mostEntries) {
    throw new Error(`${to} is taken by ${nodes.length} nodes: say by which one it comes in (--node)`);
  }
  if (nodes.length > 1)
    notes.push(`it may come in by any of ${nodes.length} nodes, each as likely (--node says which)`);
  return nodes.map((name) => ({ to: target.at(name), node: name }));
}

function isOurs({ store, nodes }: StaticWorld, ip: Ip): boolean {
  if ([...nodes.values()].some(({ ips }) => ips.includes(ip))) return true;
  return store.list("Pod").some((pod) => podIps(pod).includes(ip));
}

/** What a word means to somebody outside: which address, and by which nodes it can come in (undefined: it is routed). */
interface OutsideTarget {
  at(node: string): string;
  nodes?(): readonly string[];
}

function outsideTarget(world: StaticWorld, question: ExplainQuestion, family: Family, notes: string[]): OutsideTarget {
  const { to } = question;
  const [, name, port] = /^(?:svc|service)\/([^:]+)(?::([^:]+))?$/.exec(to) ?? [];
  if (name !== undefined) return serviceFromOutside(world, keyIn(name.split("/")), port, to, family, notes);
  const [, bracketed, plain, number] = /^(?:\[(.+)\]|([^[/]+)):(\d+)$/.exec(to) ?? [];
  const ip = tryParseIp(bracketed ?? plain ?? "");
  if (ip === undefined) return { at: () => to };
  const found = nodeWith(world, ip);
  if (found) {
    const node = found.node.metadata.name;
    if (!found.external) return { at: () => to, nodes: () => [node] };
    const internal = world.nodes.get(node)?.ips.find((each) => familyOf(each) === familyOf(ip));
    if (internal === undefined) return { at: () => to };
    notes.push(`${formatIp(ip)} is ${node}'s ExternalIP: the cloud translates it to ${formatIp(internal)}`);
    return { at: () => formatSocketAddress(internal, Number(number)), nodes: () => [node] };
  }
  const service = serviceWith(world, ip);
  if (!service) return { at: () => to };
  return { at: () => to, nodes: () => entryNodes(world, service.service, service.what, to, notes) };
}

/** From outside a Service is its load balancer, else its external IP, else its node port. */
function serviceFromOutside(
  world: StaticWorld,
  key: string,
  word: string | undefined,
  to: string,
  family: Family,
  notes: string[],
): OutsideTarget {
  const service = world.store.get("Service", key);
  const ports = service?.spec.ports ?? [];
  const port = ports.find(({ name, port: number }) => word === undefined || name === word || String(number) === word);
  if (!service || !port || (word === undefined && ports.length > 1)) return { at: () => to };
  const ofFamily = (ip: string | undefined): boolean => ip !== undefined && ip.includes(":") === (family === "IPv6");
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const balanced = ingress.find(({ ip, ipMode }) => ofFamily(ip) && ipMode !== "Proxy")?.ip;
  const external = service.spec.externalIPs?.find(ofFamily);
  const ip = balanced ?? external;
  if (ip !== undefined) {
    const what = balanced === undefined ? "external IP" : "load balancer's address";
    notes.push(`from outside ${to} is asked for at its ${what}, ${ip}`);
    const parsed = tryParseIp(ip) as Ip;
    const nodes = () => entryNodes(world, service, balanced === undefined ? "external" : "balancer", to, notes);
    return { at: () => formatSocketAddress(parsed, port.port), nodes };
  }
  if (port.nodePort) {
    const via = ingress[0] ? `its load balancer (${ingress[0].hostname ?? ingress[0].ip})` : "somebody outside";
    notes.push(`from outside ${to} is asked for at its node port ${port.nodePort}, as ${via} does`);
    const nodes = () => entryNodes(world, service, ingress[0] ? "balancer" : "external", to, notes);
    const at = (node: string): string => {
      const own = world.nodes.get(node)?.ips.find((each) => familyOf(each) === family);
      if (own === undefined)
        throw new Error(world.nodes.has(node) ? `node ${node} has no ${family} address` : `nodes "${node}" not found`);
      return formatSocketAddress(own, port.nodePort ?? 0);
    };
    return { at, nodes };
  }
  return { at: () => to, nodes: () => entryNodes(world, service, "cluster", to, notes) };
}

type EntryKind = "balancer" | "external" | "cluster";

/** Where packets for an address of a Service may come in. A load balancer asks the health check of a Local policy. */
function entryNodes(
  { nodes, store }: StaticWorld,
  service: Kinds["Service"],
  what: EntryKind,
  to: string,
  notes: string[],
): readonly string[] {
  const all = [...nodes.keys()];
  if (all.length === 1) return all;
  if (what === "cluster") {
    throw new Error(`${to} is a cluster IP, which nobody outside routes: say by which node it comes in (--node)`);
  }
  const serving = all.filter((name) => store.get("Node", name)?.spec.unschedulable !== true);
  if (what !== "balancer" || service.spec.externalTrafficPolicy !== "Local") return serving;
  const { namespace = "", name } = service.metadata;
  const slices = store.list("EndpointSlice", { namespace, labels: { "kubernetes.io/service-name": name } });
  const ready = slices.flatMap(({ endpoints }) => endpoints.filter(({ conditions }) => conditions?.ready !== false));
  const healthy = serving.filter((node) => ready.some(({ nodeName }) => nodeName === node));
  if (healthy.length === 0) return serving;
  const left = serving.length - healthy.length;
  if (left > 0)
    notes.push(`its policy is Local: the balancer leaves out ${left} of the nodes, whose health check fails`);
  return healthy;
}

/** Whose address it is, and of which kind. */
function serviceWith({ store }: StaticWorld, ip: Ip): { service: Kinds["Service"]; what: EntryKind } | undefined {
  const has = (texts: readonly (string | undefined)[] | undefined): boolean =>
    texts?.some((text) => text !== undefined && tryParseIp(text) === ip) ?? false;
  for (const service of store.list("Service")) {
    const { clusterIP, clusterIPs = [clusterIP], externalIPs } = service.spec;
    if (has(service.status?.loadBalancer?.ingress?.map((each) => each.ip))) return { service, what: "balancer" };
    if (has(externalIPs)) return { service, what: "external" };
    if (has(clusterIPs)) return { service, what: "cluster" };
  }
  return undefined;
}

/** Nothing listens in a static world: who has the address takes the packet, and on a node somebody must be known to. */
function withFate(world: StaticWorld, { flow }: AskedFlow, outcome: Outcome, entry: string | undefined): StaticOutcome {
  const made = (fate: Fate, why = shortWhy(outcome.why)): StaticOutcome => {
    return { ...outcome, why, fate, ...(entry !== undefined && { entry }) };
  };
  const { end, netns } = outcome;
  if (netns === outsideName) return made("delivered", "it leaves the cluster");
  if (end === "delivered") return made("delivered");
  const stuck = outcome.via === undefined && outcome.rules.some(({ effect }) => effect?.does === "redirect");
  if (end === "refused" && stuck) return made("refused");
  if (end === "refused")
    return takes(world, netns, outcome) ? made("delivered", "it has the address") : made("refused", refusal(netns));
  if (end === "rejected") return made("rejected");
  const lost = netns === fabricName || outcome.why === "host unreachable" || outcome.why === "net unreachable";
  if (!lost) return made("dropped");
  const translated = outcome.endpoint !== formatSocketAddress(flow.target, flow.targetPort);
  return made(
    "unreachable",
    translated ? "nobody has the endpoint's address" : unreachableWords(world, flow.target, netns),
  );
}

/** Who decided, without the rule's text: that stands among the rules. */
function shortWhy(why: string): string {
  return why.replace(/^((?:dropped|rejected) by .+?): .*$/, "$1");
}

function refusal(netns: string): string {
  return `no rule of ${netns} sends it on, and nothing that the objects tell of listens there`;
}

function unreachableWords(world: StaticWorld, ip: Ip, netns: string): string {
  const service = serviceWith(world, ip)?.service;
  if (!service) return netns === fabricName ? "nobody has the address" : `nobody has the address on ${netns}`;
  const name = `${service.metadata.namespace}/${service.metadata.name}`;
  return `no rule translated it: it left for an address of service ${name} that only the nodes' rules know`;
}

/** A pod takes what comes to its address; on a node only a known endpoint, or a pod that declares the port. */
function takes({ store, nodes }: StaticWorld, netns: string, { endpoint, rules }: Outcome): boolean {
  if (!nodes.has(netns)) return true;
  if (rules.some(({ effect }) => effect?.does === "dnat")) return true;
  const port = Number(/:(\d+)$/.exec(endpoint)?.[1]);
  const slices = store.list("EndpointSlice").some(({ endpoints, ports }) => {
    if (!ports?.some((each) => each.port === port)) return false;
    return endpoints.some(({ addresses }) => addresses.some((text) => sameSocket(text, port, endpoint)));
  });
  return (
    slices ||
    store.list("Pod", { node: netns } as object).some((pod) => pod.spec.nodeName === netns && declares(pod, port))
  );
}

function sameSocket(text: string, port: number, endpoint: string): boolean {
  const ip = tryParseIp(text);
  return ip !== undefined && formatSocketAddress(ip, port) === endpoint;
}

function declares({ spec }: Kinds["Pod"], port: number): boolean {
  if (spec.hostNetwork)
    return spec.containers.some(({ ports }) => ports?.some(({ containerPort }) => containerPort === port));
  return spec.containers.some(({ ports }) => ports?.some(({ hostPort }) => hostPort === port));
}
