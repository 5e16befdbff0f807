/** Owns the decision which slices to write: a pure function of Service, pods, nodes and the slices there are. */
import { same } from "../../api/equal";
import type { Draft, Kinds } from "../../api/kinds";
import { ownedBy } from "../../api/meta";
import { type AddressType, addressTypes, belongs, type Endpoint, endpointOf, type Port, portsOf } from "./endpoint";
import { sliceLabels } from "./labels";
import { packSlices } from "./packing";

type Pod = Kinds["Pod"];
type Service = Kinds["Service"];
type Slice = Kinds["EndpointSlice"];
export type NewSlice = Draft<"EndpointSlice">;

export interface SliceOptions {
  readonly controller: string;
  readonly maxEndpointsPerSlice: number;
  /** RFC 3339: when the change happened that these writes answer to. */
  readonly trigger?: string;
}

export interface SliceWrites {
  readonly create: readonly NewSlice[];
  readonly update: readonly Slice[];
  readonly remove: readonly Slice[];
  /** Pods that had to be left out: their node is not known (yet). */
  readonly errors: readonly string[];
}

/** Ports and endpoints that belong together: pods whose named ports have other numbers are another group. */
export interface Group {
  readonly ports: readonly Port[];
  readonly endpoints: Map<string, Endpoint>;
}

/** What must be written so that the slices say which pods the Service has (reconciler.go: Reconcile). */
export function reconcileSlices(
  service: Service,
  pods: readonly Pod[],
  nodes: (name: string) => Kinds["Node"] | undefined,
  existing: readonly Slice[],
  options: SliceOptions,
): SliceWrites {
  const types = addressTypes(service);
  const foreign = existing.filter(({ addressType }) => !types.includes(addressType as AddressType));
  const parts = types.map((type) => {
    const slices = existing.filter(({ addressType }) => addressType === type);
    return reconcileType(service, pods, nodes, slices, type, options);
  });
  return {
    create: parts.flatMap(({ create }) => create),
    update: parts.flatMap(({ update }) => update),
    remove: [...parts.flatMap(({ remove }) => remove), ...foreign],
    errors: [...new Set(parts.flatMap(({ errors }) => errors))],
  };
}

function reconcileType(
  service: Service,
  pods: readonly Pod[],
  nodes: (name: string) => Kinds["Node"] | undefined,
  existing: readonly Slice[],
  type: AddressType,
  options: SliceOptions,
): SliceWrites {
  const mine = existing.filter((slice) => isOwned(slice, service));
  const remove = existing.filter((slice) => !isOwned(slice, service));
  const { groups, errors } = desired(service, pods, nodes, type);
  const create: NewSlice[] = [];
  const update: Slice[] = [];
  for (const [hash, group] of groups) {
    const slices = mine.filter((slice) => portHash(slice.ports ?? []) === hash);
    const make = (): NewSlice => newSlice(service, group.ports, type, options.controller);
    const packed = packSlices(service, slices, group, make, options);
    create.push(...packed.create);
    update.push(...packed.update);
    remove.push(...packed.remove);
  }
  remove.push(...mine.filter((slice) => !groups.has(portHash(slice.ports ?? []))));
  if (existing.length === remove.length && create.length === 0) {
    const placeholder = newSlice(service, [], type, options.controller);
    const only = remove[0];
    if (remove.length === 1 && only && isPlaceholder(only, placeholder)) remove.length = 0;
    else create.push(placeholder);
  }
  return finish(service, { create, update, remove, errors }, options);
}

/** The pods as endpoints, grouped by their ports. */
function desired(
  service: Service,
  pods: readonly Pod[],
  nodes: (name: string) => Kinds["Node"] | undefined,
  type: AddressType,
): { readonly groups: ReadonlyMap<string, Group>; readonly errors: readonly string[] } {
  const groups = new Map<string, Group>();
  const errors: string[] = [];
  for (const pod of pods) {
    if (!belongs(pod, true)) continue;
    const ports = portsOf(service, pod);
    const hash = portHash(ports);
    const group = groups.get(hash) ?? { ports, endpoints: new Map<string, Endpoint>() };
    groups.set(hash, group);
    const node = nodes(pod.spec.nodeName ?? "");
    if (!node && !service.spec.publishNotReadyAddresses) {
      const about = `${service.metadata.namespace}/${service.metadata.name}`;
      errors.push(`skipping Pod ${pod.metadata.name} for Service ${about}: Node ${pod.spec.nodeName} Not Found`);
      continue;
    }
    const endpoint = endpointOf(pod, node, service, type);
    if (endpoint.addresses.length > 0) group.endpoints.set(endpointHash(endpoint), endpoint);
  }
  return { groups, errors };
}

/** Endpoints with the same hash are the same one, in another state (util/endpointset.go). */
export function endpointHash({ addresses, hostname, targetRef }: Endpoint): string {
  return `${[...addresses].sort().join(",")} ${hostname ?? ""} ${targetRef?.namespace ?? ""}/${targetRef?.name ?? ""}`;
}

export function portHash(ports: readonly Port[]): string {
  const texts = ports.map(({ name, port, protocol, appProtocol }) =>
    JSON.stringify([name, port, protocol, appProtocol]),
  );
  return texts.sort().join(" ");
}

export function newSlice(service: Service, ports: readonly Port[], type: AddressType, controller: string): NewSlice {
  const { metadata } = service;
  const { labels } = sliceLabels({ metadata: {} }, service, controller);
  return {
    kind: "EndpointSlice",
    metadata: {
      generateName: metadata.name.length > 57 ? `${metadata.name.slice(0, 57)}-` : `${metadata.name}-`,
      namespace: metadata.namespace ?? "default",
      labels,
      ownerReferences: [{ ...ownedBy(service), apiVersion: "v1", kind: "Service" }],
    },
    addressType: type,
    endpoints: [],
    ports,
  };
}

function isOwned(slice: Slice, service: Service): boolean {
  return (
    slice.metadata.ownerReferences?.some(({ kind, uid }) => kind === "Service" && uid === service.metadata.uid) ?? false
  );
}

function isPlaceholder(slice: Slice, placeholder: NewSlice): boolean {
  return (
    (slice.endpoints ?? []).length === 0 &&
    (slice.ports ?? []).length === 0 &&
    slice.addressType === placeholder.addressType &&
    same(slice.metadata.labels, placeholder.metadata.labels)
  );
}

const triggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

/** A slice to create takes the name of one to delete: one write instead of two. Then all get the trigger time. */
function finish(service: Service, writes: SliceWrites, { trigger }: SliceOptions): SliceWrites {
  const create = [...writes.create];
  const update = [...writes.update];
  const remove = writes.remove.filter((slice) => {
    const last = create[create.length - 1];
    if (!last || slice.addressType !== last.addressType || !isOwned(slice, service)) return true;
    create.pop();
    const { generateName: _name, ...metadata } = last.metadata;
    update.push({
      ...slice,
      ports: last.ports ?? [],
      endpoints: last.endpoints,
      metadata: { ...slice.metadata, ...metadata },
    });
    return false;
  });
  const stamped = <T extends { readonly metadata: NewSlice["metadata"] }>(slice: T): T => {
    const { [triggerAnnotation]: _old, ...rest } = slice.metadata.annotations ?? {};
    const annotations = trigger === undefined ? rest : { ...rest, [triggerAnnotation]: trigger };
    const { annotations: _gone, ...metadata } = slice.metadata;
    return { ...slice, metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) } };
  };
  const ending = service.metadata.deletionTimestamp !== undefined;
  return { ...writes, create: ending ? [] : create.map(stamped), update: update.map(stamped), remove };
}
