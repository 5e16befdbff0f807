/** Owns kube-proxy's configuration as far as networking goes: its fields, their defaults, and reading it from a ConfigMap's text. */
import type { Family } from "../../net/address";
import { hour, millisecond, minute, second, type Time } from "../../sim/clock";
import { readFields, type Section } from "./configfields";

/** KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1); times in microseconds, every default filled in. */
export interface KubeProxyConfig {
  /** As it is written; `""` is taken for iptables. */
  readonly mode: string;
  readonly bindAddress: string;
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
  /** Where pods live: a prefix, or one of each family with a comma between; `""`: nobody knows. */
  readonly clusterCIDR: string;
  readonly detectLocalMode: string;
  readonly detectLocal: { readonly bridgeInterface: string; readonly interfaceNamePrefix: string };
  /** Prefixes, or `["primary"]`. */
  readonly nodePortAddresses: readonly string[];
  readonly hostnameOverride: string;
  readonly iptables: SyncConfig & MasqueradeConfig & { readonly localhostNodePorts: boolean };
  readonly nftables: SyncConfig & MasqueradeConfig;
  readonly ipvs: SyncConfig & {
    readonly scheduler: string;
    readonly excludeCIDRs: readonly string[];
    readonly strictARP: boolean;
    readonly tcpTimeout: Time;
    readonly tcpFinTimeout: Time;
    readonly udpTimeout: Time;
  };
  readonly conntrack: {
    readonly maxPerCore: number;
    readonly min: number;
    readonly tcpEstablishedTimeout: Time;
    readonly tcpCloseWaitTimeout: Time;
    readonly tcpBeLiberal: boolean;
    readonly udpTimeout: Time;
    readonly udpStreamTimeout: Time;
  };
  readonly oomScoreAdj: number;
  readonly portRange: string;
  readonly configSyncPeriod: Time;
}

/** How often rules are written. */
export interface SyncConfig {
  /** How often a mode looks after what it wrote, in iptables mode by a canary chain. */
  readonly syncPeriod: Time;
  /** The least time between two syncs. */
  readonly minSyncPeriod: Time;
}

export interface MasqueradeConfig {
  readonly masqueradeAll: boolean;
  /** Which bit of the mark asks for masquerading. */
  readonly masqueradeBit: number;
}

/** A configuration, and what a strict reader would have refused in it (kube-proxy only warns). */
export interface ReadConfig {
  readonly config: KubeProxyConfig;
  readonly strict: readonly string[];
}

const known = new Map<string, ReadConfig>();

/**
 * Reads `config.conf` of a ConfigMap. All nodes of a cluster read the same text: it is read once.
 * @throws ConfigError in kube-proxy's words, if it is no such configuration
 */
export function readConfig(text: string): ReadConfig {
  const before = known.get(text);
  if (before) return before;
  const { root, strict } = readFields(text);
  const read = { config: withDefaults(root), strict };
  if (known.size > 100) known.clear();
  known.set(text, read);
  return read;
}

/** The defaults of v1alpha1 (pkg/proxy/apis/config/v1alpha1/defaults.go); a period of 0 s is as none given. */
function withDefaults(root: Section): KubeProxyConfig {
  const text = (name: string): string => root.text(name) ?? "";
  const bindAddress = text("bindAddress") || "0.0.0.0";
  const ipv6 = bindAddress.includes(":");
  const [iptables, nftables, ipvs] = [root.section("iptables"), root.section("nftables"), root.section("ipvs")];
  const conntrack = root.section("conntrack");
  const detectLocal = root.section("detectLocal");
  return {
    mode: text("mode"),
    bindAddress,
    healthzBindAddress: withPort(text("healthzBindAddress") || (ipv6 ? "[::]" : "0.0.0.0"), healthzPort),
    metricsBindAddress: withPort(text("metricsBindAddress") || (ipv6 ? "[::1]" : "127.0.0.1"), metricsPort),
    clusterCIDR: text("clusterCIDR"),
    detectLocalMode: text("detectLocalMode") || "ClusterCIDR",
    detectLocal: {
      bridgeInterface: detectLocal.text("bridgeInterface") ?? "",
      interfaceNamePrefix: detectLocal.text("interfaceNamePrefix") ?? "",
    },
    nodePortAddresses: root.list("nodePortAddresses") ?? [],
    hostnameOverride: text("hostnameOverride"),
    iptables: {
      ...periods(iptables),
      ...masquerade(iptables),
      localhostNodePorts: iptables.flag("localhostNodePorts") ?? true,
    },
    nftables: { ...periods(nftables), ...masquerade(nftables) },
    ipvs: {
      ...periods(ipvs, 0),
      scheduler: ipvs.text("scheduler") ?? "",
      excludeCIDRs: ipvs.list("excludeCIDRs") ?? [],
      strictARP: ipvs.flag("strictARP") ?? false,
      tcpTimeout: ipvs.duration("tcpTimeout") ?? 0,
      tcpFinTimeout: ipvs.duration("tcpFinTimeout") ?? 0,
      udpTimeout: ipvs.duration("udpTimeout") ?? 0,
    },
    conntrack: {
      maxPerCore: conntrack.integer("maxPerCore") ?? 32 * 1024,
      min: conntrack.integer("min") ?? 128 * 1024,
      tcpEstablishedTimeout: conntrack.duration("tcpEstablishedTimeout") ?? 24 * hour,
      tcpCloseWaitTimeout: conntrack.duration("tcpCloseWaitTimeout") ?? hour,
      tcpBeLiberal: conntrack.flag("tcpBeLiberal") ?? false,
      udpTimeout: conntrack.duration("udpTimeout") ?? 0,
      udpStreamTimeout: conntrack.duration("udpStreamTimeout") ?? 0,
    },
    oomScoreAdj: root.integer("oomScoreAdj") ?? -999,
    portRange: text("portRange"),
    configSyncPeriod: root.duration("configSyncPeriod") || 15 * minute,
  };
}

const healthzPort = 10256;
const metricsPort = 10249;

/** An address with its port (AppendPortIfNeeded): what is neither an address nor one with a port stays as it is. */
function withPort(address: string, port: number): string {
  if (/^\d+(\.\d+){3}$/.test(address) || /^\[[^\]]*\]$/.test(address)) return `${address}:${port}`;
  return /^[\da-fA-F:]*:[\da-fA-F:.]*:[\da-fA-F:.]*$/.test(address) ? `[${address}]:${port}` : address;
}

function periods(section: Section, least: Time = second): SyncConfig {
  return {
    syncPeriod: section.duration("syncPeriod") || 30 * second,
    minSyncPeriod: section.duration("minSyncPeriod") || least,
  };
}

function masquerade(section: Section): MasqueradeConfig {
  return {
    masqueradeAll: section.flag("masqueradeAll") ?? false,
    masqueradeBit: section.integer("masqueradeBit") ?? 14,
  };
}

/** The periods of the mode that is chosen. */
export function syncConfig(config: KubeProxyConfig): SyncConfig {
  if (config.mode === "ipvs") return config.ipvs;
  return config.mode === "nftables" ? config.nftables : config.iptables;
}

/** How long userspace mode keeps a UDP client's socket without traffic (`udpIdleTimeout` of v1.25). */
export const userspaceUdpIdle: Time = 250 * millisecond;

/** The first prefix of a family in a list such as `10.244.0.0/16,fd00:10:244::/56`. */
export function cidrOf(list: string | undefined, family: Family): string | undefined {
  return list
    ?.split(",")
    .map((cidr) => cidr.trim())
    .find((cidr) => cidr !== "" && cidr.includes(":") === (family === "IPv6"));
}
