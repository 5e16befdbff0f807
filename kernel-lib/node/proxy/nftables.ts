/** Owns kube-proxy's nftables mode: what a node should do for Services, as one table of nftables for each address family. */
import { contains, type Family, family as familyOf, formatIp, isLoopback, parseCidr } from "../../net/address";
import { prefixPart } from "../../net/nft/intervals";
import type { Statement } from "../../net/nft/ruleset";
import type { NodeNet } from "../node";
import { cidrOf } from "./config";
import type { ModeOptions, ProxyMode } from "./mode";
import { WrittenTable } from "./nftablessync";
import { type NftablesContext, names, wordsOf } from "./nftableswords";

/** How the mode is set up; what is left out is as kubeadm's default. */
export interface NftablesOptions
  extends Pick<
    ModeOptions,
    "clusterCidr" | "localInterface" | "masqueradeAll" | "masqueradeBit" | "nodePortAddresses" | "serviceCidrs"
  > {
  /**
   * Which release of kube-proxy writes. Until v1.35 every endpoint had a chain and every service port rules of its own
   * for masquerading; v1.36 changes targets by one map and knows pods that reach themselves by a set.
   */
  readonly release?: "1.35" | "1.36";
}

/** A mode that writes nftables rules. One object serves all nodes. */
export function nftablesMode(options: NftablesOptions = {}): ProxyMode {
  const written = { IPv4: new WeakMap<NodeNet, WrittenTable>(), IPv6: new WeakMap<NodeNet, WrittenTable>() };
  return {
    name: "nftables",
    sync(view, node, family) {
      const known = written[family].get(node) ?? new WrittenTable(node, contextOf(node, family, options));
      written[family].set(node, known);
      known.sync(view);
    },
    cleanup(node) {
      for (const family of ["IPv4", "IPv6"] as const) {
        written[family].delete(node);
        const place = { family: wordsOf[family].family, table: names.table };
        node.netns.nft.apply([{ do: "destroy", what: "table", ...place }]);
      }
    },
  };
}

function contextOf(node: NodeNet, family: Family, options: NftablesOptions): NftablesContext {
  const { serviceCidrs = [], release = "1.36", masqueradeAll = false, masqueradeBit = 14 } = options;
  const own = node.ips.find((ip) => familyOf(ip) === family) ?? node.ip;
  return {
    words: wordsOf[family],
    release,
    mark: 2 ** masqueradeBit,
    masqueradeAll,
    local: localTraffic(options, family),
    node: node.name,
    nodeIp: formatIp(own),
    nodePortIps: nodePortIps(node, family, options.nodePortAddresses),
    serviceCidrs: serviceCidrs.filter((cidr) => familyOf(parseCidr(cidr).ip) === family),
  };
}

/** What tells pods' traffic from other (pkg/proxy/util/localdetector.go). */
function localTraffic(
  { clusterCidr, localInterface }: NftablesOptions,
  family: Family,
): NftablesContext["local"] | undefined {
  const { source } = wordsOf[family];
  const cidr = cidrOf(clusterCidr, family);
  const both = (match: typeof source | "iifname", to: Extract<Statement, { match: unknown }>["to"]) => ({
    inside: { match, op: "==", to } as const,
    outside: { match, op: "!=", to } as const,
  });
  if (localInterface !== undefined) return both("iifname", localInterface.replace(/\+$/, "*"));
  return cidr === undefined ? undefined : both(source, prefixPart(parseCidr(cidr)));
}

/**
 * The node's addresses in the prefixes given; by default its own (primary) one. Undefined: node ports are open on all.
 * Where no prefix is of this family, all of its addresses count (NewNodePortAddresses in pkg/proxy/util).
 */
function nodePortIps(
  node: NodeNet,
  family: Family,
  prefixes: readonly string[] | undefined,
): readonly string[] | undefined {
  const ofFamily = { ips: node.ips.filter((ip) => familyOf(ip) === family) };
  if (!prefixes || prefixes.length === 0) return ofFamily.ips.map(formatIp);
  const given = prefixes.map(parseCidr).filter(({ ip }) => familyOf(ip) === family);
  if (given.length === 0 || given.some(({ length }) => length === 0)) return undefined;
  const all = [...node.netns.devices.values()].flatMap(({ addresses }) => addresses.map(({ ip }) => ip));
  const chosen = all.filter((ip) => !isLoopback(ip) && given.some((prefix) => contains(prefix, ip)));
  return [...new Set(chosen)].map(formatIp);
}
