/** Owns what one kube-proxy has heard of so far: Services as they were when the news of them that has come was sent. */
import type { Key } from "../../api/meta";
import type { Family } from "../../net/address";
import type { Time } from "../../sim/clock";
import type { ServiceVersion, SharedView } from "./shared";
import type { SharedPort } from "./view";

const none: readonly SharedPort[] = [];

export class HeardView {
  readonly #shared: SharedView;
  readonly #known = new Map<Key, ServiceVersion>();
  /** The newest news that is on its way. */
  readonly #coming = new Map<Key, ServiceVersion>();

  constructor(shared: SharedView) {
    this.#shared = shared;
  }

  /** One Service as it is known here: another object whenever anything of it has changed. */
  version(service: Key): ServiceVersion | undefined {
    return this.#known.get(service);
  }

  /** The ports of one Service, as far as is known here. */
  ports(service: Key, family: Family): readonly SharedPort[] {
    return this.#known.get(service)?.ports(family) ?? none;
  }

  /** Whether one Service has ports, as far as is known here. */
  hasPorts(service: Key, family: Family): boolean {
    return this.#known.get(service)?.hasPorts(family) ?? false;
  }

  /** When Services were as they are known here; those that are gone are left out. */
  asOf(services: readonly Key[]): Readonly<Record<Key, Time>> {
    const moments = services.flatMap((service) => {
      const at = this.#known.get(service)?.at;
      return at === undefined ? [] : [[service, at] as const];
    });
    return Object.fromEntries(moments);
  }

  /** What slices of a Service name that is no address of their family. */
  wrongAddresses(service: Key, family: Family): readonly string[] {
    return this.#known.get(service)?.wrongAddresses(family) ?? [];
  }

  /** The Services that are known. */
  services(): Iterable<Key> {
    return this.#known.keys();
  }

  /** The news that goes out now: when it comes, it is to be run. Undefined: there is none that is not on its way. */
  news(service: Key): (() => void) | undefined {
    const version = this.#shared.version(service);
    if (this.#coming.get(service) === version) return undefined;
    this.#coming.set(service, version);
    return () => {
      if (this.#coming.get(service) === version) this.#coming.delete(service);
      this.#learn(service, version);
    };
  }

  /** Everything is known as it is now. */
  catchUp(): void {
    this.#known.clear();
    for (const service of this.#shared.services()) this.#known.set(service, this.#shared.version(service));
  }

  #learn(service: Key, version: ServiceVersion): void {
    if (version.there) this.#known.set(service, version);
    else this.#known.delete(service);
  }
}
