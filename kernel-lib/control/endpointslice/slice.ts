/** Owns what a slice is to its controllers: a new one, whose it is, and when two endpoints or port lists are the same. */
import { same } from "../../api/equal";
import type { Draft, Kinds } from "../../api/kinds";
import { ownedBy } from "../../api/meta";
import type { AddressType, Endpoint, Port } from "./endpoint";
import { sliceLabels } from "./labels";

type Service = Kinds["Service"];
export type Slice = Kinds["EndpointSlice"];
export type NewSlice = Draft<"EndpointSlice">;

const endpointHashes = new WeakMap<Endpoint, string>();

/** Endpoints with the same hash are the same one, in another state (util/endpointset.go). */
export function endpointHash(endpoint: Endpoint): string {
  const known = endpointHashes.get(endpoint);
  if (known !== undefined) return known;
  const { addresses, hostname, targetRef } = endpoint;
  const ips = addresses.length === 1 ? addresses[0] : [...addresses].sort().join(",");
  const hash = `${ips} ${hostname ?? ""} ${targetRef?.namespace ?? ""}/${targetRef?.name ?? ""}`;
  endpointHashes.set(endpoint, hash);
  return hash;
}

/** All of a reference but its resourceVersion. */
const refFields = ["kind", "namespace", "name", "uid", "apiVersion", "fieldPath"] as const;

/** Whether an endpoint is still as it was, hints aside (EndpointsEqualBeyondHash). */
export function isUnchanged(one: Endpoint, other: Endpoint): boolean {
  if (one === other) return true;
  if (one.nodeName !== other.nodeName || one.zone !== other.zone) return false;
  const [a, b] = [one.conditions, other.conditions];
  if (a?.ready !== b?.ready || a?.serving !== b?.serving || a?.terminating !== b?.terminating) return false;
  const [ref, otherRef] = [one.targetRef, other.targetRef];
  if (ref === otherRef) return true;
  return refFields.every((field) => ref?.[field] === otherRef?.[field]);
}

const portHashes = new WeakMap<readonly Port[], string>();

/** Slices hold endpoints with the same ports only: this text is the same for the same ports in any order. */
export function portHash(ports: readonly Port[]): string {
  const known = portHashes.get(ports);
  if (known !== undefined) return known;
  const texts = ports.map(({ name, port, protocol, appProtocol }) =>
    JSON.stringify([name, port, protocol, appProtocol]),
  );
  const hash = texts.sort().join(" ");
  portHashes.set(ports, hash);
  return hash;
}

/** The longest name of which a generated one can be made with a dash (NameIsDNSSubdomain of the prefix). */
const longestPrefix = 252;

/** `my-nginx-`: what the names of a Service's slices begin with. */
export function slicePrefix(service: string): string {
  return service.length > longestPrefix ? service : `${service}-`;
}

/** An empty slice of a Service, as it is sent to the API. */
export function newSlice(service: Service, ports: readonly Port[], type: AddressType, controller: string): NewSlice {
  const { metadata } = service;
  return {
    kind: "EndpointSlice",
    metadata: {
      generateName: slicePrefix(metadata.name),
      namespace: metadata.namespace ?? "default",
      labels: sliceLabels({ metadata: {} }, service, controller).labels,
      ownerReferences: [{ ...ownedBy(service), apiVersion: "v1", kind: "Service" }],
    },
    addressType: type,
    endpoints: [],
    ports,
  };
}

/** Whether a slice belongs to this very Service, not to one of the same name before it. */
export function isOwned(slice: Slice, service: Service): boolean {
  const owners = slice.metadata.ownerReferences ?? [];
  return owners.some(({ apiVersion, kind, uid }) => {
    return kind === "Service" && apiVersion === "v1" && uid === service.metadata.uid;
  });
}

/** Whether a slice is just what an empty one would be. */
export function isPlaceholder(slice: Slice, placeholder: NewSlice): boolean {
  return (
    (slice.endpoints ?? []).length === 0 &&
    (slice.ports ?? []).length === 0 &&
    slice.addressType === placeholder.addressType &&
    same(slice.metadata.labels, placeholder.metadata.labels)
  );
}
