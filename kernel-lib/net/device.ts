/** Owns network devices: what every device has, who watches it, and what it counts. */

import type { Time } from "../sim/clock";
import { microsecond } from "../sim/clock";
import type { Cidr, Mac } from "./address";
import type { Bridge } from "./bridge";
import type { Dummy } from "./dummy";
import { frameLost } from "./framenotes";
import type { Netns } from "./netns";
import { type Frame, frameSize } from "./packet";
import type { Vxlan } from "./vxlan";
import type { Port, VethEnd } from "./wire";

export type { Segment } from "./wire";

/** How long a packet needs through the loopback device. */
export const loopbackDelay: Time = microsecond;

/** What is behind a device. */
export type Link = Loopback | VethEnd | Port | Bridge | Vxlan | Dummy;

/** Which way a frame goes, as seen from the namespace. */
export type TapDirection = "in" | "out";
export type Tap = (frame: Frame, direction: TapDirection, at: Time) => void;

/** What `ip -s link` shows. */
export interface DeviceCounters {
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
  rxDropped: number;
  txDropped: number;
}

/** A network device of one namespace. */
export class Device {
  #up = true;
  readonly #addresses: Cidr[] = [];
  #taps: Set<Tap> | undefined;
  readonly counters: DeviceCounters = {
    rxPackets: 0,
    rxBytes: 0,
    txPackets: 0,
    txBytes: 0,
    rxDropped: 0,
    txDropped: 0,
  };
  /** The bridge that this device is a port of, and whether it may send a frame back where it came from. */
  master: Device | undefined;
  hairpin = false;
  /** net.ipv4.conf.NAME.proxy_arp: answer for whom this host would forward to by another device. */
  proxyArp = false;

  constructor(
    readonly netns: Netns,
    readonly name: string,
    /** As in `ip link`: numbered in the order in which a namespace got its devices. */
    readonly index: number,
    public mac: Mac,
    /** Octets of the largest IP packet that it takes. */
    public mtu: number,
    readonly link: Link,
  ) {}

  /** As set by `ip link set NAME up|down`. */
  get up(): boolean {
    return this.#up;
  }

  /** Down takes its routes and neighbours away and leaves its IPv4 addresses; up brings back what follows from these. */
  set up(up: boolean) {
    if (up === this.#up) return;
    this.#up = up;
    this.netns.linkChanged(this);
  }

  /** Whether something live is at the other end (LOWER_UP): `ip link` says NO-CARRIER without. */
  get carrier(): boolean {
    return this.#up && this.link.carrier(this);
  }

  /** Addresses in the order in which they were added, IPv4 first; the first of a family is the primary one. */
  get addresses(): Cidr[] {
    this.netns.wakeIpv6();
    return this.#addresses;
  }

  /** The same without the link-local address that IPv6 gives when it is first looked for. */
  get writtenAddresses(): Cidr[] {
    return this.#addresses;
  }

  /** Hands a frame to what is behind the device. */
  transmit(frame: Frame): void {
    if (!this.#up) {
      this.counters.txDropped++;
      frameLost(frame, this, "the device is down");
      return;
    }
    if (!this.netns.network.conveyor.dry) {
      this.counters.txPackets++;
      this.counters.txBytes += frameSize(frame);
      if (this.#taps) this.seen(frame, "out");
    }
    this.link.transmit(frame, this);
  }

  /** Counts a frame that came in, and shows it to those who watch. */
  counted(frame: Frame): void {
    if (this.netns.network.conveyor.dry) return;
    this.counters.rxPackets++;
    this.counters.rxBytes += frameSize(frame);
    if (this.#taps) this.seen(frame, "in");
  }

  /**
   * Sees every frame: as `tcpdump -i` does, what comes in before any rule, and what goes out after all of them. `lo` has
   * no Ethernet addresses; a bridge shows also what it only forwards, for who watches puts it in promiscuous mode.
   */
  tap(see: Tap): { stop(): void } {
    const tap: Tap = (frame, direction, at) => see(frame, direction, at);
    this.#taps ??= new Set();
    this.#taps.add(tap);
    return {
      stop: () => {
        this.#taps?.delete(tap);
        if (this.#taps?.size === 0) this.#taps = undefined;
      },
    };
  }

  /** Whether somebody watches. */
  get tapped(): boolean {
    return this.#taps !== undefined;
  }

  seen(frame: Frame, direction: TapDirection): void {
    const { now } = this.netns.network.sim.clock;
    for (const tap of [...(this.#taps ?? [])]) tap(frame, direction, now);
  }
}

/** `lo`: its packets come back without ever being a frame (see `Netns`). */
export interface Loopback {
  readonly type: "loopback";
  transmit(frame: Frame, from: Device): void;
  carrier(device: Device): boolean;
}

export const loopback: Loopback = { type: "loopback", transmit() {}, carrier: () => true };
