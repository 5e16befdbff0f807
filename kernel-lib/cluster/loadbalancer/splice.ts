/** Owns two connections that a proxy makes one of: what comes by either goes out by the other, and so does its end. */
import { formatRequest, HttpReader } from "../../apps/http";
import { formatIp, formatSocketAddress, type SocketAddress } from "../../net/address";
import type { Netns } from "../../net/netns";
import type { TcpHandlers, TcpSocket } from "../../net/socket";
import { second, type Time } from "../../sim/clock";

/** How the server learns who the client is: not at all, by a first line (PROXY protocol v1), or by a field of HTTP. */
export type Preface = "none" | "proxy-protocol" | "x-forwarded-for";

/** A client's connection and the one that it was joined with. */
export interface Joined {
  readonly server: SocketAddress;
  /** Resets both. */
  abort(): void;
}

export interface SpliceOptions {
  readonly netns: Netns;
  readonly preface: Preface;
  /** Both are closed when so long nothing came by either. */
  readonly idle: Time;
  /** Whom to try; undefined: nobody any more. */
  next(tried: number): SocketAddress | undefined;
  /** Who is served by whom, by the client's address. */
  readonly joined: Map<string, Joined>;
}

/** The handlers of a client's connection. */
export function splice(options: SpliceOptions): TcpHandlers {
  const { clock } = options.netns.network.sim;
  let client: TcpSocket | undefined;
  let server: TcpSocket | undefined;
  let waiting = "";
  let ended = false;
  let over = false;
  let heard = clock.now;
  const translate = options.preface === "x-forwarded-for" ? forwardedFor() : (text: string): string => text;
  const forget = (): void => {
    over = true;
    if (client) options.joined.delete(nameOf(client));
  };
  const watch = (): void => {
    const left = heard + options.idle - clock.now;
    if (over) return;
    if (left > 0) {
      clock.after(left, watch, "background");
      return;
    }
    client?.end();
    server?.end();
  };
  const abort = (): void => {
    client?.abort();
    server?.abort();
    forget();
  };
  const dial = (tried: number): void => {
    const target = options.next(tried);
    if (!target || !client) {
      client?.end();
      return;
    }
    let connected = false;
    options.netns.sockets.connectTcp(
      { ...target, owner: "load-balancer", timeout: 5 * second },
      {
        connected(socket) {
          connected = true;
          server = socket;
          if (!client) return;
          if (!over) options.joined.set(nameOf(client), { server: target, abort });
          if (options.preface === "proxy-protocol") socket.write(proxyLine(client));
          if (waiting !== "") socket.write(waiting);
          waiting = "";
          if (ended) socket.end();
        },
        data: (_, text) => {
          heard = clock.now;
          client?.write(text);
        },
        ended: (socket) => {
          client?.end();
          socket.end();
        },
        failed: () => (connected ? client?.abort() : dial(tried + 1)),
      },
    );
  };
  return {
    connected(socket) {
      client = socket;
      watch();
      dial(0);
    },
    data(socket, text) {
      heard = clock.now;
      const passed = translate(text, socket);
      if (server) server.write(passed);
      else waiting += passed;
    },
    ended() {
      ended = true;
      server?.end();
    },
    closed: forget,
    failed() {
      forget();
      server?.abort();
    },
  };
}

/** A client, as the table of those that are served names it. */
export function nameOf({ remote }: Pick<TcpSocket, "remote">): string {
  return formatSocketAddress(remote.ip, remote.port);
}

/** `PROXY TCP4 198.51.100.10 203.0.113.140 40000 80` */
function proxyLine({ local, remote }: TcpSocket): string {
  const family = typeof remote.ip === "number" ? "TCP4" : "TCP6";
  return `PROXY ${family} ${formatIp(remote.ip)} ${formatIp(local.ip)} ${remote.port} ${local.port}\r\n`;
}

/** Each request is read, and passed on with who asked. */
function forwardedFor(): (text: string, client: TcpSocket) => string {
  const reader = HttpReader.requests();
  return (text, { remote, local }) => {
    reader.feed(text);
    let passed = "";
    for (let request = reader.next(); request !== undefined && request !== "bad"; request = reader.next()) {
      const before = request.headers.find(([name]) => name.toLowerCase() === "x-forwarded-for")?.[1];
      const ip = formatIp(remote.ip);
      const rest = request.headers.filter(([name]) => name.toLowerCase() !== "x-forwarded-for");
      const more = [
        ["X-Forwarded-For", before === undefined ? ip : `${before}, ${ip}`],
        ["X-Forwarded-Port", String(local.port)],
        ["X-Forwarded-Proto", "http"],
      ] as const;
      passed += formatRequest({ ...request, headers: [...rest, ...more] });
    }
    return passed;
  };
}
