/** Owns the making of a mode by its name, and what kube-proxy's configuration means for it. */
import { formatCidr } from "../../net/address";
import type { NodeNet } from "../node";
import { type KubeProxyConfig, userspaceUdpIdle } from "./config";
import { iptablesMode } from "./iptables";
import { ipvsMode } from "./ipvs";
import type { ModeName, ModeOptions, ProxyMode, Scheduler } from "./mode";
import { nftablesMode } from "./nftables";
import { userspaceMode } from "./userspace";

const makers: { readonly [Name in ModeName]?: (options: ModeOptions) => ProxyMode } = {
  iptables: iptablesMode,
  nftables: nftablesMode,
  ipvs: ipvsMode,
  userspace: userspaceMode,
};

/** A mode that takes nothing for granted about any node. */
export function createMode(name: ModeName, options: ModeOptions = {}): ProxyMode {
  const make = makers[name];
  if (!make) throw new Error(`kube-proxy has no ${name} mode`);
  return make(options);
}

/**
 * What a configuration means on a node.
 * @param node with detectLocalMode NodeCIDR its own pod CIDRs count, with nodePortAddresses ["primary"] its own addresses
 */
export function modeOptions(
  config: KubeProxyConfig,
  node: Pick<NodeNet, "ips" | "podCidrs">,
  serviceCidrs?: readonly string[],
): ModeOptions {
  const { mode, iptables, nftables, ipvs, conntrack } = config;
  const masquerade = mode === "nftables" ? nftables : iptables;
  return {
    ...localTraffic(config, node),
    ...(serviceCidrs && { serviceCidrs }),
    masqueradeAll: masquerade.masqueradeAll,
    masqueradeBit: masquerade.masqueradeBit,
    nodePortAddresses: nodePortAddresses(config, node),
    localhostNodePorts: iptables.localhostNodePorts,
    conntrackLiberal: conntrack.tcpBeLiberal,
    scheduler: (ipvs.scheduler || "rr") as Scheduler,
    excludeCidrs: ipvs.excludeCIDRs,
    strictArp: ipvs.strictARP,
    tcpTimeout: ipvs.tcpTimeout,
    tcpFinTimeout: ipvs.tcpFinTimeout,
    udpTimeout: ipvs.udpTimeout,
    udpIdleTimeout: userspaceUdpIdle,
    portRange: config.portRange || undefined,
  };
}

/** How traffic of pods is told from traffic from outside (getLocalDetectors in cmd/kube-proxy/app/server_linux.go). */
function localTraffic(
  { detectLocalMode, detectLocal, clusterCIDR }: KubeProxyConfig,
  { podCidrs }: Pick<NodeNet, "podCidrs">,
): Pick<ModeOptions, "clusterCidr" | "localInterface"> {
  switch (detectLocalMode) {
    case "NodeCIDR":
      return { clusterCidr: podCidrs.map(formatCidr).join(",") || undefined };
    case "BridgeInterface":
      return { localInterface: detectLocal.bridgeInterface };
    case "InterfaceNamePrefix":
      return { localInterface: `${detectLocal.interfaceNamePrefix}+` };
    default:
      return { clusterCidr: clusterCIDR || undefined };
  }
}

function nodePortAddresses(config: KubeProxyConfig, { ips }: Pick<NodeNet, "ips">): readonly string[] | undefined {
  const given = config.nodePortAddresses;
  if (given.length === 0) return undefined;
  if (given[0] !== "primary") return given;
  return ips.map((ip) => formatCidr({ ip, length: typeof ip === "number" ? 32 : 128 }));
}

/**
 * Whose leftovers a start in a mode takes away (platformCleanup in cmd/kube-proxy/app/server_linux.go): iptables and ipvs
 * share chains, and leave alone what the other wrote; the userspace proxier was as foreign to all others.
 */
export const leftovers: { readonly [Name in ModeName]: readonly ModeName[] } = {
  iptables: ["nftables", "userspace"],
  ipvs: ["nftables", "userspace"],
  nftables: ["ipvs", "iptables", "userspace"],
  userspace: ["ipvs", "iptables", "nftables"],
};

/** Takes away what other modes left on a node. */
export function cleanLeftovers(name: ModeName, node: NodeNet): void {
  for (const other of leftovers[name]) if (makers[other]) createMode(other).cleanup(node);
}
