/** Measures kube-proxy's modes: connections through a Service at flow level, and how fast the rules of 10,000 Services are made. */
import type { Kinds } from "../../kernel-lib/api/kinds";
import { Files } from "../../kernel-lib/apps/files";
import { type Ip, parseIp } from "../../kernel-lib/net/address";
import { runFlow } from "../../kernel-lib/net/flow";
import type { Netns } from "../../kernel-lib/net/netns";
import { Later } from "../../kernel-lib/node/later";
import type { NodeNet } from "../../kernel-lib/node/node";
import { iptablesMode } from "../../kernel-lib/node/proxy/iptables";
import { ipvsMode } from "../../kernel-lib/node/proxy/ipvs";
import type { ProxyMode } from "../../kernel-lib/node/proxy/mode";
import { nftablesMode } from "../../kernel-lib/node/proxy/nftables";
import { type ServicePort, viewOf } from "../../kernel-lib/node/proxy/view";
import { ask, type Lab, overlay, pod, serve } from "../net/topology";
import type { Measurement } from "./main";

const many = 10_000;
const endpointsEach = 10;
const clusterCidr = "10.244.0.0/16";
const makers: Readonly<Record<string, () => ProxyMode>> = {
  iptables: () => iptablesMode({ clusterCidr }),
  nftables: () => nftablesMode({ clusterCidr }),
  ipvs: () => ipvsMode({ clusterCidr }),
};

export async function benchProxy(): Promise<readonly Measurement[]> {
  const measurements: Measurement[] = [];
  for (const [mode, make] of Object.entries(makers)) {
    const few = flowRate(make, 10);
    const full = flowRate(make, many);
    const times = syncTimes(make);
    measurements.push(
      {
        name: `${mode}: connections/s through one of 10 Services (flow level)`,
        value: few,
        unit: "1/s",
        aim: "≥ 50,000",
      },
      {
        name: `${mode}: the same through the last of 10,000`,
        value: full,
        unit: "1/s",
        ...(mode === "nftables" && { aim: `≥ ${Math.round(few / 2).toLocaleString("en-US")} (half)` }),
      },
      { name: `${mode}: full sync of 10,000 Services × 10, one node`, value: times.full, unit: "s", aim: "≤ 1" },
      { name: `${mode}: one endpoint's change there`, value: times.change, unit: "ms", aim: "≤ 5" },
      ...(mode === "iptables"
        ? [{ name: "what they begin with, shared by all nodes: slices read", value: times.view, unit: "s" }]
        : []),
      {
        name: `${mode}: memory of these rules${globalThis.gc ? "" : " (not collected)"}`,
        value: times.megabytes,
        unit: "MB",
      },
    );
  }
  return measurements;
}

/** Pod to Service on another node and this one, over the overlay: masquerading, choice and connection tracking included. */
function flowRate(make: () => ProxyMode, services: number): number {
  const lab = overlay(2);
  const real = ["10.244.1.3", "10.244.2.2", "10.244.2.3"];
  for (const name of ["pod-1-3", "pod-2-2", "pod-2-3"]) serve(pod(lab, name), 80);
  const mode = make();
  const objects = servicesOf(services, real);
  for (const node of lab.nodes) {
    const view = viewOf(objects.services, objects.slices, { node: node.name });
    mode.sync(view, nodeNet(lab, node), "IPv4");
  }
  const client = pod(lab, "pod-1-2");
  // A client that has spoken to all of them before: neighbours are known, as those of a cluster at work are.
  for (const ip of real) ask(lab, client, ip, 80);
  const target = parseIp(clusterIp(services - 1));
  const flow = { protocol: "tcp", source: client.sourceFor(target) ?? 0, target, targetPort: 80 } as const;
  const count = 5_000;
  const seen = new Map<Ip, number>();
  const run = (): number => {
    const began = performance.now();
    for (let made = 0; made < count; made++) {
      const { end, target: to, why } = runFlow(client, flow);
      if (end !== "delivered") throw new Error(`a connection was ${end}: ${why}`);
      seen.set(to, (seen.get(to) ?? 0) + 1);
    }
    return (count / (performance.now() - began)) * 1000;
  };
  // The best of twelve, the first of which warm up.
  const rate = Math.max(...Array.from({ length: 12 }, run));
  if (seen.size !== real.length) throw new Error(`${seen.size} of ${real.length} endpoints were chosen`);
  return rate;
}

interface SyncTimes {
  /** Seconds; the least of three: what all nodes share, services and slices read and endpoints chosen; then the rules. */
  readonly view: number;
  readonly full: number;
  /** Milliseconds; the median. */
  readonly change: number;
  readonly megabytes: number;
}

function syncTimes(make: () => ProxyMode): SyncTimes {
  const views: number[] = [];
  const full: number[] = [];
  const changes: number[] = [];
  let megabytes = 0;
  for (let round = 0; round < 3; round++) {
    const lab = overlay(1);
    const node = nodeNet(lab, lab.nodes[0] as Netns);
    const { services, slices } = servicesOf(many, []);
    const mode = make();
    globalThis.gc?.();
    const started = performance.now();
    const view = [...viewOf(services, slices, { node: node.name })];
    views.push((performance.now() - started) / 1000);
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    const began = performance.now();
    mode.sync(view, node, "IPv4");
    full.push((performance.now() - began) / 1000);
    globalThis.gc?.();
    megabytes = (process.memoryUsage().heapUsed - before) / 1e6;
    for (let change = 0; change < 20; change++) changes.push(oneChange(mode, node, view, 137 * change + round));
  }
  return { view: Math.min(...views), full: Math.min(...full), change: median(changes), megabytes };
}

/** One Service loses an endpoint: milliseconds until its node's rules say so. */
function oneChange(mode: ProxyMode, node: NodeNet, view: ServicePort[], at: number): number {
  const port = view[at] as ServicePort;
  const endpoints = port.reachable.slice(1);
  view[at] = { ...port, cluster: endpoints, internal: endpoints, external: endpoints, reachable: endpoints };
  const began = performance.now();
  mode.sync(view, node, "IPv4");
  return performance.now() - began;
}

function clusterIp(service: number): string {
  return `10.${96 + (service >> 16)}.${(service >> 8) & 255}.${service & 255}`;
}

/** Services with a slice each, of addresses that nobody has; the last one's endpoints are the `real` ones, if there are. */
function servicesOf(
  count: number,
  real: readonly string[],
): { readonly services: readonly Kinds["Service"][]; readonly slices: readonly Kinds["EndpointSlice"][] } {
  const services: Kinds["Service"][] = [];
  const slices: Kinds["EndpointSlice"][] = [];
  for (let at = 0; at < count; at++) {
    const name = `svc-${String(at).padStart(5, "0")}`;
    const metadata = meta(name);
    const clusterIP = clusterIp(at);
    const ports = [{ name: "http", protocol: "TCP" as const, port: 80, targetPort: 80 }];
    services.push({
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { clusterIP, clusterIPs: [clusterIP], ports },
      status: {},
    });
    const fake = Array.from({ length: endpointsEach }, (_, each) => {
      const number = at * endpointsEach + each;
      return `10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
    });
    const addresses = at === count - 1 && real.length > 0 ? real : fake;
    slices.push({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...meta(`${name}-1`), labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", protocol: "TCP", port: 80 }],
      endpoints: addresses.map((ip) => ({ addresses: [ip], conditions: { ready: true, serving: true } })),
    });
  }
  return { services, slices };
}

function meta(name: string): Kinds["Service"]["metadata"] {
  return { namespace: "default", name, uid: name, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
}

/** A node of the little network as its kube-proxy knows it. */
function nodeNet({ sim, network }: Lab, netns: Netns): NodeNet {
  const ip = netns.device("eth0").writtenAddresses[0]?.ip ?? 0;
  const later = new Later(sim.clock, false, (look) => netns.defer(look));
  return { sim, network, name: netns.name, ip, ips: [ip], netns, files: new Files(sim.clock), podCidrs: [], later };
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
