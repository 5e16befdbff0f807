/** Owns what the slices that mirror somebody's own Endpoints should be (pkg/controller/endpointslicemirroring). */
import { same } from "../../api/equal";
import type { Kinds } from "../../api/kinds";
import { type Labels, ownedBy } from "../../api/meta";
import { type AddressType, canonicalIp, type Endpoint, type Port } from "./endpoint";
import { managedByLabel, mirrorManagedBy, serviceNameLabel } from "./labels";
import { endpointHash, isUnchanged, type NewSlice, portHash, type Slice, slicePrefix } from "./slice";

type Endpoints = Kinds["Endpoints"];
type Subset = NonNullable<Endpoints["subsets"]>[number];
type Address = NonNullable<Subset["addresses"]>[number];

export interface MirrorWrites {
  readonly create: readonly NewSlice[];
  readonly update: readonly Slice[];
  readonly remove: readonly Slice[];
  /** Addresses that are none. */
  readonly invalid: number;
  /** Addresses that are not mirrored: invalid ones, and those beyond the most that a subset may have. */
  readonly skipped: number;
}

/** One slice to be: all addresses of one type that share their ports. */
interface Wanted {
  readonly type: AddressType;
  readonly ports: readonly Port[];
  readonly endpoints: Map<string, Endpoint>;
}

/** One slice a subset and address type; a slice that is no longer needed gives its name to one that is. */
export function mirrorSlices(endpoints: Endpoints, existing: readonly Slice[], most: number): MirrorWrites {
  const { wanted, invalid, skipped } = wantedOf(endpoints, most);
  const create: NewSlice[] = [];
  const update: Slice[] = [];
  const remove = existing.filter((slice) => !wanted.has(keyOf(slice.addressType as AddressType, slice.ports ?? [])));
  for (const [key, { type, ports, endpoints: set }] of wanted) {
    const slices = existing.filter((slice) => keyOf(slice.addressType as AddressType, slice.ports ?? []) === key);
    const [first, ...others] = slices;
    remove.push(...(set.size === 0 ? slices : others));
    if (set.size === 0 || (first && isCurrent(endpoints, first, set))) continue;
    const slice = newMirror(endpoints, ports, type, [...set.values()].slice(0, most));
    if (first) update.push(named(slice, first));
    else create.push(slice);
  }
  for (const slice of [...create]) {
    const at = remove.findIndex(({ addressType }) => addressType === slice.addressType);
    if (at < 0) continue;
    const [recycled] = remove.splice(at, 1);
    create.splice(create.indexOf(slice), 1);
    if (recycled) update.push(named(slice, recycled));
  }
  return { create, update, remove, invalid, skipped };
}

function keyOf(type: AddressType, ports: readonly Port[]): string {
  return `${type} ${portHash(ports)}`;
}

function wantedOf({ subsets = [] }: Endpoints, most: number) {
  const wanted = new Map<string, Wanted>();
  let [invalid, skipped] = [0, 0];
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const own = ports.map((port): Port => ({ ...port, name: port.name ?? "", protocol: port.protocol ?? "TCP" }));
    const byType = (type: AddressType): Wanted => {
      const key = keyOf(type, own);
      const known = wanted.get(key) ?? { type, ports: own, endpoints: new Map<string, Endpoint>() };
      wanted.set(key, known);
      return known;
    };
    const targets = { IPv4: byType("IPv4"), IPv6: byType("IPv6") };
    const all = [
      ...addresses.map((address) => ({ address, ready: true })),
      ...notReadyAddresses.map((address) => ({ address, ready: false })),
    ];
    let added = 0;
    for (const { address, ready } of all) {
      if (added >= most) break;
      const endpoint = endpointOf(address, ready);
      if (!endpoint) {
        invalid++;
        continue;
      }
      const target = targets[endpoint.addresses[0]?.includes(":") ? "IPv6" : "IPv4"];
      target.endpoints.set(endpointHash(endpoint), endpoint);
      added++;
    }
    skipped += all.length - added;
  }
  return { wanted, invalid, skipped };
}

/** An address says only whether it is ready, so its endpoint does too. */
function endpointOf({ ip, hostname, nodeName, targetRef }: Address, ready: boolean): Endpoint | undefined {
  const address = canonicalIp(ip);
  if (address === undefined) return undefined;
  return {
    addresses: [address],
    conditions: { ready },
    ...(targetRef && { targetRef }),
    ...(nodeName !== undefined && { nodeName }),
    ...(hostname && { hostname }),
  };
}

/** Annotations that are about the Endpoints themselves. */
const ownAnnotations = [
  "endpoints.kubernetes.io/last-change-trigger-time",
  "kubectl.kubernetes.io/last-applied-configuration",
];

function without(pairs: Labels | undefined, keys: readonly string[]): Labels {
  return Object.fromEntries(Object.entries(pairs ?? {}).filter(([key]) => !keys.includes(key)));
}

function isCurrent(endpoints: Endpoints, slice: Slice, wanted: ReadonlyMap<string, Endpoint>): boolean {
  const held = slice.endpoints ?? [];
  if (held.length !== wanted.size) return false;
  const unchanged = held.every((endpoint) => {
    const now = wanted.get(endpointHash(endpoint));
    return now !== undefined && isUnchanged(now, endpoint);
  });
  const { labels, annotations } = slice.metadata;
  return (
    unchanged &&
    same(endpoints.metadata.labels ?? {}, without(labels, [managedByLabel, serviceNameLabel])) &&
    same(without(endpoints.metadata.annotations, ownAnnotations), annotations ?? {})
  );
}

function newMirror(
  endpoints: Endpoints,
  ports: readonly Port[],
  type: AddressType,
  list: readonly Endpoint[],
): NewSlice {
  const { name, namespace, labels } = endpoints.metadata;
  const annotations = without(endpoints.metadata.annotations, ownAnnotations);
  return {
    kind: "EndpointSlice",
    metadata: {
      generateName: slicePrefix(name),
      namespace: namespace ?? "default",
      labels: { ...labels, [serviceNameLabel]: name, [managedByLabel]: mirrorManagedBy },
      ...(Object.keys(annotations).length > 0 && { annotations }),
      ownerReferences: [ownedBy(endpoints)],
    },
    addressType: type,
    endpoints: list,
    ports,
  };
}

/** A new slice in the place of one that is there. */
function named(slice: NewSlice, old: Slice): Slice {
  const { generateName: _name, ...metadata } = slice.metadata;
  const { labels: _labels, annotations: _annotations, ownerReferences: _owners, ...kept } = old.metadata;
  return { ...old, ports: slice.ports ?? [], endpoints: slice.endpoints, metadata: { ...kept, ...metadata } };
}
