/** Owns IPVS's ways of choosing by a hash of an address: sh, dh, and mh (Maglev). */
import type { Ip } from "../address";
import { type Packet, sourcePort } from "../packet";
import type { Scheduler } from "./scheduler";
import type { RealServer, VirtualServer } from "./server";

type Servers = Pick<VirtualServer, "servers" | "flags">;

const buckets = 256;

/** An address as 32 bits: the four words of IPv6 XORed. */
function fold(ip: Ip): number {
  if (typeof ip === "number") return ip >>> 0;
  let value = 0;
  for (let shift = 0n; shift < 128n; shift += 32n) value ^= Number((ip >> shift) & 0xffffffffn);
  return value >>> 0;
}

/** The kernel's hash_32: the upper bits of a product with the golden ratio (include/linux/hash.h). */
export function hash32(value: number, bits: number): number {
  return Math.imul(value, 0x61c88647) >>> (32 - bits);
}

function usable(server: RealServer | undefined): server is RealServer {
  return (server?.available ?? false) && (server?.weight ?? 0) > 0;
}

function shareOf(of: Servers, table: readonly (RealServer | undefined)[]): readonly number[] {
  return of.servers.map((server) => (usable(server) ? table.filter((each) => each === server).length : 0));
}

/** ip_vs_sh.c: 256 buckets dealt out in turn, to each as many in a row as its weight; a client's address is its bucket. */
export function sourceHash(of: Servers): Scheduler {
  let table = dealt(of.servers, ({ weight }) => weight);
  const bucketOf = (packet: Packet, offset: number): number => {
    const port = of.flags.includes("port") ? sourcePort(packet.body) : 0;
    return (offset + hash32(port + fold(packet.source), 8)) & (buckets - 1);
  };
  return {
    fixed: true,
    pick(packet) {
      const first = bucketOf(packet, 0);
      const server = table[first];
      if (usable(server) || !of.flags.includes("fallback")) return usable(server) ? server : undefined;
      for (let offset = 0; offset < buckets; offset++) {
        const other = table[bucketOf(packet, (offset + first) % buckets)];
        if (usable(other)) return other;
      }
      return undefined;
    },
    shares: () => shareOf(of, table),
    changed() {
      table = dealt(of.servers, ({ weight }) => weight);
    },
  };
}

/** ip_vs_dh.c: the same by the address that is asked for, and without weights: all clients of an address get the same. */
export function destinationHash(of: Servers): Scheduler {
  let table = dealt(of.servers, () => 1);
  return {
    fixed: true,
    pick(packet) {
      const server = table[hash32(fold(packet.target), 8)];
      return usable(server) ? server : undefined;
    },
    shares: () => shareOf(of, table),
    changed() {
      table = dealt(of.servers, () => 1);
    },
  };
}

function dealt(servers: readonly RealServer[], weight: (server: RealServer) => number): (RealServer | undefined)[] {
  const table: (RealServer | undefined)[] = [];
  let at = 0;
  let given = 0;
  for (let bucket = 0; bucket < buckets; bucket++) {
    const server = servers[at];
    table.push(server);
    if (!server || ++given < weight(server)) continue;
    at = (at + 1) % servers.length;
    given = 0;
  }
  return table;
}

/** The size of the lookup table, a prime (CONFIG_IP_VS_MH_TAB_INDEX 12), and half of that index: bits of a weight. */
const places = 4093;
const weightBits = 6;

/**
 * ip_vs_mh.c, after Eisenbud et al., Maglev (NSDI 2016), section 3.4: every real server has its own order of the table's
 * places, and they take their next free one in turn; so few clients change their server when another one comes or goes.
 */
export function maglev(of: Servers): Scheduler {
  let table = populated(of.servers);
  const placeOf = (packet: Packet, offset: number): number => {
    const port = of.flags.includes("port") ? sourcePort(packet.body) : 0;
    return placeHash(packet.source, port, firstKey, offset) % places;
  };
  return {
    fixed: true,
    pick(packet) {
      const first = placeOf(packet, 0);
      const server = table[first];
      if (usable(server) || !of.flags.includes("fallback")) return usable(server) ? server : undefined;
      for (let offset = 0; offset < places; offset++) {
        const other = table[placeOf(packet, (offset + first) % places)];
        if (usable(other)) return other;
      }
      return undefined;
    },
    shares: () => shareOf(of, table),
    changed() {
      table = populated(of.servers);
    },
  };
}

const firstKey = 2654435761n;
const secondKey = 2654446892n;

function placeHash(ip: Ip, port: number, key: bigint, offset: number): number {
  return hsiphash((offset + port + fold(ip)) >>> 0, key);
}

function populated(servers: readonly RealServer[]): (RealServer | undefined)[] {
  const table: (RealServer | undefined)[] = new Array<RealServer | undefined>(places).fill(undefined);
  const weights = servers.map(({ lastWeight }) => lastWeight);
  const divisor = weights.filter((weight) => weight > 0).reduce(greatestDivisor, 0);
  if (divisor < 1) return table;
  const widest = Math.floor(Math.max(...weights) / divisor);
  const shift = Math.max(0, 32 - Math.clz32(widest) - weightBits);
  const takers = servers.map((server) => ({
    server,
    at: placeHash(server.ip, server.port, firstKey, 0) % places,
    skip: (placeHash(server.ip, server.port, secondKey, 0) % (places - 1)) + 1,
    turns: Math.floor(server.lastWeight / divisor) >> shift || (server.lastWeight > 0 ? 1 : 0),
  }));
  for (let filled = 0; ; ) {
    for (const taker of takers) {
      for (let turn = 0; turn < taker.turns; turn++) {
        while (table[taker.at]) taker.at = (taker.at + taker.skip) % places;
        table[taker.at] = taker.server;
        if (++filled === places) return table;
      }
    }
  }
}

function greatestDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestDivisor(other, one % other);
}

const mask64 = (1n << 64n) - 1n;

function rotate(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & mask64;
}

/** SipHash-1-3 of four octets, its lower 32 bits: the kernel's hsiphash_1u32 on 64-bit machines (lib/siphash.c). */
export function hsiphash(value: number, key: bigint, upperKey = key): number {
  let v0 = 0x736f6d6570736575n ^ key;
  let v1 = 0x646f72616e646f6dn ^ upperKey;
  let v2 = 0x6c7967656e657261n ^ key;
  let v3 = 0x7465646279746573n ^ upperKey;
  const round = (): void => {
    v0 = (v0 + v1) & mask64;
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v3) & mask64;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = (v0 + v3) & mask64;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = (v2 + v1) & mask64;
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const block = (4n << 56n) | BigInt(value);
  v3 ^= block;
  round();
  v0 ^= block;
  v2 ^= 0xffn;
  for (let finish = 0; finish < 3; finish++) round();
  return Number((v0 ^ v1 ^ v2 ^ v3) & 0xffffffffn);
}
