/** Owns serving HTTP: connections that are kept alive, answers in their order, and stopping without losing one. */
import { formatIp } from "../net/address";
import type { ListenOptions, TcpHandlers, TcpSocket } from "../net/socket";
import type { Program } from "./app";
import {
  contentLength,
  formatResponse,
  type Headers,
  HttpReader,
  type HttpRequest,
  type HttpResponse,
  keepsAlive,
} from "./http";

/** Who asked, beside what. */
export interface Exchange {
  readonly request: HttpRequest;
  readonly client: string;
  readonly socket: TcpSocket;
}

/** A server that can stop taking connections and tell when the last one is over. */
export interface HttpServer {
  /** Stops listening; what was accepted is answered still, then `closed` is called. */
  drain(closed: () => void): void;
}

/** Gives the response; or nothing, and calls `respond` when there is one. */
export type Answer = (asked: Exchange, respond: (response: HttpResponse) => void) => HttpResponse | undefined;

/** What stands between a server and its connections: TLS (tls/stream.ts). */
export type Over = (accept: (socket: TcpSocket) => TcpHandlers) => (socket: TcpSocket) => TcpHandlers;

/** Serves HTTP: keeps connections alive, answers bad requests with 400. Ends with the program. */
export function serveHttp(
  program: Program,
  options: ListenOptions,
  answer: Answer,
  over: Over = (accept) => accept,
): HttpServer {
  const open = new Map<TcpSocket, Conversation>();
  let drained: (() => void) | undefined;
  const accept = (accepted: TcpSocket): TcpHandlers => {
    const conversation = new Conversation(accepted, answer, () => drained !== undefined);
    open.set(accepted, conversation);
    const owned = program.own({ close: () => accepted.end() });
    const forget = (): void => {
      open.delete(accepted);
      program.disown(owned);
      if (open.size === 0) drained?.();
    };
    return {
      data(socket, text) {
        if (program.ended) {
          // What comes after its owner is gone meets nobody (RFC 9293, section 3.6.1).
          socket.abort();
          return;
        }
        conversation.reader.feed(text);
        conversation.serveNext();
      },
      closed: forget,
      failed: forget,
    };
  };
  const listener = program.own(program.netns.sockets.listenTcp(options, over(accept)));
  return {
    drain(closed) {
      listener.close();
      drained = closed;
      // A connection that is only kept alive is not waited for.
      for (const [socket, conversation] of open) if (conversation.idle) socket.end();
      if (open.size === 0) closed();
    },
  };
}

/** One connection: requests are answered in their order, each when its answer is there. */
class Conversation {
  readonly reader = HttpReader.requests();
  readonly #socket: TcpSocket;
  readonly #answer: Answer;
  readonly #draining: () => boolean;
  #busy = false;

  constructor(socket: TcpSocket, answer: Answer, draining: () => boolean) {
    this.#socket = socket;
    this.#answer = answer;
    this.#draining = draining;
  }

  /** Whether it is only kept alive. */
  get idle(): boolean {
    return !this.#busy && this.reader.idle;
  }

  /** Answers what has come in whole; closes after the last answer of a connection. */
  serveNext(): void {
    if (this.#busy) return;
    const request = this.reader.next();
    if (request === undefined) return;
    if (request === "bad") {
      this.#socket.write(formatResponse({ status: 400, headers: [["Connection", "close"]], body: "" }));
      this.#socket.end();
      return;
    }
    this.#busy = true;
    const respond = (response: HttpResponse): void => {
      if (this.#busy) this.#respond(request, response);
    };
    const asked: Exchange = { request, client: formatIp(this.#socket.remote.ip), socket: this.#socket };
    const given = this.#answer(asked, respond);
    if (given) respond(given);
  }

  #respond(request: HttpRequest, given: HttpResponse): void {
    this.#busy = false;
    if (this.#socket.state === "CLOSED") return;
    const last = this.#draining() || !keepsAlive(request);
    const headers = last ? withClose(given.headers) : given.headers;
    const head = { body: "", headers: [...headers, contentLength(given.body)] };
    this.#socket.write(formatResponse(request.method === "HEAD" ? { ...given, ...head } : { ...given, headers }));
    if (last) this.#socket.end();
    else this.serveNext();
  }
}

/** The last answer of a connection says so. */
function withClose(headers: Headers): Headers {
  const rest = headers.filter(([name]) => name.toLowerCase() !== "connection");
  return [...rest, ["Connection", "close"]];
}
