/** Owns cutting packets up that are longer than a device takes, and putting the pieces together again (RFC 791, RFC 8200). */
import type { Time } from "../sim/clock";
import { second } from "../sim/clock";
import { type Fragment, headerSize, type Packet, packetSize } from "./packet";

/** net.ipv4.ipfrag_time */
const keptFor = 30 * second;

interface Gathered {
  readonly since: Time;
  first: Packet | undefined;
  octets: number;
  total: number | undefined;
  longest: number;
}

/** The pieces of a packet, each at most `mtu` octets long. `number` gives each its own identity. */
export function cutUp(packet: Packet, mtu: number, number: () => number): readonly Packet[] {
  const whole = packet.fragment?.whole ?? { packet, lost: false };
  const begin = packet.fragment?.offset ?? 0;
  const size = packetSize(packet) - headerSize(packet);
  const header = typeof packet.source === "number" ? 20 : 48;
  // All but the last hold a multiple of 8 octets: offsets are counted in those.
  const most = Math.max(8, Math.floor((mtu - header) / 8) * 8);
  const pieces: Packet[] = [];
  for (let offset = 0; offset < size; offset += most) {
    const length = Math.min(most, size - offset);
    const more = offset + length < size || (packet.fragment?.more ?? false);
    const fragment: Fragment = { whole, offset: begin + offset, length, more };
    pieces.push({ ...packet, id: number(), dontFragment: false, fragment });
  }
  return pieces;
}

/** The pieces that have come to one namespace. */
export class Fragments {
  readonly #gathered = new Map<Fragment["whole"], Gathered>();

  /** Takes a piece; gives the packet if this was the last one that was missing. */
  gather(piece: Packet, now: Time): Packet | undefined {
    const { fragment } = piece;
    if (!fragment) return piece;
    for (const [whole, { since }] of this.#gathered) if (now - since > keptFor) this.#gathered.delete(whole);
    const known = this.#gathered.get(fragment.whole);
    const gathered = known ?? { since: now, first: undefined, octets: 0, total: undefined, longest: 0 };
    if (!known) this.#gathered.set(fragment.whole, gathered);
    if (fragment.offset === 0) gathered.first = piece;
    if (!fragment.more) gathered.total = fragment.offset + fragment.length;
    gathered.octets += fragment.length;
    gathered.longest = Math.max(gathered.longest, packetSize(piece));
    const { first } = gathered;
    if (gathered.octets !== gathered.total || !first) return undefined;
    this.#gathered.delete(fragment.whole);
    const { fragment: _, ...header } = first;
    const again = typeof first.source === "bigint" ? { longestPiece: gathered.longest } : {};
    return { ...header, id: fragment.whole.packet.id, ...again };
  }
}
