/** Owns what is known of a cluster's kube-proxy from its objects: mode and options, and what had to be assumed. */
import type { Kinds } from "../../api/kinds";
import {
  type Cidr,
  contains,
  type Family,
  family as familyOf,
  formatCidr,
  lastOf,
  networkOf,
  tryParseCidr,
  widthOf,
} from "../../net/address";
import type { NodeNet } from "../../node/node";
import { readConfig } from "../../node/proxy/config";
import { type ModeName, type ModeOptions, modeNames } from "../../node/proxy/mode";
import { modeOptions } from "../../node/proxy/modes";
import type { ClusterObjects } from "./objects";

/** What somebody says, where the objects do not. */
export interface ProxySayings {
  readonly mode?: ModeName;
  /** One prefix, or one of each family with a comma between; `none`: nobody knows where pods live. */
  readonly clusterCidr?: string;
}

/** A cluster's kube-proxy. */
export interface KnownProxy {
  readonly mode: ModeName;
  optionsFor(node: NodeNet): ModeOptions;
  /** What is told of it: where it is from, and what was assumed. */
  readonly notes: readonly string[];
}

/** Reads kube-proxy's ConfigMap if it is there (kubeadm's, kind's, EKS's). */
export function knownProxy(objects: ClusterObjects, said: ProxySayings): KnownProxy {
  const text = configText(objects.configMaps);
  const { config } = readConfig(text ?? "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n");
  const flag = modeFlag(objects.pods);
  const mode = said.mode ?? flag ?? modeNames.find((name) => name === config.mode) ?? "iptables";
  const notes: string[] = [];
  if (said.mode === undefined) {
    if (text === undefined && flag === undefined)
      notes.push(`kube-proxy's mode is assumed to be ${mode} (--mode says otherwise)`);
    else
      notes.push(
        `kube-proxy's mode is ${mode}, as its ${flag === undefined ? "ConfigMap" : "pods"} say${flag === undefined ? "s" : ""}`,
      );
  }
  const clusterCidr = said.clusterCidr ?? (text === undefined ? guessedCidr(objects.nodes) : undefined);
  if (said.clusterCidr === undefined && text === undefined) notes.push(cidrNote(clusterCidr));
  const ranges = serviceRanges(objects);
  return {
    mode,
    notes,
    optionsFor: (node) => {
      const options = modeOptions({ ...config, mode }, node, ranges);
      const given = clusterCidr === undefined ? {} : { clusterCidr: clusterCidr === "none" ? undefined : clusterCidr };
      return { ...options, ...given };
    },
  };
}

function cidrNote(cidr: string | undefined): string {
  const known = "kube-proxy's ConfigMap or --cluster-cidr would tell";
  return cidr === undefined
    ? `no node has a podCIDR, so kube-proxy is taken not to know pods by their addresses (${known})`
    : `pods are taken to live in ${cidr}, which the nodes' podCIDRs say (${known})`;
}

function configText(maps: readonly Kinds["ConfigMap"][]): string | undefined {
  const named = (name: string, key: string): string | undefined => {
    const found = maps.find(({ metadata }) => metadata.name === name && metadata.namespace === "kube-system");
    return found?.data?.[key];
  };
  return named("kube-proxy", "config.conf") ?? named("kube-proxy-config", "config");
}

/** `--proxy-mode=…` of a kube-proxy pod wins over the ConfigMap. */
function modeFlag(pods: readonly Kinds["Pod"][]): ModeName | undefined {
  for (const { metadata, spec } of pods) {
    if (metadata.namespace !== "kube-system" || !metadata.name.startsWith("kube-proxy")) continue;
    for (const { command = [], args = [] } of spec.containers ?? []) {
      const word = [...command, ...args].join(" ");
      const mode = /--proxy-mode[= ](iptables|nftables|ipvs|userspace)\b/.exec(word)?.[1];
      if (mode !== undefined) return mode as ModeName;
    }
  }
  return undefined;
}

/** The smallest prefix of each family that holds the podCIDRs of all nodes. */
function guessedCidr(nodes: readonly Kinds["Node"][]): string | undefined {
  const all = nodes.flatMap(({ spec }) => spec.podCIDRs ?? (spec.podCIDR === undefined ? [] : [spec.podCIDR]));
  const cidrs = all.flatMap((text) => tryParseCidr(text) ?? []);
  const families: readonly Family[] = ["IPv4", "IPv6"];
  const found = families.flatMap((each) => smallestAround(cidrs.filter(({ ip }) => familyOf(ip) === each)) ?? []);
  return found.length === 0 ? undefined : found.map(formatCidr).join(",");
}

function smallestAround(cidrs: readonly Cidr[]): Cidr | undefined {
  const [first] = cidrs;
  if (!first) return undefined;
  for (let length = Math.min(first.length, widthOf(first.ip)); length >= 0; length--) {
    const around = networkOf({ ip: first.ip, length });
    if (cidrs.every((each) => contains(around, each.ip) && contains(around, lastOf(each)))) return around;
  }
  return undefined;
}

/** From ServiceCIDR objects, or the API server's own flag (its pod is in a kubeadm cluster's dump). */
function serviceRanges({ serviceCidrs, pods }: ClusterObjects): readonly string[] | undefined {
  if (serviceCidrs.length > 0) return serviceCidrs;
  for (const { spec } of pods.filter(({ metadata }) => metadata.name.startsWith("kube-apiserver"))) {
    const words = (spec.containers ?? []).flatMap(({ command = [], args = [] }) => [...command, ...args]);
    const range = words.map((word) => /^--service-cluster-ip-range=(.+)$/.exec(word)?.[1]).find(Boolean);
    if (range !== undefined) return range.split(",");
  }
  return undefined;
}
