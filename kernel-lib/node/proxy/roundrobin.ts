/** Owns the userspace proxy's load balancer: each service port's endpoints in turn, and who stays with whom (roundrobin.go). */
import type { Ip, SocketAddress } from "../../net/address";
import type { Clock, Time } from "../../sim/clock";
import type { Random } from "../../sim/random";

interface Affinity {
  readonly endpoint: SocketAddress;
  readonly lastUsed: Time;
}

/** How many endpoints are tried for one client, and how long each (endpointDialTimeouts in proxysocket.go). */
export const dialTimeouts: readonly Time[] = [250_000, 500_000, 1_000_000, 2_000_000];

/** The endpoints of one service port. */
export class RoundRobin {
  readonly #clock: Clock;
  readonly #random: Random;
  #endpoints: readonly SocketAddress[] = [];
  #index = 0;
  readonly #affinities = new Map<Ip, Affinity>();
  /** How long a client stays with its endpoint after its last connection. */
  affinity: Time | undefined;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Endpoints are shuffled when they change, so that not every node begins with the same one. */
  set(endpoints: readonly SocketAddress[]): void {
    const names = new Set(endpoints.map(nameOf));
    if (names.size === this.#endpoints.length && this.#endpoints.every((each) => names.has(nameOf(each)))) return;
    for (const [client, { endpoint }] of this.#affinities) {
      if (!names.has(nameOf(endpoint))) this.#affinities.delete(client);
    }
    const left = [...endpoints];
    const shuffled: SocketAddress[] = [];
    while (left.length > 0) shuffled.push(...left.splice(this.#random.integer(0, left.length - 1), 1));
    this.#endpoints = shuffled;
    this.#index = 0;
  }

  /** The next endpoint for a client. @param again the one before could not be reached: affinity does not count */
  next(client: Ip, again: boolean): SocketAddress | undefined {
    const kept = again ? undefined : this.#kept(client);
    const endpoint = kept ?? this.#endpoints[this.#index];
    if (!endpoint) return undefined;
    if (!kept) this.#index = (this.#index + 1) % this.#endpoints.length;
    if (this.affinity !== undefined) this.#affinities.set(client, { endpoint, lastUsed: this.#clock.now });
    return endpoint;
  }

  /** Whom a client's connection would be tried with, in order, were its turn any of them. */
  asked(client: Ip, choose: (weights: readonly number[]) => number): readonly SocketAddress[] {
    const all = this.#endpoints;
    if (all.length === 0) return [];
    const kept = this.#kept(client);
    const first = choose(all.map(() => 1));
    const turns = dialTimeouts.flatMap((_, step) => all[(first + step) % all.length] ?? []);
    return kept ? [kept, ...turns.slice(0, -1)] : turns;
  }

  /** Forgets clients that have not come for too long (cleanupStaleStickySessions, at each sync). */
  sweep(): void {
    for (const client of this.#affinities.keys()) if (!this.#kept(client)) this.#affinities.delete(client);
  }

  #kept(client: Ip): SocketAddress | undefined {
    const { affinity } = this;
    const found = affinity === undefined ? undefined : this.#affinities.get(client);
    return found && this.#clock.now - found.lastUsed < (affinity ?? 0) ? found.endpoint : undefined;
  }
}

function nameOf({ ip, port }: SocketAddress): string {
  return `${ip}:${port}`;
}
