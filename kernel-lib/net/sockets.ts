/** Owns the sockets of a namespace: which one a packet is for, and which ports are free. */
import { family, formatSocketAddress, type Ip, type SocketAddress } from "./address";
import { Echoes } from "./echo";
import { describeError, failureOf } from "./icmp";
import type { Netns } from "./netns";
import type { IcmpError, Packet } from "./packet";
import type { Passage } from "./passage";
import {
  type ConnectOptions,
  type EchoOptions,
  type EchoResult,
  type EchoSocket,
  type ListenOptions,
  type PassesOn,
  type SocketCalls,
  SocketError,
  type TcpHandlers,
  type TcpListener,
  type TcpSocket,
  type TcpState,
  type UdpHandlers,
  type UdpOptions,
  type UdpSocket,
} from "./socket";
import { TcpLayer } from "./tcp";
import { UdpLayer } from "./udp";

/** A socket as `ss` lists it. */
export interface SocketInfo {
  readonly protocol: "tcp" | "udp";
  readonly state: TcpState | "UNCONN" | "ESTAB";
  readonly local: SocketAddress;
  readonly remote?: SocketAddress;
  readonly owner: string;
}

/** net.ipv4.ip_local_port_range */
export const ephemeralPorts = { low: 32768, high: 60999 } as const;

export class Sockets implements SocketCalls {
  readonly #netns: Netns;
  readonly #tcp: TcpLayer;
  readonly #udp: UdpLayer;
  readonly #echoes: Echoes;

  constructor(netns: Netns) {
    this.#netns = netns;
    this.#tcp = new TcpLayer(netns);
    this.#udp = new UdpLayer(netns);
    this.#echoes = new Echoes(netns);
  }

  listenTcp(options: ListenOptions, accept: (socket: TcpSocket) => TcpHandlers): TcpListener {
    return this.#tcp.listen(options, accept);
  }

  connectTcp(options: ConnectOptions, handlers: TcpHandlers): TcpSocket {
    return this.#tcp.connect(options, handlers);
  }

  /** The port that connect() would take by itself; undefined: all are taken. */
  connectPort(remote: SocketAddress, taken: (port: number) => boolean): number | undefined {
    return this.#tcp.ports.next(remote, taken);
  }

  openUdp(options: UdpOptions, handlers: UdpHandlers): UdpSocket {
    return this.#udp.open(options, handlers);
  }

  openEcho(target: Ip, answered: (result: EchoResult) => void, options: EchoOptions = {}): EchoSocket {
    return this.#echoes.open(target, answered, options);
  }

  /** Hands a packet that is for this namespace to its socket. */
  receive(passage: Passage): void {
    const { body } = passage.packet;
    switch (body.protocol) {
      case "tcp":
        this.#tcp.receive(passage);
        return;
      case "udp":
        this.#udp.receive(passage);
        return;
      case "sctp":
        this.#netns.refuse(passage, "there are no SCTP sockets");
        return;
      case "icmp":
        if ("cause" in body) {
          this.#receiveError(passage, body.cause, body.type, body.mtu);
          return;
        }
        this.#receiveEcho(passage, body.identifier, body.sequence);
        return;
    }
  }

  /** All sockets, TCP first, listeners before connections. */
  list(): readonly SocketInfo[] {
    return [...this.#tcp.list(), ...this.#udp.list()];
  }

  /** Who listens on an address and port, if anybody does. */
  listener(protocol: "tcp" | "udp", ip: Ip, port: number): string | undefined {
    return protocol === "tcp" ? this.#tcp.listenerOwner(ip, port) : this.#udp.listenerOwner(ip, port);
  }

  /** The listening socket there, if it is a proxy's. */
  passesOn(protocol: "tcp" | "udp", ip: Ip, port: number): PassesOn | undefined {
    return protocol === "tcp" ? this.#tcp.passesOn(ip, port) : this.#udp.passesOn(ip, port);
  }

  /** What the kernel does when a process ends: listeners go, connections are closed, nobody is told here any more. */
  closeOwner(owner: string): void {
    this.#tcp.closeOwner(owner);
    this.#udp.closeOwner(owner);
  }

  /** The namespace is gone: everything stops without a word on the wire. */
  closeAll(): void {
    this.#tcp.closeAll();
    this.#udp.closeAll();
    this.#echoes.closeAll();
  }

  #receiveEcho(passage: Passage, identifier: number, sequence: number): void {
    const { packet } = passage;
    if (!this.#echoes.waits(identifier)) {
      this.#netns.end(passage, "consume", "icmp", "echo reply that nobody waits for");
      return;
    }
    this.#netns.end(passage, "deliver", "socket", "echo reply, to ping");
    if (!this.#netns.network.conveyor.dry) this.#echoes.receive(packet, identifier, sequence);
  }

  #receiveError(passage: Passage, cause: Packet, type: IcmpError, mtu: number | undefined): void {
    const { source, ttl } = passage.packet;
    this.#netns.end(passage, "consume", "icmp", `ICMP: ${describeError(type, mtu, family(source))}`);
    if (this.#netns.network.conveyor.dry) return;
    const tooLong = type === "fragmentation-needed" || type === "packet-too-big";
    if (tooLong && mtu !== undefined) this.#netns.pathMtus.learn(cause.target, mtu);
    const { protocol } = cause.body;
    if (protocol === "tcp" && tooLong) this.#tcp.shrink(cause);
    else if (protocol === "tcp") this.#tcp.failed(cause, failureOf(type));
    else if (protocol === "udp") {
      this.#udp.failed(cause, failureOf(type), {
        from: source,
        type,
        cause,
        ttl,
        ...(mtu === undefined ? {} : { mtu }),
      });
    } else this.#echoes.failed(passage.packet, cause, type, mtu);
  }
}

const half = (ephemeralPorts.high - ephemeralPorts.low + 1) / 2;

/** An ephemeral port for whoever binds without a wish: from a random place on. Undefined: all are taken. */
export function ephemeralPort(netns: Netns, taken: (port: number) => boolean): number | undefined {
  return freeFrom(netns.random.integer(0, half - 1), taken)?.port;
}

/** Where connect() found its last port for a destination: where it began to look, and how many steps on it found one. */
interface LastPort {
  readonly start: number;
  readonly steps: number;
}

/**
 * The ports of connections: for each destination a place of its own to begin at, and from there on, a random step of at most
 * eight even numbers each time, so that a port comes again only when nearly all others have been used (inet_hashtables.c,
 * __inet_hash_connect: table_perturb).
 */
export class ConnectPorts {
  readonly #netns: Netns;
  readonly #last = new Map<string, LastPort>();

  constructor(netns: Netns) {
    this.#netns = netns;
  }

  /** The next one; undefined: all are taken. */
  next(remote: SocketAddress, taken: (port: number) => boolean): number | undefined {
    const { random } = this.#netns;
    const key = `${remote.ip} ${remote.port}`;
    const last = this.#last.get(key);
    const start = last
      ? (last.start + Math.max(last.steps, random.integer(0, 7)) + 1) % half
      : random.integer(0, half - 1);
    const found = freeFrom(start, taken);
    if (found) this.#last.set(key, { start, steps: found.steps % half });
    return found?.port;
  }
}

/** In steps of two, as Linux's connect does: even ports first, so that bind finds odd ones. */
function freeFrom(start: number, taken: (port: number) => boolean): { port: number; steps: number } | undefined {
  for (let steps = 0; steps < 2 * half; steps++) {
    const odd = steps < half ? 0 : 1;
    const port = ephemeralPorts.low + 2 * ((start + steps) % half) + odd;
    if (!taken(port)) return { port, steps };
  }
  return undefined;
}

/** The error of a bind that clashes, in the words of bind(2)'s callers. */
export function addressInUse(ip: Ip, port: number): SocketError {
  return new SocketError(
    "EADDRINUSE",
    `bind() to ${formatSocketAddress(ip, port)} failed (98: Address already in use)`,
  );
}

/** The error of a bind to an address that the host does not have. */
export function addressNotAvailable(ip: Ip, port: number): SocketError {
  return new SocketError(
    "EADDRNOTAVAIL",
    `bind() to ${formatSocketAddress(ip, port)} failed (99: Cannot assign requested address)`,
  );
}
