/** Owns the Linux bridge: it learns where addresses are, forwards, floods, and lets iptables see what it forwards. */
import type { Mac } from "./address";
import { broadcastMac } from "./address";
import { type Device, farEnds } from "./device";
import type { Frame } from "./packet";
import type { Passage } from "./passage";

/** A bridge's ports and what it has learnt. The bridge device itself is one more place a frame can go to. */
export class Bridge {
  readonly type = "bridge";
  readonly ports: Device[] = [];
  /** Forwarding database: behind which port an address was seen last. */
  readonly fdb = new Map<Mac, Device>();

  addPort(port: Device): void {
    this.ports.push(port);
  }

  removePort(port: Device): void {
    const at = this.ports.indexOf(port);
    if (at >= 0) this.ports.splice(at, 1);
    for (const [mac, behind] of this.fdb) if (behind === port) this.fdb.delete(mac);
  }

  /** A frame of the host itself, from the bridge device. */
  transmit(frame: Frame, bridge: Device): void {
    this.#forward(frame, bridge, undefined, undefined);
  }

  /** A frame that came in by a port. */
  receive(frame: Frame, port: Device, bridge: Device): void {
    const { netns } = bridge;
    if (!netns.network.conveyor.dry) this.fdb.set(frame.source, port);
    if (frame.type === "ip" && netns.sysctl.bridgeNfCallIptables && frame.target !== broadcastMac) {
      const passage = netns.passage(frame.packet, bridge.name);
      if (passage.watched) netns.noteReceived(passage, frame, port);
      if (!netns.hook("prerouting", passage)) return;
      if (passage.packet.target !== frame.packet.target) {
        this.#redirect(frame, passage, port, bridge);
        return;
      }
      this.#forward({ ...frame, packet: passage.packet }, bridge, port, passage);
      return;
    }
    this.#forward(frame, bridge, port, undefined);
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
    netns.neighbors.resolve(bridge, route.nextHop, (mac) => {
      if (mac === undefined) return netns.unreachable(passage, "host-unreachable", bridge.name);
      this.#forward({ type: "ip", source: frame.source, target: mac, packet: passage.packet }, bridge, port, passage);
    });
  }

  #forward(frame: Frame, bridge: Device, from: Device | undefined, passage: Passage | undefined): void {
    const { netns } = bridge;
    if (frame.target === broadcastMac) {
      this.#flood(frame, bridge, from);
      if (from) netns.receiveFrame(frame, bridge, undefined);
      return;
    }
    if (frame.target === bridge.mac) {
      netns.receiveFrame(frame, bridge, passage);
      return;
    }
    const to = this.#portOf(frame.target);
    if (to === from && from !== undefined && !from.hairpin) {
      netns.frameLost(frame, from, `${from.name} is not in hairpin mode: a bridge sends no frame back`);
      return;
    }
    let carried = frame;
    if (passage && frame.type === "ip") {
      passage.output = bridge.name;
      if (!netns.hook("forward", passage) || !netns.hook("postrouting", passage)) return;
      carried = { ...frame, packet: passage.packet };
    }
    if (!to) {
      this.#flood(carried, bridge, from);
      return;
    }
    netns.noteFrame(carried, "bridge", bridge, () => `${bridge.name}: ${carried.target} is behind ${to.name}`, to);
    to.transmit(carried);
  }

  #flood(frame: Frame, bridge: Device, from: Device | undefined): void {
    const ports = this.ports.filter((port) => port !== from || port.hairpin);
    if (frame.target !== broadcastMac && !ports.some((port) => hasBehind(port, frame.target))) {
      bridge.netns.frameLost(frame, bridge, `${bridge.name}: ${frame.target} is behind no port`);
      return;
    }
    for (const port of ports) port.transmit(frame);
  }

  /** In a dry walk nothing has been learnt: look behind the ports instead. */
  #portOf(mac: Mac): Device | undefined {
    const known = this.fdb.get(mac);
    if (known) return known;
    for (const port of this.ports) {
      if (!port.netns.network.conveyor.dry) return undefined;
      if (hasBehind(port, mac)) return port;
    }
    return undefined;
  }
}

function hasBehind(port: Device, mac: Mac): boolean {
  for (const end of farEnds(port)) if (end.mac === mac) return true;
  return false;
}
