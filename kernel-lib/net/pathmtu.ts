/** Owns path MTUs (RFC 1191, RFC 8201): how large a packet may be on the way to each target, as routers have told. */
import type { Clock, Time } from "../sim/clock";
import { minute } from "../sim/clock";
import type { Ip } from "./address";

/** net.ipv4.route.mtu_expires, net.ipv6.route.mtu_expires */
const keptFor = 10 * minute;
/** net.ipv4.route.min_pmtu; IPv6 links carry at least 1280 octets. */
const smallest = { number: 552, bigint: 1280 } as const;

export interface PathMtu {
  readonly target: Ip;
  readonly mtu: number;
  readonly expires: Time;
}

export class PathMtus {
  readonly #clock: Clock;
  readonly #known = new Map<Ip, PathMtu>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A router said that packets to `target` must not be longer than `mtu`. */
  learn(target: Ip, mtu: number): void {
    const least = typeof target === "number" ? smallest.number : smallest.bigint;
    const known = this.get(target)?.mtu ?? Number.POSITIVE_INFINITY;
    if (mtu >= known) return;
    this.#known.set(target, { target, mtu: Math.max(mtu, least), expires: this.#clock.now + keptFor });
  }

  /** What is known of a target, until it expires (`ip route get` prints it with `cache expires`). */
  get(target: Ip): PathMtu | undefined {
    if (this.#known.size === 0) return undefined;
    const known = this.#known.get(target);
    if (known && known.expires > this.#clock.now) return known;
    this.#known.delete(target);
    return undefined;
  }

  /** `ip route flush cache`. */
  clear(): void {
    this.#known.clear();
  }
}
