/** Owns the neighbour table: which MAC address an IP address on a link has, in the states and by the timers of Linux. */
import type { Time, Timer } from "../sim/clock";
import { second } from "../sim/clock";
import type { Random } from "../sim/random";
import { formatIp, type Ip, isLinkLocal, type Mac } from "./address";
import type { Device } from "./device";
import type { Neighbor, NeighborState } from "./neighborstate";
import type { Netns } from "./netns";
import type { Frame } from "./packet";
import {
  type Advertisement,
  advertisement,
  announcement,
  describeSolicitation,
  readSolicitation,
  type Solicitation,
  solicitation,
} from "./solicit";
import { answersFor } from "./standin";
import { farEnds } from "./wire";

export type { Neighbor, NeighborState } from "./neighborstate";

/** What is done when it is known where a neighbour is, or that nobody says. */
type Resolved = (mac: Mac | undefined, crowded?: "crowded") => void;

interface Entry {
  readonly device: Device;
  readonly ip: Ip;
  mac: Mac | undefined;
  state: NeighborState;
  /** When it was heard last, and when a packet went to it last. */
  confirmed: Time;
  used: Time;
  updated: Time;
  /** Packets that wait for the address. */
  readonly waiting: Resolved[];
  asked: number;
  timer: Timer | undefined;
}

/** net.ipv4.neigh.default.*: base_reachable_time, delay_first_probe_time, mcast_solicit and ucast_solicit, retrans_time. */
const baseReachableTime = 30 * second;
const delayTime = 5 * second;
const questions = 3;
const questionPeriod = second;
/** unres_qlen_bytes (212992) holds about so many packets while their neighbour is asked for. */
const waitingLimit = 101;
/** What is said of a packet that had to make room (SKB_DROP_REASON_NEIGH_QUEUEFULL). */
export const crowdedOut = "dropped: too many packets wait for the neighbour's address";
/** An answer that comes within a second of another does not change the address (locktime). */
const lockTime = second;
/** gc_stale_time, and gc_thresh1: below so many entries none is thrown out. */
const staleTime = 60 * second;
const keptEntries = 128;
const sweepPeriod = 15 * second;

export class Neighbors {
  readonly #netns: Netns;
  readonly #entries = new Map<Device, Map<Ip, Entry>>();
  #random: Random | undefined;
  #size = 0;
  #swept: Time = 0;
  /** How many entries would like to hear from above that their neighbour is there. */
  #doubtful = 0;

  constructor(netns: Netns) {
    this.#netns = netns;
  }

  // ── Reading and writing ──────────────────────────────────────────────────────────────────────────────────────────

  /** `ip neigh replace IP lladdr MAC nud STATE dev DEVICE`. A permanent entry is never asked after and never goes. */
  set(device: string, ip: Ip, mac: Mac, state: "PERMANENT" | "NOARP" | "REACHABLE" | "STALE" = "PERMANENT"): void {
    this.#netns.fill();
    const entry = this.#entry(this.#netns.device(device), ip);
    entry.mac = mac;
    this.#enter(entry, state);
    this.#answer(entry);
  }

  /** `ip neigh del`: false if there is no such entry. What waits for it is given up. */
  delete(device: string, ip: Ip): boolean {
    this.#netns.fill();
    const at = this.#netns.devices.get(device);
    const entries = at && this.#entries.get(at);
    const entry = entries?.get(ip);
    if (!entries || !entry) return false;
    this.#remove(entries, entry);
    return true;
  }

  /** `ip neigh flush [dev DEVICE]`: all but permanent ones; gives how many. */
  flush(device?: string): number {
    this.#netns.fill();
    let count = 0;
    for (const [at, entries] of this.#entries) {
      if (device !== undefined && at.name !== device) continue;
      for (const entry of [...entries.values()]) {
        if (entry.state === "PERMANENT" || entry.state === "NOARP") continue;
        this.#remove(entries, entry);
        count++;
      }
    }
    return count;
  }

  /** A device went down, or away: all its entries go. */
  deleteDevice(device: Device): void {
    const entries = this.#entries.get(device);
    for (const entry of [...(entries?.values() ?? [])]) this.#remove(entries as Map<Ip, Entry>, entry);
    this.#entries.delete(device);
  }

  /** All entries, device by device, in the order in which they came. */
  list(): readonly Neighbor[] {
    this.#netns.fill();
    return [...this.#entries.values()].flatMap((entries) =>
      [...entries.values()].map(({ device, ip, mac, state }) => ({
        device: device.name,
        ip,
        ...(mac === undefined || state === "FAILED" ? {} : { mac }),
        state,
      })),
    );
  }

  // ── Use ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The MAC address of a neighbour, for a packet that goes to it now; undefined if it must be asked for. */
  known(device: Device, ip: Ip): Mac | undefined {
    const entry = this.#entries.get(device)?.get(ip);
    if (!entry || entry.mac === undefined || entry.state === "FAILED") return undefined;
    const { conveyor, sim } = this.#netns.network;
    if (!conveyor.dry) {
      entry.used = sim.clock.now;
      if (entry.state === "STALE") this.#enter(entry, "DELAY");
    }
    return entry.mac;
  }

  /**
   * Calls `then` with the MAC address of a neighbour: at once if it is known, else when it answers, or with undefined
   * when it does not; `crowded` if so many packets wait that the first of them is dropped, of which nobody is told.
   * @param source whose packet it is: who asks says this address if it is its own
   */
  resolve(device: Device, ip: Ip, then: Resolved, source?: Ip): void {
    const mac = this.known(device, ip);
    if (mac !== undefined) {
      then(mac);
      return;
    }
    if (this.#netns.network.conveyor.dry) {
      then(this.#look(device, ip));
      return;
    }
    const entry = this.#entry(device, ip);
    const { now } = this.#netns.network.sim.clock;
    // What was given up in this very instant is not asked anew: the error is still on its way to who asked.
    if (entry.state === "FAILED" && entry.updated === now) {
      then(undefined);
      return;
    }
    entry.used = now;
    entry.waiting.push(then);
    if (entry.waiting.length > waitingLimit) entry.waiting.shift()?.(undefined, "crowded");
    if (entry.state === "INCOMPLETE" && entry.timer) return;
    entry.asked = 0;
    entry.mac = undefined;
    this.#enter(entry, "INCOMPLETE");
    this.#ask(entry, source);
  }

  /** A protocol above made progress with somebody on the link: whoever is in doubt need not be asked (TCP's acknowledgements). */
  confirm(ip: Ip): void {
    if (this.#doubtful === 0) return;
    const found = this.#netns.routes.lookup(ip);
    const device = found && this.#netns.devices.get(found.device);
    const entry = device && this.#entries.get(device)?.get(found.nextHop);
    if (entry?.state === "DELAY" || entry?.state === "PROBE") this.#enter(entry, "REACHABLE");
  }

  /** Takes an ARP or neighbour discovery message that came in by a device. */
  receive(frame: Frame, device: Device): void {
    const read = readSolicitation(frame);
    if (read?.kind === "tell") this.#told(read, device);
    else if (read) this.#askedFor(read, device);
  }

  /** Tells everybody on the link whose this address is (gratuitous ARP): old entries are mended. */
  announce(device: Device, ip: Ip): void {
    const frame = announcement(device, ip);
    this.#note(device, frame);
    device.transmit(frame);
  }

  // ── Messages ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Who asks me, or whom I stand in for, is remembered too, as STALE: it will speak to me next. */
  #askedFor(asked: Solicitation & { readonly kind: "ask" }, device: Device): void {
    const { senderIp, senderMac, target } = asked;
    if (answersFor(this.#netns, device, target)) {
      if (senderIp === 0 || senderIp === 0n) return;
      this.#update(this.#entry(device, senderIp), senderMac, "STALE");
      const frame = advertisement(device, target, asked);
      this.#note(device, frame);
      device.transmit(frame);
      return;
    }
    // Not for me; but what I know already of the sender is mended by it.
    const known = this.#entries.get(device)?.get(senderIp);
    if (known) this.#update(known, senderMac, "STALE");
  }

  #told({ ip, mac, solicited }: Advertisement, device: Device): void {
    const known = this.#entries.get(device)?.get(ip);
    if (known) this.#update(known, mac, solicited ? "REACHABLE" : "STALE");
  }

  #update(entry: Entry, mac: Mac, state: "REACHABLE" | "STALE"): void {
    if (entry.state === "PERMANENT" || entry.state === "NOARP") return;
    const { now } = this.#netns.network.sim.clock;
    const connected = entry.state === "REACHABLE" || entry.state === "DELAY" || entry.state === "PROBE";
    if (entry.mac === mac) {
      if (state === "STALE" && (connected || entry.state === "STALE")) return;
    } else if (connected && entry.mac !== undefined && now < entry.updated + lockTime) return;
    entry.mac = mac;
    entry.updated = now;
    this.#enter(entry, state);
    this.#answer(entry);
  }

  #ask(entry: Entry, source: Ip | undefined): void {
    const { device, ip } = entry;
    const sender = this.#sender(device, ip, source);
    const frame = solicitation(device, sender, ip, entry.state === "PROBE" ? entry.mac : undefined);
    entry.asked++;
    this.#note(device, frame);
    // What somebody waits for is waited for; whether a known neighbour is still there is nobody's wait.
    const kind = entry.state === "INCOMPLETE" ? "foreground" : "background";
    entry.timer = this.#netns.network.sim.clock.after(questionPeriod, () => this.#unanswered(entry, source), kind);
    device.transmit(frame);
  }

  /**
   * The address that asks: of a packet of this host its own. Else ARP takes one of the same network (arp_announce 0), and
   * neighbour discovery the device's link-local one (net/ipv6/ndisc.c, ndisc_solicit).
   */
  #sender(device: Device, ip: Ip, source: Ip | undefined): Ip {
    const fallback = this.#netns.sourceOn(device, ip);
    if (typeof ip === "number") {
      return source !== undefined && this.#netns.routes.isLocal(source) ? source : (fallback ?? 0);
    }
    const { addresses } = device;
    if (addresses.some((address) => address.ip === source)) return source ?? 0n;
    return addresses.find((address) => isLinkLocal(address.ip))?.ip ?? fallback ?? 0n;
  }

  #unanswered(entry: Entry, source: Ip | undefined): void {
    entry.timer = undefined;
    if (entry.asked < questions) {
      this.#ask(entry, source);
      return;
    }
    const protocol = typeof entry.ip === "number" ? "ARP:" : "ND:";
    this.#tell(entry.device, () => `${protocol} nobody answers for ${formatIp(entry.ip)}`);
    entry.updated = this.#netns.network.sim.clock.now;
    this.#enter(entry, "FAILED");
    this.#answer(entry);
  }

  #answer(entry: Entry): void {
    const mac = entry.state === "FAILED" ? undefined : entry.mac;
    for (const then of entry.waiting.splice(0)) then(mac);
  }

  // ── States ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #enter(entry: Entry, state: NeighborState): void {
    const { clock } = this.#netns.network.sim;
    this.#doubt(entry, -1);
    entry.timer?.cancel();
    entry.timer = undefined;
    entry.state = state;
    this.#doubt(entry, 1);
    if (state === "REACHABLE") {
      entry.confirmed = clock.now;
      entry.timer = clock.after(this.#reachableTime(), () => this.#grewOld(entry), "background");
    } else if (state === "DELAY") {
      entry.timer = clock.after(delayTime, () => this.#probe(entry), "background");
    }
  }

  #doubt(entry: Entry, change: 1 | -1): void {
    if (entry.state === "DELAY" || entry.state === "PROBE") this.#doubtful += change;
  }

  /** A random time around the base, as the kernel draws it, so that not all ask at once. */
  #reachableTime(): Time {
    this.#random ??= this.#netns.network.sim.random.fork(`neighbors/${this.#netns.name}`);
    return this.#random.integer(baseReachableTime / 2, (baseReachableTime * 3) / 2);
  }

  /** Used lately: it will soon be asked whether it is there. Else it is left alone until it is used. */
  #grewOld(entry: Entry): void {
    const { now } = this.#netns.network.sim.clock;
    this.#enter(entry, now <= entry.used + delayTime ? "DELAY" : "STALE");
  }

  #probe(entry: Entry): void {
    entry.asked = 0;
    this.#enter(entry, "PROBE");
    this.#ask(entry, undefined);
  }

  // ── The table ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A dry walk asks nobody: it looks who on the link has the address. */
  #look(device: Device, ip: Ip): Mac | undefined {
    for (const end of farEnds(device)) {
      if (!end.master && answersFor(end.netns, end, ip)) return end.mac;
    }
    return undefined;
  }

  #remove(entries: Map<Ip, Entry>, entry: Entry): void {
    entries.delete(entry.ip);
    this.#size--;
    this.#enter(entry, "FAILED");
    this.#answer(entry);
  }

  #entry(device: Device, ip: Ip): Entry {
    let entries = this.#entries.get(device);
    if (!entries) {
      entries = new Map();
      this.#entries.set(device, entries);
    }
    const known = entries.get(ip);
    if (known) return known;
    this.#sweep();
    const entry: Entry = {
      device,
      ip,
      mac: undefined,
      state: "INCOMPLETE",
      confirmed: 0,
      used: this.#netns.network.sim.clock.now,
      updated: 0,
      waiting: [],
      asked: 0,
      timer: undefined,
    };
    entries.set(ip, entry);
    this.#size++;
    return entry;
  }

  /** Many entries: those that failed, and those that nobody has used for a while, go (neigh_periodic_work). */
  #sweep(): void {
    const { now } = this.#netns.network.sim.clock;
    if (this.#size < keptEntries || now < this.#swept + sweepPeriod) return;
    this.#swept = now;
    for (const entries of this.#entries.values()) {
      for (const entry of [...entries.values()]) {
        const idle = entry.state === "STALE" && now >= Math.max(entry.used, entry.confirmed) + staleTime;
        if (entry.state === "FAILED" || idle) this.#remove(entries, entry);
      }
    }
  }

  #note(device: Device, frame: Frame): void {
    this.#tell(device, () => describeSolicitation(frame) ?? "");
  }

  #tell(device: Device, what: () => string): void {
    const { network, name } = this.#netns;
    const { journal, clock } = network.sim;
    if (!journal.read) return;
    const detail = { type: "arp", netns: name, device: device.name };
    journal.write({ at: clock.now, where: name, about: device.name, what: what(), detail });
  }
}
