/** Owns one HTTP exchange on the simulated network, over TLS or not, as the clients (curl, wget) make it. */
import { formatRequest, HttpReader, type HttpResponse } from "../../apps/http";
import { lookupHost } from "../../apps/resolver";
import { type ClientSide, clientOverTls, type TlsFailure } from "../../apps/tls/stream";
import { parseIp, tryParseIp } from "../../net/address";
import type { Failure, TcpHandlers, TcpSocket } from "../../net/socket";
import type { Time } from "../../sim/clock";
import type { Call } from "../shell/tool";

/** A URL's parts, as far as http goes. */
export interface Url {
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** Reads `host`, `host:port/path`, `http://host/…`; undefined if it is none. */
export function parseUrl(text: string): Url | undefined {
  const match =
    /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):\/\/)?(?:[^@/]*@)?(\[[^\]]+\]|[^:/?#]*)(?::(\d*))?([/?][^#]*)?(?:#.*)?$/.exec(text);
  if (!match) return undefined;
  const scheme = (match[1] ?? "http").toLowerCase();
  const port = match[3] ? Number(match[3]) : scheme === "https" ? 443 : 80;
  const path = match[4] ?? "/";
  return {
    scheme,
    host: (match[2] ?? "").replace(/^\[|\]$/g, ""),
    port,
    path: path.startsWith("/") ? path : `/${path}`,
  };
}

export interface Request {
  readonly url: Url;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly connectTimeout: Time | undefined;
  /** The whole exchange may take so long. */
  readonly timeout: Time | undefined;
  /** Set if the exchange is over TLS. */
  readonly tls?: Omit<ClientSide, "random" | "broken" | "padded">;
}

/** How an exchange ended. `took` is the time since its beginning. */
export type Outcome =
  | {
      readonly result: "response";
      readonly response: HttpResponse;
      readonly ip: string;
      readonly local: string;
      readonly took: Time;
    }
  | { readonly result: "no-host"; readonly problem: string; readonly took: Time }
  | {
      readonly result: "failed";
      readonly failure: Failure;
      readonly ip: string;
      readonly connected: boolean;
      readonly took: Time;
    }
  | {
      readonly result: "timeout";
      readonly during: "resolve" | "connect" | "exchange";
      readonly ip: string | undefined;
      readonly took: Time;
    }
  | { readonly result: "tls"; readonly why: TlsFailure; readonly ip: string; readonly took: Time }
  | { readonly result: "empty"; readonly ip: string; readonly took: Time }
  | { readonly result: "bad"; readonly ip: string; readonly took: Time }
  | { readonly result: "stopped"; readonly took: Time };

type Event =
  | { readonly event: "connected"; readonly local: string }
  | { readonly event: "response"; readonly response: HttpResponse }
  | { readonly event: "failed"; readonly failure: Failure }
  | { readonly event: "tls"; readonly why: TlsFailure }
  | { readonly event: "ended" | "bad" };

/** Resolves the host and does the exchange, as one process of the driver. */
export async function exchange(call: Call, request: Request): Promise<Outcome> {
  const { clock } = call.cluster.sim;
  const { process } = call;
  const begin = clock.now;
  const took = (): Time => clock.now - begin;
  const left = (limit: Time | undefined): Time | undefined =>
    limit === undefined ? undefined : Math.max(0, limit - took());
  const least = (...limits: readonly (Time | undefined)[]): Time | undefined => {
    const given = limits.filter((limit): limit is Time => limit !== undefined);
    return given.length > 0 ? Math.min(...given) : undefined;
  };
  const found = await lookUp(call, request.url.host, least(left(request.timeout), left(request.connectTimeout)));
  if (found === "stopped") return { result: "stopped", took: took() };
  if (found === "timeout") return { result: "timeout", during: "resolve", ip: undefined, took: took() };
  if ("problem" in found) return { result: "no-host", problem: found.problem, took: took() };
  const { ip } = found;
  const events: Event[] = [];
  let wakeUp: () => void = () => {};
  const tell = (event: Event): void => {
    events.push(event);
    wakeUp();
  };
  const socket = connect(call, ip, request, tell);
  let local = "";
  for (;;) {
    const event = events.shift();
    if (event?.event === "connected") local = event.local;
    else if (event?.event === "response") {
      socket.end();
      return { result: "response", response: event.response, ip, local, took: took() };
    } else if (event?.event === "failed") {
      return { result: "failed", failure: event.failure, ip, connected: local !== "", took: took() };
    } else if (event?.event === "tls") {
      return { result: "tls", why: event.why, ip, took: took() };
    } else if (event) {
      socket.abort();
      return { result: event.event === "bad" ? "bad" : "empty", ip, took: took() };
    }
    if (events.length > 0) continue;
    const limit = least(left(request.timeout), local === "" ? left(request.connectTimeout) : undefined);
    const end = await process.pause(
      (wake) => {
        wakeUp = wake;
        return undefined;
      },
      limit,
      "foreground",
    );
    if (end === "woken") continue;
    socket.abort();
    if (end === "stopped") return { result: "stopped", took: took() };
    return { result: "timeout", during: local === "" ? "connect" : "exchange", ip, took: took() };
  }
}

function connect(
  call: Call,
  ip: string,
  request: Request,
  tell: (event: Event) => void,
): Pick<TcpSocket, "end" | "abort"> {
  const reader = HttpReader.responses();
  reader.expectsNoBody = request.method === "HEAD";
  let answered = false;
  const look = (ended: boolean): void => {
    const message = reader.next(ended);
    if (message === undefined && !ended) return;
    if (answered) return;
    answered = true;
    if (message === undefined) tell({ event: "ended" });
    else if (message === "bad") tell({ event: "bad" });
    else tell({ event: "response", response: message });
  };
  const { url, method, headers, body, tls } = request;
  const handlers: TcpHandlers = {
    connected(socket) {
      if (!tls) tell({ event: "connected", local: `${socket.local.port}` });
      socket.write(formatRequest({ method, target: url.path, headers, body }));
    },
    data(_socket, text) {
      reader.feed(text);
      look(false);
    },
    ended: () => look(true),
    failed: (_socket, failure) => tell({ event: "failed", failure }),
  };
  const { random } = call.shell;
  const secure = tls && { ...tls, random, padded: true, broken: (why: TlsFailure) => tell({ event: "tls", why }) };
  let sending: Pick<TcpSocket, "end" | "abort"> | undefined;
  const opened = (socket: TcpSocket): void => {
    sending = socket;
    tell({ event: "connected", local: `${socket.local.port}` });
  };
  const raw = call.place.netns.sockets.connectTcp(
    { ip: parseIp(ip), port: url.port, owner: call.name },
    secure ? clientOverTls(secure, { ...handlers, opened }) : handlers,
  );
  return { end: () => (sending ?? raw).end(), abort: () => raw.abort() };
}

type Found = { readonly ip: string } | { readonly problem: string } | "timeout" | "stopped";

/** A host name's address, asked as the C library asks. */
export async function lookUp(call: Call, host: string, timeout?: Time): Promise<Found> {
  if (tryParseIp(host) !== undefined) return { ip: host };
  if (host === "localhost") return { ip: "127.0.0.1" };
  let found: Found | undefined;
  const { netns, files } = call.place;
  const end = await call.process.pause(
    (wake) => {
      const asker = { netns, files, random: call.shell.random, owner: call.name };
      const asked = lookupHost(asker, host, (result) => {
        found = result;
        wake();
      });
      return () => asked.cancel();
    },
    timeout,
    "foreground",
  );
  if (end === "woken") return found ?? "timeout";
  return end;
}
