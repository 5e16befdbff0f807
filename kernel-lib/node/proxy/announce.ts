/** Owns what kube-proxy says as it begins and works, in its own words, and what it finds out and sets by saying it. */
import { recordEvent } from "../../api/events";
import type { ProxyDelays } from "../../api/propagation";
import type { Store } from "../../api/store";
import type { Program } from "../../apps/app";
import { contains, formatIp, localhost, parseCidr } from "../../net/address";
import type { Sim } from "../../sim/sim";
import type { NodeNet } from "../node";
import type { KubeProxyConfig } from "./config";
import { modeRefusal } from "./configvalidation";
import type { LogValue, Severity } from "./klog";
import { type ModeName, schedulers } from "./mode";
import type { KubeProxy } from "./proxy";
import { setTracking, trackedMost } from "./tracksettings";

/** What the program has of the cluster around it. */
export interface ProxyHost {
  readonly sim: Sim;
  readonly store: Store;
  /** The machine that a program runs on. */
  nodeOf(program: Program): NodeNet | undefined;
  /** How a node's proxy hears and works; absent: at a controller's pace. */
  delaysOf?(node: string): ProxyDelays;
  /** The ranges of cluster IPs. */
  readonly serviceCidrs?: readonly string[];
  /** Told when a proxy begins to work on a node, and with undefined when it ends. */
  changed?(node: NodeNet, proxy: KubeProxy | undefined): void;
}

/** Writes a line of its log. */
export type Log = (
  severity: Severity,
  at: string,
  message: string,
  values?: { readonly [key: string]: LogValue },
) => void;

/** One start of kube-proxy whose configuration is good. */
export interface Running {
  readonly host: ProxyHost;
  readonly program: Program;
  readonly node: NodeNet;
  readonly config: KubeProxyConfig;
  readonly log: Log;
  readonly fail: (why: string) => void;
}

/** What kube-proxy finds of its node, and sets there before it does anything for Services. */
export function announceNode({ node, config, log, host }: Running): void {
  if (config.mode === "") log("I", "server_linux.go:53", "Using iptables proxy");
  log("I", "server.go:219", "Successfully retrieved NodeIPs", { NodeIPs: node.ips.map(formatIp) });
  const cpus = Number(host.store.get("Node", node.name)?.status.capacity?.cpu ?? 1);
  const most = trackedMost(config, cpus);
  const changed = setTracking(node.netns, config, cpus);
  if (most > 0) log("I", "conntrack.go:60", "Setting nf_conntrack_max", { nfConntrackMax: most });
  for (const { entry, value } of changed) log("I", "conntrack.go:121", "Set sysctl", { entry, value });
  if (config.nodePortAddresses.length === 0 && config.mode !== "nftables") {
    const err =
      "nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. Consider using `--nodeport-addresses primary`";
    log("E", "server.go:256", "Kube-proxy configuration may be incomplete or incorrect", { err });
  }
  const primary = typeof node.ip === "number" ? "IPv4" : "IPv6";
  if (node.ips.length > 1) {
    log("I", "server.go:265", "kube-proxy running in dual-stack mode", { "primary ipFamily": primary });
  } else {
    log("I", "server.go:267", "kube-proxy running in single-stack mode", { ipFamily: primary });
  }
}

/** Which proxier it uses, and what it thinks of it. */
export function announceMode({ node, config, log, host }: Running, name: ModeName): void {
  if (name === "userspace") {
    const err = modeRefusal("userspace");
    const message =
      "The userspace proxier was removed in v1.26, and this version refuses it; this cluster keeps the one of v1.25";
    log("W", "server_linux.go:132", message, { err });
  }
  log("I", "server_linux.go:132", `Using ${name} Proxier`);
  if (name === "ipvs") {
    const message =
      "The ipvs proxier is now deprecated and may be removed in a future release. Please use 'nftables' instead.";
    log("E", "server_linux.go:181", message);
    const about = host.store.get("Node", node.name);
    const component = { component: "kube-proxy", host: node.name };
    const event = { type: "Warning", reason: "IPVSDeprecation", message, ...component } as const;
    if (about) recordEvent(host.sim, host.store, { about, ...event });
  }
  if (name === "iptables" && config.iptables.localhostNodePorts && takesLoopback(config)) {
    const message =
      "Setting route_localnet=1 to allow node-ports on localhost; to change this either disable iptables.localhostNodePorts (--iptables-localhost-nodeports) or set nodePortAddresses (--nodeport-addresses) to filter loopback addresses";
    log("I", "proxier.go:242", message, { ipFamily: "IPv4" });
  }
}

function takesLoopback({ nodePortAddresses }: KubeProxyConfig): boolean {
  if (nodePortAddresses[0] === "primary") return false;
  return nodePortAddresses.length === 0 || nodePortAddresses.some((cidr) => contains(parseCidr(cidr), localhost));
}

/** IPVS is tried out with its scheduler before anything is changed; a scheduler that the kernel has no module for is not found. */
export function canUse({ config, log, fail }: Running, name: ModeName): boolean {
  const scheduler = config.ipvs.scheduler || "rr";
  if (name !== "ipvs" || (schedulers as readonly string[]).includes(scheduler)) return true;
  const err = "no such file or directory";
  log("E", "ipvs.go:98", "Could not create dummy VS", { err, scheduler });
  const why = `can't use the IPVS proxier: ${err}`;
  log("E", "server.go:114", "Error running ProxyServer", { err: why });
  fail(why);
  return false;
}

/** A slice may name what is no address of its family: kube-proxy passes it over, and tells the Service. */
export function warnOfAddresses({ host, log }: Running, proxy: KubeProxy, changed: readonly string[]): void {
  const { sim, store } = host;
  for (const service of changed) {
    for (const family of proxy.families) {
      for (const address of proxy.wrongAddresses(service, family)) {
        const message = `${address} in endpointslice has incorrect IP version`;
        log("E", "utils.go:118", message, { service });
        const about = store.get("Service", service);
        const event = { type: "Warning", reason: "KubeProxyIncorrectIPVersion", component: "kube-proxy" } as const;
        if (about) recordEvent(sim, store, { about, message, host: proxy.node.name, ...event });
      }
    }
  }
}
