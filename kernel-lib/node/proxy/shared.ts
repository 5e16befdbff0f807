/** Owns the part of the view that is the same for all nodes: every service port with every endpoint, kept in step with the store. */
import type { Kinds } from "../../api/kinds";
import { type Key, keyFor, keyOf } from "../../api/meta";
import type { Store } from "../../api/store";
import type { Family } from "../../net/address";
import type { Clock, Time } from "../../sim/clock";
import { type SharedPort, serviceOf, servicePorts, sharedPorts, wrongAddresses } from "./view";

const none: readonly SharedPort[] = [];

/** A Service with its slices as they were at one moment; what a proxy should make of them is found when it is asked for. */
export class ServiceVersion {
  readonly #service: Kinds["Service"] | undefined;
  readonly #slices: readonly Kinds["EndpointSlice"][];
  readonly #ports = new Map<Family, readonly SharedPort[]>();

  /** @param at when it was so */
  constructor(
    readonly at: Time,
    service: Kinds["Service"] | undefined,
    slices: readonly Kinds["EndpointSlice"][],
  ) {
    this.#service = service;
    this.#slices = slices;
  }

  /** False: it has been deleted. */
  get there(): boolean {
    return this.#service !== undefined;
  }

  /** Its ports in an address family; none if it is gone. */
  ports(family: Family): readonly SharedPort[] {
    if (!this.#service) return none;
    const known = this.#ports.get(family);
    if (known) return known;
    const ports = sharedPorts(this.#service, this.#slices, family);
    this.#ports.set(family, ports);
    return ports;
  }

  /** Whether it has any; its endpoints are not looked at. */
  hasPorts(family: Family): boolean {
    return this.#service !== undefined && servicePorts(this.#service, family).length > 0;
  }

  /** What slices name that is no address of their family. */
  wrongAddresses(family: Family): readonly string[] {
    return wrongAddresses(this.#slices, family);
  }
}

/**
 * Service ports by Service, made when first asked for after a change, once for all nodes. A Service that did not
 * change keeps the same objects.
 */
export class SharedView {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #versions = new Map<Key, ServiceVersion>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    store.follow("Service", ({ key }) => this.#versions.delete(key));
    store.follow("EndpointSlice", ({ object, before }) => {
      for (const slice of [object, before]) {
        const service = slice && serviceOf(slice);
        if (service !== undefined) this.#versions.delete(service);
      }
    });
  }

  /** A Service (`namespace/name`) as it is now: the same object until it or a slice of it changes. */
  version(service: Key): ServiceVersion {
    const known = this.#versions.get(service);
    if (known) return known;
    const version = new ServiceVersion(this.#clock.now, this.#store.get("Service", service), this.#slices(service));
    this.#versions.set(service, version);
    return version;
  }

  /** The keys of all Services. */
  services(): readonly Key[] {
    return this.#store.list("Service").map(keyOf);
  }

  #slices(service: Key) {
    const slash = service.indexOf("/");
    const labels = { "kubernetes.io/service-name": service.slice(slash + 1) };
    const namespace = service.slice(0, slash);
    return this.#store
      .list("EndpointSlice", { namespace, labels })
      .filter((slice) => serviceOf(slice) === keyFor(namespace, service.slice(slash + 1)));
  }
}

const views = new WeakMap<Store, SharedView>();

/** The one shared view of a store. */
export function sharedViewOf(store: Store, clock: Clock): SharedView {
  const known = views.get(store);
  if (known) return known;
  const made = new SharedView(store, clock);
  views.set(store, made);
  return made;
}
