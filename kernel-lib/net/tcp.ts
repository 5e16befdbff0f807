/** Owns the TCP of a namespace: listeners, connections found by their whole tuple, and what is said to strangers. */
import { anyIpv4, anyIpv6, type Ip, type SocketAddress } from "./address";
import type { Netns } from "./netns";
import type { Network } from "./network";
import { type Packet, type Tcp, utf8Length } from "./packet";
import type { Passage } from "./passage";
import type { ConnectOptions, Failure, ListenOptions, PassesOn, TcpHandlers, TcpListener, TcpSocket } from "./socket";
import { addressInUse, addressNotAvailable, ConnectPorts, type SocketInfo } from "./sockets";
import { TcpConnection } from "./tcpconnection";
import { type Ends, TupleTable } from "./tupletable";

interface Listener extends TcpListener {
  readonly passesOn: PassesOn | undefined;
  readonly accept: (socket: TcpSocket) => TcpHandlers;
}

export class TcpLayer {
  readonly #netns: Netns;
  readonly #listeners = new Map<number, Listener[]>();
  readonly #connections = new TupleTable<TcpConnection>();
  readonly ports: ConnectPorts;

  constructor(netns: Netns) {
    this.#netns = netns;
    this.ports = new ConnectPorts(netns);
  }

  listen(options: ListenOptions, accept: (socket: TcpSocket) => TcpHandlers): TcpListener {
    const { port } = options;
    const ip = options.ip ?? anyIpv6;
    if (!isAny(ip) && !this.#netns.routes.isLocal(ip)) throw addressNotAvailable(ip, port);
    const others = this.#listeners.get(port) ?? [];
    if (others.some((other) => other.local.ip === ip || isAny(other.local.ip) || isAny(ip))) {
      throw addressInUse(options.ip ?? anyIpv4, port);
    }
    const listener: Listener = {
      local: { ip, port },
      owner: options.owner ?? "",
      passesOn: options.passesOn,
      accept,
      close: () => {
        const rest = (this.#listeners.get(port) ?? []).filter((other) => other !== listener);
        if (rest.length > 0) this.#listeners.set(port, rest);
        else this.#listeners.delete(port);
      },
    };
    this.#listeners.set(port, [...others, listener]);
    return listener;
  }

  connect(options: ConnectOptions, handlers: TcpHandlers): TcpSocket {
    const remote = { ip: options.ip, port: options.port };
    const found = this.#netns.routeGet(options.ip);
    const ip = options.sourceIp ?? found?.source ?? (typeof options.ip === "number" ? anyIpv4 : anyIpv6);
    if (options.sourceIp !== undefined && !this.#netns.routes.isLocal(options.sourceIp)) {
      throw addressNotAvailable(options.sourceIp, options.sourcePort ?? 0);
    }
    const taken = (port: number): boolean => this.#connections.find(ip, port, remote.ip, remote.port) !== undefined;
    const port = options.sourcePort ?? this.ports.next(remote, taken);
    if (port === undefined || taken(port)) throw addressInUse(ip, port ?? 0);
    const local = { ip, port };
    const connection = this.#add(local, remote, options.owner ?? "", handlers);
    if (found) connection.connect(options.timeout, options.background);
    else connection.failLater(this.#netns.routeFailure(options.ip) ?? { outcome: "unreachable", errno: "ENETUNREACH" });
    return connection;
  }

  receive(passage: Passage): void {
    const { packet } = passage;
    const body = packet.body as Tcp;
    const { source, target } = packet;
    let connection = this.#connections.find(target, body.targetPort, source, body.sourcePort);
    // A new SYN takes over what only waits out its time (RFC 6191).
    if (connection?.state === "TIME-WAIT" && body.flags === "S") {
      connection.forget();
      connection = undefined;
    }
    const listener = connection ? undefined : this.#listenerFor(target, body.targetPort);
    const wanted = connection !== undefined || (listener !== undefined && body.flags === "S");
    if (!wanted) {
      this.#refuse(passage, body);
      return;
    }
    if (this.#netns.network.told) this.#delivered(passage, body, connection, listener);
    if (this.#netns.network.conveyor.dry) return;
    if (connection) {
      connection.receive(body);
      return;
    }
    if (listener) this.#accept(packet, body, listener);
  }

  #delivered(passage: Passage, body: Tcp, connection: TcpConnection | undefined, listener: Listener | undefined): void {
    const owner = connection?.owner ?? listener?.owner ?? "";
    this.#netns.end(passage, "deliver", "socket", () => `to TCP port ${body.targetPort} (${owner || "socket"})`, {
      owner,
      passesOn: connection ? undefined : listener?.passesOn,
    });
  }

  #accept({ source, target }: Packet, syn: Tcp, listener: Listener): void {
    const local = { ip: target, port: syn.targetPort };
    const remote = { ip: source, port: syn.sourcePort };
    const accepted = this.#add(local, remote, listener.owner, {});
    accepted.accept(syn, () => listener.accept(accepted));
  }

  /** An ICMP error came back for a segment. */
  failed(cause: Packet, failure: Failure): void {
    const body = cause.body as Tcp;
    const local = { ip: cause.source, port: body.sourcePort };
    this.#connections.get(endsOf(local, { ip: cause.target, port: body.targetPort }))?.error(failure);
  }

  /** The way is narrower than a segment was: it is sent again in smaller ones. */
  shrink(cause: Packet): void {
    const body = cause.body as Tcp;
    const local = { ip: cause.source, port: body.sourcePort };
    this.#connections.get(endsOf(local, { ip: cause.target, port: body.targetPort }))?.shrink();
  }

  listenerOwner(ip: Ip, port: number): string | undefined {
    return this.#listenerFor(ip, port)?.owner;
  }

  passesOn(ip: Ip, port: number): PassesOn | undefined {
    return this.#listenerFor(ip, port)?.passesOn;
  }

  list(): readonly SocketInfo[] {
    const listeners = [...this.#listeners.values()]
      .flat()
      .map(
        (listener): SocketInfo => ({ protocol: "tcp", state: "LISTEN", local: listener.local, owner: listener.owner }),
      );
    const connections = [...this.#connections.values()].map(
      ({ state, local, remote, owner }): SocketInfo => ({ protocol: "tcp", state, local, remote, owner }),
    );
    return [...listeners, ...connections];
  }

  closeOwner(owner: string): void {
    for (const listener of [...this.#listeners.values()].flat()) if (listener.owner === owner) listener.close();
    for (const connection of [...this.#connections.values()]) if (connection.owner === owner) connection.close();
  }

  closeAll(): void {
    this.#listeners.clear();
    for (const connection of [...this.#connections.values()]) connection.forget();
  }

  #add(local: SocketAddress, remote: SocketAddress, owner: string, handlers: TcpHandlers): TcpConnection {
    const key = endsOf(local, remote);
    const connection = new TcpConnection(this.#netns, local, remote, owner, handlers, () => {
      if (this.#connections.get(key) === connection) this.#connections.delete(key);
    });
    this.#connections.set(key, connection);
    return connection;
  }

  #listenerFor(ip: Ip, port: number): Listener | undefined {
    const listeners = this.#listeners.get(port);
    if (!listeners) return undefined;
    return (
      listeners.find((listener) => listener.local.ip === ip) ??
      listeners.find(({ local }) => local.ip === anyIpv6 || (local.ip === anyIpv4 && typeof ip === "number"))
    );
  }

  #refuse(passage: Passage, body: Tcp): void {
    const reset = resetFor(this.#netns.network, passage.packet);
    const stray = body.flags === "S" ? `nobody listens on TCP port ${body.targetPort}` : "no such connection";
    if (!reset) {
      this.#netns.end(passage, "drop", "socket", stray);
      return;
    }
    this.#netns.end(passage, "reject", "socket", `${stray}: answered with RST`, { refused: true });
    if (!this.#netns.network.conveyor.dry) this.#netns.send(reset);
  }
}

/** The reset that answers a segment of no connection (RFC 9293 section 3.10.7.1); none for a reset. */
export function resetFor(network: Network, packet: Packet): Packet | undefined {
  const { body } = packet;
  if (body.protocol !== "tcp" || body.flags === "R" || body.flags === "R.") return undefined;
  const length = utf8Length(body.payload) + (body.flags === "S" || body.flags === "F." || body.flags === "FP." ? 1 : 0);
  const known = body.flags !== "S";
  return network.packet(packet.target, packet.source, {
    protocol: "tcp",
    sourcePort: body.targetPort,
    targetPort: body.sourcePort,
    flags: known ? "R" : "R.",
    sequence: known ? body.acknowledgement : 0,
    acknowledgement: known ? 0 : body.sequence + length,
    payload: "",
  });
}

function endsOf(local: SocketAddress, remote: SocketAddress): Ends {
  return { source: local.ip, sourcePort: local.port, target: remote.ip, targetPort: remote.port };
}

function isAny(ip: Ip): boolean {
  return ip === anyIpv4 || ip === anyIpv6;
}
