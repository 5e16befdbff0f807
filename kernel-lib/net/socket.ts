/** Owns what programs see of the network: sockets, synchronous and told by callbacks. */
import type { Time } from "../sim/clock";
import type { Ip, SocketAddress } from "./address";
import type { IcmpError, Message, Packet } from "./packet";

/** Error numbers of socket calls, by their names in errno(3). */
export type Errno =
  | "ECONNREFUSED"
  | "ETIMEDOUT"
  | "ENETUNREACH"
  | "EHOSTUNREACH"
  | "ECONNRESET"
  | "EADDRINUSE"
  | "EADDRNOTAVAIL"
  | "EPIPE"
  | "EMSGSIZE"
  | "EINVAL"
  | "EACCES";

/** How a connection fails, in one word, and by which error number. */
export interface Failure {
  readonly outcome: "refused" | "timeout" | "unreachable" | "reset";
  readonly errno: Errno;
}

/** A call that cannot be done (`bind: Address already in use`): thrown at once, for it is the caller's mistake. */
export class SocketError extends Error {
  constructor(
    readonly errno: Errno,
    message: string,
  ) {
    super(message);
    this.name = "SocketError";
  }
}

/** RFC 9293 section 3.3.2, with Linux's names. */
export type TcpState =
  | "LISTEN"
  | "SYN-SENT"
  | "SYN-RECV"
  | "ESTAB"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "CLOSE-WAIT"
  | "CLOSING"
  | "LAST-ACK"
  | "TIME-WAIT"
  | "CLOSED";

/** One end of a TCP connection. */
export interface TcpSocket {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly state: TcpState;
  /** Who holds it: a process, for `ss -p`; plain text. */
  readonly owner: string;
  /** Sends text; before the connection stands it waits. After `end` it is an error (`EPIPE`). */
  write(text: string): void;
  /** No more will be written (FIN). The other direction stays open until the peer ends it. */
  end(): void;
  /** close(2), or the end of its process: FIN after what is written, and a reset for whatever still comes. Tells nothing more. */
  close(): void;
  /** Gives up at once (RST). No handler is called any more. */
  abort(): void;
}

/** What a program is told. Each is called from the clock, never from inside a call of the program. */
export interface TcpHandlers {
  /** The handshake is done. */
  connected?(socket: TcpSocket): void;
  data?(socket: TcpSocket, text: string): void;
  /** The peer will send no more (its FIN). Without this handler the socket ends its own side too. */
  ended?(socket: TcpSocket): void;
  /** Both sides have ended: the last word of a connection that went well. */
  closed?(socket: TcpSocket): void;
  /** The last word of one that did not: never established, reset, or given up. */
  failed?(socket: TcpSocket, failure: Failure): void;
}

export interface TcpListener {
  readonly local: SocketAddress;
  readonly owner: string;
  /** Stops listening. Accepted connections live on. */
  close(): void;
}

/** Where a proxy's socket passes its clients on to: whoever walks a flow to it goes on from there (flow.ts). */
export interface PassesOn {
  /** Whom it would try for this client, in that order, and nothing is changed by asking; none: it closes the connection. */
  asked(client: SocketAddress, choose: (weights: readonly number[]) => number): readonly SocketAddress[];
  /** Whom it tries; `tries`: how many could not be reached before. Undefined: there is nobody, or it has tried enough. */
  taken(client: SocketAddress, tries: number): SocketAddress | undefined;
  /** Whom a client that is being served speaks to. */
  towards(client: SocketAddress): SocketAddress | undefined;
}

export interface ListenOptions {
  readonly port: number;
  /** Default: every address. */
  readonly ip?: Ip;
  readonly owner?: string;
  readonly passesOn?: PassesOn;
}

export interface ConnectOptions {
  readonly ip: Ip;
  readonly port: number;
  /** Default: chosen by the route. */
  readonly sourceIp?: Ip;
  /** Default: an ephemeral port. */
  readonly sourcePort?: number;
  readonly owner?: string;
  /** Give up the handshake after this time (`curl --connect-timeout`), with `ETIMEDOUT`. */
  readonly timeout?: Time;
  /** Nobody waits for the handshake: `settle` does not either. */
  readonly background?: boolean;
}

export interface Datagram {
  readonly payload: string | Message;
  readonly source: SocketAddress;
  readonly target: SocketAddress;
}

export interface UdpSocket {
  readonly local: SocketAddress;
  readonly owner: string;
  /** Sends one datagram; to the connected peer if `to` is left out. */
  send(payload: string | Message, to?: SocketAddress, options?: { readonly ttl?: number }): void;
  close(): void;
}

export interface UdpHandlers {
  received?(socket: UdpSocket, datagram: Datagram): void;
  /** An ICMP error came back for what was sent (only to a connected socket, as in Linux), or there is no route. */
  failed?(socket: UdpSocket, failure: Failure): void;
  /** The error as it came, connected or not (IP_RECVERR): for `traceroute`. */
  error?(socket: UdpSocket, error: SocketIcmpError): void;
}

/** An ICMP error about something that was sent, or the same said by this host itself (`local`). */
export interface SocketIcmpError {
  /** Who says so. */
  readonly from: Ip;
  readonly type: IcmpError;
  /** Of the next hop, where a packet was too long for it. */
  readonly mtu?: number;
  /** What was left of the error's own time to live. */
  readonly ttl?: number;
  /** The packet that it is about. */
  readonly cause: Packet;
}

/**
 * What may happen to packets that are too long for their way (IP_MTU_DISCOVER, `ping -M`): `do` they are never cut up,
 * and refused here if they are known to be too long; `want` this host cuts up what it knows to be too long, and routers
 * nothing (default); `dont` anybody may.
 */
export type PathMtuMode = "do" | "want" | "dont";

export interface UdpOptions {
  /** Default: every address. */
  readonly ip?: Ip;
  /** Default: an ephemeral port. */
  readonly port?: number;
  /** `connect`: only this peer's datagrams and errors are heard. */
  readonly peer?: SocketAddress;
  readonly owner?: string;
  readonly ttl?: number;
  readonly pathMtu?: PathMtuMode;
  readonly passesOn?: PassesOn;
}

/** An answer to an echo request, or what came instead. */
export type EchoResult =
  | {
      readonly result: "reply";
      readonly from: Ip;
      readonly sequence: number;
      readonly ttl: number;
      readonly time: Time;
    }
  | {
      readonly result: "error";
      readonly from: Ip;
      readonly sequence: number;
      /** In ping's words. */
      readonly error: string;
      /** `message-too-long`: this host refuses to send it. */
      readonly type: IcmpError | "message-too-long";
      readonly mtu?: number;
      /** What was left of the error's own time to live. */
      readonly ttl?: number;
    };

export interface EchoOptions {
  /** Default: chosen by the route. */
  readonly sourceIp?: Ip;
  /** Leave by this device (`ping -I eth0`, `fe80::1%eth0`). */
  readonly device?: string;
}

export interface EchoSocket {
  readonly identifier: number;
  /**
   * Sends one echo request with `size` octets of data (56). False: there is no route. A request that is too long for the
   * way, and must not be cut up (`pathMtu: "do"`), is answered with an error at once.
   */
  send(
    sequence: number,
    options?: { readonly size?: number; readonly ttl?: number; readonly pathMtu?: PathMtuMode },
  ): boolean;
  close(): void;
}

/** What a namespace offers to programs (`netns.sockets`). */
export interface SocketCalls {
  /** Throws `SocketError` EADDRINUSE or EADDRNOTAVAIL. `accept` gives the handlers of a new connection, at its SYN. */
  listenTcp(options: ListenOptions, accept: (socket: TcpSocket) => TcpHandlers): TcpListener;
  /** Begins a connection; the outcome comes by `connected` or `failed`. */
  connectTcp(options: ConnectOptions, handlers: TcpHandlers): TcpSocket;
  /** Throws `SocketError` EADDRINUSE or EADDRNOTAVAIL. */
  openUdp(options: UdpOptions, handlers: UdpHandlers): UdpSocket;
  openEcho(target: Ip, answered: (result: EchoResult) => void, options?: EchoOptions): EchoSocket;
}
