/** Owns how the iptables mode says what a node should do for one service port: its rules, as data. */
import { type Cidr, contains, type Ip, parseCidr, parseIp, widthOf } from "../../net/address";
import { comment, jump, type Match, type Rule, type Target } from "../../net/rule";
import { second } from "../../sim/clock";
import { endpointChain, type ServicePortChains, servicePortChains } from "./chains";
import { probabilityText } from "./probability";
import type { Endpoint, ServicePort } from "./view";

/** What all rules of a node depend on. */
export interface RuleOptions {
  /** How pods' traffic is told: what comes from elsewhere is masqueraded on its way to a cluster IP. */
  readonly local: LocalTraffic | undefined;
  readonly masqueradeAll: boolean;
  /** The node's own address: a source range that holds it also lets the load balancer's IPs themselves in. */
  readonly nodeIp: string;
  /** Rules of single Services and endpoints carry comments (not in clusters with more than 1,000 endpoints). */
  readonly comments: boolean;
  /** The counter of what reaches node ports by 127.0.0.1, if the kernel has it. */
  readonly localhostCounter: string | undefined;
}

/** What matches traffic of pods, and what all other traffic (pkg/proxy/util/localdetector.go). */
export interface LocalTraffic {
  readonly inside: Pick<Rule, "source" | "input">;
  readonly outside: Pick<Rule, "source" | "input">;
}

/** A chain and its rules. */
export type ChainRules = readonly [chain: string, rules: readonly Rule[]];

/** The rules of one service port. Lists go to the chains of all Services, in the order of the ports; `chains` are its own. */
export interface PortRules {
  /** nat KUBE-SERVICES */
  readonly services: readonly Rule[];
  /** nat KUBE-NODEPORTS */
  readonly nodePorts: readonly Rule[];
  /** nat, by chain */
  readonly chains: readonly ChainRules[];
  /** filter KUBE-SERVICES */
  readonly filterServices: readonly Rule[];
  /** filter KUBE-EXTERNAL-SERVICES */
  readonly filterExternal: readonly Rule[];
  /** filter KUBE-PROXY-FIREWALL */
  readonly filterFirewall: readonly Rule[];
  /** filter KUBE-NODEPORTS */
  readonly filterNodePorts: readonly Rule[];
}

export const markMasq = "KUBE-MARK-MASQ";
const toMarkMasq = jump(markMasq);
const noMatches: readonly Match[] = [];
const local = { match: "addrtype", target: "LOCAL" } as const;
const fromLocal = { match: "addrtype", source: "LOCAL" } as const;

/** Where traffic goes that no endpoint can take: told so if there is none anywhere, dropped if there is one elsewhere. */
interface Refusal {
  readonly target: "REJECT" | "DROP";
  readonly why: string;
}

/**
 * The rules of a service port, as kube-proxy v1.36 writes them (pkg/proxy/iptables/proxier.go, syncProxyRules).
 *
 * ```
 * KUBE-SERVICES ─ cluster IP ──────────────────────────► SVC or SVL (internal policy)
 *               ├ external IP, load balancer IP ─► [FW] ─► EXT ─► SVC or SVL (external policy)
 * KUBE-NODEPORTS ─ node port ──────────────────────────► EXT
 * SVC, SVL ─ one of ─► SEP ─► DNAT
 * ```
 */
export function portRules(port: ServicePort, options: RuleOptions): PortRules {
  const chains = servicePortChains(port);
  const terms = port.reachable.map((endpoint) => termsOf(port, endpoint));
  const context: Context = { port, options, chains, name: port.name, terms };
  return {
    ...captures(context),
    ...refusals(context),
    chains: [...policyChains(context), ...externalChains(context), ...endpointChains(context)],
  };
}

/** An endpoint in the words of rules. */
interface Terms {
  readonly chain: string;
  readonly ip: Ip;
  readonly jump: Target;
}

function termsOf(port: ServicePort, endpoint: Endpoint): Terms {
  const chain = endpointChain(port, endpoint.address);
  return { chain, ip: parseIp(endpoint.ip), jump: jump(chain) };
}

/** The terms of some of a port's endpoints; mostly they are all of them. */
function pickTerms({ port, terms }: Context, endpoints: readonly Endpoint[]): readonly Terms[] {
  const { reachable } = port;
  if (endpoints.length === reachable.length && endpoints.every((each, at) => each === reachable[at])) return terms;
  return endpoints.map((endpoint) => terms[reachable.indexOf(endpoint)] ?? termsOf(port, endpoint));
}

interface Context {
  readonly port: ServicePort;
  readonly options: RuleOptions;
  readonly chains: ServicePortChains;
  readonly name: string;
  /** In the order of `port.reachable`. */
  readonly terms: readonly Terms[];
}

/** Which packets are for this service port, and the chain each goes to. */
function captures({ port, options, chains, name }: Context): Pick<PortRules, "services" | "nodePorts"> {
  const services: Rule[] = [];
  const nodePorts: Rule[] = [];
  const inner = port.internalLocal ? chains.local : chains.cluster;
  if (port.internal.length > 0) {
    for (const ip of port.clusterIps) services.push(to(port, ip, `${name} cluster IP`, inner));
  }
  if (port.hasAnyEndpoints) {
    for (const ip of port.externalIps) services.push(to(port, ip, `${name} external IP`, chains.external));
    const balanced = usesFirewall(port) ? chains.firewall : chains.external;
    for (const ip of port.loadBalancerIps) services.push(to(port, ip, `${name} loadbalancer IP`, balanced));
    if (port.nodePort !== undefined) {
      if (options.localhostCounter !== undefined) {
        const { matches = [] } = over(port, port.nodePort, comment(name));
        const counted: Match = { match: "nfacct", name: options.localhostCounter };
        const destination = parseCidr("127.0.0.0/8");
        nodePorts.push({
          destination,
          protocol: protocolOf(port),
          matches: [...matches, counted],
          target: jump(chains.external),
        });
      }
      nodePorts.push({ ...over(port, port.nodePort, comment(name)), target: jump(chains.external) });
    }
  }
  return { services, nodePorts };
}

/** What the filter table says about traffic that the nat table left alone. */
function refusals({
  port,
  chains,
  name,
}: Context): Pick<PortRules, "filterServices" | "filterExternal" | "filterFirewall" | "filterNodePorts"> {
  const refusal: Refusal = port.hasAnyEndpoints
    ? { target: "DROP", why: `${name} has no local endpoints` }
    : { target: "REJECT", why: `${name} has no endpoints` };
  const refuse = (ip: string): Rule => ({
    destination: host(ip),
    ...over(port, port.port, comment(refusal.why)),
    target: { target: refusal.target },
  });

  const filterServices = port.internal.length > 0 ? [] : port.clusterIps.map(refuse);
  const filterExternal: Rule[] = [];
  if (port.external.length === 0) {
    filterExternal.push(...port.externalIps.map(refuse), ...port.loadBalancerIps.map(refuse));
    if (port.nodePort !== undefined) {
      const target = { target: refusal.target } as const;
      filterExternal.push({ ...over(port, port.nodePort, comment(refusal.why), local), target });
    }
  }
  const firewalled = `${name} traffic not accepted by ${chains.firewall}`;
  const filterFirewall = usesFirewall(port)
    ? port.loadBalancerIps.map((ip): Rule => {
        return { destination: host(ip), ...over(port, port.port, comment(firewalled)), target: { target: "DROP" } };
      })
    : [];
  const check = port.healthCheckNodePort;
  const filterNodePorts: Rule[] =
    check === undefined
      ? []
      : [
          {
            protocol: "tcp",
            matches: [comment(`${name} health check node port`), { match: "tcp", targetPort: check }],
            target: { target: "ACCEPT" },
          },
        ];
  return { filterServices, filterExternal, filterFirewall, filterNodePorts };
}

/** The chains that pick an endpoint: one for all of the cluster's, one for this node's. */
function policyChains(context: Context): readonly ChainRules[] {
  const { port, chains } = context;
  const made: ChainRules[] = [];
  const inner = port.internalLocal ? chains.local : chains.cluster;
  for (const [chain, endpoints] of [
    [chains.cluster, port.cluster ?? []],
    [chains.local, port.local ?? []],
  ] as const) {
    if (endpoints.length === 0) continue;
    const masquerade = chain === inner ? masqueradeRules(context) : [];
    made.push([chain, [...masquerade, ...picks(context, endpoints)]]);
  }
  return made;
}

/** What reaches a cluster IP from outside the cluster must come back this way: it is masqueraded. */
function masqueradeRules({ port, options, name }: Context): readonly Rule[] {
  if (!options.masqueradeAll && !options.local) return [];
  const source = options.masqueradeAll || !options.local ? {} : options.local.outside;
  return port.clusterIps.map((ip): Rule => {
    const why = comment(`${name} cluster IP`);
    return { ...source, destination: host(ip), ...over(port, port.port, why), target: toMarkMasq };
  });
}

/** First the endpoint that a client had before, if it is to stay with it; then one by chance, each equally likely. */
function picks(context: Context, endpoints: readonly Endpoint[]): readonly Rule[] {
  const { port, options, name } = context;
  const said = (at: number): Match[] => (options.comments ? [comment(`${name} -> ${endpoints[at]?.address}`)] : []);
  const terms = pickTerms(context, endpoints);
  const rules: Rule[] = [];
  if (port.affinity !== undefined) {
    const seconds = port.affinity / second;
    for (const [at, { chain, jump: target }] of terms.entries()) {
      const known: Match = { match: "recent", name: chain, mode: "rcheck", seconds, reap: true };
      rules.push({ matches: [...said(at), known], target });
    }
  }
  for (const [at, { jump: target }] of terms.entries()) {
    const chance = chanceOf(terms.length - at);
    rules.push({ matches: options.comments ? [...said(at), ...chance] : chance, target });
  }
  return rules;
}

/** One of `left`: the same for all Services, and there is no choice where one is left. */
function chanceOf(left: number): readonly Match[] {
  const known = chances[left];
  if (known) return known;
  const made: readonly Match[] =
    left > 1 ? [{ match: "statistic", mode: "random", probability: Number(probabilityText(left)) }] : [];
  chances[left] = made;
  return made;
}

const chances: (readonly Match[] | undefined)[] = [];

/** The chain for what comes from outside, and the firewall in front of it where load balancer sources are limited. */
function externalChains(context: Context): readonly ChainRules[] {
  const { port, chains } = context;
  const made: ChainRules[] = [];
  if (port.hasAnyEndpoints && port.externallyAccessible) made.push([chains.external, externalRules(context)]);
  if (usesFirewall(port)) made.push([chains.firewall, firewallRules(context)]);
  return made;
}

function externalRules({ port, options, chains, name }: Context): readonly Rule[] {
  const rules: Rule[] = [];
  const say = (verb: string): Match => comment(`${verb} for ${name} external destinations`);
  if (!port.externalLocal) {
    // The endpoint may be on another node, whose answer must come back through this one.
    rules.push({ matches: [say("masquerade traffic")], target: toMarkMasq });
  } else {
    // Pods and the node itself may use every endpoint: the policy is about what comes from outside.
    if (options.local) {
      const fromPods = { ...options.local.inside, matches: [say("pod traffic")] };
      rules.push({ ...fromPods, target: jump(chains.cluster) });
    }
    rules.push({ matches: [say("masquerade LOCAL traffic"), fromLocal], target: toMarkMasq });
    rules.push({ matches: [say("route LOCAL traffic"), fromLocal], target: jump(chains.cluster) });
  }
  if (port.external.length > 0) rules.push({ target: jump(port.externalLocal ? chains.local : chains.cluster) });
  return rules;
}

function firewallRules({ port, options, chains, name }: Context): readonly Rule[] {
  const why = comment(`${name} loadbalancer IP`);
  const allow = (source: Cidr): Rule => ({ source, matches: [why], target: jump(chains.external) });
  const ranges = port.sourceRanges.map(parseCidr);
  const rules = ranges.map(allow);
  if (ranges.some((range) => holds(range, options.nodeIp))) {
    // Where the node has the load balancer's IP itself, its own packets come from that IP.
    rules.push(...port.loadBalancerIps.map((ip) => allow(host(ip))));
  }
  rules.push({ matches: [comment(`other traffic to ${name} will be dropped by KUBE-PROXY-FIREWALL`)] });
  return rules;
}

/** One chain an endpoint: a pod that reaches itself is masqueraded, then the target is changed. */
function endpointChains({ port, options, name, terms }: Context): readonly ChainRules[] {
  const affinity = port.affinity !== undefined;
  const said = options.comments ? [comment(name)] : noMatches;
  const protocol = protocolOf(port);
  const over: Match = { match: protocol };
  const plain = [...said, over];
  return terms.map(({ chain, ip }, at): ChainRules => {
    const matches: readonly Match[] = affinity ? [...said, { match: "recent", name: chain, mode: "set" }, over] : plain;
    const self: Rule = { source: { ip, length: widthOf(ip) }, matches: said, target: toMarkMasq };
    return [chain, [self, { protocol, matches, target: { target: "DNAT", ip, port: port.reachable[at]?.port ?? 0 } }]];
  });
}

function usesFirewall(port: ServicePort): boolean {
  return port.hasAnyEndpoints && port.loadBalancerIps.length > 0 && port.sourceRanges.length > 0;
}

/** `-d ip -p … --dport port -j chain` with a comment. */
function to(port: ServicePort, ip: string, why: string, chain: string): Rule {
  return { destination: host(ip), ...over(port, port.port, comment(why)), target: jump(chain) };
}

/** The protocol and the target port, after other matches. */
function over(port: ServicePort, targetPort: number, ...before: readonly Match[]): Pick<Rule, "protocol" | "matches"> {
  const protocol = protocolOf(port);
  return { protocol, matches: [...before, { match: protocol, targetPort }] };
}

function protocolOf(port: ServicePort): "tcp" | "udp" | "sctp" {
  return port.protocol.toLowerCase() as "tcp" | "udp" | "sctp";
}

function host(ip: string): Cidr {
  const parsed = parseIp(ip);
  return { ip: parsed, length: widthOf(parsed) };
}

function holds(range: Cidr, ip: string): boolean {
  return contains(range, parseIp(ip));
}
