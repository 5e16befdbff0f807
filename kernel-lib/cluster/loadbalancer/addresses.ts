/** Owns the public addresses that a cloud gives its load balancers: 203.0.113.140 and on. */
import type { Key } from "../../api/meta";
import { CloudError } from "../../control/loadbalancer/service";
import { addToIp, formatIp, type Ip, parseIp, tryParseIp } from "../../net/address";

const first = parseIp("203.0.113.140");
const count = 100;

export class PublicAddresses {
  readonly #taken = new Map<Key, Ip>();

  /** The address of a Service: the one that it asks for, else the next free one. @throws CloudError */
  give(key: Key, asked: string | undefined): Ip {
    const known = this.#taken.get(key);
    if (known !== undefined) return known;
    const used = new Set(this.#taken.values());
    const all = Array.from({ length: count }, (_, at) => addToIp(first, at));
    const wanted = asked ? tryParseIp(asked) : undefined;
    const found = asked ? all.find((ip) => ip === wanted && !used.has(ip)) : all.find((ip) => !used.has(ip));
    if (found === undefined) {
      throw new CloudError(
        asked
          ? `requested ip "${asked}" is neither static nor assigned to the LB`
          : `no address is left of ${formatIp(first)} and the ${count - 1} after it`,
      );
    }
    this.#taken.set(key, found);
    return found;
  }

  release(key: Key): void {
    this.#taken.delete(key);
  }
}
