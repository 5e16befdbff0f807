/** Owns what stands behind a name of the cluster: the Services, endpoints and pods that it names (kubernetes.go, parse.go). */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import { tryParseIp } from "../net/address";

/** How the plugin is set up in the Corefile. */
export interface ZoneOptions {
  readonly store: Store;
  /** Each with its last dot. */
  readonly zones: readonly string[];
  /** insecure: a pod's name is answered without asking whether there is such a pod. */
  readonly pods: "insecure" | "verified" | "disabled";
  /** Seconds. */
  readonly ttl: number;
  /** Zones whose unknown names the next plugin answers. */
  readonly fallthrough: readonly string[];
  /** Only these, if given. */
  readonly namespaces?: readonly string[];
}

/** One address, or another name, that a name leads to. */
export type Entry =
  | {
      readonly kind: "address";
      readonly host: string;
      /** Undefined: a Service without ports. */
      readonly port: number | undefined;
      /** The name that is this one's own. */
      readonly key: string;
    }
  | { readonly kind: "alias"; readonly host: string };

type Service = Kinds["Service"];

/** All that a name stands for; undefined: there is no such name. An empty list: it has nothing of its own. */
export function backendOf(options: ZoneOptions, zone: string, name: string): readonly Entry[] | undefined {
  const before = name === zone ? "" : name.slice(0, -zone.length - 1);
  if (before === "" || before === "svc" || before === "pod") return [];
  if (before === "ns.dns") return ownAddresses(options, name);
  const labels = before.split(".").reverse();
  const [kind, namespace, what, ...rest] = labels;
  if ((kind !== "svc" && kind !== "pod") || rest.length > 2) return undefined;
  if (namespace === undefined || !isExposed(options, namespace)) return undefined;
  if (what === undefined) return [];
  if (kind === "pod") return podEntries(options, zone, namespace, what);
  const service = options.store.get("Service", `${namespace}/${what}`);
  if (!service) return undefined;
  const [first, second] = rest;
  const endpoint = rest.length === 1 ? first : undefined;
  const bare = (label: string | undefined): string | undefined => label?.replace(/^_/, "");
  const port = rest.length === 2 ? { protocol: bare(first) ?? "", name: bare(second) ?? "" } : undefined;
  return serviceEntries(options, zone, service, endpoint, port);
}

/** The namespace is there, and the plugin may speak of it. */
function isExposed({ store, namespaces }: ZoneOptions, namespace: string): boolean {
  if (namespaces && !namespaces.includes(namespace)) return false;
  return store.get("Namespace", namespace) !== undefined || store.list("Service", { namespace }).length > 0;
}

function ownAddresses({ store }: ZoneOptions, name: string): readonly Entry[] {
  const ips = store.get("Service", "kube-system/kube-dns")?.spec.clusterIPs ?? [];
  return ips.map((host) => ({ kind: "address", host, port: undefined, key: name }));
}

/** `10-244-1-2.default.pod.cluster.local`. */
function podEntries(
  { store, pods }: ZoneOptions,
  zone: string,
  namespace: string,
  label: string,
): readonly Entry[] | undefined {
  if (pods === "disabled") return undefined;
  const isIpv4 = label.split("-").length === 4 && !label.includes("--");
  const host = label.replaceAll("-", isIpv4 ? "." : ":");
  if (tryParseIp(host) === undefined) return undefined;
  const there = pods === "insecure" || store.list("Pod", { namespace }).some(({ status }) => status.podIP === host);
  return there ? [{ kind: "address", host, port: undefined, key: `${label}.${namespace}.pod.${zone}` }] : undefined;
}

function serviceEntries(
  { store }: ZoneOptions,
  zone: string,
  service: Service,
  endpoint: string | undefined,
  port: { readonly name: string; readonly protocol: string } | undefined,
): readonly Entry[] | undefined {
  const { spec, metadata } = service;
  if (spec.type === "ExternalName") {
    const host = spec.externalName ?? "";
    return endpoint !== undefined || tryParseIp(host) !== undefined ? undefined : [{ kind: "alias", host }];
  }
  const fits = (one: { readonly name?: string | undefined; readonly protocol?: string | undefined }): boolean =>
    !port || ((one.name ?? "").toLowerCase() === port.name && (one.protocol ?? "TCP").toLowerCase() === port.protocol);
  const own = `${metadata.name}.${metadata.namespace}.svc.${zone}`;
  const found: Entry[] = [];
  if (spec.clusterIP === "None" || endpoint !== undefined) {
    const labels = { "kubernetes.io/service-name": metadata.name };
    for (const slice of store.list("EndpointSlice", { namespace: metadata.namespace ?? "default", labels })) {
      const ports = slice.ports?.length ? slice.ports.filter(fits).map((one) => one.port) : port ? [] : [undefined];
      for (const { addresses, conditions, hostname } of slice.endpoints ?? []) {
        if (conditions?.ready === false) continue;
        for (const host of addresses) {
          const label = hostname ?? host.replace(/[.:]/g, "-");
          if (endpoint !== undefined && label.toLowerCase() !== endpoint) continue;
          for (const one of ports) found.push({ kind: "address", host, port: one, key: `${label}.${own}` });
        }
      }
    }
    return found.length > 0 ? found : undefined;
  }
  const ips = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []);
  const ports = spec.ports?.length ? spec.ports.filter(fits).map((one) => one.port) : port ? [] : [undefined];
  for (const one of ports) for (const host of ips) found.push({ kind: "address", host, port: one, key: own });
  return ports.length > 0 ? found : undefined;
}
