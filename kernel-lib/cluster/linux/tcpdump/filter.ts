/** Owns the filter language of tcpdump (pcap-filter(7)): a text becomes a test of a frame's octets. */
import { contains, tryParseCidr, tryParseIp } from "../../../net/address";
import { type Filter, layersOf } from "./layers";
import { ipAt, macAt, u8, u16 } from "./octets";
import { Relations } from "./relation";
import { protocolNumbers, servicePort } from "./services";

/** What is wrong with a filter, in libpcap's words. */
export class FilterError extends Error {}

export function syntaxError(): never {
  throw new FilterError("can't parse filter expression: syntax error");
}

const protocols = new Set(["ether", "ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp", "icmp6", "sctp"]);
const directions = new Set(["src", "dst"]);
const types = new Set(["host", "net", "port", "portrange", "proto"]);
const reserved = new Set(["and", "or", "not", "&&", "||", "!", "(", ")"]);

/** What stands before an address or number, and holds for the next one too (`port 80 or 443`). */
interface Qualifiers {
  readonly protocol: string | undefined;
  readonly direction: "src" | "dst" | "either" | "both";
  readonly type: string | undefined;
}

/** @throws FilterError */
export function compileFilter(text: string): Filter {
  const words = text.match(/::[\da-f:.]*(?:\/\d+)?|&&|\|\||<<|>>|[<>=!]=|[()[\]!<>=&|^+*/:]|[\w.][\w.:/-]*|\S/g) ?? [];
  if (words.length === 0) return () => true;
  return new Parser(words).whole();
}

class Parser {
  readonly #words: readonly string[];
  #at = 0;
  #last: Qualifiers | undefined;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  whole(): Filter {
    const filter = this.#expression();
    if (this.#at < this.#words.length) syntaxError();
    return filter;
  }

  /** `and` and `or` bind equally, from left to right. */
  #expression(): Filter {
    let left = this.#term();
    for (let word = this.#peek(); word !== undefined; word = this.#peek()) {
      const and = word === "and" || word === "&&";
      if (!and && word !== "or" && word !== "||") break;
      this.#at++;
      const one = left;
      const other = this.#term();
      left = and ? (frame) => one(frame) && other(frame) : (frame) => one(frame) || other(frame);
    }
    return left;
  }

  #term(): Filter {
    const word = this.#peek();
    if (word === "not" || word === "!") {
      this.#at++;
      const inner = this.#term();
      return (frame) => !inner(frame);
    }
    const relation = this.#relation();
    if (relation) return relation;
    if (word === "(") {
      this.#at++;
      const inner = this.#expression();
      if (this.#words[this.#at++] !== ")") syntaxError();
      return inner;
    }
    return this.#primitive();
  }

  /** `tcp[13] & 2 != 0`, `len > 100`: tried first, for `(` may begin either. */
  #relation(): Filter | undefined {
    const read = new Relations(this.#words, this.#at).read();
    if (!read) return undefined;
    this.#at = read.next;
    return read.filter;
  }

  #primitive(): Filter {
    const word = this.#next();
    switch (word) {
      case "broadcast":
        return (frame) => macAt(frame, 0) === "ff:ff:ff:ff:ff:ff";
      case "multicast":
        return (frame) => (u8(frame, 0) & 1) === 1;
      case "less":
      case "greater": {
        const length = Number(this.#next());
        if (!Number.isInteger(length)) syntaxError();
        return word === "less" ? (frame) => frame.length <= length : (frame) => frame.length >= length;
      }
    }
    this.#at--;
    const given = this.#qualifiers();
    const id = this.#peek();
    const bare = given.protocol !== undefined && given.type === undefined && given.direction === "either";
    if (bare && given.protocol === "ether" && (id === "broadcast" || id === "multicast")) return this.#primitive();
    if (id !== undefined && !reserved.has(id) && !/^[\w:.]/.test(id)) syntaxError();
    if (id === undefined || reserved.has(id)) {
      if (!bare || given.protocol === "ether") syntaxError();
      this.#last = undefined;
      return protocolFilter(given.protocol ?? "");
    }
    this.#at++;
    const after = this.#peek();
    if (after !== undefined && !reserved.has(after)) syntaxError();
    const nothing = given.protocol === undefined && given.type === undefined && given.direction === "either";
    const qualifiers = nothing && this.#last ? this.#last : given;
    this.#last = qualifiers;
    return this.#qualified(qualifiers, id);
  }

  #qualifiers(): Qualifiers {
    let protocol: string | undefined;
    let direction: Qualifiers["direction"] = "either";
    let type: string | undefined;
    if (protocols.has(this.#peek() ?? "")) protocol = this.#next();
    if (directions.has(this.#peek() ?? "")) {
      direction = this.#next() as "src" | "dst";
      const [joint, other] = [this.#peek(), this.#words[this.#at + 1]];
      if ((joint === "or" || joint === "and") && other !== direction && directions.has(other ?? "")) {
        direction = joint === "or" ? "either" : "both";
        this.#at += 2;
      }
    }
    if (types.has(this.#peek() ?? "")) type = this.#next();
    return { protocol, direction, type };
  }

  #qualified({ protocol, direction, type }: Qualifiers, id: string): Filter {
    switch (type) {
      case "port":
      case "portrange":
        return portFilter(protocol, direction, range(type, id));
      case "proto": {
        const number = /^\d+$/.test(id) ? Number(id) : protocolNumbers[id.replace(/^\\/, "")];
        if (number === undefined) throw new FilterError(`unknown ip proto '${id}'`);
        const family = protocol ?? "either";
        return (frame) => (family === "either" || family === familyOf(frame)) && layersOf(frame).protocol === number;
      }
      case "net":
        return addressFilter(protocol, direction, network(id));
      default:
        if (protocol === "ether") return etherFilter(direction, id);
        return addressFilter(protocol, direction, host(id, type));
    }
  }

  #peek(): string | undefined {
    return this.#words[this.#at];
  }

  #next(): string {
    return this.#words[this.#at++] ?? syntaxError();
  }
}

function familyOf(frame: Uint8Array): string | undefined {
  return layersOf(frame).family;
}

function protocolFilter(protocol: string): Filter {
  const number = protocolNumbers[protocol];
  if (number === undefined) return (frame) => familyOf(frame) === protocol;
  const only = protocol === "icmp" ? "ip" : protocol === "icmp6" ? "ip6" : undefined;
  return (frame) => {
    const layers = layersOf(frame);
    return layers.protocol === number && (only === undefined || layers.family === only);
  };
}

function either<T>(direction: Qualifiers["direction"], test: (value: T) => boolean, source: T, target: T): boolean {
  switch (direction) {
    case "src":
      return test(source);
    case "dst":
      return test(target);
    case "either":
      return test(source) || test(target);
    case "both":
      return test(source) && test(target);
  }
}

function portFilter(
  protocol: string | undefined,
  direction: Qualifiers["direction"],
  [low, high]: readonly [number, number],
): Filter {
  const wanted = protocol === undefined || protocol === "ip" || protocol === "ip6" ? undefined : protocol;
  if (wanted !== undefined && !["tcp", "udp", "sctp"].includes(wanted)) {
    throw new FilterError("illegal qualifier of 'port'");
  }
  const numbers = wanted === undefined ? [6, 17, 132] : [protocolNumbers[wanted] ?? -1];
  return (frame) => {
    const layers = layersOf(frame);
    if (!layers.first || !numbers.includes(layers.protocol)) return false;
    if ((protocol === "ip" || protocol === "ip6") && layers.family !== protocol) return false;
    const inside = (port: number): boolean => port >= low && port <= high;
    return either(direction, inside, u16(frame, layers.transport), u16(frame, layers.transport + 2));
  };
}

function range(type: string, id: string): readonly [number, number] {
  const [first = "", last] = type === "portrange" ? id.split("-") : [id];
  const [low, high] = [servicePort(first), servicePort(last ?? first)];
  if (low === undefined || high === undefined) {
    throw new FilterError(`unknown port${type === "portrange" ? " in range" : ""} '${id}'`);
  }
  return [Math.min(low, high), Math.max(low, high)];
}

/** Linux' test of an address, for each family that it may be of. */
interface AddressTest {
  readonly family: "ip" | "ip6";
  matches(ip: number | bigint): boolean;
}

function host(id: string, type: string | undefined): AddressTest {
  if (type === undefined && /^\d+$/.test(id)) syntaxError();
  const ip = tryParseIp(id) ?? (id === "localhost" ? tryParseIp("127.0.0.1") : undefined);
  if (ip === undefined) {
    // As libpcap does: without `host`, what is no address is tried as a prefix.
    if (id.includes("/")) return network(id);
    throw new FilterError(`unknown host '${id}'`);
  }
  return { family: typeof ip === "number" ? "ip" : "ip6", matches: (other) => other === ip };
}

/** `10.244.0.0/16`, `10.244.1`, `fd00::/64`. */
function network(id: string): AddressTest {
  const short = /^\d+(\.\d+){0,3}$/.test(id) ? id.split(".") : undefined;
  const filled =
    short === undefined ? id : `${[...short, "0", "0", "0"].slice(0, 4).join(".")}/${shortLength(short.length, id)}`;
  const cidr = tryParseCidr(filled);
  if (!cidr) throw new FilterError(`unknown network '${id}'`);
  const masked = contains(cidr, cidr.ip) && tryParseIp(id.split("/")[0] ?? "");
  if (typeof masked === "number" && cidr.length < 32 && masked % 2 ** (32 - cidr.length) !== 0) {
    throw new FilterError(`non-network bits set in "${id}"`);
  }
  return { family: typeof cidr.ip === "number" ? "ip" : "ip6", matches: (ip) => contains(cidr, ip) };
}

/** A network of four numbers is an address of its own; one of fewer is as wide as they say. */
function shortLength(numbers: number, id: string): number {
  return tryParseIp(id) === undefined ? numbers * 8 : 32;
}

function addressFilter(
  protocol: string | undefined,
  direction: Qualifiers["direction"],
  { family, matches }: AddressTest,
): Filter {
  const transport = protocol === undefined ? undefined : protocolNumbers[protocol];
  if (transport !== undefined) {
    throw new FilterError(`'${protocol}' modifier applied to host`);
  }
  return (frame) => {
    const found = familyOf(frame);
    if (protocol !== undefined && found !== protocol) return false;
    if (found === "arp" && family === "ip") {
      return either(direction, matches, ipAt(frame, 28, 4), ipAt(frame, 38, 4));
    }
    if (found !== family) return false;
    if (family === "ip") return either(direction, matches, ipAt(frame, 26, 4), ipAt(frame, 30, 4));
    return either(direction, matches, ipAt(frame, 22, 16), ipAt(frame, 38, 16));
  };
}

function etherFilter(direction: Qualifiers["direction"], id: string): Filter {
  if (!/^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i.test(id)) throw new FilterError(`unknown ether host '${id}'`);
  const mac = id
    .toLowerCase()
    .split(":")
    .map((octet) => octet.padStart(2, "0"))
    .join(":");
  return (frame) => either(direction, (other) => other === mac, macAt(frame, 6), macAt(frame, 0));
}
