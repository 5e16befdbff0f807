/** Owns IPVS's ways of choosing among real servers by turn or by load: rr, wrr, lc, wlc, sed, nq. */
import type { Packet } from "../packet";
import { destinationHash, maglev, sourceHash } from "./hash";
import type { RealServer, VirtualServer } from "./server";

export const schedulerNames = ["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh"] as const;
export type SchedulerName = (typeof schedulerNames)[number];

/** One virtual server's chooser, with what it remembers. */
export interface Scheduler {
  /** The real server for a new connection; undefined: there is none. */
  pick(packet: Packet): RealServer | undefined;
  /** Whether the same packet always gets the same answer, so that asking changes nothing. */
  readonly fixed: boolean;
  /** Without the answers' order: how large a share of connections each real server gets in the long run. */
  shares(): readonly number[];
  /** A real server came, went (`removed`), or changed its weight. */
  changed(removed?: { readonly server: RealServer; readonly at: number }): void;
}

type Servers = Pick<VirtualServer, "servers" | "flags">;

/** @param of its list of servers is read anew for each choice */
export function newScheduler(name: SchedulerName, of: Servers): Scheduler {
  switch (name) {
    case "rr":
      return roundRobin(of);
    case "wrr":
      return weightedRoundRobin(of);
    case "lc":
      return least(of, load, () => 1);
    case "wlc":
      return least(of, load, weightOf);
    case "sed":
      return least(of, delay, weightOf);
    case "nq":
      return neverQueue(of);
    case "sh":
      return sourceHash(of);
    case "dh":
      return destinationHash(of);
    case "mh":
      return maglev(of);
  }
}

function weightOf({ weight }: RealServer): number {
  return weight;
}

/** A connection that does something costs as much as 256 that do not (ip_vs_dest_conn_overhead). */
function load({ active, inactive }: RealServer): number {
  return active * 256 + inactive;
}

function delay({ active }: RealServer): number {
  return active + 1;
}

/** ip_vs_rr.c: from the one after the last choice on, the next that has a weight. */
function roundRobin(of: Servers): Scheduler {
  let last: RealServer | undefined;
  return {
    fixed: false,
    pick() {
      const { servers } = of;
      const after = last ? servers.indexOf(last) : -1;
      for (let step = 1; step <= servers.length; step++) {
        const server = servers[(after + step) % servers.length];
        if (server && server.weight > 0) {
          last = server;
          return server;
        }
      }
      return undefined;
    },
    shares: () => of.servers.map(({ weight }) => (weight > 0 ? 1 : 0)),
    changed(removed) {
      if (removed?.server === last) last = of.servers[removed ? removed.at - 1 : -1];
    },
  };
}

function greatestDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestDivisor(other, one % other);
}

/** ip_vs_wrr.c: rounds with a falling bar; in each those get their turn whose weight reaches it. */
function weightedRoundRobin(of: Servers): Scheduler {
  let at = -1;
  let bar = 0;
  let step = 1;
  let highest = 0;
  const measure = (): void => {
    const weights = of.servers.map(weightOf).filter((weight) => weight > 0);
    step = weights.reduce(greatestDivisor, 0) || 1;
    highest = Math.max(0, ...weights) - (step - 1);
  };
  measure();
  bar = highest;
  return {
    fixed: false,
    pick() {
      if (highest <= 0) return undefined;
      // Each round goes once through all, and there are as many rounds as the bar has heights.
      const limit = (of.servers.length + 1) * (Math.ceil(highest / step) + 2);
      for (let tries = 0; tries < limit; tries++) {
        at++;
        const server = of.servers[at];
        if (server && server.weight >= bar) return server;
        if (server) continue;
        at = -1;
        bar -= step;
        if (bar <= 0) bar = highest;
      }
      return undefined;
    },
    shares: () => of.servers.map(weightOf),
    changed() {
      at = -1;
      measure();
      if (bar > highest || bar === 0) bar = highest;
      else if (step > 1) bar = Math.floor(bar / step) * step + 1;
    },
  };
}

/** The first of those whose cost for its weight is least (ip_vs_lc.c, ip_vs_wlc.c, ip_vs_sed.c). */
function leastOf(
  servers: readonly RealServer[],
  cost: (server: RealServer) => number,
  worth: (server: RealServer) => number,
): RealServer | undefined {
  let best: RealServer | undefined;
  for (const server of servers) {
    if (server.weight <= 0) continue;
    if (!best || cost(best) * worth(server) > cost(server) * worth(best)) best = server;
  }
  return best;
}

function least(of: Servers, cost: (server: RealServer) => number, worth: (server: RealServer) => number): Scheduler {
  return {
    fixed: false,
    pick: () => leastOf(of.servers, cost, worth),
    shares: () => of.servers.map((server) => (server.weight > 0 ? worth(server) : 0)),
    changed() {},
  };
}

/** ip_vs_nq.c: an idle one at once, else as sed. */
function neverQueue(of: Servers): Scheduler {
  return {
    fixed: false,
    pick: () =>
      of.servers.find(({ weight, active }) => weight > 0 && active === 0) ?? leastOf(of.servers, delay, weightOf),
    shares: () => of.servers.map(weightOf),
    changed() {},
  };
}
