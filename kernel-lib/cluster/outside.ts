/**
 * Owns what is outside the cluster: the router of the nodes' network, the network beyond it with a client of its own, and
 * the workstation.
 */
import { anyIpv4, anyIpv6, networkOf, parseCidr, parseIp } from "../net/address";
import type { Segment } from "../net/device";
import type { Netns } from "../net/netns";
import type { Network } from "../net/network";
import { ipv6Of } from "./machines";

/** The addresses of the world outside: of those that RFC 5737 keeps for documentation. */
export const outsideAddresses = { client: "198.51.100.10", resolver: "198.51.100.1" } as const;

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
  if (dualStack) router.addAddress("eth0", parseCidr("fd00:192:168:1::1/64"));
  const line = network.segment("internet");
  router.addPhysical("eth1", line);
  router.addAddress("eth1", parseCidr("203.0.113.2/30"));
  router.routes.add({ to: { ip: anyIpv4, length: 0 }, via: parseIp("203.0.113.1"), device: "eth1" });
  router.sysctl.ipForward = true;
  router.sysctl.ipv6Forward = dualStack;
  const upstream = network.netns("internet");
  upstream.addPhysical("eth0", line);
  upstream.addAddress("eth0", parseCidr("203.0.113.1/30"));
  upstream.routes.add({ to: { ip: anyIpv4, length: 0 }, type: "blackhole" });
  const nodes = networkOf(parseCidr(`192.168.1.0/${prefix}`));
  upstream.routes.add({ to: nodes, via: parseIp("203.0.113.2"), device: "eth0" });
  upstream.sysctl.ipForward = true;
  return { router, upstream, client: createClient(network, upstream) };
}

function createClient(network: Network, upstream: Netns): Netns {
  const clients = network.segment("clients");
  upstream.addPhysical("eth1", clients);
  upstream.addAddress("eth1", parseCidr(`${outsideAddresses.resolver}/24`));
  const client = network.netns("client");
  client.addPhysical("eth0", clients);
  client.addAddress("eth0", parseCidr(`${outsideAddresses.client}/24`));
  client.routes.add({ to: { ip: anyIpv4, length: 0 }, via: parseIp(outsideAddresses.resolver), device: "eth0" });
  return client;
}

/** The network upstream sends these addresses to the router, too: a provider gives them to whom it serves. */
export function routeUpstream({ router, upstream }: Outside, prefix: string): void {
  const to = parseCidr(prefix);
  upstream.routes.add({ to, via: parseIp("203.0.113.2"), device: "eth0" });
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
