/** Owns the Linux bridge: it learns where addresses are, forwards, floods, and lets iptables see what it forwards. */

import type { Time } from "../sim/clock";
import { second } from "../sim/clock";
import { type Ip, isGroupMac, type Mac } from "./address";
import type { Device } from "./device";
import { frameLost, noteFrame, noteReceived } from "./framenotes";
import { crowdedOut } from "./neighbor";
import { type Frame, fitsIn } from "./packet";
import type { Passage } from "./passage";
import { isBeyond } from "./wire";

/** How long a learnt address is kept after it was last heard (BR_DEFAULT_AGEING_TIME). */
export const ageingTime: Time = 300 * second;

/** A line of the forwarding database. */
export interface BridgeEntry {
  readonly mac: Mac;
  /** Behind this port; for the bridge's and the ports' own addresses (`local`) the device itself. */
  readonly port: Device;
  /** Never ages: written by hand (`bridge fdb add … master static`), or the host's own. */
  readonly permanent: boolean;
  readonly local: boolean;
  /** When it was last heard. */
  readonly seen: Time;
}

interface Learnt {
  port: Device;
  permanent: boolean;
  seen: Time;
}

/** A bridge's ports and what it has learnt. The bridge device itself is one more place a frame can go to. No STP. */
export class Bridge {
  readonly type = "bridge";
  readonly ports: Device[] = [];
  readonly #learnt = new Map<Mac, Learnt>();
  /** What was flooded already: where bridges make a ring, and no STP cuts it, a storm would have no end. */
  readonly #flooded = new WeakSet<Frame>();

  addPort(port: Device): void {
    this.ports.push(port);
  }

  removePort(port: Device): void {
    const at = this.ports.indexOf(port);
    if (at >= 0) this.ports.splice(at, 1);
    this.forget(port);
  }

  /** What was learnt of a port that went down, or away. */
  forget(port: Device): void {
    for (const [mac, learnt] of this.#learnt) if (learnt.port === port) this.#learnt.delete(mac);
  }

  /** A bridge has a carrier when one of its ports has. */
  carrier(): boolean {
    return this.ports.some((port) => port.carrier);
  }

  // ── The forwarding database ──────────────────────────────────────────────────────────────────────────────────────

  /** Everything that the bridge knows now: its ports' own addresses first, then what it learnt, in that order. */
  entries(bridge: Device): readonly BridgeEntry[] {
    const { now } = bridge.netns.network.sim.clock;
    const own = [...this.ports, bridge].map(
      (port): BridgeEntry => ({ mac: port.mac, port, permanent: true, local: true, seen: now }),
    );
    const learnt = [...this.#learnt]
      .filter(([, entry]) => !isOld(entry, now))
      .map(([mac, { port, permanent, seen }]): BridgeEntry => ({ mac, port, permanent, local: false, seen }));
    return [...own, ...learnt];
  }

  /** `bridge fdb replace MAC dev PORT master static`. */
  set(mac: Mac, port: Device): void {
    this.#learnt.set(mac, { port, permanent: true, seen: port.netns.network.sim.clock.now });
  }

  /** `bridge fdb del MAC dev PORT master`; false if there is no such entry. */
  delete(mac: Mac): boolean {
    return this.#learnt.delete(mac);
  }

  /** `bridge fdb flush`: what was learnt, not what was written. */
  flush(): void {
    for (const [mac, { permanent }] of this.#learnt) if (!permanent) this.#learnt.delete(mac);
  }

  #learn(mac: Mac, port: Device, now: Time): void {
    const known = this.#learnt.get(mac);
    if (!known) this.#learnt.set(mac, { port, permanent: false, seen: now });
    else if (!known.permanent) {
      known.port = port;
      known.seen = now;
    }
  }

  /** In a dry walk nothing has been learnt: look behind the ports instead. */
  #portOf(mac: Mac, bridge: Device): Device | undefined {
    const { network } = bridge.netns;
    const known = this.#learnt.get(mac);
    if (known && !isOld(known, network.sim.clock.now)) return known.port;
    return network.conveyor.dry ? this.ports.find((port) => isBeyond(port, mac)) : undefined;
  }

  // ── The way of a frame ───────────────────────────────────────────────────────────────────────────────────────────

  /** A frame of the host itself, from the bridge device. */
  transmit(frame: Frame, bridge: Device): void {
    this.#forward(frame, bridge, undefined, undefined);
  }

  /** A frame that came in by a port. */
  receive(frame: Frame, port: Device, bridge: Device): void {
    const { netns } = bridge;
    const { conveyor, sim } = netns.network;
    if (!conveyor.dry) this.#learn(frame.source, port, sim.clock.now);
    if (frame.type === "ip" && this.#showsIptables(frame, bridge)) {
      const passage = netns.passage(frame.packet, bridge.name);
      passage.bridgePort = port.name;
      if (passage.watched) noteReceived(passage, frame, port);
      if (!netns.hook("prerouting", passage)) return;
      if (passage.packet.target !== frame.packet.target) {
        this.#redirect(frame, passage, port, bridge);
        return;
      }
      this.#forward(
        passage.packet === frame.packet ? frame : { ...frame, packet: passage.packet },
        bridge,
        port,
        passage,
      );
      return;
    }
    this.#forward(frame, bridge, port, undefined);
  }

  /** net.bridge.bridge-nf-call-iptables, and …-ip6tables. */
  #showsIptables(frame: Frame & { type: "ip" }, bridge: Device): boolean {
    const { sysctl } = bridge.netns;
    const shown = typeof frame.packet.source === "number" ? sysctl.bridgeNfCallIptables : sysctl.bridgeNfCallIp6tables;
    return shown && !isGroupMac(frame.target);
  }

  /**
   * DNAT on the bridge (net/bridge/br_netfilter_hooks.c, br_nf_pre_routing_finish): a new target on this same bridge
   * stays on it, only the target MAC changes; so a pod that reaches itself needs a port in hairpin mode.
   */
  #redirect(frame: Frame, passage: Passage, port: Device, bridge: Device): void {
    const { netns } = bridge;
    const route = netns.routes.isLocal(passage.packet.target) ? undefined : netns.routes.lookup(passage.packet.target);
    if (route?.device !== bridge.name) {
      netns.enter(passage, bridge);
      return;
    }
    this.#forwardTo(route.nextHop, frame.source, passage, port, bridge);
  }

  /** To another port of this bridge, behind which a neighbour is. */
  #forwardTo(neighbor: Ip, source: Mac, passage: Passage, port: Device, bridge: Device): void {
    const { netns } = bridge;
    netns.neighbors.resolve(bridge, neighbor, (target, crowded) => {
      if (crowded) return netns.end(passage, "drop", bridge.name, crowdedOut);
      if (target === undefined) return netns.unreachable(passage, "host-unreachable", bridge.name);
      this.#forward({ type: "ip", source, target, packet: passage.packet }, bridge, port, passage);
    });
  }

  #forward(frame: Frame, bridge: Device, from: Device | undefined, passage: Passage | undefined): void {
    const { netns } = bridge;
    if (isGroupMac(frame.target)) {
      this.#flood(frame, bridge, from);
      if (from) this.#up(frame, bridge, undefined);
      return;
    }
    const to = frame.target === bridge.mac ? bridge : this.#portOf(frame.target, bridge);
    if (to === bridge || (!to && this.#isPort(frame.target))) {
      this.#up(frame, bridge, passage);
      return;
    }
    if (from && bridge.tapped && !netns.network.conveyor.dry) bridge.seen(frame, "in");
    if (to === from && from !== undefined && !from.hairpin) {
      frameLost(frame, from, `${from.name} is not in hairpin mode: a bridge sends no frame back`);
      return;
    }
    let carried = frame;
    if (passage && frame.type === "ip") {
      passage.output = bridge.name;
      if (!netns.hook("forward", passage) || !netns.hook("postrouting", passage)) return;
      if (passage.packet !== frame.packet) carried = { ...frame, packet: passage.packet };
    }
    if (!to) {
      this.#flood(carried, bridge, from);
      return;
    }
    if (netns.network.conveyor.watched) noteForwarded(carried, bridge, to);
    this.#out(carried, to);
  }

  /** To the host itself, as if it had come in by the bridge device. */
  #up(frame: Frame, bridge: Device, passage: Passage | undefined): void {
    bridge.counted(frame);
    const mine = frame.target === bridge.mac || isGroupMac(frame.target) ? frame : { ...frame, target: bridge.mac };
    bridge.netns.receiveFrame(mine, bridge, passage);
  }

  #isPort(mac: Mac): boolean {
    return this.ports.some((port) => port.mac === mac);
  }

  #flood(frame: Frame, bridge: Device, from: Device | undefined): void {
    if (this.#flooded.has(frame)) {
      if (!isGroupMac(frame.target)) frameLost(frame, bridge, `${bridge.name}: it came round in a ring`);
      return;
    }
    this.#flooded.add(frame);
    const ports = this.ports.filter((port) => port !== from || port.hairpin);
    if (isGroupMac(frame.target)) {
      for (const port of ports) this.#out(frame, port);
      return;
    }
    // Copies for those who are not meant end without a word; so somebody must be there who is.
    const meant = ports.filter((port) => isBeyond(port, frame.target));
    if (meant.length === 0) frameLost(frame, bridge, `${bridge.name}: ${frame.target} is behind no port`);
    const others = ports.filter((port) => !meant.includes(port) && isWatched(port));
    for (const port of [...meant, ...others]) this.#out(frame, port);
  }

  /** A bridge cuts nothing up: what a port's MTU does not hold is gone without a word (br_forward.c). */
  #out(frame: Frame, port: Device): void {
    if (frame.type === "ip" && !fitsIn(frame.packet, port.mtu)) {
      port.counters.txDropped++;
      frameLost(frame, port, `longer than ${port.name}'s MTU of ${port.mtu}: a bridge drops it without a word`);
    } else port.transmit(frame);
  }
}

function noteForwarded(frame: Frame, bridge: Device, to: Device): void {
  noteFrame(frame, "bridge", bridge, () => `${bridge.name}: ${frame.target} is behind ${to.name}`, to);
}

function isWatched(port: Device): boolean {
  return port.tapped || (port.link.type === "veth" && port.link.peer?.tapped === true);
}

function isOld(entry: Learnt, now: Time): boolean {
  return !entry.permanent && now - entry.seen >= ageingTime;
}
