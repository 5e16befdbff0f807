/** Owns nftables' data types: how their values are read, printed, compared and laid out in lists. */
import { formatIp, type Ip, tryParseIp } from "../address";

/** What a set holds, and a packet is asked for: addresses, numbers, names of devices. */
export type Value = Ip | string;

export type DataTypeName =
  | "ipv4_addr"
  | "ipv6_addr"
  | "inet_proto"
  | "inet_service"
  | "mark"
  | "ifname"
  | "nf_proto"
  | "ct_state"
  | "ct_status"
  | "ct_dir"
  | "fib_addrtype"
  | "icmp_type"
  | "icmpv6_type"
  | "integer";

type Symbols = { readonly [name: string]: number };

interface DataType {
  /** Octets of a value, as the kernel keeps it. */
  readonly size: number;
  /** How many elements of a named set stand in a line. */
  readonly perLine: 1 | 2 | 5;
  readonly largest?: number;
  readonly symbols?: Symbols;
  /** Numbers are printed as so many hexadecimal digits. */
  readonly hex?: number;
  /** A value is a set of flags. */
  readonly flags?: boolean;
  /** What is said of a number that does not fit. */
  readonly tooLarge?: string;
}

/** /etc/protocols. */
const protocols: Symbols = {
  icmp: 1,
  igmp: 2,
  ggp: 3,
  ipencap: 4,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  "ipv6-icmp": 58,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
};

/** /etc/services, as far as a course has use for it. */
const services: Symbols = {
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  http: 80,
  ntp: 123,
  https: 443,
  mysql: 3306,
  postgresql: 5432,
  "http-alt": 8080,
};

const types: { readonly [Name in DataTypeName]: DataType } = {
  ipv4_addr: { size: 4, perLine: 2 },
  ipv6_addr: { size: 16, perLine: 1 },
  inet_proto: { size: 1, perLine: 5, largest: 255, symbols: protocols, tooLarge: "Protocol out of range" },
  inet_service: { size: 2, perLine: 5, largest: 65535, tooLarge: "Service out of range" },
  mark: { size: 4, perLine: 5, largest: 0xffffffff, hex: 8 },
  ifname: { size: 16, perLine: 1 },
  nf_proto: { size: 1, perLine: 5, symbols: { ipv4: 2, ipv6: 10 } },
  ct_state: {
    size: 4,
    perLine: 2,
    symbols: { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 },
    flags: true,
  },
  ct_status: {
    size: 4,
    perLine: 2,
    symbols: { expected: 1, "seen-reply": 2, assured: 4, confirmed: 8, snat: 16, dnat: 32, dying: 512 },
    flags: true,
  },
  ct_dir: { size: 1, perLine: 5, symbols: { original: 0, reply: 1 } },
  fib_addrtype: {
    size: 4,
    perLine: 5,
    symbols: {
      unspec: 0,
      unicast: 1,
      local: 2,
      broadcast: 3,
      anycast: 4,
      multicast: 5,
      blackhole: 6,
      unreachable: 7,
      prohibit: 8,
    },
  },
  icmp_type: {
    size: 1,
    perLine: 5,
    symbols: {
      "echo-reply": 0,
      "destination-unreachable": 3,
      "source-quench": 4,
      redirect: 5,
      "echo-request": 8,
      "time-exceeded": 11,
      "parameter-problem": 12,
    },
  },
  icmpv6_type: {
    size: 1,
    perLine: 5,
    symbols: {
      "destination-unreachable": 1,
      "packet-too-big": 2,
      "time-exceeded": 3,
      "parameter-problem": 4,
      "echo-request": 128,
      "echo-reply": 129,
      "nd-router-solicit": 133,
      "nd-router-advert": 134,
      "nd-neighbor-solicit": 135,
      "nd-neighbor-advert": 136,
    },
  },
  integer: { size: 4, perLine: 5, largest: 0xffffffff },
};

/** What is known of a type. */
export function dataType(name: DataTypeName): DataType {
  return types[name];
}

/** Whether there is a type of this name. */
export function isDataType(name: string): name is DataTypeName {
  return Object.hasOwn(types, name);
}

/** How many elements of a named set with such keys stand in a line (nft's calculate_delim). */
export function perLine(key: readonly DataTypeName[]): number {
  const [first] = key;
  return key.length === 1 && first ? types[first].perLine : 1;
}

/** Reads one word as a value; a text that is none says why. */
export function parseValue(type: DataTypeName, word: string): Value | { readonly error: string } {
  if (type === "ipv4_addr" || type === "ipv6_addr") {
    const ip = tryParseIp(word);
    const fits = ip !== undefined && (typeof ip === "number") === (type === "ipv4_addr");
    return fits ? ip : { error: "Could not resolve hostname: Name or service not known" };
  }
  if (type === "ifname") return word;
  const { symbols, largest = 0xffffffff, tooLarge = "Value too large" } = types[type];
  const known = symbols?.[word] ?? (type === "inet_service" ? services[word] : undefined);
  if (known !== undefined && Object.hasOwn(symbols ?? services, word)) return known;
  if (!/^(0x[0-9a-fA-F]+|\d+)$/.test(word)) return { error: unknownWord(type) };
  const number = Number(word);
  return number <= largest ? number : { error: tooLarge };
}

function unknownWord(type: DataTypeName): string {
  if (type === "inet_service") return "Could not resolve service: Servname not supported for ai_socktype";
  if (type === "inet_proto") return "Could not resolve protocol name";
  return `Could not parse ${describe[type] ?? "integer"}`;
}

const describe: { readonly [Name in DataTypeName]?: string } = {
  mark: "packet mark",
  ct_state: "conntrack state",
  ct_status: "conntrack status",
  fib_addrtype: "address type",
  icmp_type: "ICMP type",
  icmpv6_type: "ICMPv6 type",
};

/** How values are printed. */
export interface ValueStyle {
  /** `-n`: numbers rather than names of protocols, states, priorities and times. */
  readonly numeric?: boolean;
  /** `-S`: names of services. */
  readonly services?: boolean;
}

/** A value as `nft list` prints it: numbers by their names, where the type and the style have such. */
export function formatValue(type: DataTypeName, value: Value, style: ValueStyle = {}): string {
  if (typeof value === "string") return `"${value}"`;
  if (type === "ipv4_addr" || type === "ipv6_addr") return formatIp(value);
  const { symbols, hex, flags } = types[type];
  const number = Number(value);
  if (hex !== undefined) return `0x${number.toString(16).padStart(hex, "0")}`;
  if (type === "inet_service" && style.services) return nameOf(services, number) ?? String(number);
  if (!symbols) return String(number);
  if (style.numeric) return flags ? `0x${number.toString(16)}` : String(number);
  if (!flags) return nameOf(symbols, number) ?? String(number);
  const set = Object.entries(symbols).filter(([, bit]) => (number & bit) !== 0);
  return set.map(([name]) => name).join(",");
}

function nameOf(symbols: Symbols, number: number): string | undefined {
  return Object.keys(symbols).find((name) => symbols[name] === number);
}

/** The order of values: addresses and numbers by size, names by length and then by their last letters. */
export function compareValues(one: Value, other: Value): number {
  if (typeof one === "string" && typeof other === "string") {
    return one.length - other.length || compareText([...one].reverse().join(""), [...other].reverse().join(""));
  }
  return one < other ? -1 : one > other ? 1 : 0;
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/**
 * The order in which nft 1.0 lists elements whose key is a concatenation: as if the octets of all parts, each padded to
 * 4, were one number whose last octet counts most.
 */
export function compareSwapped(types: readonly DataTypeName[], one: readonly Value[], other: readonly Value[]): number {
  for (let at = types.length - 1; at >= 0; at--) {
    const type = types[at] as DataTypeName;
    const order = compareValues(swapped(type, one[at] ?? 0), swapped(type, other[at] ?? 0));
    if (order !== 0) return order;
  }
  return 0;
}

/** Network byte order read backwards; what the kernel keeps in its own order stays. */
function swapped(type: DataTypeName, value: Value): Value {
  if (typeof value === "string") return value;
  if (typeof value === "bigint") {
    let result = 0n;
    for (let octet = 0; octet < 16; octet++) result = (result << 8n) | ((value >> BigInt(8 * octet)) & 255n);
    return result;
  }
  if (type === "ipv4_addr")
    return (
      ((value & 255) * 2 ** 24 + ((value >>> 8) & 255) * 2 ** 16 + ((value >>> 16) & 255) * 256 + (value >>> 24)) >>> 0
    );
  return type === "inet_service" ? ((value & 255) << 8) | (value >>> 8) : value;
}
