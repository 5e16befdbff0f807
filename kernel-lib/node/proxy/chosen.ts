/** Owns what one node does for Services in one address family: the endpoints it chose, kept while nothing changes. */
import { same } from "../../api/equal";
import type { Key } from "../../api/meta";
import type { Family } from "../../net/address";
import type { HeardView } from "./heard";
import type { ServiceVersion } from "./shared";
import type { Place } from "./topology";
import { byName, type ServicePort, type SharedPort, servicePortOn } from "./view";

interface Chosen {
  readonly version: ServiceVersion | undefined;
  readonly from: readonly SharedPort[];
  readonly ports: readonly ServicePort[];
}

/** The node's view: made anew only for Services that changed, so that a port that did not is the same object. */
export class ChosenView {
  readonly family: Family;
  readonly #heard: HeardView;
  readonly #chosen = new Map<Key, Chosen>();
  /** The keys of `#chosen`, sorted, but for those that came since; undefined after one has gone. */
  #order: readonly Key[] | undefined = [];
  #came: Key[] = [];

  constructor(heard: HeardView, family: Family) {
    this.#heard = heard;
    this.family = family;
  }

  /** Whether a Service is now other than when endpoints were chosen for it; its endpoints are not looked at. */
  isOld(service: Key): boolean {
    const known = this.#chosen.get(service);
    return known ? known.version !== this.#heard.version(service) : this.#heard.hasPorts(service, this.family);
  }

  /** Chooses endpoints for a Service again. */
  choose(service: Key, place: Place): void {
    const version = this.#heard.version(service);
    const known = this.#chosen.get(service);
    if (known && known.version === version) return;
    const from = this.#heard.ports(service, this.family);
    if (from.length === 0) {
      if (this.#chosen.delete(service)) this.#order = undefined;
      return;
    }
    if (!known) this.#came.push(service);
    const before = new Map(known?.ports.map((port) => [port.name + port.protocol, port]));
    const ports = from.map((port) => {
      const made = servicePortOn(place, port);
      const old = before.get(made.name + made.protocol);
      // A port of a changed Service that means the same for this node stays the same: a new annotation changes no rule.
      return old && same(old, made) ? old : made;
    });
    this.#chosen.set(service, { version, from, ports: ports.sort(byName) });
  }

  /** Everything is to be chosen again: the node stands elsewhere now. */
  clear(): void {
    this.#chosen.clear();
    this.#order = undefined;
  }

  /** Of one Service. */
  portsOf(service: Key): readonly ServicePort[] {
    return this.#chosen.get(service)?.ports ?? [];
  }

  /** Every endpoint of one Service, whether this node uses it or not. */
  sharedOf(service: Key): readonly SharedPort[] {
    return this.#chosen.get(service)?.from ?? [];
  }

  /** The Services that have ports in this family, by name. */
  services(): readonly Key[] {
    if (!this.#order) this.#order = [...this.#chosen.keys()].sort();
    else if (this.#came.length > 0) this.#order = merged(this.#order, this.#came.sort());
    this.#came = [];
    return this.#order;
  }

  /** All of it, by the name of the service port. */
  ports(): readonly ServicePort[] {
    const all: ServicePort[] = [];
    for (const service of this.services()) for (const port of this.portsOf(service)) all.push(port);
    return all;
  }
}

/** Two sorted lists as one: of ten thousand Services a few come between two syncs. */
function merged(one: readonly Key[], other: readonly Key[]): readonly Key[] {
  const all: Key[] = [];
  let at = 0;
  for (const key of one) {
    while (at < other.length && (other[at] as Key) < key) all.push(other[at++] as Key);
    all.push(key);
  }
  while (at < other.length) all.push(other[at++] as Key);
  return all;
}
