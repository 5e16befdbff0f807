/** Owns a network: its namespaces and segments, and what carries packets between them. */
import type { Time } from "../sim/clock";
import { microsecond } from "../sim/clock";
import type { Entry } from "../sim/journal";
import type { Sim } from "../sim/sim";
import type { Ip, Mac } from "./address";
import type { Device } from "./device";
import { carrierLost } from "./links";
import { Namespaces } from "./namespaces";
import type { Hook } from "./netfilter";
import { Netns } from "./netns";
import type { Packet } from "./packet";
import { packetEvent } from "./packetdata";
import type { Conclude, Ended, PacketEventKind, PacketEventMore, Walked } from "./passage";

import { Cable, Segment, VethEnd, type Wire } from "./wire";

/** How long a frame needs between two nodes, unless a segment says otherwise. */
export const segmentDelay: Time = 50 * microsecond;

/**
 * What carries a packet on: the clock in a live run; in a walk (flow.ts) a queue without time. The way of a packet is
 * the same code for both.
 */
export interface Conveyor {
  /** True without a clock: links, neighbours and sockets change nothing, and no packet is answered. */
  readonly dry: boolean;
  /** True when hook functions change nothing either: a question. False: they commit what they decide (`runFlow`). */
  readonly asks: boolean;
  /** Where what is tested is counted, if somebody wants to know. */
  readonly walked?: Walked;
  /** See `Passage.began`. */
  began?(conclude: Conclude, packet: Packet): void;
  /** Whether anybody wants to be told. */
  readonly watched: boolean;
  after(delay: Time, run: () => void): void;
  choose(netns: Netns, weights: readonly number[]): number;
  tell(entry: Entry): void;
  /** A packet has met its fate. */
  ended?(ended: Ended): void;
}

/** One end of a new veth pair. */
export interface VethOptions {
  readonly netns: Netns;
  readonly name: string;
  readonly mac?: Mac;
  readonly mtu?: number;
}

export class Network {
  readonly sim: Sim;
  readonly namespaces = new Namespaces();
  readonly segments = new Map<string, Segment>();
  conveyor: Conveyor;
  #packets = 0;
  #dryPackets = 0;

  constructor(sim: Sim) {
    this.sim = sim;
    const { clock, journal } = sim;
    this.conveyor = {
      dry: false,
      asks: false,
      get watched() {
        return journal.read;
      },
      after: (delay, run) => {
        clock.after(delay, run);
      },
      choose: (netns, weights) => netns.random.choose(weights),
      tell: (entry) => journal.write(entry),
    };
  }

  /** Whether anybody wants to know how packets end. */
  get told(): boolean {
    return this.conveyor.watched || this.conveyor.ended !== undefined;
  }

  /** A new namespace with its `lo`. Names are those of nodes and pods; each is used once at a time. */
  netns(name: string): Netns {
    if (this.namespaces.isMade(name))
      throw new RangeError(`Cannot create namespace file "/var/run/netns/${name}": File exists`);
    const netns = new Netns(this, name);
    this.namespaces.set(name, netns);
    return netns;
  }

  /** Takes a namespace and its devices away; what it was talking to hears nothing more from it. */
  deleteNetns(netns: Netns): void {
    netns.sockets.closeAll();
    for (const device of [...netns.devices.values()]) netns.deleteDevice(device.name);
    this.namespaces.delete(netns.name);
  }

  /** A new physical network that devices can be plugged into. */
  segment(name: string, options: Partial<Wire> & { readonly mtu?: number } = {}): Segment {
    const segment = new Segment(this, name, options.delay ?? segmentDelay);
    segment.loss = options.loss ?? 0;
    segment.cut = options.cut ?? false;
    segment.mtu = options.mtu;
    this.segments.set(name, segment);
    return segment;
  }

  /** `ip link add NAME type veth peer name NAME`, each end in its namespace. */
  vethPair(one: VethOptions, other: VethOptions, options: Partial<Wire> = {}): readonly [Device, Device] {
    const wire = new Cable(options, () => {
      for (const { peer } of links) if (peer) carrierLost(peer);
    });
    const links: readonly [VethEnd, VethEnd] = [new VethEnd(wire), new VethEnd(wire)];
    const first = one.netns.addDevice(one.name, links[0], one);
    const second = other.netns.addDevice(other.name, links[1], other);
    links[0].peer = second;
    links[1].peer = first;
    return [first, second];
  }

  /** A new packet, numbered. */
  packet(source: Ip, target: Ip, body: Packet["body"], ttl = 64, dontFragment = false): Packet {
    return { id: this.number(), source, target, ttl, body, dontFragment };
  }

  /** The next packet's number; those of a walk go downwards, so that looking moves no number. */
  number(): number {
    return this.conveyor.dry ? --this.#dryPackets : ++this.#packets;
  }

  /** Writes a line about a packet, if anybody reads. */
  tell(
    where: string,
    kind: PacketEventKind,
    about: string,
    packet: Packet,
    what: () => string,
    more?: PacketEventMore,
    hook?: Hook,
  ): void {
    const { conveyor } = this;
    if (!conveyor.watched) return;
    const detail = packetEvent(kind, where, packet, more, hook);
    conveyor.tell({ at: this.sim.clock.now, where, about, what: what(), detail });
  }
}
