/** Owns addresses: IP addresses, prefixes and MAC addresses, read and printed at the edges, cheap to compare inside. */
import { IPv4, IPv6 } from "ip-num";

/** An IP address. IPv4 is a number, IPv6 a bigint, so `===`, `Map` keys and `typeof` (the family) all work. */
export type Ip = number | bigint;

export type Family = "IPv4" | "IPv6";

/** A prefix such as 10.244.0.0/16. The address may have host bits (`10.244.1.1/24` on an interface). */
export interface Cidr {
  readonly ip: Ip;
  readonly length: number;
}

/** Six octets as Linux prints them: `0a:58:0a:f4:01:02`. */
export type Mac = string;

/** An address and a port. */
export interface SocketAddress {
  readonly ip: Ip;
  readonly port: number;
}

export const anyIpv4: Ip = 0;
export const anyIpv6: Ip = 0n;
export const localhost: Ip = 0x7f000001;
export const broadcastMac: Mac = "ff:ff:ff:ff:ff:ff";
export const zeroMac: Mac = "00:00:00:00:00:00";

export function family(ip: Ip): Family {
  return typeof ip === "number" ? "IPv4" : "IPv6";
}

/** Reads `10.244.1.2` or `fd00::1`; undefined if it is neither. Leading zeros are refused, as Kubernetes does now. */
export function tryParseIp(text: string): Ip | undefined {
  const dotted = readDotted(text);
  if (dotted !== undefined) return dotted;
  try {
    return text.includes(":") ? new IPv6(text).getValue() : Number(new IPv4(text).getValue());
  } catch {
    return undefined;
  }
}

/** The usual form of an IPv4 address, twenty times as fast as the library reads it; of all else that is to judge. */
function readDotted(text: string): number | undefined {
  let ip = 0;
  let octet = -1;
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9 && octet !== 0) {
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return undefined;
    } else if (digit === -2 && octet >= 0 && dots < 3) {
      ip = ip * 256 + octet;
      octet = -1;
      dots++;
    } else return undefined;
  }
  return dots === 3 && octet >= 0 ? ip * 256 + octet : undefined;
}

/** Reads an IP address; throws `RangeError` with the text in it if it is none. */
export function parseIp(text: string): Ip {
  const ip = tryParseIp(text);
  if (ip === undefined) throw new RangeError(`invalid IP address: ${JSON.stringify(text)}`);
  return ip;
}

/** Reads `10.244.0.0/16` (host bits are kept) or a bare address, which is its own /32 or /128; undefined if neither. */
export function tryParseCidr(text: string): Cidr | undefined {
  const [address = "", bits, ...rest] = text.split("/");
  const ip = tryParseIp(address);
  if (ip === undefined || rest.length > 0) return undefined;
  const widest = widthOf(ip);
  if (bits === undefined) return { ip, length: widest };
  if (!/^(0|[1-9][0-9]{0,2})$/.test(bits) || Number(bits) > widest) return undefined;
  return { ip, length: Number(bits) };
}

/** Reads a prefix; throws `RangeError` with the text in it if it is none. */
export function parseCidr(text: string): Cidr {
  const cidr = tryParseCidr(text);
  if (!cidr) throw new RangeError(`invalid CIDR address: ${text}`);
  return cidr;
}

/** 32 or 128. */
export function widthOf(ip: Ip): 32 | 128 {
  return typeof ip === "number" ? 32 : 128;
}

/** Prints an address: dotted for IPv4, by RFC 5952 (lower case, longest run of zeros shortened) for IPv6. */
export function formatIp(ip: Ip): string {
  if (typeof ip === "number") return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
  const groups: string[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(((ip >> shift) & 0xffffn).toString(16));
  const zeros = longestZeros(groups);
  if (zeros.length < 2) return groups.join(":");
  return `${groups.slice(0, zeros.start).join(":")}::${groups.slice(zeros.start + zeros.length).join(":")}`;
}

/** `10.244.0.0/16`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.ip)}/${cidr.length}`;
}

/** `10.244.1.2:80`, `[fd00::1]:80`. */
export function formatSocketAddress(ip: Ip, port: number): string {
  return typeof ip === "number" ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`;
}

/** Whether `ip` lies in the prefix; false across families. */
export function contains(cidr: Cidr, ip: Ip): boolean {
  const net = cidr.ip;
  if (typeof net === "number") {
    if (typeof ip !== "number") return false;
    return cidr.length === 0 || (net ^ ip) >>> (32 - cidr.length) === 0;
  }
  return typeof ip === "bigint" && (net ^ ip) >> BigInt(128 - cidr.length) === 0n;
}

/** The prefix without host bits: 10.244.1.1/24 → 10.244.1.0/24. */
export function networkOf(cidr: Cidr): Cidr {
  const { ip, length } = cidr;
  if (typeof ip === "number") return { ip: length === 0 ? 0 : ((ip >>> (32 - length)) << (32 - length)) >>> 0, length };
  const host = BigInt(128 - length);
  return { ip: (ip >> host) << host, length };
}

/** The last address of an IPv4 prefix (its broadcast address), or of an IPv6 one. */
export function lastOf(cidr: Cidr): Ip {
  const { ip, length } = networkOf(cidr);
  if (typeof ip === "number") return ip + 2 ** (32 - length) - 1;
  return ip + (1n << BigInt(128 - length)) - 1n;
}

/** The address `count` after `ip` (before it, if negative). */
export function addToIp(ip: Ip, count: number): Ip {
  return typeof ip === "number" ? ip + count : ip + BigInt(count);
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(ip: Ip): boolean {
  return typeof ip === "number" ? ip >>> 24 === 127 : ip === 1n;
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(ip: Ip): boolean {
  return typeof ip === "number" ? ip >>> 28 === 14 : ip >> 120n === 0xffn;
}

/** The MAC address that the bridge CNI plugin derives from an IPv4 address: `0a:58` and its octets (plugins pkg/utils/hwaddr). */
export function macOfIp(ip: Ip): Mac {
  const low = typeof ip === "number" ? ip : Number(ip & 0xffffffffn);
  return macFrom([0x0a, 0x58, low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255]);
}

/**
 * A random locally administered unicast address, as the kernel makes for a new veth, bridge or VXLAN device
 * (include/linux/etherdevice.h, eth_random_addr). `integer` draws a whole number, both bounds inclusive.
 */
export function randomMac(integer: (low: number, high: number) => number): Mac {
  const octets = Array.from({ length: 6 }, () => integer(0, 255));
  octets[0] = ((octets[0] ?? 0) & 0xfe) | 0x02;
  return macFrom(octets);
}

/** Whether a frame to this address goes to many: broadcast, or a multicast group (the low bit of the first octet). */
export function isGroupMac(mac: Mac): boolean {
  const digit = mac.charCodeAt(1);
  return digit > 57 ? (digit & 1) === 0 : (digit & 1) === 1;
}

/** The link-local address that a device gives itself: fe80::/64 and its EUI-64 (RFC 4291 appendix A). */
export function linkLocalOf(mac: Mac): Ip {
  const octets = mac.split(":").map((octet) => BigInt(`0x${octet}`));
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = octets;
  const identifier = [a ^ 2n, b, c, 0xffn, 0xfen, d, e, f].reduce((value, octet) => (value << 8n) | octet, 0n);
  return (0xfe80n << 112n) | identifier;
}

/** fe80::/10, or 169.254.0.0/16 */
export function isLinkLocal(ip: Ip): boolean {
  return typeof ip === "bigint" ? ip >> 118n === 0x3fan : ip >>> 16 === 0xa9fe;
}

/** ff02::1:ffXX:XXXX: the group in which the owner of an address listens for solicitations (RFC 4291 section 2.7.1). */
export function solicitedNode(ip: bigint): Ip {
  return (0xff02n << 112n) | 0x1ff000000n | (ip & 0xffffffn);
}

/** The MAC address of a multicast group (RFC 1112 section 6.4, RFC 2464 section 7). */
export function groupMac(ip: Ip): Mac {
  const low = typeof ip === "number" ? ip : Number(ip & 0xffffffffn);
  const tail = [(low >>> 16) & 255, (low >>> 8) & 255, low & 255];
  if (typeof ip === "number") return macFrom([0x01, 0x00, 0x5e, (tail[0] ?? 0) & 0x7f, tail[1] ?? 0, tail[2] ?? 0]);
  return macFrom([0x33, 0x33, low >>> 24, ...tail]);
}

function macFrom(octets: readonly number[]): Mac {
  return octets.map((octet) => octet.toString(16).padStart(2, "0")).join(":");
}

function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === "0") length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
