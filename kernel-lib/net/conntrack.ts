/** Owns connection tracking: which packets belong together, and what NAT has decided for them. */
import type { Clock, Time } from "../sim/clock";
import { minute, second } from "../sim/clock";
import type { Ip } from "./address";
import { type Packet, type Protocol, sourcePort, type Tcp, targetPort } from "./packet";
import type { ConnectionEnd } from "./passage";
import { isConnectionStart, nextTrack, type TcpTrack, trackTimeouts } from "./tcptrack";
import { same, TupleTable } from "./tupletable";

/** Who talks to whom. For ICMP echo both ports are the identifier. */
export interface Tuple {
  readonly protocol: Protocol;
  readonly source: Ip;
  readonly sourcePort: number;
  readonly target: Ip;
  readonly targetPort: number;
}

/** `original`: the way of the first packet. */
export type Direction = "original" | "reply";

/** What `-m conntrack --ctstate` asks of a packet. */
export type PacketState = "NEW" | "ESTABLISHED" | "RELATED" | "INVALID";

/** Whether the rules have been asked about an address of a connection, and whether they changed it. */
export type NatStatus = "undecided" | "kept" | "changed";

/**
 * A connection: the tuple of its first packet, and the tuple its replies have when they come in.
 * NAT changes the reply tuple only: a packet of one direction must look, once translated, like the inverse of the other's.
 */
export interface Connection {
  /** Numbered in the order in which they began. */
  readonly id: number;
  readonly original: Tuple;
  reply: Tuple;
  /** In the table; a connection whose first packet was dropped never is. */
  confirmed: boolean;
  seenReply: boolean;
  /** TCP: established; UDP: more than one exchange. Printed as `[ASSURED]`. */
  assured: boolean;
  tcp: TcpTrack | undefined;
  expires: Time;
  readonly began: Time;
  mark: number;
  /** DNAT. */
  targetNat: NatStatus;
  /** SNAT, MASQUERADE. */
  sourceNat: NatStatus;
  /** Only its replies are in the table, for a moment: another connection of the same first tuple was there before it. */
  clash?: true;
}

/** What a lookup says of one packet. */
export interface Tracked {
  readonly connection: Connection | undefined;
  readonly direction: Direction;
  readonly state: PacketState;
}

/** How long replies of a connection that came second are let in. */
const clashTimeout = second;

const invalid: Tracked = { connection: undefined, direction: "original", state: "INVALID" };

/** How long what is quiet is remembered: net.netfilter.nf_conntrack_tcp_timeout_*, …_udp_timeout, …_udp_timeout_stream, …_icmp_timeout. */
export interface TrackTimeouts {
  readonly tcp: { readonly [State in TcpTrack]: Time };
  readonly udp: Time;
  readonly udpStream: Time;
  readonly icmp: Time;
}

const kernelTimeouts: TrackTimeouts = {
  tcp: trackTimeouts,
  udp: 30 * second,
  udpStream: 120 * second,
  icmp: 30 * second,
};
/** A UDP flow is a stream when replies come 2 s after its beginning (net/netfilter/nf_conntrack_proto_udp.c). */
const udpStreamAfter = 2 * second;
/** NF_CT_EVICTION_RANGE, and the states of tcp_can_early_drop. */
const evictionRange = 8;
const closing: ReadonlySet<TcpTrack> = new Set<TcpTrack>(["FIN_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "CLOSE_WAIT"]);
/** How often what has expired is swept out of the table. */
const sweepPeriod = minute;

export function tupleOf(packet: Packet): Tuple {
  const { body } = packet;
  return {
    protocol: body.protocol,
    source: packet.source,
    sourcePort: sourcePort(body),
    target: packet.target,
    targetPort: targetPort(body),
  };
}

export function inverse(tuple: Tuple): Tuple {
  return {
    protocol: tuple.protocol,
    source: tuple.target,
    sourcePort: tuple.targetPort,
    target: tuple.source,
    targetPort: tuple.sourcePort,
  };
}

/** Whether a packet of a connection looks like its first one; for who speaks to itself both ways do. */
function isOriginal({ original }: Connection, { source, target, body }: Packet): boolean {
  return (
    original.sourcePort === sourcePort(body) &&
    original.targetPort === targetPort(body) &&
    original.source === source &&
    original.target === target
  );
}

function isReset({ flags }: Tcp): boolean {
  return flags === "R" || flags === "R.";
}

/** What `conntrack -E` prints. */
export type ConntrackEvent = "NEW" | "UPDATE" | "DESTROY";

/** The connections of one namespace, found by either of their tuples. */
export class Conntrack {
  readonly #clock: Clock;
  readonly #table = new TupleTable<Connection>();
  readonly #told = new Set<(event: ConntrackEvent, connection: Connection) => void>();
  /** net.netfilter.nf_conntrack_max: what a machine with more than 4 GB has from the start. */
  max = 262_144;
  /** For what begins or moves on from now; the kernel's own until somebody sets them. */
  timeouts = kernelTimeouts;
  #begun = 0;
  #sweeping = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Finds or begins the connection of a packet, and moves its state on (not in a `dry` walk). `full`: no room for it. */
  track(packet: Packet, dry: boolean): Tracked | "full" {
    const { body } = packet;
    if (body.protocol === "icmp" && body.type !== "echo" && body.type !== "echo-reply") {
      return "cause" in body ? this.#related(body.cause) : invalid;
    }
    let connection = this.#connectionOf(packet);
    if (connection && body.protocol === "tcp" && isConnectionStart(connection.tcp, body.flags) && !dry) {
      this.forget(connection);
      connection = undefined;
    }
    if (!connection) {
      if (!dry && this.size >= this.max && !this.#dropEarly()) return "full";
      return this.#begin(packet, tupleOf(packet));
    }
    const direction = isOriginal(connection, packet) ? "original" : "reply";
    if (!dry && direction === "reply" && !connection.seenReply && body.protocol === "tcp" && isReset(body)) {
      // Refused at once: nothing to remember (nf_conntrack_proto_tcp.c); this packet is still translated by it.
      this.forget(connection);
      connection.tcp = "CLOSE";
      connection.confirmed = true;
      return { connection, direction, state: "ESTABLISHED" };
    }
    if (!dry && !this.#advance(connection, direction, packet)) return invalid;
    const state = direction === "reply" || connection.seenReply ? "ESTABLISHED" : "NEW";
    return { connection, direction, state };
  }

  /** Tells of every connection that begins, changes its state or is forgotten, until it is stopped. */
  onEvent(told: (event: ConntrackEvent, connection: Connection) => void): { stop(): void } {
    this.#told.add(told);
    return { stop: () => this.#told.delete(told) };
  }

  #tell(event: ConntrackEvent, connection: Connection): void {
    for (const told of this.#told) told(event, connection);
  }

  /** Puts a connection whose first packet came through into the table; false if its tuples are taken. */
  confirm(connection: Connection): boolean {
    if (connection.confirmed) return true;
    const { original, reply } = connection;
    const winner = this.find(original);
    if (winner || this.find(reply)) return this.#resolveClash(connection, winner);
    connection.confirmed = true;
    this.#table.add(original, connection);
    // Who speaks to itself (ping 127.0.0.1) has one tuple for both.
    if (!same(original, reply)) this.#table.add(reply, connection);
    if (this.#told.size > 0) this.#tell("NEW", connection);
    this.#sweepLater();
    return true;
  }

  /**
   * Two datagrams of one socket were on their way at once, as resolvers send A and AAAA, and the other was first. If both
   * were translated alike, this one goes with it; else its replies are let in for a second (nf_ct_resolve_clash, Linux
   * 5.7: before that the second one was lost, and the resolver waited five seconds).
   */
  #resolveClash(connection: Connection, winner: Connection | undefined): boolean {
    const { original, reply } = connection;
    if (!winner || original.protocol !== "udp") return false;
    if (same(winner.original, original) && same(winner.reply, reply)) return true;
    if (this.find(reply)) return false;
    connection.confirmed = true;
    connection.clash = true;
    connection.expires = this.#clock.now + clashTimeout;
    this.#table.add(reply, connection);
    return true;
  }

  /** The connection that has this tuple in either direction. */
  find(tuple: Tuple): Connection | undefined {
    return this.#alive(this.#table.get(tuple));
  }

  /** The same for a packet: most find their connection, and need no tuple made for it. */
  #connectionOf({ source, target, body }: Packet): Connection | undefined {
    return this.#alive(this.#table.find(source, sourcePort(body), target, targetPort(body), body.protocol));
  }

  #alive(connection: Connection | undefined): Connection | undefined {
    if (connection === undefined || connection.expires > this.#clock.now) return connection;
    this.forget(connection);
    return undefined;
  }

  /** `conntrack -D`: what matches is forgotten; its next packet begins a new connection and meets the rules anew. */
  delete(matching: (connection: Connection) => boolean): number {
    const found = this.list().filter(matching);
    for (const connection of found) this.forget(connection);
    return found.length;
  }

  forget(connection: Connection): void {
    if (!connection.clash) this.#table.delete(connection.original);
    this.#table.delete(connection.reply);
    if (connection.confirmed && this.#told.size > 0) this.#tell("DESTROY", connection);
    connection.confirmed = false;
  }

  /** Puts a connection into the state that the packets after its first one would leave, without them (runFlow). */
  conclude(connection: Connection, end: ConnectionEnd): void {
    if (!connection.confirmed) return;
    const { tcp } = connection;
    if (end === "refused") {
      // A reset to the first packet: nothing to remember. An ICMP error leaves the entry as it is.
      if (tcp) this.forget(connection);
      return;
    }
    connection.seenReply = true;
    if (tcp) {
      connection.assured = true;
      connection.tcp = end === "established" ? "ESTABLISHED" : "TIME_WAIT";
      connection.expires = this.#clock.now + this.timeouts.tcp[connection.tcp];
    } else {
      connection.expires =
        this.#clock.now + (connection.original.protocol === "icmp" ? this.timeouts.icmp : this.timeouts.udp);
    }
    if (this.#told.size > 0) this.#tell("UPDATE", connection);
  }

  /** All connections, in the order in which they began. */
  list(): readonly Connection[] {
    const { now } = this.#clock;
    const all = [...new Set(this.#table.values())].filter(({ expires, clash }) => expires > now && !clash);
    return all.sort((one, other) => one.id - other.id);
  }

  /**
   * Makes room: one of the oldest connections goes that is closing, or of which no answer was seen (early_drop in
   * net/netfilter/nf_conntrack_core.c). Like Linux it looks at few; false if these are all in use.
   */
  #dropEarly(): boolean {
    for (let looked = 0; looked < evictionRange; looked++) {
      const oldest = this.#table.turn();
      if (!oldest || (oldest.assured && !(oldest.tcp && closing.has(oldest.tcp)))) continue;
      this.forget(oldest);
      return true;
    }
    return false;
  }

  get size(): number {
    return this.#table.size / 2;
  }

  #begin(packet: Packet, tuple: Tuple): Tracked {
    const { body } = packet;
    if (body.protocol === "icmp" && body.type === "echo-reply") return invalid;
    const tcp = body.protocol === "tcp" ? nextTrack(undefined, "original", body.flags) : undefined;
    if (body.protocol === "tcp" && tcp === undefined) return invalid;
    const now = this.#clock.now;
    const { timeouts } = this;
    const timeout = tcp ? timeouts.tcp[tcp] : body.protocol === "icmp" ? timeouts.icmp : timeouts.udp;
    const connection: Connection = {
      id: ++this.#begun,
      original: tuple,
      reply: inverse(tuple),
      confirmed: false,
      seenReply: false,
      assured: false,
      tcp,
      expires: now + timeout,
      began: now,
      mark: 0,
      targetNat: "undecided",
      sourceNat: "undecided",
    };
    return { connection, direction: "original", state: "NEW" };
  }

  /** Moves a known connection on by one packet; false if the packet does not fit it. */
  #advance(connection: Connection, direction: Direction, packet: Packet): boolean {
    const { body } = packet;
    const now = this.#clock.now;
    const answered = direction === "reply" && !connection.seenReply;
    if (body.protocol === "tcp") {
      const next = nextTrack(connection.tcp, direction, body.flags);
      if (next === undefined) return false;
      const changed = connection.tcp !== next;
      connection.tcp = next;
      if (direction === "reply") connection.seenReply = true;
      if (next === "ESTABLISHED" && connection.seenReply) connection.assured = true;
      connection.expires = now + this.timeouts.tcp[next];
      if ((changed || answered) && connection.confirmed && this.#told.size > 0) this.#tell("UPDATE", connection);
      return true;
    }
    if (direction === "reply") connection.seenReply = true;
    if (connection.clash) return true;
    if (body.protocol === "icmp") connection.expires = now + this.timeouts.icmp;
    else if (connection.seenReply && now > connection.began + udpStreamAfter) {
      connection.assured = true;
      connection.expires = now + this.timeouts.udpStream;
    } else connection.expires = now + this.timeouts.udp;
    if (answered && this.#told.size > 0) this.#tell("UPDATE", connection);
    return true;
  }

  /** An ICMP error goes the way of a reply to the packet that caused it. */
  #related(cause: Packet): Tracked {
    const tuple = inverse(tupleOf(cause));
    const connection = this.find(tuple);
    if (!connection) return invalid;
    return { connection, direction: same(connection.original, tuple) ? "original" : "reply", state: "RELATED" };
  }

  #sweepLater(): void {
    if (this.#sweeping || this.#table.size === 0) return;
    this.#sweeping = true;
    this.#clock.after(sweepPeriod, () => this.#sweepExpired(), "background");
  }

  #sweepExpired(): void {
    this.#sweeping = false;
    const now = this.#clock.now;
    const expired: Connection[] = [];
    for (const connection of this.#table.values()) if (connection.expires <= now) expired.push(connection);
    for (const connection of expired) this.forget(connection);
    this.#sweepLater();
  }
}
