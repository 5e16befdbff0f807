/** Owns what a service port means in ipvs mode, as plain data: virtual servers, entries of sets, and who is refused. */
import { contains, type Ip, parseCidr, parseIp } from "../../net/address";
import type { IpSetEntry } from "../../net/ipset";
import type { NodeRefused } from "./ipvsrules";
import type { IpvsSetKey } from "./ipvssets";
import type { Endpoint, ServicePort } from "./view";

/** A virtual server with its real ones. */
export interface PlannedServer {
  readonly ip: Ip;
  readonly port: number;
  readonly protocol: "tcp" | "udp" | "sctp";
  /** Whether kube-ipvs0 must have the address. */
  readonly bind: boolean;
  readonly endpoints: readonly Endpoint[];
}

export interface PortPlan {
  readonly servers: readonly PlannedServer[];
  readonly entries: readonly (readonly [IpvsSetKey, IpSetEntry])[];
  readonly refused: readonly NodeRefused[];
}

/** The node as a plan depends on it. */
export interface PlanNode {
  readonly name: string;
  /** Its own address, if it has one of the family. */
  readonly ip: Ip | undefined;
  /** Its addresses but those on kube-ipvs0, and which of them are open for node ports. */
  readonly addresses: readonly Ip[];
  readonly nodePortAddresses: readonly Ip[];
}

const nodePortSets = {
  tcp: ["nodePortTcp", "nodePortLocalTcp"],
  udp: ["nodePortUdp", "nodePortLocalUdp"],
  sctp: ["nodePortSctp", "nodePortLocalSctp"],
} as const;

/** What a node does for a service port (syncProxyRules in pkg/proxy/ipvs/proxier.go). */
export function planPort(port: ServicePort, node: PlanNode): PortPlan {
  const protocol = port.protocol.toLowerCase() as PlannedServer["protocol"];
  const servers: PlannedServer[] = [];
  const entries: (readonly [IpvsSetKey, IpSetEntry])[] = [];
  const refused: NodeRefused[] = [];
  const serve = (ip: Ip, at: number, bind: boolean, local: boolean): void => {
    servers.push({ ip, port: at, protocol, bind, endpoints: endpointsFor(port, local) });
  };
  const bound = (ip: Ip): boolean => !node.addresses.includes(ip);
  for (const endpoint of port.endpoints) {
    if (endpoint.node !== node.name) continue;
    const ip = parseIp(endpoint.ip);
    entries.push(["loopBack", { ip, protocol, port: endpoint.port, ip2: ip }]);
  }
  for (const ip of port.clusterIps.map(parseIp)) {
    entries.push(["clusterIp", { ip, protocol, port: port.port }]);
    serve(ip, port.port, true, port.internalLocal);
  }
  for (const ip of port.externalIps.map(parseIp)) {
    entries.push([port.externalLocal ? "externalIpLocal" : "externalIp", { ip, protocol, port: port.port }]);
    serve(ip, port.port, bound(ip), port.externalLocal);
  }
  for (const ip of port.loadBalancerIps.map(parseIp)) {
    const entry = { ip, protocol, port: port.port };
    entries.push(["loadBalancer", entry]);
    if (port.externalLocal) entries.push(["loadBalancerLocal", entry]);
    if (port.sourceRanges.length > 0) {
      entries.push(["loadBalancerFirewall", entry]);
      const ranges = port.sourceRanges.map(parseCidr);
      for (const net of ranges) entries.push(["loadBalancerSourceCidr", { ...entry, net }]);
      const { ip: own } = node;
      if (own !== undefined && ranges.some((range) => contains(range, own))) {
        // A node's own packets to a virtual server have its address as their source.
        entries.push(["loadBalancerSourceIp", { ...entry, ip2: ip }]);
      } else refused.push(entry);
    }
    serve(ip, port.port, bound(ip), port.externalLocal);
  }
  if (port.nodePort !== undefined && node.nodePortAddresses.length > 0) {
    const { nodePort } = port;
    const [all, local] = nodePortSets[protocol];
    const opened: readonly IpSetEntry[] =
      protocol === "sctp"
        ? node.nodePortAddresses.map((ip) => ({ ip, protocol, port: nodePort }))
        : [{ port: nodePort }];
    for (const entry of opened) {
      entries.push([all, entry]);
      if (port.externalLocal) entries.push([local, entry]);
    }
    for (const ip of node.nodePortAddresses) serve(ip, nodePort, false, port.externalLocal);
  }
  if (port.healthCheckNodePort) entries.push(["healthCheck", { port: port.healthCheckNodePort }]);
  for (const { ip, bind } of servers) if (bind) entries.push(["bound", { ip }]);
  return { servers, entries, refused };
}

/**
 * Where a Local policy finds nobody here, everybody is taken: pods of this node reach them; a client from outside does
 * not, for the answer comes to it from the pod's own address (upstream's pull request 97081).
 */
function endpointsFor({ cluster = [], local = [] }: ServicePort, localOnly: boolean): readonly Endpoint[] {
  return localOnly && local.length > 0 ? local : cluster;
}
