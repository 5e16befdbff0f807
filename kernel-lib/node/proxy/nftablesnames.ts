/** Owns the names of the chains and sets that kube-proxy's nftables mode makes for service ports and endpoints. */
import { hashed } from "./chains";
import type { Endpoint, ServicePortInfo } from "./view";

/** What a name may be long, without what stands before the hash (chainNameBaseLengthMax). */
const longest = 240;

/** The chains of a service port (pkg/proxy/nftables/proxier.go, servicePortChainNameBase). */
export interface PortNames {
  readonly cluster: string;
  readonly local: string;
  readonly external: string;
  readonly firewall: string;
}

type Port = Pick<ServicePortInfo, "service" | "portName" | "protocol">;

/** `ULMVA6XW-ns1/svc1/tcp/p80`, behind `service-`, `local-`, `external-` and `firewall-`. */
export function portNames(port: Port): PortNames {
  const name = withHash(portText(port));
  return {
    cluster: `service-${name}`,
    local: `local-${name}`,
    external: `external-${name}`,
    firewall: `firewall-${name}`,
  };
}

/** The chain of an endpoint, and the set of clients that stay with it. */
export interface EndpointNames {
  readonly chain: string;
  readonly affinity: string;
}

/** An endpoint is of one service port only, and all nodes call it the same: names are hashes, made once. */
const known = new WeakMap<object, EndpointNames>();

/** The names of an endpoint: its chain, and the set of clients that stay with it. */
export function endpointNames(port: Port, endpoint: Pick<Endpoint, "ip" | "port">): EndpointNames {
  const made = known.get(endpoint);
  if (made) return made;
  // No name can have a colon in it.
  const name = withHash(`${portText(port)}__${endpoint.ip.replaceAll(":", ".")}/${endpoint.port}`);
  const names = { chain: `endpoint-${name}`, affinity: `affinity-${name}` };
  known.set(endpoint, names);
  return names;
}

/** Whether a chain is of a service port or an endpoint: names of the others have no slash. */
export function isServiceChain(name: string): boolean {
  return name.includes("/");
}

/** Whether a set is one of clients that stay with an endpoint. */
export function isAffinitySet(name: string): boolean {
  return name.startsWith("affinity-");
}

function portText({ service, portName, protocol }: Port): string {
  return `${service}/${protocol.toLowerCase()}/${portName}`;
}

function withHash(name: string): string {
  const text = `${hashed(name).slice(0, 8)}-${name}`;
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
}
