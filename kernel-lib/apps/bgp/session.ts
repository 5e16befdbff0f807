/** Owns one side of a BGP session as MetalLB's speaker has it (internal/bgp/native): it connects, and tries again for ever. */
import { formatIp, type Ip } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { TcpSocket } from "../../net/socket";
import { millisecond, second, type Timer } from "../../sim/clock";
import { type BgpMessage, BgpReader, bgpText, keepaliveOf } from "./messages";

export interface BgpSessionOptions {
  readonly netns: Netns;
  readonly peer: Ip;
  readonly port: number;
  readonly asn: number;
  readonly peerAsn: number;
  /** Seconds. */
  readonly hold: number;
  readonly owner: string;
  /** It stands; or it does not any more, and why. */
  changed(up: boolean, why: string): void;
}

const dialTimeout = 10 * second;
/** Between two attempts, doubled up to the longest (internal/bgp/native: backoff). */
const retry = { first: 500 * millisecond, longest: 120 * second };

export class BgpSession {
  readonly #options: BgpSessionOptions;
  #socket: TcpSocket | undefined;
  #up = false;
  #closed = false;
  #delay = retry.first;
  #timers: Timer[] = [];
  #hold: Timer | undefined;
  #wanted: ReadonlySet<string> = new Set();
  #told: ReadonlySet<string> = new Set();

  constructor(options: BgpSessionOptions) {
    this.#options = options;
    this.#dial();
  }

  /** These prefixes are announced from now on, and no others. */
  set(prefixes: ReadonlySet<string>): void {
    this.#wanted = prefixes;
    this.#update();
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#hold?.cancel();
    if (this.#up) this.#socket?.write(bgpText({ type: "NOTIFICATION", error: "Cease" }));
    this.#socket?.end();
  }

  #dial(): void {
    const { netns, peer, port, owner, asn, hold } = this.#options;
    const reader = new BgpReader();
    let over = false;
    const gone = (why: string): void => {
      if (over) return;
      over = true;
      this.#lost(why);
    };
    this.#socket = netns.sockets.connectTcp(
      { ip: peer, port, owner, timeout: dialTimeout },
      {
        connected: (socket) => {
          socket.write(bgpText({ type: "OPEN", asn, hold, id: formatIp(socket.local.ip) }));
          this.#awaitWord();
        },
        data: (_, text) => {
          for (const message of reader.feed(text)) this.#receive(message);
        },
        closed: () => gone("EOF"),
        failed: (_, { outcome }) => gone(outcome === "refused" ? "connection refused" : outcome),
      },
    );
  }

  #receive(message: BgpMessage | undefined): void {
    if (this.#closed) return;
    this.#awaitWord();
    if (message?.type === "OPEN") {
      const { peerAsn, hold } = this.#options;
      if (message.asn !== peerAsn) {
        this.#socket?.write(bgpText({ type: "NOTIFICATION", error: "Bad Peer AS" }));
        this.#socket?.end();
        this.#lost(`unexpected peer ASN ${message.asn}, want ${peerAsn}`);
        return;
      }
      this.#up = true;
      this.#delay = retry.first;
      this.#options.changed(true, "");
      this.#keepAlive(Math.min(hold, message.hold));
      this.#update();
    } else if (message?.type === "NOTIFICATION") this.#lost(`got BGP notification: ${message.error}`);
  }

  #keepAlive(hold: number): void {
    if (!this.#up || this.#closed) return;
    this.#socket?.write(bgpText({ type: "KEEPALIVE" }));
    this.#after(keepaliveOf(hold) * second, () => this.#keepAlive(hold));
  }

  #awaitWord(): void {
    this.#hold?.cancel();
    const expired = (): void => {
      this.#socket?.abort();
      this.#lost("hold timer expired");
    };
    this.#hold = this.#clock.after(this.#options.hold * second, expired, "background");
  }

  #update(): void {
    if (!this.#up) return;
    const announced = [...this.#wanted].filter((prefix) => !this.#told.has(prefix)).sort();
    const withdrawn = [...this.#told].filter((prefix) => !this.#wanted.has(prefix)).sort();
    this.#told = this.#wanted;
    if (announced.length + withdrawn.length === 0) return;
    this.#socket?.write(bgpText({ type: "UPDATE", announced, withdrawn }));
  }

  #lost(why: string): void {
    if (this.#closed || this.#socket === undefined) return;
    this.#socket = undefined;
    this.#hold?.cancel();
    for (const timer of this.#timers.splice(0)) timer.cancel();
    this.#told = new Set();
    this.#up = false;
    this.#options.changed(false, why);
    this.#after(this.#delay, () => this.#dial());
    this.#delay = Math.min(this.#delay * 2, retry.longest);
  }

  #after(delay: number, run: () => void): void {
    this.#timers.push(this.#clock.after(delay, run, "background"));
  }

  get #clock() {
    return this.#options.netns.network.sim.clock;
  }
}
