/** Owns reading addresses and ranges where a text comes in. */
import { IPv4, IPv6 } from "ip-num";

export interface ParsedIp {
  readonly family: "IPv4" | "IPv6";
  readonly value: bigint;
}

/** An address; undefined if the text is none (leading zeros are refused, as Go refuses them). */
export function parseIp(text: string): ParsedIp | undefined {
  try {
    if (/^[\d.]+$/.test(text)) return { family: "IPv4", value: new IPv4(text).value };
    if (/^[\da-fA-F:]+$/.test(text) && text.includes(":")) return { family: "IPv6", value: new IPv6(text).value };
  } catch {
    return undefined;
  }
  return undefined;
}

export interface ParsedCidr {
  readonly family: "IPv4" | "IPv6";
  /** The network's first address. */
  readonly first: bigint;
  readonly bits: number;
  /** How many addresses, network and broadcast included. */
  readonly size: bigint;
}

/** A range; undefined if the text is none. */
export function parseCidr(text: string): ParsedCidr | undefined {
  const match = /^(.+)\/(\d{1,3})$/.exec(text);
  const ip = match && parseIp(match[1] as string);
  if (!ip) return undefined;
  const length = ip.family === "IPv4" ? 32 : 128;
  const bits = Number(match[2]);
  if (bits > length) return undefined;
  const size = 1n << BigInt(length - bits);
  return { family: ip.family, first: ip.value - (ip.value % size), bits, size };
}

export function isCidr(text: string): boolean {
  return parseCidr(text) !== undefined;
}

/** `10.96.0.1`; IPv6 by RFC 5952. */
export function formatIp(family: "IPv4" | "IPv6", value: bigint): string {
  if (family === "IPv4") return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16));
  const runs = [...groups.join(":").matchAll(/(?<![\da-f])0(?::0)+(?![\da-f])/g)];
  const longest = runs.reduce<RegExpMatchArray | undefined>((best, run) => {
    return !best || run[0].length > best[0].length ? run : best;
  }, undefined);
  const text = groups.join(":");
  if (!longest || longest.index === undefined) return text;
  const left = text.slice(0, longest.index).replace(/:$/, "");
  const right = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${left}::${right}`;
}
