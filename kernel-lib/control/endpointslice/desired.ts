/** Owns what a Service's slices should hold: its pods as endpoints, in groups that have the same ports. */
import type { Kinds } from "../../api/kinds";
import { type Key, keyOf } from "../../api/meta";
import {
  type AddressType,
  addressTypes,
  belongs,
  type Endpoint,
  endpointOf,
  type Port,
  ServicePorts,
} from "./endpoint";
import { endpointHash, portHash } from "./slice";

type Pod = Kinds["Pod"];
type Service = Kinds["Service"];
export type NodeOf = (name: string) => Kinds["Node"] | undefined;

/** What one pod is to a Service: an endpoint of each address type, or an error where its node is not known. */
export interface Member {
  readonly hash: string;
  readonly ports: readonly Port[];
  readonly endpoints: ReadonlyMap<AddressType, Endpoint>;
  readonly error?: string;
}

/** Pods with the same ports: each address type has its endpoints by hash. */
export interface Group {
  readonly ports: readonly Port[];
  readonly endpoints: ReadonlyMap<AddressType, Map<string, Endpoint>>;
  /** How many pods; one that is left out for its node counts too. */
  pods: number;
}

/** The pods of a Service by group, kept up to date pod by pod. */
export class Desired {
  readonly types: readonly AddressType[];
  readonly groups = new Map<string, Group>();
  readonly #members = new Map<Key, Member>();
  readonly #ports: ServicePorts;

  constructor(
    readonly service: Service,
    readonly nodes: NodeOf,
    pods: readonly Pod[],
  ) {
    this.types = addressTypes(service);
    this.#ports = new ServicePorts(service);
    for (const pod of pods) this.set(keyOf(pod), pod);
  }

  /** Pods that had to be left out: their node is not known (yet). */
  get errors(): readonly string[] {
    return [...this.#members.values()].flatMap(({ error }) => error ?? []);
  }

  get(pod: Key): Member | undefined {
    return this.#members.get(pod);
  }

  /** Puts a pod as it is now into its group, or takes it out. */
  set(key: Key, pod: Pod | undefined): Member | undefined {
    const before = this.#members.get(key);
    if (before) this.#leave(before);
    const member = pod && belongs(pod, true) ? this.#memberOf(pod) : undefined;
    if (!member) {
      this.#members.delete(key);
      return undefined;
    }
    this.#members.set(key, member);
    const group = this.groups.get(member.hash) ?? this.#newGroup(member);
    group.pods++;
    for (const [type, endpoint] of member.endpoints) group.endpoints.get(type)?.set(endpointHash(endpoint), endpoint);
    return member;
  }

  #leave(member: Member): void {
    const group = this.groups.get(member.hash);
    if (!group) return;
    group.pods--;
    if (group.pods === 0) this.groups.delete(member.hash);
    for (const [type, endpoint] of member.endpoints) group.endpoints.get(type)?.delete(endpointHash(endpoint));
  }

  #newGroup({ hash, ports }: Member): Group {
    const group = { ports, endpoints: new Map(this.types.map((type) => [type, new Map<string, Endpoint>()])), pods: 0 };
    this.groups.set(hash, group);
    return group;
  }

  #memberOf(pod: Pod): Member {
    const ports = this.#ports.of(pod);
    const hash = portHash(ports);
    const node = this.nodes(pod.spec.nodeName ?? "");
    const { metadata, spec } = this.service;
    if (!node && !spec.publishNotReadyAddresses) {
      const about = `${metadata.namespace}/${metadata.name}`;
      const error = `skipping Pod ${pod.metadata.name} for Service ${about}: Node ${pod.spec.nodeName} Not Found`;
      return { hash, ports, endpoints: new Map(), error };
    }
    const endpoints = new Map<AddressType, Endpoint>();
    for (const type of this.types) {
      const endpoint = endpointOf(pod, node, this.service, type);
      if (endpoint.addresses.length > 0) endpoints.set(type, endpoint);
    }
    return { hash, ports, endpoints };
  }
}
