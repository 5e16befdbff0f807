/** Owns the words that the nftables mode's rules are made of: the same rules for both address families. */
import { type Family, parseCidr } from "../../net/address";
import { prefixPart } from "../../net/nft/intervals";
import type { Rule, Statement, TableFamily } from "../../net/nft/ruleset";
import type { SelectorName } from "../../net/nft/selectors";
import type { DataTypeName } from "../../net/nft/types";

/** What differs between the families. */
export interface FamilyWords {
  readonly family: TableFamily;
  readonly address: DataTypeName;
  readonly source: SelectorName;
  readonly target: SelectorName;
  /** What holds for all but loopback addresses as targets. */
  readonly notLoopback: Statement;
}

export const wordsOf: { readonly [F in Family]: FamilyWords } = {
  IPv4: {
    family: "ip",
    address: "ipv4_addr",
    source: "ip saddr",
    target: "ip daddr",
    notLoopback: { match: "ip daddr", op: "!=", to: prefixPart(parseCidr("127.0.0.0/8")) },
  },
  IPv6: {
    family: "ip6",
    address: "ipv6_addr",
    source: "ip6 saddr",
    target: "ip6 daddr",
    notLoopback: { match: "ip6 daddr", op: "!=", to: 1n },
  },
};

/** What all rules of a node depend on, in one family. */
export interface NftablesContext {
  readonly words: FamilyWords;
  readonly release: "1.35" | "1.36";
  /** The bit of the mark that asks for masquerading. */
  readonly mark: number;
  readonly masqueradeAll: boolean;
  /** What holds for pods' traffic, and for all other; undefined: nobody knows. */
  readonly local: { readonly inside: Statement; readonly outside: Statement } | undefined;
  readonly node: string;
  /** The node's own address: a source range that holds it also lets the load balancer's IPs themselves in. */
  readonly nodeIp: string;
  /** The addresses on which node ports are open; undefined: all of the node's. */
  readonly nodePortIps: readonly string[] | undefined;
  readonly serviceCidrs: readonly string[];
}

/** Chains of the table that every release has, and the sets. */
export const names = {
  table: "kube-proxy",
  services: "services",
  masquerading: "masquerading",
  markForMasquerade: "mark-for-masquerade",
  reject: "reject-chain",
  clusterIps: "cluster-ips",
  serviceIps: "service-ips",
  serviceNodePorts: "service-nodeports",
  nodePortIps: "nodeport-ips",
  firewallIps: "firewall-ips",
  noEndpointServices: "no-endpoint-services",
  noEndpointNodePorts: "no-endpoint-nodeports",
  hairpin: "hairpin-connections",
} as const;

/** `jump CHAIN`: what comes after goes on when that chain has ended. */
export function jump(chain: string): Statement {
  return { verdict: { do: "jump", chain } };
}

/** `goto CHAIN`: nothing comes after. */
export function goto(chain: string): Statement {
  return { verdict: { do: "goto", chain } };
}

/** What makes a packet be masqueraded later: the mark itself, or until v1.35 the chain that sets it. */
export function markRule({ release, mark }: NftablesContext): Statement {
  if (release === "1.35") return jump(names.markForMasquerade);
  return { assign: "meta mark", value: { of: "meta mark", op: "|", bits: mark } };
}

/** A rule that does these, one after another. */
export function rule(...does: readonly Statement[]): Rule {
  return { does };
}

/** The same with a comment, which `nft` prints with it. */
export function commented(comment: string, ...does: readonly Statement[]): Rule {
  return { does, comment };
}

export const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;
