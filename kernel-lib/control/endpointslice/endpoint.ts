/**
 * Owns what one pod becomes in an EndpointSlice (staging/src/k8s.io/endpointslice/service.go,
 * util/controller_utils.go).
 */
import type { Kinds } from "../../api/kinds";
import { formatIp, parseIp } from "../../api/validation/ip";
import { findPort, hasEnded, isReady } from "../pods";

type Pod = Kinds["Pod"];
type Service = Kinds["Service"];
type Slice = Kinds["EndpointSlice"];

export type AddressType = "IPv4" | "IPv6";
export type Endpoint = Slice["endpoints"][number];
export type Port = NonNullable<Slice["ports"]>[number];

export const zoneLabel = "topology.kubernetes.io/zone";

/** Whether a pod is an endpoint at all: it has an address and has not ended. */
export function belongs(pod: Pod, includeTerminating: boolean): boolean {
  if (hasEnded(pod)) return false;
  if (!pod.status.podIP && !pod.status.podIPs?.length) return false;
  return includeTerminating || pod.metadata.deletionTimestamp === undefined;
}

/** The address types of a Service's slices; without families (an old object) they follow from its cluster IP. */
export function addressTypes({ spec }: Service): readonly AddressType[] {
  const families = (spec.ipFamilies ?? []).filter((f): f is AddressType => f === "IPv4" || f === "IPv6");
  if (families.length > 0) return [...new Set(families)];
  if (hasClusterIp(spec)) return [spec.clusterIP?.includes(":") ? "IPv6" : "IPv4"];
  return ["IPv4", "IPv6"];
}

export function hasClusterIp(spec: Service["spec"]): boolean {
  return spec.clusterIP !== undefined && spec.clusterIP !== "" && spec.clusterIP !== "None";
}

/**
 * A pod as an endpoint. `ready` is never true of a pod that is being deleted, `serving` says whether it still answers;
 * publishNotReadyAddresses makes every endpoint ready.
 */
export function endpointOf(pod: Pod, node: Kinds["Node"] | undefined, service: Service, type: AddressType): Endpoint {
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = Boolean(service.spec.publishNotReadyAddresses) || (serving && !terminating);
  const addresses = (pod.status.podIPs ?? []).flatMap(({ ip }) => {
    return ip && ip.includes(":") === (type === "IPv6") ? (canonicalIp(ip) ?? "<nil>") : [];
  });
  const zone = node?.metadata.labels?.[zoneLabel];
  return {
    addresses,
    conditions: { ready, serving, terminating },
    targetRef: {
      kind: "Pod",
      namespace: pod.metadata.namespace ?? "",
      name: pod.metadata.name,
      uid: pod.metadata.uid,
    },
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    ...(zone && { zone }),
    ...(setsHostname(pod, service) && pod.spec.hostname && { hostname: pod.spec.hostname }),
  };
}

const octet = "(?:0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])";
/** The common case, told without parsing. */
const canonicalIpv4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

/** An address as everybody writes it (RFC 5952); undefined if the text is none. Leading zeros are let pass, as upstream. */
export function canonicalIp(ip: string): string | undefined {
  if (canonicalIpv4.test(ip)) return ip;
  const parsed = parseIp(ip) ?? parseIp(ip.replace(/(^|\.)0+(?=\d)/g, "$1"));
  return parsed && formatIp(parsed.family, parsed.value);
}

/** A pod's hostname is published when its subdomain is the Service's name. */
export function setsHostname({ spec, metadata }: Pod, service: Service): boolean {
  const own = spec.subdomain === service.metadata.name && metadata.namespace === service.metadata.namespace;
  return Boolean(spec.hostname) && own;
}

/** The Service's ports with the numbers that this pod has for them; a name that the pod has not is left out. */
export function portsOf({ spec }: Service, pod: Pod): readonly Port[] {
  return portsWith(spec, numbersOf(spec, pod));
}

function numbersOf(spec: Service["spec"], pod: Pod): readonly (number | undefined)[] {
  return (spec.ports ?? []).map((port) => findPort(pod, port.targetPort, port.protocol));
}

function portsWith(spec: Service["spec"], numbers: readonly (number | undefined)[]): readonly Port[] {
  return (spec.ports ?? []).flatMap((port, at): readonly Port[] => {
    const number = numbers[at];
    if (number === undefined) return [];
    const { appProtocol } = port;
    const named = { name: port.name ?? "", port: number, protocol: port.protocol ?? "TCP" };
    return [{ ...named, ...(appProtocol !== undefined && { appProtocol }) }];
  });
}

/** The same for many pods of one Service: those with the same numbers get the same list. */
export class ServicePorts {
  readonly #spec: Service["spec"];
  readonly #known = new Map<string, readonly Port[]>();

  constructor({ spec }: Service) {
    this.#spec = spec;
  }

  of(pod: Pod): readonly Port[] {
    const numbers = numbersOf(this.#spec, pod);
    const key = numbers.join();
    const known = this.#known.get(key);
    if (known) return known;
    const ports = portsWith(this.#spec, numbers);
    this.#known.set(key, ports);
    return ports;
  }
}
