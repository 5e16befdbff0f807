/** Owns what kube-proxy refuses in its configuration, in its own words (pkg/proxy/apis/config/validation/validation.go). */

import { tryParseCidr, tryParseIp } from "../../net/address";
import { formatDuration } from "../../sim/duration";
import type { KubeProxyConfig } from "./config";

type Complain = (path: string, value: string, why: string) => void;

/** Modes that today's kube-proxy knows. */
const linuxModes = ["iptables", "ipvs", "nftables"];

/** The sentence about an unknown mode; `userspace` is one since v1.26. */
export function modeRefusal(mode: string): string {
  const why = `must be ${linuxModes.join(", ")} or blank (blank means the best-available proxy [currently iptables])`;
  return `KubeProxyConfiguration.Mode.ProxyMode: Invalid value: ${JSON.stringify(mode)}: ${why}`;
}

/** Every error, in the order in which kube-proxy looks. `userspace` is let through: this cluster keeps the old proxier. */
export function validateConfig(config: KubeProxyConfig): readonly string[] {
  const errors: string[] = [];
  const complain: Complain = (path, value, why) =>
    errors.push(`KubeProxyConfiguration.${path}: Invalid value: ${value}: ${why}`);
  masqueradeBit(complain, "KubeProxyIPTablesConfiguration", config.iptables.masqueradeBit);
  if (config.mode === "ipvs") ipvs(complain, config);
  if (config.mode === "nftables")
    masqueradeBit(complain, "KubeProxyNFTablesConfiguration", config.nftables.masqueradeBit);
  linux(complain, config);
  if (config.mode !== "" && config.mode !== "userspace" && !linuxModes.includes(config.mode)) {
    errors.push(modeRefusal(config.mode));
  }
  if (config.configSyncPeriod <= 0)
    complain("ConfigSyncPeriod", formatDuration(config.configSyncPeriod), "must be greater than 0");
  periods(complain, config);
  addresses(complain, config);
  detectLocal(complain, config, errors);
  return errors;
}

/** As one error: `[a, b]` if there are several (errors.NewAggregate). */
export function aggregate(errors: readonly string[]): string {
  return errors.length === 1 ? (errors[0] ?? "") : `[${errors.join(", ")}]`;
}

function masqueradeBit(complain: Complain, section: string, bit: number): void {
  if (bit < 0 || bit > 31) complain(`${section}.MasqueradeBit`, String(bit), "must be within the range [0, 31]");
}

function ipvs(complain: Complain, { ipvs: config }: KubeProxyConfig): void {
  const section = "KubeProxyIPVSConfiguration";
  const times = { TCPTimeout: config.tcpTimeout, TCPFinTimeout: config.tcpFinTimeout, UDPTimeout: config.udpTimeout };
  for (const [name, time] of Object.entries(times)) {
    if (time < 0) complain(`${section}.${name}`, formatDuration(time), "must be greater than or equal to 0");
  }
  for (const [index, cidr] of config.excludeCIDRs.entries()) {
    if (!isCidr(cidr)) complain(`${section}.ExcludeCidrs[${index}]`, JSON.stringify(cidr), "must be a valid CIDR");
  }
}

function linux(complain: Complain, { conntrack, oomScoreAdj }: KubeProxyConfig): void {
  const section = "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration";
  const counts = { MaxPerCore: conntrack.maxPerCore, Min: conntrack.min };
  const times = {
    TCPEstablishedTimeout: conntrack.tcpEstablishedTimeout,
    TCPCloseWaitTimeout: conntrack.tcpCloseWaitTimeout,
    UDPTimeout: conntrack.udpTimeout,
    UDPStreamTimeout: conntrack.udpStreamTimeout,
  };
  const why = "must be greater than or equal to 0";
  for (const [name, count] of Object.entries(counts)) if (count < 0) complain(`${section}.${name}`, String(count), why);
  for (const [name, time] of Object.entries(times))
    if (time < 0) complain(`${section}.${name}`, formatDuration(time), why);
  if (oomScoreAdj < -1000 || oomScoreAdj > 1000) {
    complain("KubeProxyLinuxConfiguration.OOMScoreAdj", String(oomScoreAdj), "must be within the range [-1000, 1000]");
  }
}

function periods(complain: Complain, config: KubeProxyConfig): void {
  const { syncPeriod, minSyncPeriod } =
    config.mode === "ipvs" ? config.ipvs : config.mode === "nftables" ? config.nftables : config.iptables;
  if (syncPeriod <= 0) complain("SyncPeriod", formatDuration(syncPeriod), "must be greater than 0");
  if (minSyncPeriod < 0) complain("MinSyncPeriod", formatDuration(minSyncPeriod), "must be greater than or equal to 0");
  if (minSyncPeriod > syncPeriod) {
    const why = "must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod";
    complain("SyncPeriod", formatDuration(minSyncPeriod), why);
  }
}

function addresses(complain: Complain, config: KubeProxyConfig): void {
  if (!isIp(config.bindAddress)) {
    complain("BindAddress", JSON.stringify(config.bindAddress), "not a valid textual representation of an IP address");
  }
  hostPort(complain, "HealthzBindAddress", config.healthzBindAddress);
  hostPort(complain, "MetricsBindAddress", config.metricsBindAddress);
  const range = /^(\d+)(?:([-+])(\d+))?$/.exec(config.portRange);
  if (config.portRange.trim() !== "" && !range) {
    complain("PortRange", JSON.stringify(config.portRange), "must be a valid port range (e.g. 300-2000)");
  }
  for (const [index, cidr] of config.nodePortAddresses.entries()) {
    const path = `NodePortAddresses[${index}]`;
    if (cidr === "primary") {
      const alone = config.nodePortAddresses.length === 1;
      if (!alone) complain(path, JSON.stringify(cidr), "can't use both 'primary' and CIDRs");
      break;
    }
    if (!isCidr(cidr)) complain(path, JSON.stringify(cidr), "must be a valid CIDR");
  }
}

function hostPort(complain: Complain, path: string, input: string): void {
  const [whole, bracketed, plain, port = ""] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(input) ?? [];
  if (whole === undefined) {
    complain(path, JSON.stringify(input), "must be IP:port");
    return;
  }
  const host = bracketed ?? plain ?? "";
  if (!isIp(host)) complain(path, JSON.stringify(host), "must be a valid IP");
  if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65535) {
    complain(path, JSON.stringify(port), "must be a valid port");
  }
}

const localModes = ["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", ""];

function detectLocal(complain: Complain, config: KubeProxyConfig, errors: string[]): void {
  const { detectLocalMode: mode, detectLocal: local, clusterCIDR } = config;
  if (!localModes.includes(mode)) {
    const words = localModes.map((word) => JSON.stringify(word)).join(", ");
    errors.push(
      `KubeProxyConfiguration.DetectLocalMode: Unsupported value: ${JSON.stringify(mode)}: supported values: ${words}`,
    );
  }
  const section = "DetectLocalConfiguration";
  if (mode === "BridgeInterface" && local.bridgeInterface === "")
    complain(`${section}.InterfaceName`, '""', "must not be empty");
  if (mode === "InterfaceNamePrefix" && local.interfaceNamePrefix === "")
    complain(`${section}.InterfacePrefix`, '""', "must not be empty");
  if (mode !== "ClusterCIDR" || clusterCIDR === "") return;
  const cidrs = clusterCIDR.split(",");
  const listed = `[]string{${cidrs.map((cidr) => JSON.stringify(cidr)).join(", ")}}`;
  const pair = "must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]";
  if (cidrs.length > 2) {
    complain(`${section}.ClusterCIDRs`, listed, pair);
    return;
  }
  const parsed = cidrs.map((cidr) => (isCidr(cidr) ? tryParseCidr(cidr) : undefined));
  for (const [index, cidr] of cidrs.entries()) {
    if (parsed[index]) continue;
    const why = "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)";
    complain(`${section}.ClusterCIDRs[${index}]`, JSON.stringify(cidr), why);
  }
  const [one, other] = parsed;
  if (one && other && typeof one.ip === typeof other.ip) complain(`${section}.ClusterCIDRs`, listed, pair);
}

function isCidr(text: string): boolean {
  return text.includes("/") && tryParseCidr(text) !== undefined;
}

function isIp(text: string): boolean {
  return tryParseIp(text) !== undefined;
}
