/** Owns kube-proxy as a program: it reads its configuration, takes away what another mode left, and lives until it is ended. */
import { defaultPace, runController } from "../../api/controller";
import { recordEvent } from "../../api/events";
import type { Store } from "../../api/store";
import type { App, Program } from "../../apps/app";
import { contains, formatIp, localhost, parseCidr } from "../../net/address";
import type { Sim } from "../../sim/sim";
import { goDuration } from "../images";
import type { NodeNet } from "../node";
import { kubernetesVersion } from "../nodeobject";
import { type KubeProxyConfig, readConfig, syncConfig } from "./config";
import { ConfigError } from "./configfields";
import { aggregate, modeRefusal, validateConfig } from "./configvalidation";
import { ServiceHealth, serveProxy } from "./health";
import { klogLine, type LogValue, type Severity } from "./klog";
import { type ModeName, modeNames, type ProxyMode, schedulers } from "./mode";
import { cleanLeftovers, createMode, modeOptions } from "./modes";
import { KubeProxy } from "./proxy";
import { sharedViewOf } from "./shared";
import { setTracking, trackedMost } from "./tracksettings";

/** What the program has of the cluster around it. */
export interface ProxyHost {
  readonly sim: Sim;
  readonly store: Store;
  /** The machine that a program runs on. */
  nodeOf(program: Program): NodeNet | undefined;
  /** The ranges of cluster IPs. */
  readonly serviceCidrs?: readonly string[];
  /** Told when a proxy begins to work on a node, and with undefined when it ends. */
  changed?(node: NodeNet, proxy: KubeProxy | undefined): void;
}

type Log = (severity: Severity, at: string, message: string, values?: { readonly [key: string]: LogValue }) => void;

/** `/usr/local/bin/kube-proxy --config=… --hostname-override=…`, or with `--cleanup`, which takes all rules away and ends. */
export function kubeProxy(host: ProxyHost): App {
  return (program) => {
    const log: Log = (severity, at, message, values) =>
      program.write(klogLine(program.clock.now, severity, at, message, values), "stderr");
    const end = (code: number): void => {
      const ended = program.clock.after(0, () => program.exit(code));
      program.own({ close: () => ended.cancel() });
    };
    const fail = (why: string): void => {
      log("E", "run.go:72", "command failed", { err: why });
      end(1);
    };
    // kube-proxy handles no signal: as the first program of its container Go's runtime ends it with this code.
    program.onSignal("SIGTERM", () => program.exit(2));
    const flags = flagsOf(program.argv.slice(1));
    const unknown = [...flags.keys()].find((flag) => !knownFlags.has(flag));
    if (unknown !== undefined) {
      program.write(`Error: unknown flag: --${unknown}\n`, "stderr");
      return end(1);
    }
    const node = host.nodeOf(program);
    if (!node) return fail(`unable to find the machine of ${program.hostname}`);
    const config = configOf(program, flags, log, fail);
    if (!config) return;
    if (flags.has("cleanup")) {
      for (const name of modeNames) createMode(name).cleanup(node);
      return end(0);
    }
    run({ host, program, node, config, log, fail });
  };
}

const knownFlags = new Set([
  "cleanup",
  "cluster-cidr",
  "config",
  "hostname-override",
  "ipvs-scheduler",
  "proxy-mode",
  "v",
]);

function flagsOf(words: readonly string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  for (let index = 0; index < words.length; index++) {
    const [, name = "", value] = /^--?([\w-]+)(?:=(.*))?$/s.exec(words[index] ?? "") ?? [];
    const next = words[index + 1];
    const takesNext = value === undefined && name !== "cleanup" && next !== undefined && !next.startsWith("-");
    flags.set(name, value ?? (takesNext ? next : "true"));
    if (takesNext) index++;
  }
  return flags;
}

/** The configuration of its file, or else of its flags; undefined after it has said what is wrong. */
function configOf(
  program: Program,
  flags: ReadonlyMap<string, string>,
  log: Log,
  fail: (why: string) => void,
): KubeProxyConfig | undefined {
  const file = flags.get("config");
  const text = file === undefined ? flagConfig(flags) : program.files.read(file);
  if (file === undefined && !flags.has("cleanup")) {
    const message =
      "WARNING: all flags other than --config, --write-config-to, and --cleanup are deprecated, please begin using a config file ASAP";
    log("I", "server.go:133", message);
  }
  if (text === undefined) {
    fail(`failed complete: open ${file}: no such file or directory`);
    return undefined;
  }
  try {
    const { config, strict } = readConfig(text);
    if (strict.length > 0) {
      const err = `strict decoding error: ${strict.join(", ")}`;
      log("I", "options.go:388", "Using lenient decoding as strict decoding failed", { err });
    }
    const errors = validateConfig(config);
    if (errors.length === 0) return config;
    fail(`failed validate: ${aggregate(errors)}`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    fail(`failed complete: failed to decode: ${error.message}`);
  }
  return undefined;
}

function flagConfig(flags: ReadonlyMap<string, string>): string {
  return JSON.stringify({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: flags.get("proxy-mode") ?? "",
    clusterCIDR: flags.get("cluster-cidr") ?? "",
    ipvs: { scheduler: flags.get("ipvs-scheduler") ?? "" },
  });
}

interface Running {
  readonly host: ProxyHost;
  readonly program: Program;
  readonly node: NodeNet;
  readonly config: KubeProxyConfig;
  readonly log: Log;
  readonly fail: (why: string) => void;
}

function run(running: Running): void {
  const { program, node, config } = running;
  const name = (config.mode || "iptables") as ModeName;
  announceNode(running);
  announceMode(running, name);
  if (!canUse(running, name)) return;
  if (!node.later.asleep) {
    work(running, name, "begins");
    return;
  }
  // On a node that nobody looks at, one of thousands, it begins when rules are first asked for: with all of them at once.
  node.netns.netfilter.defer("kube-proxy", () => {
    if (!program.ended) work(running, name, "wakes");
  });
}

function work(running: Running, name: ModeName, how: "begins" | "wakes"): void {
  const { host, program, node, config, log } = running;
  const { sim, store } = host;
  cleanLeftovers(name, node);
  const options = modeOptions(config, node, host.serviceCidrs);
  const mode = (): ProxyMode => createMode(name, options);
  let health: ServiceHealth | undefined;
  const proxy = new KubeProxy(sim, {
    ...{ store, node, mode, ...syncConfig(config) },
    failed: (why) => {
      const retryingTime = goDuration(syncConfig(config).syncPeriod);
      log("E", "proxier.go:1542", "Failed to execute iptables-restore", { err: `exit status 1: ${why}` });
      log("I", "proxier.go:726", "Sync failed", { retryingTime });
    },
    synced(_, changed) {
      health?.sync(changed);
      warnOfAddresses(running, proxy, changed);
    },
  });
  const served = {
    ...{ program, store, config, proxy },
    timeout: 2 * syncConfig(config).syncPeriod,
    failed: (what: string) =>
      log("E", "server.go:580", `starting ${what} server failed`, { err: "bind: address already in use" }),
  };
  serveProxy(served);
  health = new ServiceHealth(served);
  log("I", "server.go:527", "Version info", { version: kubernetesVersion });
  log("I", "server.go:529", "Golang settings", { GOGC: "", GOMAXPROCS: "", GOTRACEBACK: "" });
  for (const controller of controllers) log("I", "config.go:200", `Starting ${controller} controller`);
  for (const controller of controllers)
    log("I", "shared_informer.go:349", "Waiting for caches to sync", { controller });
  if (how === "wakes") proxy.catchUp();
  const controller = runController(sim, store, proxy, defaultPace, how === "wakes" ? "changes" : "all");
  for (const controller of controllers) log("I", "shared_informer.go:356", "Caches are synced", { controller });
  host.changed?.(node, proxy);
  program.own({
    close() {
      controller.stop();
      proxy.stop();
      // A kernel closes what its process had open: in userspace mode the proxy ports, with the connections that they pass on.
      node.netns.sockets.closeOwner("kube-proxy");
      host.changed?.(node, undefined);
    },
  });
}

/** Whose changes it follows. */
const controllers = ["endpoint slice config", "service config", "serviceCIDR config"];

/** What kube-proxy finds of its node, and sets there before it does anything for Services. */
function announceNode({ node, config, log, host }: Running): void {
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
function announceMode({ node, config, log, host }: Running, name: ModeName): void {
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
function canUse({ config, log, fail }: Running, name: ModeName): boolean {
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
function warnOfAddresses({ host, log }: Running, proxy: KubeProxy, changed: readonly string[]): void {
  const { sim, store } = host;
  for (const service of changed) {
    for (const family of proxy.families) {
      for (const address of sharedViewOf(store).wrongAddresses(service, family)) {
        const message = `${address} in endpointslice has incorrect IP version`;
        log("E", "utils.go:118", message, { service });
        const about = store.get("Service", service);
        const event = { type: "Warning", reason: "KubeProxyIncorrectIPVersion", component: "kube-proxy" } as const;
        if (about) recordEvent(sim, store, { about, message, host: proxy.node.name, ...event });
      }
    }
  }
}
