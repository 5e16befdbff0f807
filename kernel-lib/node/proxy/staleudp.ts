/** Owns the cleaning of connection tracking after a change of UDP endpoints (pkg/proxy/conntrack/cleanup.go). */
import type { Key } from "../../api/meta";
import { type Ip, parseIp } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { ChosenView } from "./chosen";

/**
 * UDP has no end of a connection, so an entry would send datagrams to a pod that is gone, or to nothing, for as long as
 * they keep coming. Entries that lead from a Service's address to none of its serving endpoints are forgotten; policies
 * play no part, and a Service without endpoints keeps its entries.
 * @param changed the Services that were written
 */
export function forgetStaleUdp(netns: Netns, view: ChosenView, changed: Iterable<Key>): void {
  const byAddress = new Map<string, ReadonlySet<Ip>>();
  const byNodePort = new Map<number, ReadonlySet<Ip>>();
  for (const service of changed) {
    for (const { info, endpoints, doubles } of view.sharedOf(service)) {
      if (info.protocol !== "UDP") continue;
      const serving = [...endpoints, ...doubles].filter((endpoint) => endpoint.serving);
      const ips = new Set(serving.map(({ ip }) => parseIp(ip)));
      if (ips.size === 0) continue;
      for (const ip of [...info.clusterIps, ...info.externalIps, ...info.loadBalancerIps]) {
        byAddress.set(`${parseIp(ip)}/${info.port}`, ips);
      }
      if (info.nodePort !== undefined) byNodePort.set(info.nodePort, ips);
    }
  }
  if (byAddress.size === 0) return;
  const isIpv6 = view.family === "IPv6";
  netns.conntrack.delete(({ original, reply }) => {
    if (original.protocol !== "udp" || (typeof original.target === "bigint") !== isIpv6) return false;
    const endpoints = byAddress.get(`${original.target}/${original.targetPort}`);
    const ofNodePort = byNodePort.get(original.targetPort);
    return Boolean((endpoints && !endpoints.has(reply.source)) || (ofNodePort && !ofNodePort.has(reply.source)));
  });
}
