/** Owns what kube-proxy sets in the kernel's connection tracking as it begins (pkg/proxy/conntrack/sysctls.go). */
import type { Netns } from "../../net/netns";
import { second, type Time } from "../../sim/clock";
import type { KubeProxyConfig } from "./config";

/** One setting that was other than it should be: its file below /proc/sys, and its value now. */
export interface Changed {
  readonly entry: string;
  readonly value: number;
}

/** How many connections a node may track: so many for each CPU, but not fewer than the least; 0 leaves the kernel's own. */
export function trackedMost({ conntrack }: KubeProxyConfig, cpus: number): number {
  return conntrack.maxPerCore > 0 ? Math.max(conntrack.maxPerCore * cpus, conntrack.min) : 0;
}

/** Sets them. @returns those that changed, in kube-proxy's order */
export function setTracking(netns: Netns, config: KubeProxyConfig, cpus: number): readonly Changed[] {
  const { conntrack } = netns;
  const changed: Changed[] = [];
  const most = trackedMost(config, cpus);
  if (most > 0 && conntrack.max !== most) {
    conntrack.max = most;
    changed.push({ entry: "net/netfilter/nf_conntrack_max", value: most });
  }
  const set = (wanted: Time, now: Time, name: string, change: () => void): void => {
    if (wanted <= 0 || wanted === now) return;
    change();
    changed.push({ entry: `net/netfilter/nf_conntrack_${name}`, value: Math.floor(wanted / second) });
  };
  const { tcpEstablishedTimeout, tcpCloseWaitTimeout, udpTimeout, udpStreamTimeout } = config.conntrack;
  const { tcp, udp, udpStream } = conntrack.timeouts;
  set(tcpEstablishedTimeout, tcp.ESTABLISHED, "tcp_timeout_established", () => {
    const { timeouts } = conntrack;
    conntrack.timeouts = { ...timeouts, tcp: { ...timeouts.tcp, ESTABLISHED: tcpEstablishedTimeout } };
  });
  set(tcpCloseWaitTimeout, tcp.CLOSE_WAIT, "tcp_timeout_close_wait", () => {
    const { timeouts } = conntrack;
    conntrack.timeouts = { ...timeouts, tcp: { ...timeouts.tcp, CLOSE_WAIT: tcpCloseWaitTimeout } };
  });
  set(udpTimeout, udp, "udp_timeout", () => {
    conntrack.timeouts = { ...conntrack.timeouts, udp: udpTimeout };
  });
  set(udpStreamTimeout, udpStream, "udp_timeout_stream", () => {
    conntrack.timeouts = { ...conntrack.timeouts, udpStream: udpStreamTimeout };
  });
  return changed;
}
