/** Owns which release of kube-proxy a case is of: its nftables mode writes other rules since v1.36. */
import type { FlowConfig } from "../../kernel-lib/cluster/flows/config";
import type { ProxyMode } from "../../kernel-lib/node/proxy/mode";
import { nftablesMode } from "../../kernel-lib/node/proxy/nftables";
import type { Json } from "./judge";

/** What a case says of its source: `v1.34/v1.35 development line`; `""` if nothing. */
export function versionOf(one: Json): string {
  return (one.source as { readonly version?: string } | undefined)?.version ?? "";
}

/** The nftables mode as the release that a text names has it: today's where it names none. */
export function nftModeOf(config: FlowConfig, version: string): ProxyMode {
  const minors = [...version.matchAll(/v1\.(\d+)/g)].map(([, minor]) => Number(minor));
  const release = minors.length > 0 && Math.max(...minors) < 36 ? "1.35" : "1.36";
  const { clusterCidr, masqueradeAll, masqueradeBit, nodePortAddresses, serviceCidrs } = config;
  return nftablesMode({ clusterCidr, masqueradeAll, masqueradeBit, nodePortAddresses, serviceCidrs, release });
}
