/** Owns the names of kube-proxy's iptables chains. */
import { sha256 } from "@noble/hashes/sha2";
import type { ServicePortInfo } from "./view";

/** RFC 4648, section 6. */
const base32Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** What the chains of a service port are for. */
export type ChainPrefix = "KUBE-SVC-" | "KUBE-SVL-" | "KUBE-EXT-" | "KUBE-FW-";

/** The chains of one service port: endpoints by Cluster policy and by Local policy, from outside, and the firewall. */
export interface ServicePortChains {
  readonly cluster: string;
  readonly local: string;
  readonly external: string;
  readonly firewall: string;
}

/** The chains of a service port (portProtoHash in pkg/proxy/iptables/proxier.go). */
export function servicePortChains(port: Pick<ServicePortInfo, "name" | "protocol">): ServicePortChains {
  const hash = hashed(port.name + port.protocol.toLowerCase());
  return {
    cluster: `KUBE-SVC-${hash}`,
    local: `KUBE-SVL-${hash}`,
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
  };
}

/** The chain of one endpoint of a service port. @param endpoint `ip:port` */
export function endpointChain(port: Pick<ServicePortInfo, "name" | "protocol">, endpoint: string): string {
  return `KUBE-SEP-${hashed(port.name + port.protocol.toLowerCase() + endpoint)}`;
}

/** The first 16 characters of base32(sha256(text)): 80 bits. */
function hashed(text: string): string {
  const octets = sha256(text);
  let name = "";
  for (let bit = 0; bit < 80; bit += 5) {
    const pair = ((octets[bit >> 3] ?? 0) << 8) | (octets[(bit >> 3) + 1] ?? 0);
    name += base32Letters[(pair >> (11 - (bit & 7))) & 31];
  }
  return name;
}
