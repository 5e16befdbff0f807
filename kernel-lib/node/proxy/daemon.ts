/** Owns kube-proxy as a program: it reads its configuration, takes away what another mode left, and lives until it is ended. */

import { defaultPace, runController } from "../../api/controller";
import type { App, Program } from "../../apps/app";
import { formatDuration } from "../../sim/duration";
import { kubernetesVersion } from "../nodeobject";
import {
  announceMode,
  announceNode,
  canUse,
  type Log,
  type ProxyHost,
  type Running,
  warnOfAddresses,
} from "./announce";
import { type KubeProxyConfig, readConfig, syncConfig } from "./config";
import { ConfigError } from "./configfields";
import { aggregate, validateConfig } from "./configvalidation";
import { ServiceHealth, serveProxy } from "./health";
import { klogLine } from "./klog";
import { type ModeName, modeNames, type ProxyMode } from "./mode";
import { cleanLeftovers, createMode, modeOptions } from "./modes";
import { KubeProxy } from "./proxy";

export type { ProxyHost } from "./announce";

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
  const delays = host.delaysOf?.(node.name);
  const proxy = new KubeProxy(sim, {
    ...{ store, node, mode, ...syncConfig(config) },
    ...(delays && { syncTime: delays.sync }),
    failed: (why) => {
      const retryingTime = formatDuration(syncConfig(config).syncPeriod);
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
  const pace = { ...defaultPace, ...(delays && { hear: delays.watch }) };
  const controller = runController(sim, store, proxy, pace, how === "wakes" ? "changes" : "all");
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
