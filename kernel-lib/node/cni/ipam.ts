/** Owns the addresses of one node's pods: the host-local plugin's way of giving them out. */
import { addToIp, type Cidr, formatIp, type Ip, lastOf, networkOf } from "../../net/address";
import { CniError } from "./cni";

/**
 * Round robin over a node's range: the next free address after the one given last, so that an address is not used
 * again at once (containernetworking plugins, plugins/ipam/host-local). The network's own address, the gateway (.1) and the
 * broadcast address are never given.
 */
export class HostLocal {
  readonly gateway: Ip;
  readonly #first: Ip;
  readonly #last: Ip;
  readonly #plugin: string;
  readonly #given = new Map<Ip, string>();
  readonly #byOwner = new Map<string, Ip>();
  #newest: Ip;

  constructor(plugin: string, range: Cidr) {
    this.#plugin = plugin;
    this.gateway = addToIp(networkOf(range).ip, 1);
    this.#first = this.gateway;
    this.#last = addToIp(lastOf(range), -1);
    this.#newest = this.gateway;
  }

  /** An address for `owner` (a pod's uid). @throws CniError when none is left */
  give(owner: string): Ip {
    let ip = this.#newest;
    do {
      ip = ip >= this.#last ? this.#first : addToIp(ip, 1);
      if (ip === this.gateway || this.#given.has(ip)) continue;
      this.#given.set(ip, owner);
      this.#byOwner.set(owner, ip);
      this.#newest = ip;
      return ip;
    } while (ip !== this.#newest);
    const range = `${formatIp(this.#first)}-${formatIp(this.#last)}`;
    throw new CniError(
      this.#plugin,
      `failed to allocate for range 0: no IP addresses available in range set: ${range}`,
    );
  }

  /** Takes an owner's address back; undefined if it had none. */
  take(owner: string): Ip | undefined {
    const ip = this.#byOwner.get(owner);
    if (ip === undefined) return undefined;
    this.#byOwner.delete(owner);
    this.#given.delete(ip);
    return ip;
  }
}
