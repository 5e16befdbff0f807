/** Owns what all plugins do to a pod's end of a wire: its name on the node, its addresses and its routes. */
import { sha512 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import { anyIpv4, anyIpv6, type Cidr, networkOf, parseCidr } from "../../net/address";
import { comment, jump, type Rule } from "../../net/rule";
import type { NodeNet } from "../node";
import { objectField } from "./gojson";
import { type CniResult, type PluginCall, PluginError } from "./plugin";

/** `veth` and eight hexadecimal digits (containernetworking plugins, pkg/ip, RandomVethName). */
export function vethName(node: NodeNet): string {
  for (;;) {
    const digits = Array.from({ length: 8 }, () => node.netns.random.integer(0, 15).toString(16)).join("");
    if (!node.netns.devices.has(`veth${digits}`)) return `veth${digits}`;
  }
}

/** The plugin that gives addresses, by the configuration's `ipam.type`. @throws PluginError */
export function ipamOf(call: PluginCall): ReturnType<PluginCall["delegate"]> | undefined {
  const ipam = objectField(call.config, "ipam", "types.IPAM");
  const type = ipam?.type;
  if (type === undefined || type === "") return undefined;
  if (typeof type !== "string") throw new PluginError("failed to load netconf: invalid ipam type");
  return call.delegate(type, call.config);
}

/** Routes of a pod: those asked for, by the gateway of their family where they name none (pkg/ipam, ConfigureIface). */
export function addRoutes({ pod, device }: PluginCall, { ips, routes }: CniResult): void {
  for (const { to, via } of routes) {
    const gateway = via ?? ips.find(({ address }) => typeof address.ip === typeof to.ip)?.gateway;
    if (ips.some(({ address }) => sameNetwork(address, to))) continue;
    pod.netns.routes.add({ to, ...(gateway === undefined ? {} : { via: gateway }), device });
  }
}

function sameNetwork(one: Cidr, other: Cidr): boolean {
  return one.length === other.length && networkOf(one).ip === networkOf(other).ip;
}

/** 0.0.0.0/0 or ::/0, as the address's family is. */
export function defaultFor({ ip }: Cidr): Cidr {
  return { ip: typeof ip === "number" ? anyIpv4 : anyIpv6, length: 0 };
}

const multicast = { IPv4: parseCidr("224.0.0.0/4"), IPv6: parseCidr("ff00::/8") };

/** The chain of a pod whose packets are masqueraded (`ipMasq`), as pkg/ip/ipmasq.go and pkg/utils name and fill it. */
export function writeIpMasq({ node, network, pod }: PluginCall, { ips }: CniResult): void {
  const chain = masqChain(network, pod.id);
  const named = comment(`name: "${network}" id: "${pod.id}"`);
  const rules: readonly Rule[] = ips
    .filter(({ address }) => typeof address.ip === "number")
    .flatMap(({ address }) => [
      { destination: networkOf(address), matches: [named], target: { target: "ACCEPT" } as const },
      { destination: { not: multicast.IPv4 }, matches: [named], target: { target: "MASQUERADE" } as const },
    ]);
  const { iptables } = node.netns;
  iptables.restore({ nat: { [chain]: rules } });
  for (const { address } of ips) {
    if (typeof address.ip !== "number") continue;
    iptables.ensure(
      "nat",
      "POSTROUTING",
      { source: { ip: address.ip, length: 32 }, matches: [named], target: jump(chain) },
      "append",
    );
  }
}

/** Takes a pod's chain away, with the jumps to it. */
export function removeIpMasq({ node, network, pod }: PluginCall): void {
  const chain = masqChain(network, pod.id);
  const { iptables } = node.netns;
  if (!iptables.chains("nat").includes(chain)) return;
  for (const rule of iptables.rules("nat", "POSTROUTING") ?? []) {
    if (rule.target?.target === "jump" && rule.target.chain === chain) iptables.delete("nat", "POSTROUTING", rule);
  }
  iptables.restore({ nat: { [chain]: [] } });
  iptables.deleteChain("nat", chain);
}

/** `CNI-` and 24 digits of a SHA-512. */
function masqChain(network: string, id: string): string {
  return `CNI-${bytesToHex(sha512(network + id)).slice(0, 24)}`;
}
