/**
 * Owns the old Endpoints of Services with selectors: one object a Service, at most 1,000 addresses
 * (pkg/controller/endpoint).
 */
import type { Controller } from "../api/controller";
import { same } from "../api/equal";
import type { Draft, Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import type { Context } from "./context";
import { belongs, hasClusterIp, portsOf, setsHostname } from "./endpointslice/endpoint";
import { headlessLabel } from "./endpointslice/labels";
import { endpointsController as by } from "./names";
import { isReady } from "./pods";
import { ServiceSelectors, servicesOf } from "./selected";

type Pod = Kinds["Pod"];
type Subset = NonNullable<Kinds["Endpoints"]["subsets"]>[number];
type Address = NonNullable<Subset["addresses"]>[number];
type Port = NonNullable<Subset["ports"]>[number];

export const capacity = 1000;
const capacityAnnotation = "endpoints.kubernetes.io/over-capacity";
const managedByLabel = "endpoints.kubernetes.io/managed-by";

export function endpointsControllerOf({ store }: Context): Controller {
  const selectors = new ServiceSelectors(store);

  function reconcile(key: Key): undefined {
    const service = store.get("Service", key);
    if (!service) {
      if (store.get("Endpoints", key)?.metadata.labels?.[managedByLabel]) store.delete("Endpoints", key, by);
      return undefined;
    }
    if (service.spec.type === "ExternalName" || !service.spec.selector) return undefined;
    const namespace = service.metadata.namespace ?? "";
    const pods = store.list("Pod", { namespace, labels: service.spec.selector });
    const wanted = endpointsOf(service, pods);
    const now = store.get("Endpoints", key);
    if (!now) store.create("Endpoints", wanted, by);
    else if (!same(now.subsets, wanted.subsets) || !same(now.metadata.labels, wanted.metadata.labels)) {
      const { annotations: _old, ...rest } = now.metadata;
      const { labels, annotations } = wanted.metadata;
      const metadata = { ...rest, ...(labels && { labels }), ...(annotations && { annotations }) };
      store.update(
        "Endpoints",
        keyOf(now),
        ({ subsets: _gone, ...current }) => {
          return { ...current, ...(wanted.subsets && { subsets: wanted.subsets }), metadata };
        },
        by,
      );
    }
    return undefined;
  }

  return {
    name: by,
    watches: {
      Service: (key) => [key],
      Pod: (_key, now, before) => servicesOf(selectors, now, before),
      Endpoints: (key) => [key],
    },
    reconcile,
  };
}

/** The Endpoints of a Service: pure. */
export function endpointsOf(service: Kinds["Service"], pods: readonly Pod[]): Draft<"Endpoints"> {
  const { metadata, spec } = service;
  const family = spec.ipFamilies?.[0] ?? "IPv4";
  const entries = pods.flatMap((pod): readonly Entry[] => {
    if (!belongs(pod, Boolean(spec.publishNotReadyAddresses))) return [];
    const ip = pod.status.podIPs?.find((each) => each.ip?.includes(":") === (family === "IPv6"))?.ip;
    if (!ip) return [];
    const ready = Boolean(spec.publishNotReadyAddresses) || isReady(pod);
    const ports = portsOf(service, pod) as readonly Port[];
    if (ports.length === 0 && (spec.ports?.length ?? 0) > 0) return [];
    return [{ address: addressOf(service, pod, ip), ready, ports }];
  });
  const kept = truncated(entries);
  const subsets = repack(kept);
  const over = kept.length < entries.length;
  const labels = {
    ...metadata.labels,
    ...(!hasClusterIp(spec) && { [headlessLabel]: "" }),
    [managedByLabel]: "endpoint-controller",
  };
  return {
    kind: "Endpoints",
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace ?? "default",
      labels,
      ...(over && { annotations: { [capacityAnnotation]: "truncated" } }),
    },
    ...(subsets.length > 0 && { subsets }),
  };
}

interface Entry {
  readonly address: Address;
  readonly ready: boolean;
  readonly ports: readonly Port[];
}

function addressOf(service: Kinds["Service"], pod: Pod, ip: string): Address {
  return {
    ip,
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    ...(setsHostname(pod, service) && pod.spec.hostname && { hostname: pod.spec.hostname }),
    targetRef: { kind: "Pod", name: pod.metadata.name, namespace: pod.metadata.namespace ?? "", uid: pod.metadata.uid },
  };
}

/** Ready addresses first, up to the limit. */
function truncated(entries: readonly Entry[]): readonly Entry[] {
  if (entries.length <= capacity) return entries;
  return [...entries.filter(({ ready }) => ready), ...entries.filter(({ ready }) => !ready)].slice(0, capacity);
}

/** Ports with the same addresses share a subset (pkg/api/v1/endpoints: RepackSubsets). */
function repack(entries: readonly Entry[]): readonly Subset[] {
  const byPort = new Map<string, { readonly port: Port | undefined; readonly entries: Entry[] }>();
  for (const entry of entries) {
    const ports: readonly (Port | undefined)[] = entry.ports.length > 0 ? entry.ports : [undefined];
    for (const port of ports) {
      const hash = JSON.stringify(port ?? null);
      const known = byPort.get(hash) ?? { port, entries: [] };
      byPort.set(hash, known);
      known.entries.push(entry);
    }
  }
  const byAddresses = new Map<string, { readonly ports: Port[]; readonly entries: readonly Entry[] }>();
  for (const { port, entries: holders } of byPort.values()) {
    const hash = holders
      .map(({ address, ready }) => `${address.ip} ${ready}`)
      .sort()
      .join(",");
    const known = byAddresses.get(hash) ?? { ports: [], entries: holders };
    byAddresses.set(hash, known);
    if (port) known.ports.push(port);
  }
  return [...byAddresses.values()].map(({ ports, entries: holders }): Subset => {
    const sorted = [...holders].sort((a, b) => (a.address.ip < b.address.ip ? -1 : 1));
    const [ready, waiting] = [sorted.filter((e) => e.ready), sorted.filter((e) => !e.ready)];
    const bare = ports.map(({ name, ...port }) => (name ? { name, ...port } : port));
    return {
      ...(ready.length > 0 && { addresses: ready.map(({ address }) => address) }),
      ...(waiting.length > 0 && { notReadyAddresses: waiting.map(({ address }) => address) }),
      ...(bare.length > 0 && { ports: bare }),
    };
  });
}
