/** Owns one end of a TCP connection: its states, what it still has to send, and its timers (RFC 9293). */
import { millisecond, minute, second, type Time, type Timer } from "../sim/clock";
import type { SocketAddress } from "./address";
import type { Netns } from "./netns";
import { type Tcp, type TcpFlags, utf8Length } from "./packet";
import { type Failure, SocketError, type TcpHandlers, type TcpSocket, type TcpState } from "./socket";
import { cutSmaller, firstOctets, type Sent } from "./tcpsegments";

/**
 * When a SYN is sent again: net.ipv4.tcp_syn_linear_timeouts (4) seconds apart, then doubling, tcp_syn_retries (6)
 * times; given up 131 s after the first (Documentation/networking/ip-sysctl.rst).
 */
const synWaits = [1, 1, 1, 1, 1, 2, 4, 8, 16, 32, 64].map((seconds) => seconds * second);
/** net.ipv4.tcp_synack_retries (5): given up after 63 s. */
const synAckWaits = [1, 2, 4, 8, 16, 32].map((seconds) => seconds * second);
/** net.ipv4.tcp_retries2 (15), from 200 ms doubling up to 120 s: about 15 minutes. */
const dataWaits = Array.from({ length: 16 }, (_, count) => Math.min(200 * millisecond * 2 ** count, 2 * minute));
/** TCP_TIMEWAIT_LEN */
const timeWait: Time = minute;

export class TcpConnection implements TcpSocket {
  state: TcpState = "CLOSED";
  #handlers: TcpHandlers;
  readonly #netns: Netns;
  readonly #removed: () => void;
  /** Next octet to send, first not acknowledged, next to receive. Both sides begin at 0 with their SYN. */
  #sendNext = 0;
  #sendUnacknowledged = 0;
  #receiveNext = 0;
  #unsent = "";
  #finWanted = false;
  /** Nobody reads any more: data that comes is answered with a reset (tcp_rcv_state_process, TCPABORTONDATA). */
  #closed = false;
  #inFlight: Sent[] = [];
  #timer: Timer | undefined;
  #due: Time = 0;
  /** When the timer that runs wakes. */
  #wakes: Time = 0;
  #attempt = 0;
  /** Somebody waits for the handshake that this end began. */
  #awaited = false;
  #deadline: Timer | undefined;
  #accepted: (() => TcpHandlers) | undefined;
  /** The longest segment that the peer takes: 536 octets, unless its SYN says otherwise (RFC 9293 section 3.7.1). */
  #peerMss = 536;

  constructor(
    netns: Netns,
    readonly local: SocketAddress,
    readonly remote: SocketAddress,
    readonly owner: string,
    handlers: TcpHandlers,
    removed: () => void,
  ) {
    this.#netns = netns;
    this.#handlers = handlers;
    this.#removed = removed;
  }

  // ── Calls of the program ─────────────────────────────────────────────────────────────────────────────────────────

  /** @param background nobody waits for the handshake */
  connect(timeout: Time | undefined, background = false): void {
    this.state = "SYN-SENT";
    this.#awaited = !background;
    this.#push("S", "");
    if (timeout === undefined) return;
    const failure: Failure = { outcome: "timeout", errno: "ETIMEDOUT" };
    this.#deadline = this.#netns.network.sim.clock.after(timeout, () => this.#fail(failure));
  }

  /** A listener got a SYN; `accepted` gives the handlers once the handshake is done. */
  accept(syn: Tcp, accepted: () => TcpHandlers): void {
    this.state = "SYN-RECV";
    this.#accepted = accepted;
    this.#peerMss = syn.mss ?? this.#peerMss;
    this.#receiveNext = syn.sequence + 1;
    this.#push("S.", "");
  }

  write(text: string): void {
    if (this.#finWanted || this.state === "CLOSED") throw new SocketError("EPIPE", "write: Broken pipe");
    this.#unsent += text;
    this.#flush();
  }

  end(): void {
    if (this.#finWanted || this.state === "CLOSED") return;
    if (this.state === "SYN-SENT") {
      this.forget();
      return;
    }
    this.#finWanted = true;
    this.#flush();
  }

  abort(): void {
    if (this.state === "CLOSED") return;
    if (this.state !== "SYN-SENT" && this.state !== "TIME-WAIT") this.#send("R.", this.#sendNext, "");
    this.forget();
  }

  close(): void {
    this.#handlers = {};
    this.#closed = true;
    this.end();
  }

  /** Stops without a word. */
  forget(): void {
    this.state = "CLOSED";
    this.#timer?.cancel();
    this.#deadline?.cancel();
    this.#handlers = {};
    this.#inFlight = [];
    this.#removed();
  }

  failLater(failure: Failure): void {
    this.state = "SYN-SENT";
    this.#netns.network.sim.clock.after(0, () => this.#fail(failure));
  }

  /** An ICMP error: fatal only while connecting, as in Linux. */
  error(failure: Failure): void {
    if (this.state === "SYN-SENT") this.#fail(failure);
  }

  // ── Segments that come in ────────────────────────────────────────────────────────────────────────────────────────

  receive(segment: Tcp): void {
    if (segment.flags === "R" || segment.flags === "R.") {
      this.#receiveReset(segment);
      return;
    }
    if (this.state === "SYN-SENT") {
      this.#receiveSynAck(segment);
      return;
    }
    if (segment.flags === "S" || segment.flags === "S.") {
      this.#receiveSynAgain(segment);
      return;
    }
    this.#acknowledge(segment.acknowledgement);
    if (this.state === "CLOSED") return;
    if (this.state === "SYN-RECV") {
      if (this.#sendUnacknowledged === 0) return;
      this.#established();
    }
    this.#receiveStream(segment);
  }

  #receiveReset(segment: Tcp): void {
    if (this.state === "SYN-SENT") {
      if (segment.acknowledgement === this.#sendNext) this.#fail({ outcome: "refused", errno: "ECONNREFUSED" });
    } else if (this.state === "TIME-WAIT" || this.state === "SYN-RECV") this.forget();
    else this.#fail({ outcome: "reset", errno: "ECONNRESET" });
  }

  #receiveSynAck(segment: Tcp): void {
    if (segment.flags !== "S." || segment.acknowledgement !== this.#sendNext) return;
    this.#receiveNext = segment.sequence + 1;
    this.#peerMss = segment.mss ?? this.#peerMss;
    this.#acknowledge(segment.acknowledgement);
    this.#send(".", this.#sendNext, "");
    this.#established();
  }

  /** Our answer to the handshake was lost: say it again. */
  #receiveSynAgain(segment: Tcp): void {
    const [first] = this.#inFlight;
    if (segment.flags === "S" && first) this.#send(first.flags, first.sequence, first.payload);
    else this.#send(".", this.#sendNext, "");
  }

  #established(): void {
    this.state = "ESTAB";
    this.#deadline?.cancel();
    if (this.#accepted) this.#handlers = this.#accepted();
    this.#accepted = undefined;
    this.#handlers.connected?.(this);
    this.#flush();
  }

  #receiveStream(segment: Tcp): void {
    const fin = segment.flags === "F." || segment.flags === "FP.";
    const length = utf8Length(segment.payload);
    if (length === 0 && !fin) return;
    // What is not next in order (after a loss) is only acknowledged; its sender sends it again.
    if (segment.sequence !== this.#receiveNext) {
      this.#send(".", this.#sendNext, "");
      return;
    }
    this.#receiveNext += length + (fin ? 1 : 0);
    // Linux acknowledges the first segments of a connection at once (quick ACKs), before the program reads them.
    if (length > 0 && this.#closed) {
      this.abort();
      return;
    }
    if (length > 0) {
      this.#send(".", this.#sendNext, "");
      this.#handlers.data?.(this, segment.payload);
    }
    if (!fin) return;
    const before = this.#sendNext;
    this.#receiveFin();
    // A FIN that the program sends in return carries the acknowledgement with it.
    if (this.state !== "CLOSED" && this.#sendNext === before) this.#send(".", this.#sendNext, "");
  }

  #receiveFin(): void {
    switch (this.state) {
      case "ESTAB":
        this.state = "CLOSE-WAIT";
        if (this.#handlers.ended) this.#handlers.ended(this);
        else this.end();
        return;
      case "FIN-WAIT-1":
        this.state = "CLOSING";
        this.#handlers.ended?.(this);
        return;
      case "FIN-WAIT-2":
        this.#handlers.ended?.(this);
        this.#waitOut();
        return;
    }
  }

  #acknowledge(acknowledgement: number): void {
    if (acknowledgement <= this.#sendUnacknowledged || acknowledgement > this.#sendNext) return;
    this.#sendUnacknowledged = acknowledgement;
    this.#netns.neighbors.confirm(this.remote.ip);
    while (this.#inFlight[0] && this.#inFlight[0].end <= acknowledgement) this.#inFlight.shift();
    this.#attempt = 0;
    // A retransmission timer runs on; it looks at the deadline when it is due. The handshake's is somebody's wait.
    if (this.state === "SYN-SENT") this.#stop();
    if (this.#inFlight.length > 0) {
      this.#arm();
      return;
    }
    if (!this.#finWanted || this.#unsent !== "") return;
    if (this.state === "FIN-WAIT-1") this.state = "FIN-WAIT-2";
    else if (this.state === "CLOSING") this.#waitOut();
    else if (this.state === "LAST-ACK") this.#close();
  }

  // ── Segments that go out ─────────────────────────────────────────────────────────────────────────────────────────

  /** Sends what waits, in segments that fit the route's device, and the FIN after it. */
  #flush(): void {
    if (this.state !== "ESTAB" && this.state !== "CLOSE-WAIT") return;
    const most = this.#segmentSize();
    while (this.#unsent !== "") {
      const piece = firstOctets(this.#unsent, most);
      this.#unsent = this.#unsent.slice(piece.length);
      this.#push(this.#unsent === "" ? "P." : ".", piece);
    }
    if (!this.#finWanted) return;
    this.state = this.state === "ESTAB" ? "FIN-WAIT-1" : "LAST-ACK";
    this.#push("F.", "");
  }

  /** What both the peer and the way take. */
  #segmentSize(): number {
    return Math.min(this.#peerMss, this.#netns.mtuTo(this.remote.ip) - this.#headers());
  }

  /** Octets of the IP and TCP headers. */
  #headers(): number {
    return typeof this.remote.ip === "number" ? 40 : 60;
  }

  /** A router says that the way is narrower: what is under way is cut anew and sent again (RFC 1191 section 6.4). */
  shrink(): void {
    const most = this.#segmentSize();
    const sent = this.#inFlight;
    if (!sent.some(({ payload }) => payload.length * 3 > most && utf8Length(payload) > most)) return;
    this.#inFlight = sent.flatMap((each) => cutSmaller(each, most));
    for (const { flags, sequence, payload } of [...this.#inFlight]) this.#send(flags, sequence, payload);
  }

  /** Sends something that must be acknowledged. */
  #push(flags: TcpFlags, payload: string): void {
    const sequence = this.#sendNext;
    const end = sequence + (payload === "" ? 1 : utf8Length(payload));
    this.#sendNext = end;
    this.#inFlight.push({ flags, sequence, end, payload });
    this.#send(flags, sequence, payload);
    if (this.#inFlight.length === 1) this.#arm();
  }

  #send(flags: TcpFlags, sequence: number, payload: string): void {
    const { local, remote } = this;
    const body: Tcp = {
      protocol: "tcp",
      sourcePort: local.port,
      targetPort: remote.port,
      flags,
      sequence,
      acknowledgement: flags === "S" ? 0 : this.#receiveNext,
      payload,
      ...(flags === "S" || flags === "S." ? { mss: this.#ownMss() } : {}),
    };
    this.#netns.send(this.#netns.network.packet(local.ip, remote.ip, body, 64, true));
  }

  /** What the device takes, whatever the way does (RTAX_ADVMSS). */
  #ownMss(): number {
    const { routes, devices } = this.#netns;
    const found = routes.lookup(this.remote.ip);
    const mtu = devices.get(found?.device ?? "")?.mtu ?? 1500;
    return Math.min(found?.route.mtu ?? mtu, mtu, 65535) - this.#headers();
  }

  #arm(): void {
    const wait = this.#waits()[this.#attempt];
    if (wait === undefined) {
      this.#fail({ outcome: "timeout", errno: "ETIMEDOUT" });
      return;
    }
    const { clock } = this.#netns.network.sim;
    this.#due = clock.now + wait;
    // A timer that runs on wakes in time, but where it was set for a handshake's longer wait, or after many attempts.
    if (this.#timer && this.#wakes <= this.#due) return;
    this.#timer?.cancel();
    // Somebody waits for a handshake; the rest of a connection to a peer that is gone must keep nobody waiting.
    const kind = this.state === "SYN-SENT" && this.#awaited ? "foreground" : "background";
    this.#wakes = this.#due;
    this.#timer = clock.after(wait, () => this.#again(), kind);
  }

  #again(): void {
    this.#timer = undefined;
    if (this.#inFlight.length === 0) return;
    const { clock } = this.#netns.network.sim;
    if (clock.now < this.#due) {
      this.#wakes = this.#due;
      this.#timer = clock.after(this.#due - clock.now, () => this.#again(), "background");
      return;
    }
    this.#attempt++;
    if (this.#attempt < this.#waits().length) {
      for (const sent of [...this.#inFlight]) this.#send(sent.flags, sent.sequence, sent.payload);
    }
    if (this.state !== "CLOSED") this.#arm();
  }

  #waits(): readonly Time[] {
    return this.state === "SYN-SENT" ? synWaits : this.state === "SYN-RECV" ? synAckWaits : dataWaits;
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #waitOut(): void {
    this.state = "TIME-WAIT";
    const { closed } = this.#handlers;
    this.#handlers = {};
    this.#stop();
    this.#timer = this.#netns.network.sim.clock.after(timeWait, () => this.forget(), "background");
    closed?.(this);
  }

  #close(): void {
    const { closed } = this.#handlers;
    this.forget();
    closed?.(this);
  }

  #fail(failure: Failure): void {
    if (this.state === "CLOSED") return;
    const { failed } = this.#handlers;
    this.forget();
    failed?.(this, failure);
  }
}
