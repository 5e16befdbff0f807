/** Owns nc: connections and datagrams by hand, as OpenBSD's netcat and BusyBox' do it. */
import { anyIpv4, anyIpv6, formatIp, type Ip, parseIp, type SocketAddress } from "../../net/address";
import { type Failure, SocketError, type TcpSocket, type UdpSocket } from "../../net/socket";
import { second, type Time } from "../../sim/clock";
import { type Call, Failed, type Tool } from "../shell/tool";
import { type Flags, readFlags } from "./flags";
import { isBusybox } from "./ip/words";
import { findHost } from "./names";
import { serviceName, servicePort } from "./tcpdump/services";

const usage = `usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]
\t  [-m minttl] [-O length] [-P proxy_username] [-p source_port]
\t  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]
\t  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]
\t  [destination] [port]`;

const busyboxUsage = `BusyBox v1.37.0 () multi-call binary.

Usage: nc [OPTIONS] HOST PORT  - connect
nc [OPTIONS] -l -p PORT [HOST] [PORT]  - listen

	-e PROG	Run PROG after connect (must be last)
	-l	Listen mode, for inbound connects
	-lk	With -e, provides persistent server
	-p PORT	Local port
	-s ADDR	Local address
	-w SEC	Timeout for connects and final net reads
	-i SEC	Delay interval for lines sent
	-n	Don't do DNS resolution
	-u	UDP mode
	-b	Allow broadcasts
	-v	Verbose
	-o FILE	Hex dump traffic
	-z	Zero-I/O mode (scanning)`;

/** How often, and how far apart, `-uz` asks whether a UDP port is there. */
const datagramTries = 4;

/** What ended an attempt or a talk. */
type Event =
  | { readonly event: "connected" | "ended" | "closed" }
  | { readonly event: "data"; readonly text: string }
  | { readonly event: "failed"; readonly failure: Failure };

export const nc: Tool = async (call) => {
  const busybox = isBusybox(call);
  const flags = readFlags(call.args, {
    tool: "nc",
    letters: busybox ? "lknuvzbp:s:w:i:o:e:q:N" : "46CDdFhklNnrStUuvZzI:i:M:m:O:P:p:q:s:T:V:W:w:X:x:",
    usage: busybox ? busyboxUsage : usage,
  });
  if (flags.has("h")) {
    call.err(`${usage}\n`);
    return 1;
  }
  return new Netcat(call, flags, busybox).run();
};

class Netcat {
  readonly #call: Call;
  readonly #flags: Flags;
  readonly #busybox: boolean;
  readonly #events: Event[] = [];
  #wakeUp: () => void = () => {};

  constructor(call: Call, flags: Flags, busybox: boolean) {
    this.#call = call;
    this.#flags = flags;
    this.#busybox = busybox;
  }

  async run(): Promise<number> {
    const { words } = this.#flags;
    if (this.#flags.has("l")) return this.#listen();
    const [host, ...ports] = words;
    if (host === undefined) throw new Failed(this.#busybox ? busyboxUsage : usage, 1);
    if (ports.length === 0) throw new Failed(this.#busybox ? busyboxUsage : "nc: missing port number", 1);
    const family = this.#flags.has("6") ? "IPv6" : this.#flags.has("4") ? "IPv4" : undefined;
    const found = await findHost(this.#call, host, family);
    if (found === "stopped") return 130;
    if ("problem" in found) {
      if (this.#busybox) throw new Failed(`nc: bad address '${host}'`, 1);
      throw new Failed(`nc: getaddrinfo for host "${host}" port ${ports[0]}: ${found.problem}`, 1);
    }
    let exitCode = 1;
    for (const port of ports.flatMap((text) => this.#ports(text))) {
      const end = this.#flags.has("u")
        ? await this.#datagrams(host, found.ip, port)
        : await this.#connect(host, found.ip, port);
      if (end === 130) return 130;
      if (end === 0) exitCode = 0;
    }
    return exitCode;
  }

  /** `80`, `http`, `79-81`. */
  #ports(text: string): readonly number[] {
    const [low = "", high] = /^\d+-\d+$/.test(text) ? text.split("-") : [text];
    const [first, last] = [servicePort(low), servicePort(high ?? low)];
    if (first === undefined || last === undefined || first < 1) {
      throw new Failed(
        this.#busybox
          ? `nc: bad port '${text}'`
          : /^\d/.test(text)
            ? `nc: port number too large: ${text}`
            : `nc: service "${text}" unknown`,
        1,
      );
    }
    return Array.from({ length: Math.max(0, last - first) + 1 }, (_, at) => first + at);
  }

  #tell(event: Event): void {
    this.#events.push(event);
    this.#wakeUp();
  }

  /** The next event; undefined when the time is over or somebody stopped it. */
  async #next(limit: Time | undefined): Promise<Event | undefined> {
    const { process, terminal } = this.#call;
    if (this.#events.length === 0) {
      await process.pause(
        (wake) => {
          this.#wakeUp = wake;
          return undefined;
        },
        limit ?? terminal?.patience,
        limit === undefined ? "background" : "foreground",
      );
    }
    return this.#events.shift();
  }

  get #timeout(): Time | undefined {
    const text = this.#flags.given.get("w");
    if (text === undefined) return undefined;
    if (!/^\d+$/.test(text)) throw new Failed(`nc: timeout invalid: ${text}`, 1);
    return Number(text) * second;
  }

  /** What is typed or piped in. */
  #input(): string {
    const { terminal, stdin } = this.#call;
    if (this.#flags.has("d")) return "";
    if (!terminal) return stdin;
    let text = "";
    for (let line = terminal.readLine(); line !== undefined; line = terminal.readLine()) text += `${line}\n`;
    return text;
  }

  async #connect(host: string, ip: Ip, port: number): Promise<number> {
    const { netns } = this.#call.place;
    const source = this.#flags.given.get("s");
    const sourcePort = this.#flags.given.get("p");
    const socket = this.#attempt(() =>
      netns.sockets.connectTcp(
        {
          ip,
          port,
          owner: "nc",
          ...(source === undefined ? {} : { sourceIp: parseIp(source) }),
          ...(sourcePort === undefined ? {} : { sourcePort: Number(sourcePort) }),
        },
        this.#handlers(),
      ),
    );
    const began = await this.#next(this.#timeout);
    if (this.#call.process.stopped) {
      socket.abort();
      return 130;
    }
    if (began?.event !== "connected") {
      socket.abort();
      this.#events.splice(0);
      this.#failed(host, ip, port, began?.event === "failed" ? began.failure : undefined);
      return 1;
    }
    this.#succeeded(host, ip, port);
    if (this.#flags.has("z")) {
      socket.end();
      this.#events.splice(0);
      return 0;
    }
    const input = this.#input();
    if (input !== "") socket.write(input);
    if (this.#flags.has("N") || (this.#busybox && !this.#call.terminal)) socket.end();
    return this.#talk(socket);
  }

  #handlers(): Parameters<Call["place"]["netns"]["sockets"]["connectTcp"]>[1] {
    return {
      connected: () => this.#tell({ event: "connected" }),
      data: (_socket, text) => this.#tell({ event: "data", text }),
      ended: () => this.#tell({ event: "ended" }),
      closed: () => this.#tell({ event: "closed" }),
      failed: (_socket, failure) => this.#tell({ event: "failed", failure }),
    };
  }

  /** Prints what comes until the other side ends, or nothing comes for too long. */
  async #talk(socket: TcpSocket): Promise<number> {
    const quit = this.#flags.given.get("q");
    const limit = quit === undefined || Number(quit) < 0 ? this.#timeout : Number(quit) * second;
    for (;;) {
      const event = await this.#next(limit);
      if (event?.event === "data") {
        this.#call.out(event.text);
        continue;
      }
      if (event?.event === "ended") socket.end();
      else socket.abort();
      this.#events.splice(0);
      if (this.#call.process.stopped) return 130;
      return event?.event === "failed" ? 1 : 0;
    }
  }

  #attempt<T>(open: () => T): T {
    try {
      return open();
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      const words = { EADDRINUSE: "Address already in use", EADDRNOTAVAIL: "Cannot assign requested address" };
      const why = words[error.errno as keyof typeof words] ?? error.message;
      throw new Failed(this.#busybox ? `nc: bind: ${why}` : `nc: ${why}`, 1);
    }
  }

  #succeeded(host: string, ip: Ip, port: number): void {
    if (!this.#flags.has("v")) return;
    const address = formatIp(ip);
    if (this.#busybox) {
      this.#call.err(`${host} (${address}:${port}) open\n`);
      return;
    }
    const protocol = this.#flags.has("u") ? "udp" : "tcp";
    const name = serviceName(port, protocol);
    const service = this.#flags.has("n") || name === String(port) ? "*" : name;
    const where = host === address ? host : `${host} (${address})`;
    this.#call.err(`Connection to ${where} ${port} port [${protocol}/${service}] succeeded!\n`);
  }

  #failed(host: string, ip: Ip, port: number, failure: Failure | undefined): void {
    const errors: Readonly<Record<string, string>> = {
      ECONNREFUSED: "Connection refused",
      EHOSTUNREACH: "No route to host",
      ENETUNREACH: "Network is unreachable",
      ETIMEDOUT: "Connection timed out",
      ECONNRESET: "Connection reset by peer",
      EINVAL: "Invalid argument",
      EACCES: "Permission denied",
    };
    const why = failure ? (errors[failure.errno] ?? failure.errno) : undefined;
    const address = formatIp(ip);
    if (this.#busybox) {
      if (!this.#flags.has("z") || this.#flags.has("v")) {
        this.#call.err(`nc: ${host} (${address}:${port}): ${why ?? "Connection timed out"}\n`);
      }
      return;
    }
    if (!this.#flags.has("v")) return;
    const where = host === address ? host : `${host} (${address})`;
    const protocol = this.#flags.has("u") ? "udp" : "tcp";
    const end = why === undefined ? "timed out: Operation now in progress" : `failed: ${why}`;
    this.#call.err(`nc: connect to ${where} port ${port} (${protocol}) ${end}\n`);
  }

  /** Datagrams: there is no connection, so only an ICMP error says that nobody is there. */
  async #datagrams(host: string, ip: Ip, port: number): Promise<number> {
    const { netns } = this.#call.place;
    const own = this.#flags.given.get("p");
    const socket = this.#attempt(() =>
      netns.sockets.openUdp(
        { peer: { ip, port }, owner: "nc", ...(own === undefined ? {} : { port: Number(own) }) },
        {
          received: (_socket, { payload }) => {
            if (typeof payload === "string") this.#tell({ event: "data", text: payload });
          },
          failed: (_socket, failure) => this.#tell({ event: "failed", failure }),
        },
      ),
    );
    if (this.#flags.has("z")) {
      for (let tries = 0; tries < datagramTries; tries++) {
        socket.send("X");
        const event = await this.#next(second);
        if (event?.event !== "failed" && !this.#call.process.stopped) continue;
        socket.close();
        return this.#call.process.stopped ? 130 : 1;
      }
      socket.close();
      this.#succeeded(host, ip, port);
      return 0;
    }
    const input = this.#input();
    if (input !== "") socket.send(input);
    return this.#hear(socket);
  }

  async #hear(socket: UdpSocket): Promise<number> {
    for (;;) {
      const event = await this.#next(this.#timeout);
      if (event?.event === "data") {
        this.#call.out(event.text);
        continue;
      }
      socket.close();
      if (this.#call.process.stopped) return 130;
      return event?.event === "failed" ? 1 : 0;
    }
  }

  // ── Listening ────────────────────────────────────────────────────────────────────────────────────────────────────

  #listen(): Promise<number> {
    const { words, given } = this.#flags;
    const text = given.get("p") ?? words.at(-1);
    if (text === undefined) throw new Failed(this.#busybox ? busyboxUsage : "nc: missing port number", 1);
    const port = servicePort(text);
    if (port === undefined)
      throw new Failed(/^\d/.test(text) ? `nc: port number too large: ${text}` : `nc: service "${text}" unknown`, 1);
    const address = given.get("s") ?? (given.has("p") ? words[0] : words.length > 1 ? words[0] : undefined);
    // OpenBSD's listens to IPv4 unless told otherwise, BusyBox' to both at once.
    const every = this.#busybox ? undefined : this.#flags.has("6") ? anyIpv6 : anyIpv4;
    const ip = address === undefined ? every : parseIp(address);
    return this.#flags.has("u") ? this.#listenUdp(port, ip) : this.#listenTcp(port, ip);
  }

  async #listenTcp(port: number, ip: Ip | undefined): Promise<number> {
    const { netns } = this.#call.place;
    const waiting: TcpSocket[] = [];
    const listener = this.#attempt(() =>
      netns.sockets.listenTcp({ port, owner: "nc", ...(ip === undefined ? {} : { ip }) }, () => ({
        ...this.#handlers(),
        connected: (socket) => {
          waiting.push(socket);
          this.#tell({ event: "connected" });
        },
      })),
    );
    this.#sayListening(listener.local);
    let exitCode = 0;
    do {
      let event = await this.#next(undefined);
      while (event && event.event !== "connected") event = await this.#next(undefined);
      const socket = waiting.shift();
      if (!event || !socket) {
        exitCode = this.#call.process.stopped ? 130 : 0;
        break;
      }
      if (!this.#flags.has("k")) listener.close();
      this.#sayConnected(socket);
      const input = this.#input();
      if (input !== "") socket.write(input);
      if (this.#flags.has("N")) socket.end();
      exitCode = await this.#talk(socket);
    } while (this.#flags.has("k") && exitCode !== 130);
    listener.close();
    return exitCode;
  }

  #sayListening({ ip, port }: SocketAddress): void {
    if (!this.#flags.has("v")) return;
    this.#call.err(this.#busybox ? `listening on [::]:${port} ...\n` : `Listening on ${formatIp(ip)} ${port}\n`);
  }

  #sayConnected({ local, remote }: TcpSocket): void {
    if (!this.#flags.has("v")) return;
    const [from, to] = [formatIp(remote.ip), formatIp(local.ip)];
    this.#call.err(
      this.#busybox
        ? `connect to [::ffff:${to}]:${local.port} from [::ffff:${from}]:${remote.port} ([::ffff:${from}]:${remote.port})\n`
        : `Connection received on ${from} ${remote.port}\n`,
    );
  }

  async #listenUdp(port: number, ip: Ip | undefined): Promise<number> {
    const { netns } = this.#call.place;
    let peer: SocketAddress | undefined;
    const input = this.#input();
    const socket = this.#attempt(() =>
      netns.sockets.openUdp(
        { port, owner: "nc", ...(ip === undefined ? {} : { ip }) },
        {
          received: (own, { payload, source }) => {
            if (!peer) {
              peer = source;
              if (this.#flags.has("v"))
                this.#call.err(`Connection received on ${formatIp(source.ip)} ${source.port}\n`);
              if (input !== "") own.send(input, source);
            }
            if (typeof payload === "string") this.#tell({ event: "data", text: payload });
          },
        },
      ),
    );
    if (this.#flags.has("v")) this.#call.err(`Bound on ${formatIp(socket.local.ip)} ${port}\n`);
    return this.#hear(socket);
  }
}
