/** Owns the part of the view that is the same for all nodes: every service port with every endpoint, kept in step with the store. */
import { type Key, keyFor, keyOf } from "../../api/meta";
import type { Store } from "../../api/store";
import type { Family } from "../../net/address";
import { type SharedPort, serviceOf, sharedPorts, wrongAddresses } from "./view";

const none: readonly SharedPort[] = [];

/**
 * Service ports by Service, made when first asked for after a change, once for all nodes. A Service that did not
 * change keeps the same objects.
 */
export class SharedView {
  readonly #store: Store;
  readonly #ports = { IPv4: new Map<Key, readonly SharedPort[]>(), IPv6: new Map<Key, readonly SharedPort[]>() };

  constructor(store: Store) {
    this.#store = store;
    store.follow("Service", ({ key }) => this.#forget(key));
    store.follow("EndpointSlice", ({ object, before }) => {
      for (const slice of [object, before]) {
        const service = slice && serviceOf(slice);
        if (service !== undefined) this.#forget(service);
      }
    });
  }

  /** The ports of one Service (`namespace/name`) in an address family; none if it is gone. */
  ports(service: Key, family: Family = "IPv4"): readonly SharedPort[] {
    const known = this.#ports[family].get(service);
    if (known) return known;
    const object = this.#store.get("Service", service);
    if (!object) return none;
    const ports = sharedPorts(object, this.#slices(service), family);
    this.#ports[family].set(service, ports);
    return ports;
  }

  /** What slices of a Service name that is no address of their family. */
  wrongAddresses(service: Key, family: Family): readonly string[] {
    return wrongAddresses(this.#slices(service), family);
  }

  #forget(service: Key): void {
    this.#ports.IPv4.delete(service);
    this.#ports.IPv6.delete(service);
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
export function sharedViewOf(store: Store): SharedView {
  const known = views.get(store);
  if (known) return known;
  const made = new SharedView(store);
  views.set(store, made);
  return made;
}
