/** Owns what is outside the cluster: the router of the nodes' network, the Internet beyond it, and the workstation. */
import { anyIpv4, anyIpv6, parseCidr, parseIp } from "../net/address";
import type { Segment } from "../net/device";
import type { Netns } from "../net/netns";
import type { Network } from "../net/network";
import { ipv6Of } from "./machines";

/**
 * The default gateway of nodes and workstation, at 192.168.1.1. It knows its own networks, and what a design tells it; all
 * else it sends on to its provider, who has no way to private addresses and answers nothing.
 * @param prefix length of the nodes' network
 */
export function createRouter(network: Network, lan: Segment, prefix: number, dualStack: boolean): Netns {
  const router = network.netns("router");
  router.addPhysical("eth0", lan);
  router.addAddress("eth0", parseCidr(`192.168.1.1/${prefix}`));
  if (dualStack) router.addAddress("eth0", parseCidr("fd00:192:168:1::1/64"));
  const line = network.segment("internet");
  router.addPhysical("eth1", line);
  // RFC 5737: addresses for documentation.
  router.addAddress("eth1", parseCidr("203.0.113.2/30"));
  router.routes.add({ to: { ip: anyIpv4, length: 0 }, via: parseIp("203.0.113.1"), device: "eth1" });
  router.sysctl.ipForward = true;
  router.sysctl.ipv6Forward = dualStack;
  const provider = network.netns("internet");
  provider.addPhysical("eth0", line);
  provider.addAddress("eth0", parseCidr("203.0.113.1/30"));
  provider.routes.add({ to: { ip: anyIpv4, length: 0 }, type: "blackhole" });
  return router;
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
