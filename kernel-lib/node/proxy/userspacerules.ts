/** Owns the iptables rules of the userspace proxy: they lead packets for Services to its ports (pkg/proxy/userspace, v1.25). */
import { type Ip, widthOf } from "../../net/address";
import { comment, jump, type Match, type Rule } from "../../net/rule";
import type { ServicePort } from "./view";

/** What one service port needs, by chain. */
export type PortalChain =
  | "KUBE-PORTALS-CONTAINER"
  | "KUBE-PORTALS-HOST"
  | "KUBE-NODEPORT-CONTAINER"
  | "KUBE-NODEPORT-HOST"
  | "KUBE-NODEPORT-NON-LOCAL";

export const portalChains = {
  nat: ["KUBE-PORTALS-CONTAINER", "KUBE-PORTALS-HOST", "KUBE-NODEPORT-CONTAINER", "KUBE-NODEPORT-HOST"],
  filter: ["KUBE-NODEPORT-NON-LOCAL"],
} as const satisfies { readonly [table: string]: readonly PortalChain[] };

const portals = comment("handle ClusterIPs; NOTE: this must be before the NodePort rules");
const nodePorts: readonly Match[] = [
  { match: "addrtype", target: "LOCAL" },
  comment("handle service NodePorts; NOTE: this must be the last rule in the chain"),
];

/** From the built-in chains, in the order in which they are ensured. */
export const portalJumps: readonly {
  readonly table: "nat" | "filter";
  readonly from: string;
  readonly rule: Rule;
  readonly where: "prepend" | "append";
}[] = [
  {
    table: "nat",
    from: "PREROUTING",
    rule: { matches: [portals], target: jump("KUBE-PORTALS-CONTAINER") },
    where: "prepend",
  },
  { table: "nat", from: "OUTPUT", rule: { matches: [portals], target: jump("KUBE-PORTALS-HOST") }, where: "prepend" },
  {
    table: "nat",
    from: "PREROUTING",
    rule: { matches: nodePorts, target: jump("KUBE-NODEPORT-CONTAINER") },
    where: "append",
  },
  { table: "nat", from: "OUTPUT", rule: { matches: nodePorts, target: jump("KUBE-NODEPORT-HOST") }, where: "append" },
  {
    table: "filter",
    from: "INPUT",
    rule: {
      matches: [comment("Ensure that non-local NodePort traffic can flow")],
      target: jump("KUBE-NODEPORT-NON-LOCAL"),
    },
    where: "prepend",
  },
];

export type PortalRules = { readonly [Chain in PortalChain]: readonly Rule[] };

/** What a portal's rules depend on beside the service port. */
export interface Portal {
  /** Where kube-proxy listens for this service port. */
  readonly proxyPort: number;
  /** The node's address: local packets go there, for a redirect would answer them from elsewhere. */
  readonly hostIp: Ip;
}

/**
 * The rules of one service port. Packets that come in are redirected to the address of their device, those of the node
 * itself are sent to the node's address; either way their source stays, and it is kube-proxy that hides it.
 */
export function portalRules(port: ServicePort, ips: PortalIps, { proxyPort, hostIp }: Portal): PortalRules {
  const protocol = port.protocol.toLowerCase() as "tcp" | "udp";
  const over = (targetPort: number): readonly Match[] => [comment(port.name), { match: protocol, targetPort }];
  const redirect = { target: "REDIRECT", port: proxyPort } as const;
  const host = { target: "DNAT", ip: hostIp, port: proxyPort } as const;
  const to = (ip: Ip): Pick<Rule, "destination" | "protocol"> => ({
    destination: { ip, length: widthOf(ip) },
    protocol,
  });
  const notBridged: Match = { match: "physdev", isIn: { not: true } };
  const local: Match = { match: "addrtype", target: "LOCAL" };
  const container: Rule[] = [];
  const own: Rule[] = [];
  for (const ip of ips.cluster) {
    container.push({ ...to(ip), matches: over(port.port), target: redirect });
    own.push({ ...to(ip), matches: over(port.port), target: host });
  }
  // Pods are not led to an external IP's portal, unless the address is this node's.
  for (const ip of ips.external) {
    container.push(
      { ...to(ip), matches: [...over(port.port), notBridged], target: redirect },
      { ...to(ip), matches: [...over(port.port), local], target: redirect },
    );
    own.push({ ...to(ip), matches: [...over(port.port), local], target: host });
  }
  for (const ip of ips.loadBalancer) {
    container.push({ ...to(ip), matches: over(port.port), target: redirect });
    own.push({ ...to(ip), matches: over(port.port), target: host });
  }
  const { nodePort } = port;
  const atNode = (target: Rule["target"]): readonly Rule[] =>
    nodePort === undefined || !target ? [] : [{ protocol, matches: over(nodePort), target }];
  const allowed: Rule = {
    protocol,
    matches: [...over(proxyPort), { match: "state", states: ["NEW"] }],
    target: { target: "ACCEPT" },
  };
  return {
    "KUBE-PORTALS-CONTAINER": container,
    "KUBE-PORTALS-HOST": own,
    "KUBE-NODEPORT-CONTAINER": atNode(redirect),
    "KUBE-NODEPORT-HOST": atNode(host),
    "KUBE-NODEPORT-NON-LOCAL": nodePort === undefined ? [] : [allowed],
  };
}

/** A service port's addresses. */
export interface PortalIps {
  readonly cluster: readonly Ip[];
  readonly external: readonly Ip[];
  readonly loadBalancer: readonly Ip[];
}
