/** Owns the design of a cloud's network: pods have addresses of the same network as the nodes, and the cloud knows where. */
import { addToIp, type Cidr, type Ip, lastOf, networkOf, parseCidr } from "../../net/address";
import type { Netns } from "../../net/netns";
import { comment, jump, type Rule } from "../../net/rule";
import type { Random } from "../../sim/random";
import type { NodeNet } from "../node";
import { awsCni, type Ipamd } from "./awscni";
import { type Cni, type ConfigText, configTextFor } from "./cni";
import { configFolder } from "./netconf";
import type { Plugin } from "./plugin";
import { PodNetworks } from "./runtime";

/** What the design is made with. */
export interface VpcOptions {
  /** The VPC's router: the nodes' default gateway. */
  readonly router: Netns;
  /** Which addresses the cloud picks. */
  readonly random: Random;
  /** All addresses of the VPC; default 192.168.0.0/16. */
  readonly vpc?: string;
  /** The subnet that pods' addresses come from; default 192.168.64.0/18. */
  readonly subnet?: string;
  /** How many pods' addresses a node's interfaces carry; default that of an m5.large: 3 interfaces of 9 more addresses. */
  readonly addressesPerNode?: number;
  /** Another configuration than the design's own, for every node. */
  readonly config?: ConfigText | undefined;
}

/**
 * ```
 * pod eth0 ─ eniXXXX ─ node: default via 192.168.1.1 ─ router: 192.168.77.5 via 192.168.1.12 ─ node-2: 192.168.77.5 dev eniYYYY
 * ```
 * Amazon's plugin for VPC networks (amazon-vpc-cni-k8s). A pod's address is a secondary address of its node's interface:
 * the VPC delivers it to the node, and the node has a route to the pod's wire. Every packet between two nodes passes the
 * VPC's router, which here counts as a hop.
 */
export function createVpcCni(options: VpcOptions): Cni {
  const vpc = parseCidr(options.vpc ?? "192.168.0.0/16");
  const addresses = new VpcAddresses(options);
  const pods = new PodNetworks({ "aws-cni": awsCni(addresses), "egress-cni": passOn });
  const begun = new WeakSet<NodeNet>();
  return {
    name: "vpc",
    ready: (node) => pods.state(node).ready,
    addPod: (pod, node) => pods.add(pod, node),
    deletePod: (pod, node) => pods.delete(pod, node),
    syncPeers(_nodes, node) {
      if (begun.has(node)) return;
      begun.add(node);
      writeSnatRules(node, vpc);
      node.files.write(
        `${configFolder}/10-aws.conflist`,
        configTextFor(node, options.config, () => ownConfig),
      );
    },
  };
}

/** What only IPv6 clusters need. */
const passOn: Plugin = { add: ({ previous }) => previous ?? { ips: [], routes: [] }, delete: () => {} };

/** The cloud's side: which address is on whose interface. The router is told at once. */
class VpcAddresses implements Ipamd {
  readonly #router: Netns;
  readonly #random: Random;
  readonly #subnet: Cidr;
  readonly #most: number;
  readonly #taken = new Map<Ip, string>();
  readonly #given = new WeakMap<NodeNet, Map<string, Ip>>();

  constructor({ router, random, subnet = "192.168.64.0/18", addressesPerNode = 27 }: VpcOptions) {
    this.#router = router;
    this.#random = random;
    this.#subnet = networkOf(parseCidr(subnet));
    this.#most = addressesPerNode;
  }

  assign(node: NodeNet, id: string): Ip | undefined {
    const given = this.#given.get(node) ?? new Map<string, Ip>();
    this.#given.set(node, given);
    if (given.size >= this.#most) return undefined;
    const ip = this.#pick();
    if (ip === undefined) return undefined;
    given.set(id, ip);
    this.#taken.set(ip, id);
    this.#router.routes.add({ to: { ip, length: 32 }, via: node.ip, device: "eth0" });
    return ip;
  }

  unassign(node: NodeNet, id: string): Ip | undefined {
    const given = this.#given.get(node);
    const ip = given?.get(id);
    if (!given || ip === undefined) return undefined;
    given.delete(id);
    this.#taken.delete(ip);
    this.#router.routes.delete({ ip, length: 32 });
    return ip;
  }

  /** A random free one. Four addresses at the beginning are the cloud's own, and so is the last. */
  #pick(): Ip | undefined {
    const first = Number(addToIp(this.#subnet.ip, 4));
    const last = Number(lastOf(this.#subnet)) - 1;
    if (this.#taken.size > last - first) return undefined;
    for (let ip = this.#random.integer(first, last); ; ip = ip === last ? first : ip + 1) {
      if (!this.#taken.has(ip)) return ip;
    }
  }
}

/** Packets that leave the VPC get the node's address (amazon-vpc-cni-k8s, pkg/networkutils, AWS-SNAT-CHAIN-0). */
function writeSnatRules(node: NodeNet, vpc: Cidr): void {
  const named = comment("AWS SNAT CHAIN");
  const rules: readonly Rule[] = [
    { destination: vpc, matches: [named], target: { target: "RETURN" } },
    {
      output: { not: "vlan+" },
      matches: [comment("AWS, SNAT"), { match: "addrtype", target: { not: "LOCAL" } }],
      target: { target: "SNAT", ip: node.ip },
    },
  ];
  const { iptables } = node.netns;
  iptables.restore({ nat: { "AWS-SNAT-CHAIN-0": rules } });
  iptables.ensure("nat", "POSTROUTING", { matches: [named], target: jump("AWS-SNAT-CHAIN-0") }, "append");
}

/** /etc/cni/net.d/10-aws.conflist, as aws-node's init container writes it. */
const ownConfig = `{
  "cniVersion": "0.4.0",
  "name": "aws-cni",
  "disableCheck": true,
  "plugins": [
    {
      "name": "aws-cni",
      "type": "aws-cni",
      "vethPrefix": "eni",
      "mtu": "1500",
      "podSGEnforcingMode": "strict",
      "pluginLogFile": "/var/log/aws-routed-eni/plugin.log",
      "pluginLogLevel": "DEBUG"
    },
    {
      "name": "egress-cni",
      "type": "egress-cni",
      "mtu": "1500",
      "enabled": "false",
      "randomizeSNAT": "prng",
      "nodeIP": "",
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "fd00::ac:00/118"}]],
        "routes": [{"dst": "::/0"}],
        "dataDir": "/run/cni/v4pd/egress-v6-ipam"
      },
      "pluginLogFile": "/var/log/aws-routed-eni/egress-v6-plugin.log",
      "pluginLogLevel": "DEBUG"
    },
    {
      "type": "portmap",
      "capabilities": {"portMappings": true},
      "snat": true
    }
  ]
}
`;
