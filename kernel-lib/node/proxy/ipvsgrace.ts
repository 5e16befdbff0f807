/** Owns how real servers end gracefully: weight 0 until their last connection is gone (pkg/proxy/ipvs/graceful_termination.go). */
import { formatSocketAddress, type Ip } from "../../net/address";
import type { Ipvs } from "../../net/ipvs/ipvs";
import type { VirtualAddress } from "../../net/ipvs/server";
import { type Clock, minute, type Timer } from "../../sim/clock";

interface Leaving {
  readonly service: VirtualAddress;
  readonly ip: Ip;
  readonly port: number;
}

/** The real servers of one node that are on their way out. */
export class GracefulTermination {
  readonly #clock: Clock;
  readonly #ipvs: Ipvs;
  readonly #leaving = new Map<string, Leaving>();
  #timer: Timer | undefined;

  constructor(clock: Clock, ipvs: Ipvs) {
    this.#clock = clock;
    this.#ipvs = ipvs;
  }

  has(service: VirtualAddress, ip: Ip, port: number): boolean {
    return this.#leaving.has(keyOf({ service, ip, port }));
  }

  /** Takes a real server away, now if it has no connections (of UDP and SCTP, in any case), else when they are gone. */
  remove(service: VirtualAddress, ip: Ip, port: number): void {
    const leaving = { service, ip, port };
    if (this.#tryDelete(leaving)) return;
    this.#ipvs.editServer(service, ip, port, 0);
    this.#leaving.set(keyOf(leaving), leaving);
    this.#timer ??= this.#clock.every(minute, () => this.#look());
  }

  /** It is wanted again: it goes at once, so that it can be added anew. */
  keep(service: VirtualAddress, ip: Ip, port: number): void {
    this.#ipvs.deleteServer(service, ip, port);
    this.#leaving.delete(keyOf({ service, ip, port }));
    this.#rest();
  }

  stop(): void {
    this.#leaving.clear();
    this.#rest();
  }

  #look(): void {
    for (const [key, leaving] of this.#leaving) if (this.#tryDelete(leaving)) this.#leaving.delete(key);
    this.#rest();
  }

  /** Nobody is waited for, so nobody looks. */
  #rest(): void {
    if (this.#leaving.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** True if it is gone, by whomever. */
  #tryDelete({ service, ip, port }: Leaving): boolean {
    const server = this.#ipvs.get(service)?.servers.find((each) => each.ip === ip && each.port === port);
    if (!server) return true;
    if (service.protocol === "tcp" && server.active + server.inactive !== 0) return false;
    this.#ipvs.deleteServer(service, ip, port);
    return true;
  }
}

function keyOf({ service, ip, port }: Leaving): string {
  const { protocol } = service;
  return `${formatSocketAddress(service.ip, service.port)}/${protocol}/${formatSocketAddress(ip, port)}`;
}
