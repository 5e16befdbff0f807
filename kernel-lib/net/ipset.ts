/** Owns ipsets: sets of addresses and ports that rules look packets up in, as the kernel keeps them (net/netfilter/ipset). */
import type { Random } from "../sim/random";
import { type Cidr, contains, type Family, type Ip } from "./address";
import type { Packet, Protocol } from "./packet";
import { sourcePort, targetPort } from "./packet";
import type { SetDirection } from "./rule";

export const ipSetTypes = [
  "hash:ip",
  "hash:net",
  "hash:ip,port",
  "hash:ip,port,ip",
  "hash:ip,port,net",
  "bitmap:port",
] as const;
export type IpSetType = (typeof ipSetTypes)[number];

/** An entry: which parts it has, its set's type says. */
export interface IpSetEntry {
  readonly ip?: Ip;
  readonly net?: Cidr;
  readonly protocol?: Protocol;
  readonly port?: number;
  readonly ip2?: Ip;
}

export interface IpSetOptions {
  readonly family?: Family;
  readonly hashsize?: number;
  readonly maxelem?: number;
  /** What the hash is salted with; default: random. */
  readonly initval?: number;
  /** Of a bitmap, both ends inclusive. */
  readonly range?: readonly [number, number];
}

/** Entries are found by it; a Map compares numbers of all sizes by value. */
export type Key = string | number | bigint;

/** One set. Entries are kept in the order in which they were added. */
export class IpSet {
  readonly family: Family;
  readonly hashsize: number;
  readonly maxelem: number;
  readonly range: readonly [number, number];
  readonly #entries = new Map<Key, IpSetEntry>();
  /** Nets by the rest of their entry: these are searched, longest first. */
  readonly #nets = new Map<Key, Cidr[]>();

  constructor(
    readonly name: string,
    readonly type: IpSetType,
    options: IpSetOptions,
    /** What the kernel salts its hash with. */
    readonly initval: number,
  ) {
    this.family = options.family ?? "IPv4";
    this.hashsize = Math.max(64, 2 ** Math.ceil(Math.log2(options.hashsize ?? 1024)));
    this.maxelem = options.maxelem ?? 65_536;
    this.range = options.range ?? [0, 65_535];
  }

  /** Adds an entry; false if it is there already. Throws, in the kernel's words, when the set is full or it does not fit. */
  add(entry: IpSetEntry): boolean {
    if (entry.net?.length === 0) throw new IpSetError("The value of the CIDR parameter of the IP address is invalid");
    const key = keyOf(this.type, entry);
    if (this.#entries.has(key)) return false;
    if (this.type === "bitmap:port") {
      const { port = 0 } = entry;
      if (port < this.range[0] || port > this.range[1]) throw new IpSetError("Element is out of the range of the set");
    } else if (this.#entries.size >= this.maxelem) throw new IpSetError("Hash is full, cannot add more elements");
    this.#entries.set(key, entry);
    if (entry.net) {
      const rest = restKey(this.type, entry);
      const nets = [...(this.#nets.get(rest) ?? []), entry.net].sort((one, other) => other.length - one.length);
      this.#nets.set(rest, nets);
    }
    return true;
  }

  /** Takes an entry away; false if it is not there. */
  delete(entry: IpSetEntry): boolean {
    const key = keyOf(this.type, entry);
    const found = this.#entries.get(key);
    if (!found) return false;
    this.#entries.delete(key);
    if (found.net) {
      const rest = restKey(this.type, found);
      const nets = (this.#nets.get(rest) ?? []).filter((net) => net !== found.net);
      if (nets.length > 0) this.#nets.set(rest, nets);
      else this.#nets.delete(rest);
    }
    return true;
  }

  has(entry: IpSetEntry): boolean {
    return this.#entries.has(keyOf(this.type, entry));
  }

  /** `ipset test`: a single address is in a set of nets if one of them holds it. */
  test(entry: IpSetEntry): boolean {
    const whole = entry.net && entry.net.length === (typeof entry.net.ip === "number" ? 32 : 128);
    if (this.has(entry) || !entry.net || !whole) return this.has(entry);
    const { ip } = entry.net;
    return this.#nets.get(restKey(this.type, entry))?.some((net) => contains(net, ip)) ?? false;
  }

  flush(): void {
    this.#entries.clear();
    this.#nets.clear();
  }

  get size(): number {
    return this.#entries.size;
  }

  get entries(): readonly IpSetEntry[] {
    return [...this.#entries.values()];
  }

  /** Octets that the kernel needs for it, as long as no two entries share a bucket (measured, Linux 6.18). */
  get memory(): number {
    if (this.type === "bitmap:port") return 72 + 8 * Math.ceil((this.range[1] - this.range[0] + 1) / 64);
    const [empty, each] = memories[this.type][this.family];
    return empty + each * this.#entries.size;
  }

  /** Whether an entry fits a packet, each of its parts compared with the field that `directions` names. */
  matches(packet: Packet, directions: readonly SetDirection[]): boolean {
    if ((this.family === "IPv4") !== (typeof packet.source === "number") && this.type !== "bitmap:port") return false;
    if (this.#entries.size === 0) return false;
    const ip = (at: number): Ip => (directions[at] === "src" ? packet.source : packet.target);
    const port = (at: number): number => (directions[at] === "src" ? sourcePort : targetPort)(packet.body);
    const { protocol } = packet.body;
    switch (this.type) {
      case "hash:ip":
        return this.#entries.has(ip(0));
      case "hash:net":
        return this.#nets.get("")?.some((net) => contains(net, ip(0))) ?? false;
      case "bitmap:port":
        return protocol !== "icmp" && this.#entries.has(port(0));
      case "hash:ip,port":
        return this.#entries.has(endKey(ip(0), protocol, port(1)));
      case "hash:ip,port,ip":
        return this.#entries.has(`${endKey(ip(0), protocol, port(1))},${ip(2)}`);
      case "hash:ip,port,net":
        return this.#nets.get(endKey(ip(0), protocol, port(1)))?.some((net) => contains(net, ip(2))) ?? false;
    }
  }
}

/** Of an empty set, and of each entry. */
const memories: {
  readonly [Type in Exclude<IpSetType, "bitmap:port">]: { readonly [Name in Family]: readonly [number, number] };
} = {
  "hash:ip": { IPv4: [216, 40], IPv6: [224, 64] },
  "hash:net": { IPv4: [456, 48], IPv6: [1240, 72] },
  "hash:ip,port": { IPv4: [216, 48], IPv6: [232, 72] },
  "hash:ip,port,ip": { IPv4: [208, 56], IPv6: [232, 104] },
  "hash:ip,port,net": { IPv4: [464, 56], IPv6: [1256, 104] },
};

/** What the kernel refuses: the words that `ipset` prints behind the command. */
export class IpSetError extends Error {}

/** The sets of one namespace, by name. */
export class Ipsets {
  readonly #sets = new Map<string, IpSet>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get(name: string): IpSet | undefined {
    return this.#sets.get(name);
  }

  list(): readonly IpSet[] {
    return [...this.#sets.values()];
  }

  /** `ipset create`; the set that is there already where `exist` says so and it is of the same kind. */
  create(name: string, type: IpSetType, options: IpSetOptions = {}, exist = false): IpSet {
    const known = this.#sets.get(name);
    if (known) {
      const same = known.type === type && (type === "bitmap:port" || known.family === (options.family ?? "IPv4"));
      if (exist && same) return known;
      throw new IpSetError("Set cannot be created: set with the same name already exists");
    }
    const made = new IpSet(name, type, options, options.initval ?? this.#random.integer(0, 0xffffffff));
    this.#sets.set(name, made);
    return made;
  }

  /** `ipset destroy`. That no rule uses it is the caller's to see to: `referencesTo` of the namespace's tables. */
  destroy(name: string): void {
    if (!this.#sets.delete(name)) throw new IpSetError("The set with the given name does not exist");
  }

  /** `ipset rename`. */
  rename(from: string, to: string): void {
    const found = this.#sets.get(from);
    if (!found) throw new IpSetError("The set with the given name does not exist");
    if (this.#sets.has(to)) throw new IpSetError("Set cannot be renamed: a set with the new name already exists");
    const renamed = new IpSet(to, found.type, found, found.initval);
    for (const entry of found.entries) renamed.add(entry);
    this.#sets.delete(from);
    this.#sets.set(to, renamed);
  }
}

const protocolNumbers: { readonly [Name in Protocol]: number } = { icmp: 0, tcp: 1, udp: 2, sctp: 3 };

/** An address with a protocol and port: for IPv4 one number of 50 bits. */
function endKey(ip: Ip, protocol: Protocol, port: number): Key {
  const rest = protocolNumbers[protocol] * 65_536 + port;
  return typeof ip === "number" ? ip * 262_144 + rest : `${ip}/${rest}`;
}

function restKey(type: IpSetType, { ip, protocol = "tcp", port = 0 }: IpSetEntry): Key {
  return type === "hash:ip,port,net" ? endKey(ip ?? 0, protocol, port) : "";
}

/** What tells entries of a set of this type apart. */
export function keyOf(type: IpSetType, entry: IpSetEntry): Key {
  const { ip = 0, protocol = "tcp", port = 0, ip2 = 0, net } = entry;
  switch (type) {
    case "hash:ip":
      return ip;
    case "bitmap:port":
      return port;
    case "hash:net":
      return `${net?.ip}/${net?.length}`;
    case "hash:ip,port":
      return endKey(ip, protocol, port);
    case "hash:ip,port,ip":
      return `${endKey(ip, protocol, port)},${ip2}`;
    case "hash:ip,port,net":
      return `${endKey(ip, protocol, port)},${net?.ip}/${net?.length}`;
  }
}
