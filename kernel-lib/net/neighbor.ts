/** Owns the neighbour table: which MAC address an IP address on a link has, asked by ARP (RFC 826) and remembered. */
import type { Time, Timer } from "../sim/clock";
import { second } from "../sim/clock";
import { broadcastMac, formatIp, type Ip, type Mac, zeroMac } from "./address";
import { type Device, farEnds } from "./device";
import type { Netns } from "./netns";
import type { Arp } from "./packet";

/** As `ip neigh` names them. */
export type NeighborState = "PERMANENT" | "REACHABLE" | "STALE" | "INCOMPLETE" | "FAILED";

export interface Neighbor {
  readonly device: string;
  readonly ip: Ip;
  readonly mac?: Mac;
  readonly state: NeighborState;
}

interface Entry {
  readonly device: string;
  readonly ip: Ip;
  mac: Mac | undefined;
  permanent: boolean;
  /** When the neighbour was last heard. */
  confirmed: Time;
  /** What waits for an answer; undefined when nothing is asked. */
  waiting: ((mac: Mac | undefined) => void)[] | undefined;
  timer: Timer | undefined;
  failed: boolean;
}

/** net.ipv4.neigh.*: base_reachable_time, mcast_solicit, retrans_time. */
const reachableTime = 30 * second;
const requests = 3;
const requestPeriod = second;

export class Neighbors {
  readonly #netns: Netns;
  readonly #entries = new Map<string, Map<Ip, Entry>>();

  constructor(netns: Netns) {
    this.#netns = netns;
  }

  /** Writes an entry that stays (`ip neigh replace … nud permanent`). */
  set(device: string, ip: Ip, mac: Mac): void {
    const entry = this.#entry(device, ip);
    entry.mac = mac;
    entry.permanent = true;
    entry.failed = false;
    this.#answer(entry);
  }

  /** False if there is no such entry. What waits for it is given up. */
  delete(device: string, ip: Ip): boolean {
    const entry = this.#entries.get(device)?.get(ip);
    if (!entry) return false;
    this.#entries.get(device)?.delete(ip);
    this.#giveUp(entry);
    return true;
  }

  deleteDevice(device: string): void {
    const entries = this.#entries.get(device);
    this.#entries.delete(device);
    for (const entry of entries?.values() ?? []) this.#giveUp(entry);
  }

  /** All entries, device by device, in the order in which they came. */
  list(): readonly Neighbor[] {
    const now = this.#netns.network.sim.clock.now;
    return [...this.#entries.values()].flatMap((entries) =>
      [...entries.values()].map((entry) => ({
        device: entry.device,
        ip: entry.ip,
        ...(entry.mac === undefined ? {} : { mac: entry.mac }),
        state: stateOf(entry, now),
      })),
    );
  }

  /** Calls `then` with the MAC address of a neighbour: at once if it is known, else when it answers, or with undefined. */
  resolve(device: Device, ip: Ip, then: (mac: Mac | undefined) => void): void {
    const known = this.#entries.get(device.name)?.get(ip);
    if (known?.mac !== undefined) {
      if (!known.permanent) this.#revalidate(known, device);
      then(known.mac);
      return;
    }
    if (this.#netns.network.conveyor.dry) {
      then(this.#look(device, ip));
      return;
    }
    const entry = known ?? this.#entry(device.name, ip);
    entry.failed = false;
    if (entry.waiting) {
      entry.waiting.push(then);
      return;
    }
    entry.waiting = [then];
    this.#ask(entry, device, broadcastMac, requests);
  }

  /** Takes an ARP message that came in by a device. */
  receive(arp: Arp, device: Device): void {
    const forMe = this.#netns.routes.isLocal(arp.targetIp);
    const known = this.#entries.get(device.name)?.get(arp.senderIp);
    if (known && !known.permanent) this.#learn(known, arp.senderMac);
    if (arp.operation !== "request" || !forMe) return;
    if (!known) this.#learn(this.#entry(device.name, arp.senderIp), arp.senderMac);
    this.#tell(device, () => `${formatIp(arp.targetIp)} is at ${device.mac}`);
    const reply: Arp = {
      operation: "reply",
      senderIp: arp.targetIp,
      senderMac: device.mac,
      targetIp: arp.senderIp,
      targetMac: arp.senderMac,
    };
    device.transmit({ type: "arp", source: device.mac, target: arp.senderMac, arp: reply });
  }

  /** A dry walk asks nobody: it looks who on the link has the address. */
  #look(device: Device, ip: Ip): Mac | undefined {
    for (const end of farEnds(device)) if (end.netns.routes.isLocal(ip)) return end.mac;
    return undefined;
  }

  #ask(entry: Entry, device: Device, target: Mac, left: number): void {
    if (entry.waiting === undefined) return;
    if (left === 0) {
      this.#tell(device, () => `nobody answers for ${formatIp(entry.ip)}`);
      this.#giveUp(entry);
      return;
    }
    const senderIp = this.#netns.sourceOn(device, entry.ip) ?? 0;
    const arp: Arp = {
      operation: "request",
      senderIp,
      senderMac: device.mac,
      targetIp: entry.ip,
      targetMac: zeroMac,
    };
    this.#tell(device, () => `who has ${formatIp(entry.ip)}? Tell ${formatIp(senderIp)}`);
    entry.timer = this.#netns.network.sim.clock.after(requestPeriod, () => this.#ask(entry, device, target, left - 1));
    device.transmit({ type: "arp", source: device.mac, target, arp });
  }

  /** A stale entry is used on, but its owner is asked again; if nobody answers, it is given up. */
  #revalidate(entry: Entry, device: Device): void {
    const { clock } = this.#netns.network.sim;
    if (this.#netns.network.conveyor.dry || entry.waiting || clock.now - entry.confirmed < reachableTime) return;
    const { mac } = entry;
    if (mac === undefined) return;
    entry.waiting = [
      () => {
        if (entry.failed) entry.mac = undefined;
      },
    ];
    this.#ask(entry, device, mac, requests);
  }

  #learn(entry: Entry, mac: Mac): void {
    entry.mac = mac;
    entry.failed = false;
    entry.confirmed = this.#netns.network.sim.clock.now;
    this.#answer(entry);
  }

  #giveUp(entry: Entry): void {
    entry.failed = true;
    this.#answer(entry);
  }

  #answer(entry: Entry): void {
    const waiting = entry.waiting ?? [];
    entry.waiting = undefined;
    entry.timer?.cancel();
    for (const then of waiting) then(entry.failed ? undefined : entry.mac);
  }

  #entry(device: string, ip: Ip): Entry {
    let entries = this.#entries.get(device);
    if (!entries) {
      entries = new Map();
      this.#entries.set(device, entries);
    }
    let entry = entries.get(ip);
    if (!entry) {
      entry = {
        device,
        ip,
        mac: undefined,
        permanent: false,
        confirmed: 0,
        waiting: undefined,
        timer: undefined,
        failed: false,
      };
      entries.set(ip, entry);
    }
    return entry;
  }

  #tell(device: Device, what: () => string): void {
    const { network, name } = this.#netns;
    if (network.sim.journal.read) {
      network.sim.journal.write({
        at: network.sim.clock.now,
        where: name,
        about: device.name,
        what: `ARP: ${what()}`,
        detail: { type: "arp", netns: name, device: device.name },
      });
    }
  }
}

function stateOf(entry: Entry, now: Time): NeighborState {
  if (entry.permanent) return "PERMANENT";
  if (entry.mac !== undefined) return now - entry.confirmed < reachableTime ? "REACHABLE" : "STALE";
  return entry.waiting ? "INCOMPLETE" : "FAILED";
}
