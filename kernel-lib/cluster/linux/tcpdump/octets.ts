/** Owns reading octets in network order; beyond the end everything is 0. */
import { formatIp, type Ip } from "../../../net/address";

export function u8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export function u16(bytes: Uint8Array, at: number): number {
  return (u8(bytes, at) << 8) | u8(bytes, at + 1);
}

export function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2);
}

/** `0a:58:0a:f4:01:02`. */
export function macAt(bytes: Uint8Array, at: number): string {
  return Array.from({ length: 6 }, (_, index) =>
    u8(bytes, at + index)
      .toString(16)
      .padStart(2, "0"),
  ).join(":");
}

/** The address at a place: 4 octets or 16. */
export function ipAt(bytes: Uint8Array, at: number, octets: 4 | 16): Ip {
  if (octets === 4) return u32(bytes, at);
  let ip = 0n;
  for (let index = 0; index < 16; index += 4) ip = (ip << 32n) | BigInt(u32(bytes, at + index));
  return ip;
}

export function ipText(bytes: Uint8Array, at: number, octets: 4 | 16): string {
  return formatIp(ipAt(bytes, at, octets));
}

/** Octets as text, one character each; what cannot be shown is a dot. */
export function ascii(bytes: Uint8Array): string {
  return Array.from(bytes, (code) => (code >= 32 && code < 127 ? String.fromCharCode(code) : ".")).join("");
}
