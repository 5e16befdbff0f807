/** Owns multipath routes: which of its next hops a flow takes, by a hash of the flow as Linux does it (ECMP). */
import type { Random } from "../sim/random";
import type { Ip } from "./address";
import type { Netns } from "./netns";
import type { Packet } from "./packet";
import type { Passage } from "./passage";
import type { NextHop, RouteResult } from "./route";

/**
 * The path of one packet where a route has several (net/ipv4/fib_semantics.c, fib_select_multipath): the same flow takes
 * the same one, as long as the next hops stay the same. What is asked with no flow of its own (`explain`) sees them all.
 */
export function takePath(netns: Netns, passage: Passage, found: RouteResult | undefined): RouteResult | undefined {
  const hops = found?.route.nexthops;
  if (!found || !hops) return found;
  const weights = hops.map(({ weight }) => weight);
  const byPorts = netns.sysctl.fibMultipathHashPolicy === 1;
  const open = passage.dry && byPorts && passage.packet.body.protocol !== "icmp";
  const at = open ? passage.choose(weights) : chosenBy(flowHash(passage.packet, byPorts, seedOf(netns)), weights);
  const hop = hops[at];
  return hop && { ...found, device: hop.device, nextHop: hop.via };
}

/** The first whose upper bound is not below the hash: shares of 31 bits by weight (fib_rebalance). */
function chosenBy(hash: number, weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  return weights.findIndex((weight) => {
    sum += weight;
    return hash <= Math.round((sum * 2 ** 31) / total) - 1;
  });
}

/**
 * 31 bits of a flow: its two addresses, with `byPorts` protocol and ports too (fib_multipath_hash_policy 0 and 1). Both
 * directions have the same (__flow_hash_consistentify). Linux's hash is SipHash; ours only mixes as well.
 */
export function flowHash({ source, target, body }: Packet, byPorts: boolean, seed: number): number {
  const ports = byPorts && "sourcePort" in body ? [body.sourcePort, body.targetPort] : [0, 0];
  const ends = [
    { ip: source, port: ports[0] ?? 0 },
    { ip: target, port: ports[1] ?? 0 },
  ].sort((one, other) => (one.ip < other.ip ? -1 : one.ip > other.ip ? 1 : one.port - other.port));
  let hash = seed;
  for (const { ip, port } of ends) for (const word of [...wordsOf(ip), port]) hash = mix(hash, word);
  if (byPorts) hash = mix(hash, protocols[body.protocol]);
  return finish(hash) >>> 1;
}

const protocols = { icmp: 1, tcp: 6, udp: 17, sctp: 132 } as const;

function wordsOf(ip: Ip): readonly number[] {
  if (typeof ip === "number") return [ip];
  return [96n, 64n, 32n, 0n].map((shift) => Number((ip >> shift) & 0xffffffffn));
}

/** A round of MurmurHash3 (public domain), which spreads every bit of a word. */
function mix(hash: number, word: number): number {
  const scrambled = Math.imul(word, 0xcc9e2d51);
  const turned = hash ^ Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b873593);
  return Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64;
}

function finish(hash: number): number {
  let value = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** Drawn once by each kernel, so that routers in a row do not all choose alike. */
const seeds = new WeakMap<Netns, number>();

function seedOf(netns: Netns): number {
  const known = seeds.get(netns);
  if (known !== undefined) return known;
  const random: Random = netns.network.sim.random.fork(`multipath/${netns.name}`);
  const seed = random.integer(0, 0x7fffffff);
  seeds.set(netns, seed);
  return seed;
}

/** The next hops of a route without those by a device; undefined: none is left. */
export function withoutDevice(nexthops: readonly NextHop[], device: string): readonly NextHop[] | undefined {
  const rest = nexthops.filter((hop) => hop.device !== device);
  return rest.length > 0 ? rest : undefined;
}
