/** Owns BGP on a router (as bgpd of FRR is set up for MetalLB): peers come by themselves, and several ways are used at once. */
import { type Cidr, formatIp, type Ip, parseCidr } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { TcpSocket } from "../../net/socket";
import { second, type Timer } from "../../sim/clock";
import { type BgpMessage, BgpReader, bgpPort, bgpText, keepaliveOf } from "./messages";

export interface BgpRouterOptions {
  readonly asn: number;
  /** Seconds; the smaller of both sides' counts. */
  readonly hold: number;
}

/** A neighbour that speaks. */
interface Peer {
  readonly ip: Ip;
  readonly socket: TcpSocket;
  readonly prefixes: Set<string>;
  hold: number;
  established: boolean;
  holdTimer: Timer | undefined;
  keepalive: Timer | undefined;
}

/** What FRR gives routes of BGP. */
const metric = 20;

/** Listens on port 179 of a router, and writes what it is told into its routes. */
export class BgpRouter {
  readonly #netns: Netns;
  readonly #options: BgpRouterOptions;
  readonly #peers = new Set<Peer>();

  constructor(netns: Netns, options: BgpRouterOptions) {
    this.#netns = netns;
    this.#options = options;
    netns.sockets.listenTcp({ port: bgpPort, owner: "bgpd" }, (socket) => this.#accept(socket));
  }

  /** The neighbours whose sessions stand, by address. */
  get neighbors(): readonly { readonly ip: string; readonly prefixes: readonly string[] }[] {
    const standing = [...this.#peers].filter(({ established }) => established);
    return standing.map(({ ip, prefixes }) => ({ ip: formatIp(ip), prefixes: [...prefixes].sort() }));
  }

  #accept(accepted: TcpSocket) {
    const reader = new BgpReader();
    const peer: Peer = {
      ...{ ip: accepted.remote.ip, socket: accepted, prefixes: new Set<string>(), hold: this.#options.hold },
      ...{ established: false, holdTimer: undefined, keepalive: undefined },
    };
    this.#peers.add(peer);
    const gone = (): void => this.#forget(peer);
    return {
      data: (_: TcpSocket, text: string) => {
        for (const message of reader.feed(text)) this.#receive(peer, message);
      },
      closed: gone,
      failed: gone,
    };
  }

  #receive(peer: Peer, message: BgpMessage | undefined): void {
    if (!this.#peers.has(peer)) return;
    this.#hold(peer);
    switch (message?.type) {
      case undefined:
        this.#end(peer, "Message Header Error");
        return;
      case "OPEN": {
        const { asn, hold } = this.#options;
        // A session anew: what the old one said is over.
        for (const other of this.#peers) if (other !== peer && other.ip === peer.ip) this.#end(other, "Cease");
        peer.hold = Math.min(hold, message.hold);
        peer.established = true;
        peer.socket.write(bgpText({ type: "OPEN", asn, hold, id: formatIp(peer.socket.local.ip) }));
        this.#keepAlive(peer);
        this.#hold(peer);
        return;
      }
      case "UPDATE":
        for (const prefix of message.withdrawn) peer.prefixes.delete(prefix);
        for (const prefix of message.announced) peer.prefixes.add(prefix);
        for (const prefix of [...message.withdrawn, ...message.announced]) this.#install(prefix);
        return;
      case "NOTIFICATION":
        this.#forget(peer);
        return;
      case "KEEPALIVE":
        return;
    }
  }

  /** Nobody heard of for so long is gone. */
  #hold(peer: Peer): void {
    peer.holdTimer?.cancel();
    const expired = (): void => this.#end(peer, "Hold Timer Expired");
    peer.holdTimer = this.#clock.after(peer.hold * second, expired, "background");
  }

  #keepAlive(peer: Peer): void {
    peer.socket.write(bgpText({ type: "KEEPALIVE" }));
    const again = (): void => this.#keepAlive(peer);
    peer.keepalive = this.#clock.after(keepaliveOf(peer.hold) * second, again, "background");
  }

  #end(peer: Peer, error: string): void {
    if (peer.socket.state === "ESTAB") peer.socket.write(bgpText({ type: "NOTIFICATION", error }));
    peer.socket.end();
    this.#forget(peer);
  }

  #forget(peer: Peer): void {
    if (!this.#peers.delete(peer)) return;
    peer.holdTimer?.cancel();
    peer.keepalive?.cancel();
    for (const prefix of peer.prefixes) this.#install(prefix);
  }

  /** All peers that announce a prefix are ways to it, of the same cost (`maximum-paths`). */
  #install(prefix: string): void {
    const to: Cidr = parseCidr(prefix);
    const { routes } = this.#netns;
    const ways = [...this.#peers].filter(({ prefixes }) => prefixes.has(prefix)).map(({ ip }) => ip);
    const [first, ...more] = ways.sort((one, other) => (one < other ? -1 : 1));
    if (first === undefined) {
      routes.delete(to, undefined, "unicast", metric);
      return;
    }
    const how = more.length === 0 ? { via: first } : { nexthops: ways.map((via) => ({ via })) };
    routes.replace({ to, ...how, protocol: "bgp", metric });
  }

  get #clock() {
    return this.#netns.network.sim.clock;
  }
}
