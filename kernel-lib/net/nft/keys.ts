/** Owns the keys by which elements are found: one for each value or concatenation of values, quick to make and compare. */
import type { DataTypeName, Value } from "./types";

export type Key = number | bigint | string;

/** Makes the key of a value, or of several in a row. */
export type Keyed = (values: readonly Value[]) => Key;

/** How many bits a part takes in a packed key; none for what does not fit a number. */
const bits: { readonly [Type in DataTypeName]?: number } = {
  ipv4_addr: 32,
  inet_proto: 3,
  inet_service: 16,
  nf_proto: 8,
  mark: 32,
  icmp_type: 8,
  icmpv6_type: 8,
};

/** The protocols that packets here can have, each in three bits. */
const codes: { readonly [protocol: number]: number } = { 6: 0, 17: 1, 132: 2, 1: 3, 58: 4 };

/**
 * The key maker of a set. Concatenations of up to 53 bits (an IPv4 address, a protocol, a port) are packed into one
 * number; longer ones, and protocols that no packet here has, are joined as text.
 */
export function keyMaker(types: readonly DataTypeName[]): Keyed {
  if (types.length === 1) return itself;
  const widths = types.map((type) => bits[type] ?? Number.POSITIVE_INFINITY);
  if (widths.reduce((sum, width) => sum + width, 0) > 53) return (values) => values.join(" . ");
  const factors = widths.map((width) => 2 ** width);
  const isProtocol = types.map((type) => type === "inet_proto");
  return (values) => {
    let key = 0;
    for (let at = 0; at < factors.length; at++) {
      const value = isProtocol[at] ? codes[values[at] as number] : (values[at] as number);
      if (value === undefined) return values.join(" . ");
      key = key * (factors[at] as number) + value;
    }
    return key;
  };
}

const itself: Keyed = (values) => values[0] as Key;
