/** Owns the forwarding database of a VXLAN device: which peers have an Ethernet address. */
import type { Clock, Time } from "../sim/clock";
import { second } from "../sim/clock";
import { type Ip, type Mac, zeroMac } from "./address";

/** A line of `bridge fdb show dev flannel.1`. */
export interface VxlanEntry {
  readonly mac: Mac;
  /** The peer's address (`dst`). */
  readonly remote: Ip;
  /** Written by hand (`self permanent`); what is learnt (`self`) ages. */
  readonly permanent: boolean;
  readonly seen: Time;
}

/** How long what was learnt is kept (drivers/net/vxlan, FDB_AGE_DEFAULT). */
const age = 300 * second;

const nobody: readonly VxlanEntry[] = [];

/** One address may have several remotes only if it is `00:00:00:00:00:00`, the entry for what is not known and for broadcasts. */
export class VxlanFdb {
  readonly #clock: Clock;
  readonly #before: () => void;
  readonly #entries = new Map<Mac, VxlanEntry[]>();

  /** @param before called before the database is read or changed by hand */
  constructor(clock: Clock, before: () => void) {
    this.#clock = clock;
    this.#before = before;
  }

  get size(): number {
    return this.entries().length;
  }

  /** `bridge fdb replace MAC dev … dst REMOTE self permanent`. */
  set(mac: Mac, remote: Ip): void {
    this.#before();
    this.#entries.set(mac, [{ mac, remote, permanent: true, seen: this.#clock.now }]);
  }

  /** `bridge fdb append …`: one more remote. False: it is there already. */
  append(mac: Mac, remote: Ip): boolean {
    this.#before();
    const known = this.#entries.get(mac) ?? [];
    if (known.some((entry) => entry.remote === remote)) return false;
    this.#entries.set(mac, [...known, { mac, remote, permanent: true, seen: this.#clock.now }]);
    return true;
  }

  /** `bridge fdb del …`: one remote, or all. False: there is no such entry. */
  delete(mac: Mac, remote?: Ip): boolean {
    this.#before();
    const known = this.#entries.get(mac) ?? [];
    const rest = remote === undefined ? [] : known.filter((entry) => entry.remote !== remote);
    if (rest.length > 0) this.#entries.set(mac, rest);
    else this.#entries.delete(mac);
    return rest.length < known.length;
  }

  clear(): void {
    this.#before();
    this.#entries.clear();
  }

  /** The first remote of an address. */
  get(mac: Mac): Ip | undefined {
    return this.#living(mac)[0]?.remote;
  }

  /** Where a frame goes: to the one that has the address, else to all of the entry of zeros. */
  peers(mac: Mac): readonly VxlanEntry[] {
    const known = this.#living(mac);
    return known.length > 0 ? known : this.#living(zeroMac);
  }

  /** An address was heard from a peer; what is written by hand stays as it is. */
  learn(mac: Mac, remote: Ip): void {
    const known = this.#entries.get(mac)?.[0];
    if (!known?.permanent) this.#entries.set(mac, [{ mac, remote, permanent: false, seen: this.#clock.now }]);
  }

  /** All that has not aged. */
  entries(): readonly VxlanEntry[] {
    this.#before();
    return [...this.#entries.keys()].flatMap((mac) => this.#living(mac));
  }

  *[Symbol.iterator](): Generator<readonly [Mac, Ip]> {
    for (const { mac, remote } of this.entries()) yield [mac, remote];
  }

  #living(mac: Mac): readonly VxlanEntry[] {
    this.#before();
    const known = this.#entries.get(mac);
    if (!known) return nobody;
    if (known[0]?.permanent || this.#clock.now - (known[0]?.seen ?? 0) < age) return known;
    this.#entries.delete(mac);
    return [];
  }
}
