/** Owns the names of kube-proxy's iptables chains. */
import { sha256 } from "@noble/hashes/sha2";
import type { ServicePortInfo } from "./view";

/** RFC 4648, section 6. */
const base32Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

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

/** Made once: hashing is done a hundred thousand times where there are ten thousand Services. */
const fresh = sha256.create();
const hash = sha256.create();
const input = new Uint8Array(1024);
const octets = new Uint8Array(32);

/** The first 16 characters of base32(sha256(text)): 80 bits. @param text ASCII, as all names of Kubernetes are */
export function hashed(text: string): string {
  fresh._cloneInto(hash);
  for (let at = 0; at < text.length; at++) input[at] = text.charCodeAt(at);
  hash.update(input.subarray(0, text.length)).digestInto(octets);
  const letters: number[] = [];
  for (let bit = 0; bit < 80; bit += 5) {
    const pair = ((octets[bit >> 3] ?? 0) << 8) | (octets[(bit >> 3) + 1] ?? 0);
    letters.push(base32Letters.charCodeAt((pair >> (11 - (bit & 7))) & 31));
  }
  return String.fromCharCode(...letters);
}
