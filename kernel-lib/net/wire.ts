/** Owns wires: veth pairs and network segments, with their delay, their loss, and whether they are cut. */

import type { Time } from "../sim/clock";
import { microsecond } from "../sim/clock";
import type { Random } from "../sim/random";
import { isGroupMac, type Mac } from "./address";
import type { Device } from "./device";
import { frameLost } from "./framenotes";
import { carrierLost } from "./links";
import type { Network } from "./network";
import { type Frame, fitsIn } from "./packet";

/** How long a frame needs through a veth pair. */
export const vethDelay: Time = 5 * microsecond;
/** Receivers take frames that are longer by a VLAN tag (net/core/dev.c, is_skb_forwardable). */
const vlanTag = 4;

/** What can be wrong with a wire; all of it may be changed while frames travel. */
export interface Wire {
  /** How long a frame needs. */
  delay: Time;
  /** The share of frames that get lost, 0 to 1. */
  loss: number;
  /** Nothing comes through, and both ends see that there is no carrier. */
  cut: boolean;
}

/** A wire of its own; `lost` is called when it is cut, for both ends see their carrier go. */
export class Cable implements Wire {
  delay: Time;
  loss: number;
  #cut: boolean;

  constructor(
    options: Partial<Wire>,
    private readonly lost: () => void,
  ) {
    this.delay = options.delay ?? vethDelay;
    this.loss = options.loss ?? 0;
    this.#cut = options.cut ?? false;
  }

  get cut(): boolean {
    return this.#cut;
  }

  set cut(cut: boolean) {
    this.#cut = cut;
    if (cut) this.lost();
  }
}

/** Whether this frame is one of those that get lost. A walk that only asks takes both possibilities. */
function isLost(wire: Wire, from: Device, random: () => Random): boolean {
  const { conveyor } = from.netns.network;
  if (conveyor.dry) return conveyor.choose(from.netns, [1 - wire.loss, wire.loss]) === 1;
  return random().float() < wire.loss;
}

/** A frame at the far end of its wire: taken, unless it is too long for the device there. */
function land(frame: Frame, to: Device): void {
  if (frame.type === "ip" && !fitsIn(frame.packet, to.mtu + vlanTag)) {
    to.counters.rxDropped++;
    frameLost(frame, to, `the frame is longer than ${to.name}'s MTU of ${to.mtu}: dropped without a word`);
    return;
  }
  to.netns.receive(frame, to);
}

/** The only thing that is kept of a frame under way is where it goes. */
function carry(frame: Frame, to: Device, delay: Time): void {
  to.netns.network.conveyor.after(delay, () => land(frame, to));
}

/** One end of a veth pair: what goes in here comes out at the other end. */
export class VethEnd {
  readonly type = "veth";
  peer: Device | undefined;
  #random: Random | undefined;

  /** @param wire one for both ends */
  constructor(readonly wire: Wire) {}

  carrier(): boolean {
    return this.peer?.up === true && !this.wire.cut;
  }

  transmit(frame: Frame, from: Device): void {
    const { peer, wire } = this;
    if (!peer) {
      frameLost(frame, from, "the other end is gone");
      return;
    }
    if (wire.cut) {
      frameLost(frame, from, "the wire is cut");
      return;
    }
    if (wire.loss > 0 && this.#loses(from)) {
      frameLost(frame, from, "lost on the wire");
      return;
    }
    carry(frame, peer, wire.delay);
  }

  #loses(from: Device): boolean {
    return isLost(this.wire, from, () => this.#stream(from));
  }

  #stream(from: Device): Random {
    this.#random ??= from.netns.network.sim.random.fork(`veth/${from.netns.name}/${from.name}`);
    return this.#random;
  }
}

/** The plug of a physical device in a segment. */
export class Port {
  readonly type = "physical";
  #cut = false;
  #device: Device | undefined;

  constructor(readonly segment: Segment) {}

  /** Its end of the cable is this device. */
  plug(device: Device): void {
    this.#device = device;
    this.segment.plug(device);
  }

  /** This device's own cable. */
  get cut(): boolean {
    return this.#cut;
  }

  set cut(cut: boolean) {
    this.#cut = cut;
    if (cut && this.#device) carrierLost(this.#device);
  }

  carrier(): boolean {
    return !this.cut && !this.segment.cut;
  }

  transmit(frame: Frame, from: Device): void {
    if (this.cut) frameLost(frame, from, "the cable is cut");
    else this.segment.carry(frame, from);
  }
}

/** Out of the switch, by a device's own cable. */
function plugOut(frame: Frame, to: Device): void {
  if (to.link.type === "physical" && to.link.cut) {
    if (!isGroupMac(frame.target)) frameLost(frame, to, "the cable is cut");
  } else land(frame, to);
}

/** A physical network: a plain switch with the devices that are plugged into it. */
export class Segment implements Wire {
  readonly #network: Network;
  readonly #plugged = new Set<Device>();
  /** Whose MAC addresses are at which plug: those of the devices, and what was learnt of bridges behind them. */
  readonly #known = new Map<Mac, Device>();
  #random: Random | undefined;
  loss = 0;
  #cut = false;
  /** The largest IP packet that the switch takes; what is larger is lost without a word. */
  mtu: number | undefined;

  constructor(
    network: Network,
    readonly name: string,
    /** How long a frame needs from one device to another. */
    public delay: Time,
  ) {
    this.#network = network;
  }

  get cut(): boolean {
    return this.#cut;
  }

  set cut(cut: boolean) {
    this.#cut = cut;
    if (cut) for (const device of this.#plugged) carrierLost(device);
  }

  get devices(): Iterable<Device> {
    return this.#plugged;
  }

  plug(device: Device): void {
    this.#plugged.add(device);
    this.#known.set(device.mac, device);
  }

  unplug(device: Device): void {
    this.#plugged.delete(device);
    for (const [mac, at] of this.#known) if (at === device) this.#known.delete(mac);
  }

  /** A switch that knows who is plugged in: to the one with the address; a broadcast, or what nobody has, to all others. */
  carry(frame: Frame, from: Device): void {
    const wrong = this.#wrong(frame, from);
    if (wrong !== undefined) {
      frameLost(frame, from, wrong);
      return;
    }
    if (this.#known.get(frame.source) !== from && !this.#network.conveyor.dry) this.#known.set(frame.source, from);
    if (isGroupMac(frame.target)) {
      for (const to of this.#plugged) if (to !== from) this.#deliver(frame, to);
      return;
    }
    const known = this.#known.get(frame.target);
    if (known && known !== from) {
      this.#deliver(frame, known);
      return;
    }
    // Only a bridge takes what is not for its own device: others would throw their copy away.
    const behind = known ? [] : [...this.#plugged].filter((to) => to !== from && hasBehind(to, frame.target));
    if (behind.length === 0) frameLost(frame, from, `nobody on ${this.name} has ${frame.target}`);
    for (const to of behind) this.#deliver(frame, to);
  }

  #deliver(frame: Frame, to: Device): void {
    this.#network.conveyor.after(this.delay, () => plugOut(frame, to));
  }

  #wrong(frame: Frame, from: Device): string | undefined {
    if (this.cut) return `${this.name} is cut`;
    if (this.mtu !== undefined && frame.type === "ip" && !fitsIn(frame.packet, this.mtu)) {
      return `${this.name} takes no more than ${this.mtu} octets: dropped without a word`;
    }
    return this.loss > 0 && this.#loses(from) ? `lost on ${this.name}` : undefined;
  }

  #loses(from: Device): boolean {
    return isLost(this, from, () => {
      this.#random ??= this.#network.sim.random.fork(`segment/${this.name}`);
      return this.#random;
    });
  }
}

/** The devices at the far end of a device's wire, those behind a bridge too: whom a broadcast would reach at once. */
export function* farEnds(device: Device, visited = new Set<Device>()): Generator<Device> {
  const { link } = device;
  if (!device.up || visited.has(device)) return;
  visited.add(device);
  switch (link.type) {
    case "veth":
      if (link.peer && !link.wire.cut) yield* arrivals(link.peer, visited);
      return;
    case "physical":
      if (link.cut || link.segment.cut) return;
      for (const other of link.segment.devices) if (other !== device) yield* arrivals(other, visited);
      return;
    case "bridge":
      for (const port of link.ports) yield* farEnds(port, visited);
      return;
    case "vxlan":
    case "loopback":
      return;
  }
}

/** Who hears what comes in by a device: itself, or its bridge and all behind that. */
function* arrivals(device: Device, visited: Set<Device>): Generator<Device> {
  if (!device.up || visited.has(device)) return;
  yield device;
  const { master } = device;
  if (master?.link.type !== "bridge" || visited.has(master)) return;
  visited.add(device);
  visited.add(master);
  yield master;
  for (const port of master.link.ports) if (port !== device) yield* farEnds(port, visited);
}

/** Whether a frame to `mac` that goes out by a device, or into the bridge that it is a port of, finds its owner. */
export function hasBehind(device: Device, mac: Mac): boolean {
  for (const end of arrivals(device, new Set())) if (end.mac === mac) return true;
  return false;
}

/** Whether the owner of `mac` is at the far end of a device's wire. */
export function isBeyond(device: Device, mac: Mac): boolean {
  for (const end of farEnds(device)) if (end.mac === mac) return true;
  return false;
}
