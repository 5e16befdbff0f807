/** Owns the lab of the tests of ipvs mode: a Service `web`, and what IPVS holds for it. */
import { serverRule, sortedServers, virtualRule } from "../../../kernel-lib/net/ipvs/text";
import type { Netns } from "../../../kernel-lib/net/netns";
import { type IpvsOptions, ipvsMode } from "../../../kernel-lib/node/proxy/ipvs";
import { type WebLab, webLab } from "./modelab";

export const pods: IpvsOptions = { clusterCidr: "10.244.0.0/16" };

export function web(endpoints: readonly string[], spec: object = {}, options = pods, status: object = {}): WebLab {
  return webLab(ipvsMode(options), endpoints, spec, status);
}

/** What `ipvsadm -Sn` prints. */
export function rules(netns: Netns): readonly string[] {
  return netns.ipvs
    .list()
    .flatMap((each) => [virtualRule(each), ...sortedServers(each).map((server) => serverRule(each, server))]);
}
