/** Owns the address of the traffic's target: as it stands in the URL, or asked by name and kept as long as DNS says. */
import type { Files } from "../../apps/files";
import { lookupHost } from "../../apps/resolver";
import { type Ip, parseIp, tryParseIp } from "../../net/address";
import type { Netns } from "../../net/netns";
import { second, type Time } from "../../sim/clock";
import type { Random } from "../../sim/random";

/** How long a name's address is kept: the TTL that CoreDNS gives to cluster names (plugin kubernetes: `ttl 30`). */
const kept: Time = 30 * second;

/** Who asks. */
export interface Asker {
  readonly netns: Netns;
  /** With /etc/hosts and /etc/resolv.conf. */
  readonly files: Files;
  readonly random: Random;
  readonly owner: string;
}

/** One name, asked for again when its time is over. */
export class Resolver {
  readonly #asker: Asker;
  readonly #host: string;
  readonly #ip: Ip | undefined;
  #known: { readonly ip: Ip; readonly until: Time } | undefined;
  #waiting: ((ip: Ip | undefined) => void)[] = [];

  constructor(asker: Asker, host: string) {
    this.#asker = asker;
    this.#host = host;
    this.#ip = tryParseIp(host);
  }

  /** The address, if it is known now. */
  get ip(): Ip | undefined {
    if (this.#ip !== undefined) return this.#ip;
    const { clock } = this.#asker.netns.network.sim;
    return this.#known && clock.now < this.#known.until ? this.#known.ip : undefined;
  }

  /** Calls `done` with the address when it is there; undefined: the name has none. */
  ask(done: (ip: Ip | undefined) => void): void {
    this.#waiting.push(done);
    if (this.#waiting.length > 1) return;
    const { clock } = this.#asker.netns.network.sim;
    lookupHost(this.#asker, this.#host, (found) => {
      const ip = "ip" in found ? parseIp(found.ip) : undefined;
      this.#known = ip === undefined ? undefined : { ip, until: clock.now + kept };
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const each of waiting) each(ip);
    });
  }
}
