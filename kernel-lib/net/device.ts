/** Owns network devices: what every device has, and the two simple kinds of wire, a veth pair and a network segment. */
import type { Time } from "../sim/clock";
import { microsecond } from "../sim/clock";
import type { Cidr, Mac } from "./address";
import { broadcastMac } from "./address";
import type { Bridge } from "./bridge";
import type { Netns } from "./netns";
import type { Network } from "./network";
import type { Frame } from "./packet";
import type { Vxlan } from "./vxlan";

/** How long a frame needs through a veth pair, and a packet through the loopback device. */
export const vethDelay: Time = 5 * microsecond;
export const loopbackDelay: Time = microsecond;

/** What is behind a device. */
export type Link = Loopback | VethEnd | Port | Bridge | Vxlan;

/** A network device of one namespace. */
export class Device {
  up = true;
  /** Addresses in the order in which they were added; the first is the primary one. */
  readonly addresses: Cidr[] = [];
  /** The bridge that this device is a port of, and whether it may send a frame back where it came from. */
  master: Device | undefined;
  hairpin = false;

  constructor(
    readonly netns: Netns,
    readonly name: string,
    /** As in `ip link`: numbered in the order in which a namespace got its devices. */
    readonly index: number,
    readonly mac: Mac,
    readonly mtu: number,
    readonly link: Link,
  ) {}

  /** Hands a frame to what is behind the device. */
  transmit(frame: Frame): void {
    if (this.up) this.link.transmit(frame, this);
    else this.netns.frameLost(frame, this, "the device is down");
  }
}

/** `lo`: its packets come back without ever being a frame (see `Netns`). */
export interface Loopback {
  readonly type: "loopback";
  transmit(frame: Frame, from: Device): void;
}

export const loopback: Loopback = { type: "loopback", transmit() {} };

/** One end of a veth pair: what goes in here comes out at the other end. */
export class VethEnd {
  readonly type = "veth";
  peer: Device | undefined;

  transmit(frame: Frame, from: Device): void {
    const { peer } = this;
    if (!peer) {
      from.netns.frameLost(frame, from, "the other end is gone");
      return;
    }
    from.netns.network.conveyor.after(vethDelay, () => peer.netns.receive(frame, peer));
  }
}

/** The plug of a physical device in a segment. */
export class Port {
  readonly type = "physical";

  constructor(readonly segment: Segment) {}

  transmit(frame: Frame, from: Device): void {
    this.segment.carry(frame, from);
  }
}

/** A physical network: a plain switch with the devices that are plugged into it. */
export class Segment {
  readonly #network: Network;
  readonly #ports = new Map<Mac, Device>();

  constructor(
    network: Network,
    readonly name: string,
    /** How long a frame needs from one device to another. */
    readonly delay: Time,
  ) {
    this.#network = network;
  }

  get devices(): Iterable<Device> {
    return this.#ports.values();
  }

  plug(device: Device): void {
    this.#ports.set(device.mac, device);
  }

  unplug(device: Device): void {
    this.#ports.delete(device.mac);
  }

  /** A switch that knows who is plugged in: to the one with the address, a broadcast to all others. */
  carry(frame: Frame, from: Device): void {
    if (frame.target !== broadcastMac) {
      const to = this.#ports.get(frame.target);
      if (!to || to === from) {
        from.netns.frameLost(frame, from, `nobody on ${this.name} has ${frame.target}`);
        return;
      }
      this.#network.conveyor.after(this.delay, () => to.netns.receive(frame, to));
      return;
    }
    for (const to of this.#ports.values()) {
      if (to !== from) this.#network.conveyor.after(this.delay, () => to.netns.receive(frame, to));
    }
  }
}

/** The devices at the far end of a device's wire, those behind a bridge too: whom a broadcast would reach at once. */
export function* farEnds(device: Device): Generator<Device> {
  const { link } = device;
  switch (link.type) {
    case "veth": {
      const { peer } = link;
      if (!peer?.up || !device.up) return;
      if (!peer.master) return yield peer;
      yield peer.master;
      for (const port of bridgePorts(peer.master)) if (port !== peer) yield* farEnds(port);
      return;
    }
    case "physical":
      for (const other of link.segment.devices) if (other !== device && other.up) yield other;
      return;
    case "bridge":
      for (const port of link.ports) yield* farEnds(port);
      return;
    case "vxlan":
    case "loopback":
      return;
  }
}

function bridgePorts(bridge: Device): Iterable<Device> {
  return bridge.link.type === "bridge" ? bridge.link.ports : [];
}
