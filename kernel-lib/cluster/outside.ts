/**
 * Owns what is outside the cluster: the router of the nodes' network, the network beyond it with a client of its own, and
 * the workstation.
 */
import { anyIpv4, anyIpv6, networkOf, parseCidr, parseIp } from "../net/address";
import type { Segment } from "../net/device";
import type { Netns } from "../net/netns";
import type { Network } from "../net/network";
import { ipv6Of } from "./machines";

/** The addresses of the world outside: of those that RFC 5737 and RFC 3849 keep for documentation. */
export const outsideAddresses = { client: "198.51.100.10", resolver: "198.51.100.1" } as const;
export const outsideAddresses6 = { client: "2001:db8:198:51::10", resolver: "2001:db8:198:51::1" } as const;

/** Between the router and the network upstream. */
const line = { router: "203.0.113.2", upstream: "203.0.113.1", length: 30 } as const;
const line6 = { router: "2001:db8:203::2", upstream: "2001:db8:203::1", length: 64 } as const;

/** The machines beyond the nodes' network. */
export interface Outside {
  /** The default gateway of nodes and workstation, at 192.168.1.1. */
  readonly router: Netns;
  /** The network that the router hangs on: whoever is outside hangs on it, too. */
  readonly upstream: Netns;
  /** Somebody outside, at 198.51.100.10. */
  readonly client: Netns;
}

/**
 * ```
 * nodes, workstation ── router ── upstream network ── client
 *  192.168.1.0/24     .1   203.0.113.0/30  .1   198.51.100.0/24
 *  fd00:192:168:1::/64 ::1 2001:db8:203::/64 ::1 2001:db8:198:51::/64    with both families
 * ```
 * The router knows its own networks, and what a design tells it; all else it sends on. The network upstream knows the
 * nodes' addresses, as a company's does, and no pod's: what comes from one without having been given another address is
 * answered to nobody. Beyond it there is nothing.
 * @param prefix length of the nodes' network
 */
export function createOutside(network: Network, lan: Segment, prefix: number, dualStack: boolean): Outside {
  const router = network.netns("router");
  router.addPhysical("eth0", lan);
  router.addAddress("eth0", parseCidr(`192.168.1.1/${prefix}`));
  if (dualStack) router.addAddress("eth0", parseCidr(`${ipv6Of("192.168.1.1")}/64`));
  const wire = network.segment("internet");
  router.addPhysical("eth1", wire);
  router.sysctl.ipForward = true;
  router.sysctl.ipv6Forward = dualStack;
  const upstream = network.netns("internet");
  upstream.addPhysical("eth0", wire);
  upstream.sysctl.ipForward = true;
  upstream.sysctl.ipv6Forward = dualStack;
  for (const ends of dualStack ? [line, line6] : [line]) {
    const any = ends === line ? anyIpv4 : anyIpv6;
    router.addAddress("eth1", parseCidr(`${ends.router}/${ends.length}`));
    router.routes.add({ to: { ip: any, length: 0 }, via: parseIp(ends.upstream), device: "eth1" });
    upstream.addAddress("eth0", parseCidr(`${ends.upstream}/${ends.length}`));
    upstream.routes.add({ to: { ip: any, length: 0 }, type: "blackhole" });
    const nodes = parseCidr(ends === line ? `192.168.1.0/${prefix}` : `${ipv6Of("192.168.1.0")}/64`);
    upstream.routes.add({ to: networkOf(nodes), via: parseIp(ends.router), device: "eth0" });
  }
  return { router, upstream, client: createClient(network, upstream, dualStack) };
}

function createClient(network: Network, upstream: Netns, dualStack: boolean): Netns {
  const clients = network.segment("clients");
  upstream.addPhysical("eth1", clients);
  const client = network.netns("client");
  client.addPhysical("eth0", clients);
  for (const addresses of dualStack ? [outsideAddresses, outsideAddresses6] : [outsideAddresses]) {
    const [length, any] = addresses === outsideAddresses ? [24, anyIpv4] : [64, anyIpv6];
    upstream.addAddress("eth1", parseCidr(`${addresses.resolver}/${length}`));
    client.addAddress("eth0", parseCidr(`${addresses.client}/${length}`));
    client.routes.add({ to: { ip: any, length: 0 }, via: parseIp(addresses.resolver), device: "eth0" });
  }
  return client;
}

/** The network upstream sends these addresses to the router, too: a provider gives them to whom it serves. */
export function routeUpstream({ router, upstream }: Outside, prefix: string): void {
  const to = parseCidr(prefix);
  upstream.routes.add({ to, via: parseIp(line.router), device: "eth0" });
  // What of them nobody has would go to and fro between the two.
  router.routes.add({ to, type: "blackhole" });
}

/** The learner's own machine, on the nodes' network, but no part of the cluster. */
export function createWorkstation(network: Network, lan: Segment, prefix: number, dualStack: boolean): Netns {
  const workstation = network.netns("workstation");
  workstation.addPhysical("eth0", lan);
  workstation.addAddress("eth0", parseCidr(`192.168.1.100/${prefix}`));
  workstation.routes.add({ to: { ip: anyIpv4, length: 0 }, via: parseIp("192.168.1.1"), device: "eth0" });
  if (dualStack) {
    workstation.addAddress("eth0", parseCidr(`${ipv6Of("192.168.1.100")}/64`));
    workstation.routes.add({ to: { ip: anyIpv6, length: 0 }, via: parseIp(ipv6Of("192.168.1.1")), device: "eth0" });
  }
  return workstation;
}
