/** Owns the plan of the nodes' network: which machines there are, and the address of each. */

/** One machine of the cluster. */
export interface Machine {
  readonly name: string;
  readonly address: string;
  readonly controlPlane: boolean;
}

/** Workers whose addresses lie between the control plane and the workstation in 192.168.1.0/24. */
const besideWorkstation = 80;

/**
 * How long the prefix of the nodes' network is. Up to 80 workers share 192.168.1.0/24 with router and workstation; more need
 * 192.168.0.0/18, in which these two stay where they are.
 */
export function nodesPrefix(workers: number): number {
  return workers <= besideWorkstation ? 24 : 18;
}

/** control-plane at 192.168.1.10, node-1 at .11, and so on up to .90; then on from 192.168.2.1, 250 in each. */
export function machinesOf(workers: number): readonly Machine[] {
  const names = ["control-plane", ...Array.from({ length: workers }, (_, at) => `node-${at + 1}`)];
  return names.map((name, at) => ({ name, address: addressOf(at), controlPlane: at === 0 }));
}

function addressOf(at: number): string {
  if (at <= besideWorkstation) return `192.168.1.${10 + at}`;
  const more = at - besideWorkstation - 1;
  return `192.168.${2 + Math.floor(more / 250)}.${1 + (more % 250)}`;
}

/** The IPv6 address beside an IPv4 one of the nodes' network: 192.168.1.11 → fd00:192:168:1::11, 192.168.2.7 → fd00:192:168:1::2:7. */
export function ipv6Of(ip: string): string {
  const [, , third = "", fourth = ""] = ip.split(".");
  return `fd00:192:168:1::${third === "1" ? "" : `${third}:`}${fourth}`;
}
