/** Owns kube-proxy's metrics as Prometheus reads them (pkg/proxy/metrics/metrics.go): those that say what syncs did. */

import { second, type Time } from "../../sim/clock";
import { kubernetesVersion } from "../nodeobject";
import type { KubeProxy } from "./proxy";
import { type Histogram, syncBuckets } from "./syncfigures";

/** How often a health question was answered with which code. */
export interface HealthCounts {
  readonly healthz: ReadonlyMap<number, number>;
  readonly livez: ReadonlyMap<number, number>;
}

type Labels = { readonly [name: string]: string };
type Sample = readonly [suffix: string, labels: Labels, value: number];

/** The text behind `/metrics`, by name. */
export function metricsText(proxy: KubeProxy, counts: HealthCounts): string {
  const { figures, families } = proxy;
  const perFamily = (samples: (labels: Labels) => readonly Sample[]): readonly Sample[] =>
    families.flatMap((family) => samples({ ip_family: family }));
  const gauge = (value: number) => perFamily((labels) => [["", labels, value]]);
  const blocks = [
    metric("kubeproxy_proxy_healthz_total", "counter", "Cumulative proxy healthz HTTP status", codes(counts.healthz)),
    metric("kubeproxy_proxy_livez_total", "counter", "Cumulative proxy livez HTTP status", codes(counts.livez)),
    metric(
      "kubeproxy_sync_full_proxy_rules_duration_seconds",
      "histogram",
      "SyncProxyRules latency in seconds for full resyncs",
      perFamily((labels) => histogram(figures.full, labels)),
    ),
    metric(
      "kubeproxy_sync_partial_proxy_rules_duration_seconds",
      "histogram",
      "SyncProxyRules latency in seconds for partial resyncs",
      perFamily((labels) => histogram(figures.partial, labels)),
    ),
    metric(
      "kubeproxy_sync_proxy_rules_duration_seconds",
      "histogram",
      "SyncProxyRules latency in seconds",
      perFamily((labels) => histogram(figures.all, labels)),
    ),
    ...(proxy.mode === "iptables"
      ? [
          metric(
            "kubeproxy_sync_proxy_rules_iptables_total",
            "gauge",
            "Total number of iptables rules owned by kube-proxy",
            rules(proxy),
          ),
        ]
      : []),
    metric(
      "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      "gauge",
      "The last time a sync of proxy rules was queued",
      gauge(figures.lastQueued / second),
    ),
    metric(
      "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      "gauge",
      "The last time proxy rules were successfully synced",
      gauge((figures.lastSync ?? 0) / second),
    ),
    metric(
      "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
      "gauge",
      "Number of services with a Local traffic policy and no endpoints",
      families.flatMap((family): readonly Sample[] => [
        ["", { ip_family: family, traffic_policy: "external" }, withoutLocal(proxy, family, "externalLocal")],
        ["", { ip_family: family, traffic_policy: "internal" }, withoutLocal(proxy, family, "internalLocal")],
      ]),
    ),
    metric(
      "kubeproxy_sync_proxy_rules_service_changes_total",
      "counter",
      "Cumulative proxy rules Service changes",
      gauge(figures.changes),
    ),
    metric("kubernetes_build_info", "gauge", buildHelp, [["", buildLabels, 1]]),
    metric(
      "process_start_time_seconds",
      "gauge",
      "Start time of the process since unix epoch in seconds.",
      [["", {}, figures.started / second]],
      "STABLE",
    ),
  ];
  return blocks.join("");
}

const buildHelp =
  "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.";
const [major = "", minor = ""] = kubernetesVersion.slice(1).split(".");
const buildLabels: Labels = { git_version: kubernetesVersion, major, minor, platform: "linux/amd64" };

function metric(
  name: string,
  type: "counter" | "gauge" | "histogram",
  help: string,
  samples: readonly Sample[],
  stability: "ALPHA" | "STABLE" = "ALPHA",
): string {
  if (samples.length === 0) return "";
  const lines = samples.map(([suffix, labels, value]) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
    return `${name}${suffix}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${goFloat(value)}\n`;
  });
  return `# HELP ${name} [${stability}] ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function histogram({ counts, count, sum }: Histogram, labels: Labels): readonly Sample[] {
  const buckets = syncBuckets.map((bound: Time, index): Sample => {
    return ["_bucket", { ...labels, le: goFloat(bound / second) }, counts[index] ?? 0];
  });
  return [
    ...buckets,
    ["_bucket", { ...labels, le: "+Inf" }, count],
    ["_sum", labels, sum / second],
    ["_count", labels, count],
  ];
}

function codes(counts: ReadonlyMap<number, number>): readonly Sample[] {
  return [...counts].sort(([one], [other]) => one - other).map(([code, count]) => ["", { code: String(code) }, count]);
}

function rules({ node, families }: KubeProxy): readonly Sample[] {
  return families.flatMap((family) => {
    const tables = family === "IPv4" ? node.netns.iptables : node.netns.ip6tables;
    return (["filter", "nat"] as const).map((table): Sample => {
      const own = tables.chains(table).filter((chain) => chain.startsWith("KUBE-"));
      const count = own.reduce((sum, chain) => sum + (tables.rules(table, chain)?.length ?? 0), 0);
      return ["", { ip_family: family, table }, count];
    });
  });
}

function withoutLocal(proxy: KubeProxy, family: "IPv4" | "IPv6", policy: "externalLocal" | "internalLocal"): number {
  const ports = proxy.view(family)?.ports() ?? [];
  return ports.filter((port) => {
    const used = policy === "internalLocal" ? port.internal : port.external;
    const asked = policy === "internalLocal" || port.externallyAccessible;
    return port[policy] && asked && port.hasAnyEndpoints && used.length === 0;
  }).length;
}

/** A number as Prometheus' writer prints it (Go's strconv, format g): with an exponent below 1e-4 and from 1e6 on. */
function goFloat(value: number): string {
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-4 && size < 1e6)) return String(value);
  return value.toExponential().replace(/e([-+])(\d)$/, "e$10$2");
}
