/** Owns UDP (RFC 768): datagram sockets, found by port, address and peer. */
import { anyIpv4, anyIpv6, family, type Ip, type SocketAddress } from "./address";
import type { Netns } from "./netns";
import { fitsIn, type Message, type Packet, type Udp } from "./packet";
import type { Passage } from "./passage";
import {
  type Failure,
  type PassesOn,
  SocketError,
  type SocketIcmpError,
  type UdpHandlers,
  type UdpOptions,
  type UdpSocket,
} from "./socket";
import { addressInUse, addressNotAvailable, ephemeralPort, type SocketInfo } from "./sockets";

interface Open extends UdpSocket {
  readonly options: UdpOptions;
  readonly peer: SocketAddress | undefined;
  readonly handlers: UdpHandlers;
}

export class UdpLayer {
  readonly #netns: Netns;
  readonly #ports = new Map<number, Open[]>();

  constructor(netns: Netns) {
    this.#netns = netns;
  }

  open(options: UdpOptions, handlers: UdpHandlers): UdpSocket {
    const { peer } = options;
    const unbound = peer && family(peer.ip) === "IPv6" ? anyIpv6 : anyIpv4;
    const ip = options.ip ?? (peer ? this.#netns.sourceFor(peer.ip) : undefined) ?? unbound;
    if (options.ip !== undefined && options.ip !== anyIpv4 && options.ip !== anyIpv6) {
      if (!this.#netns.routes.isLocal(options.ip)) throw addressNotAvailable(ip, options.port ?? 0);
    }
    const port = options.port ?? ephemeralPort(this.#netns, (candidate) => this.#ports.has(candidate));
    if (port === undefined) throw addressInUse(ip, 0);
    if (this.#ports.get(port)?.some((other) => clash(other.local.ip, ip))) throw addressInUse(ip, port);
    const socket: Open = {
      local: { ip, port },
      owner: options.owner ?? "",
      options,
      peer,
      handlers,
      send: (payload, to = peer, { ttl } = {}) => {
        if (!to) throw new RangeError("send() on a socket without a peer (89: Destination address required)");
        this.#send(socket, payload, to, ttl ?? options.ttl);
      },
      close: () => this.#close(socket),
    };
    this.#ports.set(port, [...(this.#ports.get(port) ?? []), socket]);
    return socket;
  }

  receive(passage: Passage): void {
    const { packet } = passage;
    const body = packet.body as Udp;
    const socket = this.#find(packet.target, body.targetPort, { ip: packet.source, port: body.sourcePort });
    if (!socket) {
      const why = `nobody listens on UDP port ${body.targetPort}`;
      this.#netns.refuse(passage, why);
      return;
    }
    this.#netns.end(
      passage,
      "deliver",
      "socket",
      () => `to UDP port ${body.targetPort} (${socket.owner || "socket"})`,
      {
        owner: socket.owner,
        passesOn: socket.options.passesOn,
      },
    );
    if (this.#netns.network.conveyor.dry) return;
    socket.handlers.received?.(socket, {
      payload: body.payload,
      source: { ip: packet.source, port: body.sourcePort },
      target: { ip: packet.target, port: body.targetPort },
    });
  }

  /** An ICMP error came back for a datagram: only a connected socket is told. */
  failed(cause: Packet, failure: Failure, error: SocketIcmpError): void {
    const body = cause.body as Udp;
    const socket = this.#find(cause.source, body.sourcePort, { ip: cause.target, port: body.targetPort });
    socket?.handlers.error?.(socket, error);
    if (socket?.peer) socket.handlers.failed?.(socket, failure);
  }

  listenerOwner(ip: Ip, port: number): string | undefined {
    return this.#ports.get(port)?.find((socket) => !socket.peer && matches(socket.local.ip, ip))?.owner;
  }

  passesOn(ip: Ip, port: number): PassesOn | undefined {
    return this.#ports.get(port)?.find((socket) => !socket.peer && matches(socket.local.ip, ip))?.options.passesOn;
  }

  list(): readonly SocketInfo[] {
    return [...this.#ports.values()].flat().map((socket) => ({
      protocol: "udp",
      state: socket.peer ? "ESTAB" : "UNCONN",
      local: socket.local,
      ...(socket.peer ? { remote: socket.peer } : {}),
      owner: socket.owner,
    }));
  }

  closeOwner(owner: string): void {
    for (const socket of [...this.#ports.values()].flat()) if (socket.owner === owner) this.#close(socket);
  }

  closeAll(): void {
    this.#ports.clear();
  }

  /** The whole tuple first, then the bound address, then any. */
  #find(ip: Ip, port: number, peer: SocketAddress): Open | undefined {
    const sockets = this.#ports.get(port);
    if (!sockets) return undefined;
    const here = sockets.filter((socket) => matches(socket.local.ip, ip));
    return (
      here.find((socket) => socket.peer?.ip === peer.ip && socket.peer.port === peer.port) ??
      here.find((socket) => !socket.peer && socket.local.ip === ip) ??
      here.find((socket) => !socket.peer)
    );
  }

  #send(socket: Open, payload: string | Message, to: SocketAddress, ttl: number | undefined): void {
    const { network } = this.#netns;
    if (!this.#ports.get(socket.local.port)?.includes(socket)) {
      throw new SocketError("EPIPE", "send() on a closed socket (9: Bad file descriptor)");
    }
    const bound = socket.local.ip !== anyIpv4 && socket.local.ip !== anyIpv6;
    const source = bound ? socket.local.ip : this.#netns.sourceFor(to.ip);
    const refused = this.#netns.routeFailure(to.ip);
    if (source === undefined || refused) {
      const failure: Failure = refused ?? { outcome: "unreachable", errno: "ENETUNREACH" };
      network.sim.clock.after(0, () => socket.handlers.failed?.(socket, failure));
      return;
    }
    const body: Udp = { protocol: "udp", sourcePort: socket.local.port, targetPort: to.port, payload };
    const packet = network.packet(source, to.ip, body, ttl);
    const { pathMtu = "want" } = socket.options;
    if (pathMtu === "dont") {
      this.#netns.send(packet);
      return;
    }
    const mtu = this.#netns.mtuTo(to.ip);
    const fits = fitsIn(packet, mtu);
    if (fits || pathMtu === "want") {
      this.#netns.send(fits ? { ...packet, dontFragment: true } : packet);
      return;
    }
    const failure: Failure = { outcome: "unreachable", errno: "EMSGSIZE" };
    const type = typeof to.ip === "number" ? "fragmentation-needed" : "packet-too-big";
    network.sim.clock.after(0, () => {
      socket.handlers.error?.(socket, { from: source, type, mtu, cause: packet });
      socket.handlers.failed?.(socket, failure);
    });
  }

  #close(socket: Open): void {
    const rest = (this.#ports.get(socket.local.port) ?? []).filter((other) => other !== socket);
    if (rest.length > 0) this.#ports.set(socket.local.port, rest);
    else this.#ports.delete(socket.local.port);
  }
}

function isAny(ip: Ip): boolean {
  return ip === anyIpv4 || ip === anyIpv6;
}

/** A socket on `::` hears IPv4 too, as Linux's do unless IPV6_V6ONLY is set. */
function matches(bound: Ip, ip: Ip): boolean {
  return bound === ip || bound === anyIpv6 || (bound === anyIpv4 && typeof ip === "number");
}

function clash(one: Ip, other: Ip): boolean {
  return one === other || isAny(one) || isAny(other);
}
