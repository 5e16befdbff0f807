/** Owns the arithmetic of ranges from which cluster IPs are handed out: how many there are, in which order they are tried. */
import { formatIp, type ParsedCidr, parseCidr, parseIp } from "../validation/ip";

/** Indexes are kept as numbers: of a range that is larger, only so many addresses are ever handed out. */
const mostAddresses = 2 ** 52;
const maxUint64 = 2n ** 64n - 1n;

/** A range for cluster IPs: index 0 is its first usable address. */
export interface AddressRange {
  /** As it was written. */
  readonly text: string;
  readonly family: "IPv4" | "IPv6";
  /** How many addresses can be handed out. */
  readonly usable: number;
  /** All addresses, the unusable ones too; what the reserved band is counted from. */
  readonly size: number;
  addressOf(index: number): string;
  /** Undefined: not in the range, or not usable. */
  indexOf(ip: string): number | undefined;
}

/** @throws RangeError `invalid CIDR address: x` */
export function addressRange(text: string): AddressRange {
  const cidr = parsed(text);
  const { family, first } = cidr;
  const usable = Number(min(hostsPerNetwork(text), BigInt(mostAddresses)));
  return {
    text,
    family,
    usable,
    size: Number(min(cidr.size, BigInt(mostAddresses))),
    addressOf: (index) => formatIp(family, first + BigInt(index + 1)),
    indexOf: (ip) => {
      const address = parseIp(ip);
      if (address?.family !== family) return undefined;
      const index = address.value - first - 1n;
      return index >= 0n && index < BigInt(usable) ? Number(index) : undefined;
    },
  };
}

/**
 * How many addresses of a network hosts can have: not the network's own, and in IPv4 not the broadcast address either.
 * At most what 64 bits hold (pkg/registry/core/service/ipallocator: hostsPerNetwork).
 */
export function hostsPerNetwork(text: string): bigint {
  const { family, size } = parsed(text);
  const hosts = size - (family === "IPv4" ? 2n : 1n);
  return hosts < 0n ? 0n : min(hosts, maxUint64);
}

/** The last address of a network (ipallocator: broadcastAddress). */
export function broadcastAddress(text: string): string {
  const { family, first, size } = parsed(text);
  return formatIp(family, first + size - 1n);
}

/**
 * The indexes from `low` to before `high`, each once, from `offset` places after the first one on and around; an offset
 * that lies outside counts from the start (ipallocator: ipIterator).
 */
export function* indexesFrom(low: number, high: number, offset: number): Generator<number> {
  const count = high - low;
  const start = offset < count ? offset : 0;
  for (let step = 0; step < count; step++) yield low + ((start + step) % count);
}

function parsed(text: string): ParsedCidr {
  const cidr = parseCidr(text);
  if (!cidr) throw new RangeError(`invalid CIDR address: ${text}`);
  return cidr;
}

function min(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
