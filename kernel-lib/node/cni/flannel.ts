/** Owns what flannel does on a node whatever carries its packets: who masquerades, and what may be forwarded. */

import type { Kinds } from "../../api/kinds";
import {
  addToIp,
  type Cidr,
  family as familyOf,
  formatCidr,
  formatIp,
  type Ip,
  parseCidr,
  tryParseCidr,
  tryParseIp,
} from "../../net/address";
import type { Iptables } from "../../net/iptables";
import type { Routes } from "../../net/route";
import { comment, jump, type Rule } from "../../net/rule";
import type { NodeNet } from "../node";
import { type ConfigText, configTextFor } from "./cni";
import { writeSubnetEnv } from "./flannelplugin";
import { configFolder } from "./netconf";

const multicast = { IPv4: parseCidr("224.0.0.0/4"), IPv6: parseCidr("ff00::/8") };

/** Prefix of the annotations by which flannel's daemons tell one another where they are. */
export const flannelAnnotation = "flannel.alpha.coreos.com";

/** Another node, as routes need it. */
export interface Peer {
  readonly name: string;
  /** Its addresses, and its ranges for pods: at most one of a family each. */
  readonly ips: readonly Ip[];
  readonly podCidrs: readonly Cidr[];
  readonly annotations: { readonly [name: string]: string };
}

const peers = new WeakMap<Kinds["Node"], Peer>();

/** A Node read once, for all who look at it. */
function peerOf(node: Kinds["Node"]): Peer {
  const known = peers.get(node);
  if (known) return known;
  const addresses = node.status.addresses ?? [];
  const ranges = node.spec.podCIDRs ?? (node.spec.podCIDR === undefined ? [] : [node.spec.podCIDR]);
  const peer = {
    name: node.metadata.name,
    ips: addresses.flatMap(({ type, address }) => (type === "InternalIP" ? (tryParseIp(address) ?? []) : [])),
    podCidrs: ranges.flatMap((range) => tryParseCidr(range) ?? []),
    annotations: node.metadata.annotations ?? {},
  };
  peers.set(node, peer);
  return peer;
}

/** The nodes but this one that have an address and a range for pods. */
export function peersOf(nodes: readonly Kinds["Node"][], node: Pick<NodeNet, "name"> | undefined): readonly Peer[] {
  return nodes
    .filter(({ metadata }) => metadata.name !== node?.name)
    .map(peerOf)
    .filter(({ ips, podCidrs }) => ips.length > 0 && podCidrs.length > 0);
}

/** A peer's range with the peer's own address of the same family. */
export function hopsOf({ ips, podCidrs }: Peer): readonly { readonly to: Cidr; readonly via: Ip }[] {
  return podCidrs.flatMap((to) => {
    const via = ips.find((ip) => typeof ip === typeof to.ip);
    return via === undefined ? [] : [{ to, via }];
  });
}

/**
 * Keeps routes in step with the nodes: each range by its own node.
 * @param known what was written before, by prefix; it is brought up to date
 */
export function syncHops(routes: Routes, known: Map<string, Ip>, peers: readonly Peer[], device: string): void {
  const wanted = new Map(peers.flatMap(hopsOf).map((hop) => [formatCidr(hop.to), hop]));
  for (const [prefix, via] of known) {
    if (wanted.get(prefix)?.via === via) continue;
    routes.delete(parseCidr(prefix), device);
    known.delete(prefix);
  }
  for (const [prefix, { to, via }] of wanted) {
    if (known.has(prefix)) continue;
    routes.add({ to, via, device });
    known.set(prefix, via);
  }
}

const waiting = new WeakMap<NodeNet, () => void>();

/** Brings a node's tables up to date before somebody next looks at them: no peer is written down where none is spoken to. */
export function whenRead(node: NodeNet, fill: () => void): void {
  const waits = waiting.has(node);
  waiting.set(node, fill);
  if (waits) return;
  node.netns.defer(() => {
    const newest = waiting.get(node);
    waiting.delete(node);
    newest?.();
  });
}

/** The file that flannel's pod installs: /etc/cni/net.d/10-flannel.conflist (cni-conf.json of kube-flannel-cfg). */
const configFile = `${configFolder}/10-flannel.conflist`;
const config = `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "flannel",
      "delegate": {
        "hairpinMode": true,
        "isDefaultGateway": true
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      }
    }
  ]
}
`;

/** What flanneld and its init containers write on a node before a pod can be connected. */
export function installFlannel(
  node: NodeNet,
  networks: readonly Cidr[],
  mtu: number,
  text: ConfigText | undefined,
): void {
  const subnets = node.podCidrs.map(({ ip, length }) => ({ ip: addToIp(ip, 1), length }));
  writeSubnetEnv(node.files, { networks, subnets, mtu, ipMasq: true });
  if (node.files.read(configFile) === undefined)
    node.files.write(
      configFile,
      configTextFor(node, text, () => config),
    );
}

/**
 * The annotations of a node's own daemon.
 * @param data by `backend-data` or `backend-v6-data`: what others need to reach the node by its backend
 */
export function flannelAnnotations(
  node: NodeNet,
  type: string,
  data: { readonly [name: string]: string },
): { readonly [name: string]: string } {
  const publicIp = (ip: Ip): string => (typeof ip === "number" ? "public-ip" : "public-ipv6");
  return {
    ...Object.fromEntries(Object.entries(data).map(([name, text]) => [`${flannelAnnotation}/${name}`, text])),
    [`${flannelAnnotation}/backend-type`]: type,
    [`${flannelAnnotation}/kube-subnet-manager`]: "true",
    ...Object.fromEntries(node.ips.map((ip) => [`${flannelAnnotation}/${publicIp(ip)}`, formatIp(ip)])),
  };
}

/**
 * The iptables rules that flanneld writes (pkg/trafficmngr/iptables), for each family that it has a network of: pods keep
 * their address among pods only.
 */
export function writeFlannelRules(node: NodeNet, networks: readonly Cidr[]): void {
  for (const cluster of networks) {
    const family = familyOf(cluster.ip);
    const own = node.podCidrs.find(({ ip }) => familyOf(ip) === family);
    if (own)
      writeRules(family === "IPv4" ? node.netns.iptables : node.netns.ip6tables, cluster, own, multicast[family]);
  }
}

function writeRules(tables: Iptables, cluster: Cidr, own: Cidr, everybody: Cidr): void {
  const masq = comment("flanneld masq");
  const forward = comment("flanneld forward");
  const back = { target: "RETURN" } as const;
  const masquerade = { target: "MASQUERADE", randomFully: true } as const;
  const postrouting: readonly Rule[] = [
    { matches: [{ match: "mark", value: 0x4000, mask: 0x4000 }, masq], target: back },
    { source: own, destination: cluster, matches: [masq], target: back },
    { source: cluster, destination: own, matches: [masq], target: back },
    { source: { not: cluster }, destination: own, matches: [masq], target: back },
    { source: cluster, destination: { not: everybody }, matches: [masq], target: masquerade },
    { source: { not: cluster }, destination: cluster, matches: [masq], target: masquerade },
  ];
  tables.restore({
    nat: { "FLANNEL-POSTRTG": postrouting },
    filter: {
      "FLANNEL-FWD": [
        { source: cluster, matches: [forward], target: { target: "ACCEPT" } },
        { destination: cluster, matches: [forward], target: { target: "ACCEPT" } },
      ],
    },
  });
  tables.ensure("nat", "POSTROUTING", { matches: [masq], target: jump("FLANNEL-POSTRTG") }, "append");
  tables.ensure("filter", "FORWARD", { matches: [forward], target: jump("FLANNEL-FWD") }, "append");
}
