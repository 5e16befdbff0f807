/** Owns what flannel does on a node whatever carries its packets: who masquerades, and what may be forwarded. */

import type { Kinds } from "../../api/kinds";
import { type Cidr, formatIp, type Ip, parseCidr, tryParseCidr, tryParseIp } from "../../net/address";
import { comment, jump, type Rule } from "../../net/rule";
import type { NodeNet } from "../node";

const multicast = parseCidr("224.0.0.0/4");

/** Prefix of the annotations by which flannel's daemons tell one another where they are. */
export const flannelAnnotation = "flannel.alpha.coreos.com";

/** Another node, as routes need it. */
export interface Peer {
  readonly name: string;
  readonly ip: Ip;
  readonly podCidr: Cidr;
  readonly annotations: { readonly [name: string]: string };
}

/** The nodes but this one that have an address and a range for pods. */
export function peersOf(nodes: readonly Kinds["Node"][], node: NodeNet): readonly Peer[] {
  return nodes.flatMap((other): Peer[] => {
    const address = other.status.addresses?.find(({ type }) => type === "InternalIP")?.address;
    const ip = address === undefined ? undefined : tryParseIp(address);
    const podCidr = other.spec.podCIDR === undefined ? undefined : tryParseCidr(other.spec.podCIDR);
    if (other.metadata.name === node.name || ip === undefined || !podCidr) return [];
    return [{ name: other.metadata.name, ip, podCidr, annotations: other.metadata.annotations ?? {} }];
  });
}

/** The annotations of a node's own daemon. */
export function flannelAnnotations(node: NodeNet, type: string, data: string): { readonly [name: string]: string } {
  return {
    [`${flannelAnnotation}/backend-data`]: data,
    [`${flannelAnnotation}/backend-type`]: type,
    [`${flannelAnnotation}/kube-subnet-manager`]: "true",
    [`${flannelAnnotation}/public-ip`]: formatIp(node.ip),
  };
}

/** The iptables rules that flanneld writes (pkg/trafficmngr/iptables): pods keep their address among pods only. */
export function writeFlannelRules(node: NodeNet, cluster: Cidr, own: Cidr): void {
  const masq = comment("flanneld masq");
  const forward = comment("flanneld forward");
  const back = { target: "RETURN" } as const;
  const masquerade = { target: "MASQUERADE", randomFully: true } as const;
  const postrouting: readonly Rule[] = [
    { matches: [{ match: "mark", value: 0x4000, mask: 0x4000 }, masq], target: back },
    { source: own, destination: cluster, matches: [masq], target: back },
    { source: cluster, destination: own, matches: [masq], target: back },
    { source: { not: cluster }, destination: own, matches: [masq], target: back },
    { source: cluster, destination: { not: multicast }, matches: [masq], target: masquerade },
    { source: { not: cluster }, destination: cluster, matches: [masq], target: masquerade },
  ];
  const { iptables } = node.netns;
  iptables.restore({
    nat: { "FLANNEL-POSTRTG": postrouting },
    filter: {
      "FLANNEL-FWD": [
        { source: cluster, matches: [forward], target: { target: "ACCEPT" } },
        { destination: cluster, matches: [forward], target: { target: "ACCEPT" } },
      ],
    },
  });
  iptables.ensure("nat", "POSTROUTING", { matches: [masq], target: jump("FLANNEL-POSTRTG") }, "append");
  iptables.ensure("filter", "FORWARD", { matches: [forward], target: jump("FLANNEL-FWD") }, "append");
}
