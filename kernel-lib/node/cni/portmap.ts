/** Owns the portmap plugin: a container's `hostPort` is a port of its node. */
import { sha512 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import { parseCidr } from "../../net/address";
import { comment, jump, orMark, type Rule } from "../../net/rule";
import type { PortMapping } from "./cni";
import { objectField } from "./gojson";
import { type CniResult, type Plugin, type PluginCall, PluginError } from "./plugin";

const entry = "CNI-HOSTPORT-DNAT";
const setMark = "CNI-HOSTPORT-SETMARK";
const masquerade = "CNI-HOSTPORT-MASQ";
/** Bit 13, where kube-proxy's mark is bit 14. */
const markBit = 0x2000;

/** containernetworking plugins, plugins/meta/portmap (portmap_iptables.go); IPv4, with `snat` on. */
export const portmap: Plugin = {
  add(call) {
    const { previous, pod, config } = call;
    if (!previous) throw new PluginError("must be called as chained plugin");
    const mappings = objectField(config, "capabilities", "map[string]bool")?.portMappings
      ? (pod.portMappings ?? [])
      : [];
    const ip = previous.ips.find(({ address }) => typeof address.ip === "number")?.address.ip;
    if (mappings.length > 0 && ip !== undefined) writeChains(call, mappings, previous);
    return previous;
  },
  delete({ node, network, pod }) {
    const { iptables } = node.netns;
    const chain = chainOf(network, pod.id);
    if (!iptables.chains("nat").includes(chain)) return;
    for (const rule of iptables.rules("nat", entry) ?? []) {
      if (rule.target?.target === "jump" && rule.target.chain === chain) iptables.delete("nat", entry, rule);
    }
    iptables.restore({ nat: { [chain]: [] } });
    iptables.deleteChain("nat", chain);
  },
};

function writeChains({ node, network, pod }: PluginCall, mappings: readonly PortMapping[], { ips }: CniResult): void {
  const own = ips.find(({ address }) => typeof address.ip === "number")?.address;
  if (!own) return;
  const { iptables } = node.netns;
  const marked = { match: "mark", value: markBit, mask: markBit } as const;
  if (!iptables.chains("nat").includes(entry)) {
    iptables.restore({
      nat: {
        [entry]: [],
        [setMark]: [{ matches: [comment("CNI portfwd masquerade mark")], target: orMark(markBit) }],
        [masquerade]: [{ matches: [marked], target: { target: "MASQUERADE" } }],
      },
    });
    const local: Rule = { matches: [{ match: "addrtype", target: "LOCAL" }], target: jump(entry) };
    iptables.ensure("nat", "PREROUTING", local, "append");
    iptables.ensure("nat", "OUTPUT", local, "append");
    const snat: Rule = { matches: [comment("CNI portfwd requiring masquerade")], target: jump(masquerade) };
    iptables.ensure("nat", "POSTROUTING", snat, "prepend");
  }
  node.netns.sysctl.routeLocalnet = true;
  const chain = chainOf(network, pod.id);
  const rules = mappings.flatMap(({ hostPort, containerPort, protocol }): readonly Rule[] => {
    const port = { match: protocol, targetPort: hostPort } as const;
    return [
      { source: own, protocol, matches: [port], target: jump(setMark) },
      { source: parseCidr("127.0.0.1/32"), protocol, matches: [port], target: jump(setMark) },
      { protocol, matches: [port], target: { target: "DNAT", ip: own.ip, port: containerPort } },
    ];
  });
  iptables.restore({ nat: { [chain]: rules } });
  for (const { hostPort, protocol } of mappings) {
    const named = comment(`dnat name: "${network}" id: "${pod.id}"`);
    iptables.ensure(
      "nat",
      entry,
      { protocol, matches: [{ match: protocol, targetPort: hostPort }, named], target: jump(chain) },
      "append",
    );
  }
}

/** `CNI-DN-` and 21 digits of a SHA-512 (pkg/utils, MustFormatChainNameWithPrefix). */
function chainOf(network: string, id: string): string {
  return `CNI-DN-${bytesToHex(sha512(network + id)).slice(0, 21)}`;
}
