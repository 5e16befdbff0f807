/** Owns EndpointSlices made of Endpoints, for a dump that has only the older kind. */
import type { Kinds } from "../../api/kinds";
import type { Family } from "../../net/address";
import type { ClusterObjects } from "./objects";

/** Slices for Services that have none, but have Endpoints. */
export function slicesOfEndpoints(
  { services, slices, endpoints }: ClusterObjects,
  notes: string[],
): readonly Kinds["EndpointSlice"][] {
  const key = ({ namespace, name }: { readonly namespace?: string; readonly name: string }): string =>
    `${namespace}/${name}`;
  const sliced = new Set(
    slices.map(({ metadata }) => `${metadata.namespace}/${metadata.labels?.["kubernetes.io/service-name"]}`),
  );
  const known = new Set(services.map(({ metadata }) => key(metadata)));
  const used = endpoints.filter(({ metadata }) => known.has(key(metadata)) && !sliced.has(key(metadata)));
  if (used.length > 0) notes.push(`${used.length} Services have Endpoints but no EndpointSlices: read from Endpoints`);
  return used.flatMap((one) => (["IPv4", "IPv6"] as const).flatMap((family) => slicesIn(one, family)));
}

type Subset = NonNullable<Kinds["Endpoints"]["subsets"]>[number];

function slicesIn({ metadata, subsets = [] }: Kinds["Endpoints"], family: Family): readonly Kinds["EndpointSlice"][] {
  return subsets.flatMap(({ addresses, notReadyAddresses, ports }, at) => {
    const of = (list: Subset["addresses"], ready: boolean) =>
      (list ?? [])
        .filter(({ ip }) => ip.includes(":") === (family === "IPv6"))
        .map(({ ip, nodeName, targetRef }) => ({
          addresses: [ip],
          conditions: { ready, serving: ready, terminating: false },
          ...(nodeName !== undefined && { nodeName }),
          ...(targetRef && { targetRef }),
        }));
    const endpoints = [...of(addresses, true), ...of(notReadyAddresses, false)];
    if (endpoints.length === 0) return [];
    const name = `${metadata.name}-${family.toLowerCase()}-${at}`;
    const labels = { "kubernetes.io/service-name": metadata.name };
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, namespace: metadata.namespace, labels },
      addressType: family,
      ports: ports ?? [],
      endpoints,
    };
    return [slice as unknown as Kinds["EndpointSlice"]];
  });
}
