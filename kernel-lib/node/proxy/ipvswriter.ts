/** Owns what ipvs mode has written into one node's kernel for one family: counted, for Services may share parts of it. */
import {
  type Cidr,
  contains,
  type Family,
  family as familyOf,
  type Ip,
  isLinkLocal,
  parseIp,
  widthOf,
} from "../../net/address";
import { type IpSet, type IpSetEntry, IpSetError, type Key, keyOf } from "../../net/ipset";
import type { SchedulerName } from "../../net/ipvs/scheduler";
import type { SchedulerFlag, VirtualServer } from "../../net/ipvs/server";
import type { Netns } from "../../net/netns";
import type { GracefulTermination } from "./ipvsgrace";
import type { PlannedServer, PortPlan } from "./ipvsplan";
import type { NodeRefused } from "./ipvsrules";
import { ensureSet, type IpvsSetKey, ipvsSetKeys } from "./ipvssets";
import { byName, type Endpoint, type ServicePortInfo } from "./view";

/** A virtual server that a port wants. */
interface Wanted {
  readonly port: ServicePortInfo;
  readonly planned: PlannedServer;
}

interface Counted {
  readonly entry: IpSetEntry;
  count: number;
}

/** What was written, and what of it is to be written anew; `write` does that. */
export class IpvsWriter {
  readonly #sets = new Map<IpvsSetKey, { readonly set: IpSet; readonly entries: Map<Key, Counted> }>();
  /**
   * By protocol, address and port: nearly all are wanted once. Of Services that fight over one the first by name has it, as
   * in iptables rules; upstream the one that its sync comes to last, in no order.
   */
  readonly #servers = new Map<string, Wanted | Wanted[]>();
  /** What `write` has to look at. */
  readonly #touchedEntries = new Map<IpvsSetKey, Set<Key>>();
  readonly #touchedServers = new Map<string, PlannedServer>();
  /** Entries that may have to be taken out of their set. */
  readonly #leaving = new Map<string, IpSetEntry>();
  /** Addresses on the device, so that it need not be searched for each. */
  readonly #bound = new Set<Ip>();
  readonly #refusing = new Map<PortPlan, ServicePortInfo>();
  #first = true;

  constructor(
    private readonly netns: Netns,
    private readonly family: Family,
    private readonly scheduler: SchedulerName,
    private readonly device: string,
    private readonly grace: GracefulTermination,
  ) {
    for (const { ip } of netns.device(device).writtenAddresses) this.#bound.add(ip);
    for (const key of ipvsSetKeys) {
      this.#sets.set(key, { set: ensureSet(netns.ipsets, key, family), entries: new Map() });
    }
  }

  /** Virtual servers of load balancers that this node itself may not use, in the order of the ports' names. */
  get refused(): readonly NodeRefused[] {
    const byPlan = [...this.#refusing].sort(([, one], [, other]) => byName(one, other));
    return byPlan.flatMap(([{ refused }]) => refused);
  }

  filled(key: IpvsSetKey): boolean {
    return (this.#sets.get(key)?.entries.size ?? 0) > 0;
  }

  /** A port wants this; nothing is written before `write`. */
  add(plan: PortPlan, port: ServicePortInfo): void {
    if (plan.refused.length > 0) this.#refusing.set(plan, port);
    for (const [key, entry] of plan.entries) this.#count(key, entry, 1);
    for (const planned of plan.servers) {
      const name = nameOf(planned);
      const known = this.#servers.get(name);
      const wanted = { port, planned };
      this.#servers.set(name, known === undefined ? wanted : [...listOf(known), wanted].sort(byPort));
      this.#touchedServers.set(name, planned);
    }
  }

  /** A port wants this no more. */
  remove(plan: PortPlan): void {
    this.#refusing.delete(plan);
    for (const [key, entry] of plan.entries) this.#count(key, entry, -1);
    for (const planned of plan.servers) {
      const name = nameOf(planned);
      const [first, ...others] = listOf(this.#servers.get(name)).filter((wanted) => wanted.planned !== planned);
      if (first === undefined) this.#servers.delete(name);
      else this.#servers.set(name, others.length === 0 ? first : [first, ...others]);
      this.#touchedServers.set(name, planned);
    }
  }

  /** Writes what changed since the last time: addresses and servers that come before those that go. */
  write(): void {
    const { ipvs } = this.netns;
    const gone: PlannedServer[] = [];
    for (const [name, planned] of this.#touchedServers) {
      const [wanted] = listOf(this.#servers.get(name));
      if (wanted) this.#writeServer(wanted);
      else gone.push(planned);
    }
    this.#writeEntries();
    for (const planned of gone) if (ipvs.get(planned)) ipvs.delete(planned);
    this.#touchedServers.clear();
    this.#first = false;
  }

  /**
   * What an earlier start or somebody's hand has changed: entries, addresses and virtual servers (but excluded ones) that
   * nobody wants go, those that are missing come back. Upstream compares all at each sync; here counting says where to.
   */
  mend(excluded: readonly Cidr[]): void {
    for (const { set, entries } of this.#sets.values()) {
      if (set.size === entries.size) continue;
      for (const entry of set.entries) if (!entries.has(keyOf(set.type, entry))) set.delete(entry);
      for (const { entry } of entries.values()) addEntry(set, entry);
    }
    this.#mendAddresses();
    const { ipvs } = this.netns;
    if (ipvs.count(this.family) === this.#servers.size) return;
    for (const service of ipvs.list()) {
      if (familyOf(service.ip) !== this.family || excluded.some((prefix) => contains(prefix, service.ip))) continue;
      if (!this.#servers.has(nameOf(service))) ipvs.delete(service);
    }
    for (const each of this.#servers.values()) {
      const [wanted] = listOf(each);
      if (wanted && !ipvs.get(wanted.planned)) this.#writeServer(wanted);
    }
  }

  #mendAddresses(): void {
    const wanted = this.#sets.get("bound")?.entries ?? new Map<Key, Counted>();
    const there = this.netns.device(this.device).writtenAddresses.filter(({ ip }) => familyOf(ip) === this.family);
    if (there.length === wanted.size) return;
    this.#bound.clear();
    for (const { ip } of there) {
      this.#bound.add(ip);
      if (!wanted.has(ip) && !(typeof ip === "bigint" && isLinkLocal(ip))) this.#unbind(ip);
    }
    for (const { entry } of wanted.values()) if (entry.ip !== undefined) this.#bind(entry.ip);
  }

  #count(key: IpvsSetKey, entry: IpSetEntry, by: 1 | -1): void {
    const found = this.#sets.get(key);
    if (!found) return;
    const { entries, set } = found;
    const name = keyOf(set.type, entry);
    const counted = entries.get(name) ?? { entry, count: 0 };
    counted.count += by;
    if (counted.count > 0) entries.set(name, counted);
    else entries.delete(name);
    const touched = this.#touchedEntries.get(key) ?? new Set<Key>();
    this.#touchedEntries.set(key, touched.add(name));
    if (by < 0 && counted.count <= 0) this.#leaving.set(`${key} ${name}`, entry);
  }

  #writeEntries(): void {
    for (const [key, names] of this.#touchedEntries) {
      const found = this.#sets.get(key);
      if (!found) continue;
      for (const name of names) {
        const wanted = found.entries.get(name);
        const leaving = this.#leaving.get(`${key} ${name}`);
        if (wanted) addEntry(found.set, wanted.entry);
        else if (leaving) found.set.delete(leaving);
        if (key === "bound" && !wanted && leaving?.ip !== undefined) this.#unbind(leaving.ip);
      }
    }
    this.#touchedEntries.clear();
    this.#leaving.clear();
  }

  #writeServer({ planned, port: { affinity: persistence } }: Wanted): void {
    const { ipvs } = this.netns;
    const { scheduler } = this;
    // kube-proxy has mh hash the client's port too.
    const flags: readonly SchedulerFlag[] = scheduler === "mh" ? ["port"] : [];
    const options = { protocol: planned.protocol, ip: planned.ip, port: planned.port, scheduler, persistence, flags };
    const known = ipvs.get(planned);
    const same = known?.scheduler === scheduler && known.persistence === persistence;
    const service = known ? (same ? known : ipvs.edit(options)) : ipvs.add(options);
    if (planned.bind) this.#bind(planned.ip);
    this.#writeEndpoints(service, planned.endpoints);
  }

  /** New ones are put in front in the kernel, so they are added backwards: the first by address gets its turn first. */
  #writeEndpoints(service: VirtualServer, endpoints: readonly Endpoint[]): void {
    const { ipvs } = this.netns;
    const wanted = new Set<RealName>();
    for (const endpoint of [...endpoints].reverse()) {
      const ip = parseIp(endpoint.ip);
      const { port } = endpoint;
      wanted.add(realName(ip, port));
      const known = service.servers.find((server) => server.ip === ip && server.port === port);
      const leaving = known && this.grace.has(service, ip, port);
      if (known && this.#first && known.weight !== 1) ipvs.editServer(service, ip, port, 1);
      if (known && !leaving) continue;
      if (leaving) this.grace.keep(service, ip, port);
      ipvs.addServer(service, ip, port, 1);
    }
    for (const { ip, port } of [...service.servers]) {
      if (!wanted.has(realName(ip, port)) && !this.grace.has(service, ip, port)) this.grace.remove(service, ip, port);
    }
  }

  #bind(ip: Ip): void {
    if (this.#bound.has(ip)) return;
    this.#bound.add(ip);
    this.netns.addAddress(this.device, { ip, length: widthOf(ip) });
  }

  #unbind(ip: Ip): void {
    this.#bound.delete(ip);
    const { writtenAddresses } = this.netns.device(this.device);
    const found = writtenAddresses.find((address) => address.ip === ip);
    if (found) this.netns.deleteAddress(this.device, found);
  }
}

/** What the kernel refuses (a source range of all addresses) is left out, as upstream does, which logs it. */
function addEntry(set: IpSet, entry: IpSetEntry): void {
  try {
    set.add(entry);
  } catch (error) {
    if (!(error instanceof IpSetError)) throw error;
  }
}

function listOf(wanted: Wanted | readonly Wanted[] | undefined): readonly Wanted[] {
  return wanted === undefined ? [] : Array.isArray(wanted) ? wanted : [wanted as Wanted];
}

function byPort(one: Wanted, other: Wanted): number {
  return byName(one.port, other.port);
}

type RealName = string;

function realName(ip: Ip, port: number): RealName {
  return `${ip}:${port}`;
}

function nameOf({ protocol, ip, port }: Pick<PlannedServer, "protocol" | "ip" | "port">): string {
  return `${protocol}/${ip}:${port}`;
}
