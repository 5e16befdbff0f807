/** Owns virtual and real servers of IPVS as data, with what they count (include/net/ip_vs.h, ip_vs_est.c). */
import { second, type Time } from "../../sim/clock";
import type { Ip } from "../address";
import type { Scheduler, SchedulerName } from "./scheduler";

export type IpvsProtocol = "tcp" | "udp" | "sctp";

/** Options of a scheduler: `ipvsadm -b sh-port`. */
export type SchedulerFlag = "fallback" | "port";

/** What `ipvsadm --stats` counts. */
export interface Counts {
  connections: number;
  inPackets: number;
  outPackets: number;
  inBytes: number;
  outBytes: number;
}

/** Which virtual server: where packets to it go. */
export interface VirtualAddress {
  readonly protocol: IpvsProtocol;
  readonly ip: Ip;
  readonly port: number;
}

export interface VirtualOptions extends VirtualAddress {
  readonly scheduler: SchedulerName;
  /** `persistent`: how long a client stays with its real server. */
  readonly persistence?: Time | undefined;
  readonly flags?: readonly SchedulerFlag[];
}

export interface VirtualServer extends VirtualAddress {
  scheduler: SchedulerName;
  persistence: Time | undefined;
  flags: readonly SchedulerFlag[];
  schedule: Scheduler;
  /** The one added last comes first, as in the kernel's list. */
  readonly servers: RealServer[];
  readonly stats: Statistics;
}

export interface RealServer {
  readonly ip: Ip;
  readonly port: number;
  /** 0: gets nothing new. */
  weight: number;
  /** The last weight above 0 (the `mh` table keeps the places of a server of weight 0). */
  lastWeight: number;
  active: number;
  inactive: number;
  persistent: number;
  /** False once it is deleted; connections to it may still be there. */
  available: boolean;
  readonly stats: Statistics;
}

const period: Time = 2 * second;
const kinds = ["connections", "inPackets", "outPackets", "inBytes", "outBytes"] as const;

function none(): Counts {
  return { connections: 0, inPackets: 0, outPackets: 0, inBytes: 0, outBytes: 0 };
}

/** Counters, and rates as the kernel estimates them: each two seconds a quarter of the way to what was seen. */
export class Statistics {
  readonly counts: Counts = none();
  readonly #rates: Counts = none();
  #seen: Counts = none();
  #window: Time;

  constructor(now: Time) {
    this.#window = now;
  }

  count(now: Time, more: Partial<Counts>): void {
    this.#roll(now);
    for (const kind of kinds) {
      const added = more[kind] ?? 0;
      this.counts[kind] += added;
      this.#seen[kind] += added;
    }
  }

  /** Per second. */
  rates(now: Time): Readonly<Counts> {
    this.#roll(now);
    const whole = none();
    for (const kind of kinds) whole[kind] = Math.floor(this.#rates[kind] + 0.5);
    return whole;
  }

  zero(): void {
    Object.assign(this.counts, none());
    Object.assign(this.#rates, none());
    this.#seen = none();
  }

  /** Windows that are over are taken in; after many empty ones nothing is left. */
  #roll(now: Time): void {
    for (let left = 100; now >= this.#window + period; left--) {
      for (const kind of kinds) {
        this.#rates[kind] = left > 0 ? this.#rates[kind] + (this.#seen[kind] / 2 - this.#rates[kind]) / 4 : 0;
      }
      this.#seen = none();
      this.#window += left > 0 ? period : Math.floor((now - this.#window) / period) * period;
    }
  }
}

/** A real server with nothing counted yet. @param now when its counting begins */
export function newServer(ip: Ip, port: number, weight: number, now: Time): RealServer {
  const counts = { active: 0, inactive: 0, persistent: 0, available: true };
  return { ip, port, weight, lastWeight: weight, ...counts, stats: new Statistics(now) };
}
