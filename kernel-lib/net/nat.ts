/** Owns NAT: what a connection's rules decide once, and how every later packet of it is translated. */
import { formatSocketAddress, type Ip } from "./address";
import { type Connection, type Conntrack, type Direction, inverse, type Tuple } from "./conntrack";
import { changed, type Packet, sourcePort, targetPort } from "./packet";

/** Which end of a packet a hook may change: `target` before routing, `source` after it. */
export type Manipulation = "source" | "target";

/** What a rule asks for; without a port the connection's own is kept where it can be. */
export interface NatRequest {
  readonly ip: Ip;
  readonly port?: number;
  /** Take a random port at once (`--random-fully`). */
  readonly random?: boolean;
}

/** Who draws a whole number, both bounds inclusive: the passage. */
export interface DrawsPort {
  draw(low: number, high: number): number;
}

/**
 * Decides NAT for a new connection, by changing the tuple its replies will have. Without a request the addresses stay,
 * but a source port that another connection already uses towards the same peer is changed even then
 * (net/netfilter/nf_nat_core.c, get_unique_tuple). False: no port is free.
 */
export function decide(
  conntrack: Conntrack,
  connection: Connection,
  manipulation: Manipulation,
  request: NatRequest | undefined,
  chance: DrawsPort,
): boolean {
  if (!request && isKept(conntrack, connection, manipulation)) return true;
  const wanted = inverse(connection.reply);
  if (request && manipulation === "target") {
    connection.targetNat = "changed";
    connection.reply = inverse({ ...wanted, target: request.ip, targetPort: request.port ?? wanted.targetPort });
    return true;
  }
  const unique = uniqueSource(conntrack, connection, wanted, request, chance);
  if (!unique) return false;
  const changed = unique.source !== wanted.source || unique.sourcePort !== wanted.sourcePort;
  connection.sourceNat = request || changed ? "changed" : "kept";
  connection.reply = inverse(unique);
  return true;
}

/** Most connections stay as they are, for which no tuple need be made. */
function isKept(conntrack: Conntrack, connection: Connection, manipulation: Manipulation): boolean {
  if (manipulation === "target") {
    connection.targetNat = "kept";
    return true;
  }
  const other = conntrack.find(connection.reply);
  if (other !== undefined && other !== connection) return false;
  connection.sourceNat = "kept";
  return true;
}

/** The packet as it must look behind a hook that changes `manipulation`; itself if nothing changes. */
export function translate(
  packet: Packet,
  connection: Connection,
  direction: Direction,
  manipulation: Manipulation,
): Packet {
  // What the rules left as it is, others may have changed (IPVS): then it is theirs to translate (IPS_SRC_NAT, IPS_DST_NAT).
  const target = (manipulation === "target") === (direction === "original");
  if ((target ? connection.targetNat : connection.sourceNat) !== "changed") return packet;
  // It must look like the inverse of what the other direction has.
  const other = direction === "original" ? connection.reply : connection.original;
  const { source, ttl, body } = packet;
  if (body.protocol === "icmp" && "cause" in body) return translateError(packet, inverse(other), manipulation);
  if (manipulation === "target") {
    if (packet.target === other.source && portOf(body, "target") === other.sourcePort) return packet;
    return changed(packet, source, other.source, ttl, withPort(body, "target", other.sourcePort));
  }
  if (source === other.target && portOf(body, "source") === other.targetPort) return packet;
  return changed(packet, other.target, packet.target, ttl, withPort(body, "source", other.targetPort));
}

/** An ICMP error is translated twice: outside like a reply, and the packet in it the other way round. */
function translateError(packet: Packet, wanted: Tuple, manipulation: Manipulation): Packet {
  const { body } = packet;
  if (body.protocol !== "icmp" || !("cause" in body)) return packet;
  const { cause } = body;
  if (manipulation === "target") {
    if (packet.target === wanted.target && portOf(cause.body, "source") === wanted.targetPort) return packet;
    const inner = { ...cause, source: wanted.target, body: withPort(cause.body, "source", wanted.targetPort) };
    return { ...packet, target: wanted.target, body: { ...body, cause: inner } };
  }
  if (cause.target === wanted.source && portOf(cause.body, "target") === wanted.sourcePort) return packet;
  const inner = { ...cause, target: wanted.source, body: withPort(cause.body, "target", wanted.sourcePort) };
  return { ...packet, source: wanted.source, body: { ...body, cause: inner } };
}

function portOf(body: Packet["body"], end: Manipulation): number {
  if (body.protocol !== "icmp") return end === "source" ? body.sourcePort : body.targetPort;
  return "identifier" in body ? body.identifier : 0;
}

function withPort(body: Packet["body"], end: Manipulation, port: number): Packet["body"] {
  // Only addresses change as a rule: Services of port 80 are mostly answered at port 80.
  if (port === portOf(body, end)) return body;
  if (body.protocol !== "icmp") {
    return end === "source" ? { ...body, sourcePort: port } : { ...body, targetPort: port };
  }
  return "identifier" in body ? { ...body, identifier: port } : body;
}

/** Ports are changed within their own class, so that a privileged one stays privileged (nf_nat_core.c, nf_nat_l4proto_unique_tuple). */
function portRange(port: number): readonly [number, number] {
  if (port < 512) return [1, 511];
  if (port < 1024) return [600, 1023];
  return [1024, 65535];
}

function uniqueSource(
  conntrack: Conntrack,
  connection: Connection,
  wanted: Tuple,
  request: NatRequest | undefined,
  chance: DrawsPort,
): Tuple | undefined {
  const source = request?.ip ?? wanted.source;
  const free = (port: number): Tuple | undefined => {
    // The identifier of an echo stands on both sides, so both ports change together.
    const targetPort = wanted.protocol === "icmp" ? port : wanted.targetPort;
    const tuple = { ...wanted, source, sourcePort: port, targetPort };
    const other = conntrack.find(inverse(tuple));
    return other === undefined || other === connection ? tuple : undefined;
  };
  if (!request?.random) {
    const kept = free(wanted.sourcePort);
    if (kept) return kept;
  }
  const [low, high] = wanted.protocol === "icmp" ? [0, 65535] : portRange(wanted.sourcePort);
  const span = high - low + 1;
  const start = chance.draw(0, span - 1);
  for (let step = 0; step < span; step++) {
    const found = free(low + ((start + step) % span));
    if (found) return found;
  }
  return undefined;
}

/** `DNAT: destination 10.96.0.10:80 → 10.244.2.2:80`, for the journal. */
export function describeNat(manipulation: Manipulation, before: Packet, after: Packet, direction: Direction): string {
  const back = direction === "reply" ? "reply translated back: " : "";
  if (manipulation === "target") {
    const was = formatSocketAddress(before.target, targetPort(before.body));
    return `${back || "DNAT: "}destination ${was} → ${formatSocketAddress(after.target, targetPort(after.body))}`;
  }
  const was = formatSocketAddress(before.source, sourcePort(before.body));
  return `${back || "SNAT: "}source ${was} → ${formatSocketAddress(after.source, sourcePort(after.body))}`;
}
