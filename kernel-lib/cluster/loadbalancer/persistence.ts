/**
 * Owns what a packet forwarder remembers of connections: a TCP connection stays with its node when others come or go, also
 * with one that is no longer healthy, and for a while with one that was taken out.
 */
import { formatIp, type Ip } from "../../net/address";
import { leave } from "../../net/leave";
import { takePath } from "../../net/multipath";
import { priority, type Verdict } from "../../net/netfilter";
import type { Netns } from "../../net/netns";
import type { Passage } from "../../net/passage";
import type { RouteResult } from "../../net/route";
import { second, type Time } from "../../sim/clock";

interface Remembered {
  readonly via: Ip;
  last: Time;
}

/**
 * A connection of which so long nothing was heard is a new one: 60 s for a load balancer that is reached from outside, and
 * 600 s for an internal one (compute API, BackendServiceConnectionTrackingPolicy.idleTimeoutSec).
 */
const idle = 60 * second;
/** So many entries and those that are too old are thrown out. */
const many = 4_096;

/**
 * Google's "connection persistence on unhealthy backends", as it is unless somebody sets it: for TCP, not for UDP
 * (cloud.google.com/load-balancing/docs/network, "Connection tracking and session affinity").
 */
export class Persistence {
  readonly #netns: Netns;
  /** Whether a node is one of those behind an address, or was and still drains. */
  readonly #serves: (vip: Ip, node: Ip) => boolean;
  readonly #known = new Map<string, Remembered>();

  constructor(netns: Netns, serves: (vip: Ip, node: Ip) => boolean) {
    this.#netns = netns;
    this.#serves = serves;
    const run = (passage: Passage): Verdict => this.#see(passage);
    netns.netfilter.add({
      name: "connection tracking of the balancer",
      hook: "prerouting",
      priority: priority.dnat,
      run,
    });
  }

  #see(passage: Passage): Verdict {
    const { packet } = passage;
    const { body, target } = packet;
    if (body.protocol !== "tcp" || passage.dry || this.#netns.routes.isLocal(target)) return "accept";
    const found = takePath(this.#netns, passage, this.#netns.routes.lookup(target));
    const key = `${packet.source}:${body.sourcePort} ${target}:${body.targetPort}`;
    const { now } = this.#netns.network.sim.clock;
    const known = this.#known.get(key);
    const fresh = known && now - known.last <= idle && this.#serves(target, known.via);
    if (body.flags === "S" || !fresh) {
      if (found && this.#serves(target, found.nextHop)) this.#remember(key, { via: found.nextHop, last: now });
      else this.#known.delete(key);
      return "accept";
    }
    known.last = now;
    const route = known.via === found?.nextHop ? undefined : this.#netns.routes.lookup(known.via);
    return route ? this.#send(passage, route) : "accept";
  }

  /** As routing would, but to the node that the connection is with. */
  #send(passage: Passage, route: RouteResult): Verdict {
    const { packet } = passage;
    passage.note("route", "connection", () => `its connection is with ${formatIp(route.nextHop)}`);
    if (packet.ttl <= 1) {
      this.#netns.unreachable(passage, "time-exceeded", "route");
      return "stolen";
    }
    passage.packet = { ...packet, ttl: packet.ttl - 1 };
    leave(this.#netns, passage, route);
    return "stolen";
  }

  #remember(key: string, entry: Remembered): void {
    this.#known.delete(key);
    this.#known.set(key, entry);
    if (this.#known.size < many) return;
    for (const [old, { last }] of this.#known) if (entry.last - last > idle) this.#known.delete(old);
  }
}
