/** Owns echo sockets: what `ping` sends, and the answers and errors that come back to it. */
import { family, type Ip } from "./address";
import { describeError } from "./icmp";
import type { Netns } from "./netns";
import { type Icmp, type IcmpError, type Packet, packetSize } from "./packet";
import type { EchoOptions, EchoResult, EchoSocket, PathMtuMode } from "./socket";

interface Open {
  readonly sent: Map<number, number>;
  readonly answered: (result: EchoResult) => void;
}

export class Echoes {
  readonly #netns: Netns;
  readonly #open = new Map<number, Open>();
  #last = 0;

  constructor(netns: Netns) {
    this.#netns = netns;
  }

  open(target: Ip, answered: (result: EchoResult) => void, options: EchoOptions): EchoSocket {
    this.#last = (this.#last % 65535) + 1;
    const identifier = this.#last;
    const socket: Open = { sent: new Map(), answered };
    this.#open.set(identifier, socket);
    return {
      identifier,
      send: (sequence, { size = 56, ttl, pathMtu = "want" } = {}) => {
        const source = options.sourceIp ?? this.#sourceFor(target, options.device);
        if (source === undefined) return false;
        const body: Icmp = { protocol: "icmp", type: "echo", identifier, sequence, size };
        this.#send(socket, source, target, body, { ttl, pathMtu, device: options.device });
        return true;
      },
      close: () => {
        this.#open.delete(identifier);
      },
    };
  }

  #send(
    socket: Open,
    source: Ip,
    target: Ip,
    body: Icmp & { readonly sequence: number },
    options: { readonly ttl: number | undefined; readonly pathMtu: PathMtuMode; readonly device: string | undefined },
  ): void {
    const { network } = this.#netns;
    const { now } = network.sim.clock;
    socket.sent.set(body.sequence, now);
    const packet = network.packet(source, target, body, options.ttl, false);
    const mtu = this.#netns.mtuTo(target);
    const fits = packetSize(packet) <= mtu;
    if (!fits && options.pathMtu === "do") {
      const { sequence } = body;
      const error = `local error: message too long, mtu=${mtu}`;
      network.sim.clock.after(0, () =>
        socket.answered({ result: "error", from: source, sequence, error, type: "message-too-long", mtu }),
      );
      return;
    }
    const dontFragment = fits && options.pathMtu !== "dont";
    this.#netns.send({ ...packet, dontFragment }, options.device);
  }

  #sourceFor(target: Ip, device: string | undefined): Ip | undefined {
    if (device === undefined) return this.#netns.sourceFor(target);
    const found = this.#netns.devices.get(device);
    return found && this.#netns.sourceOn(found, target);
  }

  /** An echo reply is handed to the ping that sent the request; whether one was waiting. */
  receive(packet: Packet, identifier: number, sequence: number): void {
    const socket = this.#open.get(identifier);
    if (!socket) return;
    const { now } = this.#netns.network.sim.clock;
    const time = now - (socket.sent.get(sequence) ?? now);
    socket.sent.delete(sequence);
    socket.answered({ result: "reply", from: packet.source, sequence, ttl: packet.ttl, time });
  }

  waits(identifier: number): boolean {
    return this.#open.has(identifier);
  }

  /** An ICMP error about a request. */
  failed({ source: from, ttl }: Packet, cause: Packet, type: IcmpError, mtu: number | undefined): void {
    const { body } = cause;
    if (body.protocol !== "icmp" || "cause" in body) return;
    const error = describeError(type, mtu, family(cause.target));
    const more = mtu === undefined ? {} : { mtu };
    const { sequence } = body;
    this.#open.get(body.identifier)?.answered({ result: "error", from, sequence, error, type, ttl, ...more });
  }

  closeAll(): void {
    this.#open.clear();
  }
}
