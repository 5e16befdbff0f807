/** Owns serving HTTP: connections that are kept alive, answers in their order, and stopping without losing one. */
import { formatIp } from "../net/address";
import type { ListenOptions, TcpHandlers, TcpListener, TcpSocket } from "../net/socket";
import { minute, type Time, type Timer } from "../sim/clock";
import type { Closable, Program } from "./app";
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
  /** Stops listening; connections that stand go on. Whoever comes now is refused. */
  close(): void;
  /** From now on each answer is the last of its connection, and says so; idle connections go on until they ask once more. */
  sendAway(): void;
  /** Stops listening; what was accepted is answered still, idle connections are closed, then `closed` is called. */
  drain(closed: () => void): void;
  /** Calls `idle` as soon as no request is being answered and no connection stands; at once if it is so. */
  whenEmpty(idle: () => void): void;
}

/** Gives the response; or nothing, and calls `respond` when there is one. */
export type Answer = (asked: Exchange, respond: (response: HttpResponse) => void) => HttpResponse | undefined;

/** What stands between a server and its connections: TLS (tls/stream.ts). */
export type Over = (accept: (socket: TcpSocket) => TcpHandlers) => (socket: TcpSocket) => TcpHandlers;

/** How long connections are kept. */
export interface KeepAlive {
  /** An idle connection is closed after it; undefined: never. */
  readonly idle?: Time;
  /** The answer to this one is a connection's last; undefined: there is no such limit. */
  readonly requests?: number;
  /** A header field for answers that are not the last. */
  readonly header?: readonly [name: string, value: string];
}

export interface ServeOptions {
  readonly over?: Over;
  /** Asked at each answer: a configuration may change. */
  readonly keepAlive?: () => KeepAlive;
}

/** How long a server that ends waits for the request of somebody who has connected (nginx's client_header_timeout). */
const patience = minute;

/** Serves HTTP: keeps connections alive, answers bad requests with 400. Ends with the program. */
export function serveHttp(
  program: Program,
  options: ListenOptions,
  answer: Answer,
  { over = (accept) => accept, keepAlive = () => ({}) }: ServeOptions = {},
): HttpServer {
  return new Server(program, options, answer, over, keepAlive);
}

/** What its connections have of a server. */
interface Host {
  readonly program: Program;
  readonly answer: Answer;
  readonly keepAlive: () => KeepAlive;
  /** Each answer is a connection's last. */
  readonly parting: boolean;
  gone(conversation: Conversation): void;
  /** An answer as it goes over the wire. */
  written(given: HttpResponse, isHead: boolean, more: More): string;
}

/** What is added to an answer's header fields: that it is a connection's last, or what a server says otherwise. */
type More = "close" | KeepAlive["header"];

class Server implements HttpServer, Host {
  readonly program: Program;
  readonly answer: Answer;
  readonly keepAlive: () => KeepAlive;
  readonly #open = new Set<Conversation>();
  readonly #listener: TcpListener;
  #parting = false;
  #emptied: (() => void) | undefined;
  /** The text of its last answer: the same answer, given again, reads the same. */
  #last:
    | { readonly given: HttpResponse; readonly isHead: boolean; readonly more: More; readonly text: string }
    | undefined;

  constructor(program: Program, options: ListenOptions, answer: Answer, over: Over, keepAlive: () => KeepAlive) {
    this.program = program;
    this.answer = answer;
    this.keepAlive = keepAlive;
    const accept = over((socket) => {
      const conversation = new Conversation(socket, this);
      this.#open.add(conversation);
      program.own(conversation);
      return conversation.handlers;
    });
    this.#listener = program.own(program.netns.sockets.listenTcp(options, accept));
  }

  get parting(): boolean {
    return this.#parting;
  }

  close(): void {
    this.#listener.close();
    this.program.disown(this.#listener);
  }

  sendAway(): void {
    this.#parting = true;
  }

  drain(closed: () => void): void {
    this.close();
    this.#parting = true;
    for (const conversation of [...this.#open]) conversation.part();
    this.whenEmpty(closed);
  }

  written(given: HttpResponse, isHead: boolean, more: More): string {
    const last = this.#last;
    if (last && last.given === given && last.isHead === isHead && last.more === more) return last.text;
    const text = format(given, isHead, more);
    this.#last = { given, isHead, more, text };
    return text;
  }

  whenEmpty(idle: () => void): void {
    this.#emptied = undefined;
    if (this.#open.size === 0) idle();
    else this.#emptied = idle;
  }

  gone(conversation: Conversation): void {
    if (!this.#open.delete(conversation)) return;
    this.program.disown(conversation);
    if (this.#open.size > 0) return;
    const emptied = this.#emptied;
    this.#emptied = undefined;
    emptied?.();
  }
}

/** One connection: requests are answered in their order, each when its answer is there. */
class Conversation implements Closable {
  readonly handlers: TcpHandlers;
  readonly #reader = HttpReader.requests();
  readonly #socket: TcpSocket;
  readonly #host: Host;
  #busy = false;
  /** The client has sent its last. */
  #heard = false;
  #answered = 0;
  /** When it has been idle for too long; a timer that is due earlier looks again. */
  #due: Time = 0;
  #timer: Timer | undefined;

  constructor(socket: TcpSocket, host: Host) {
    this.#socket = socket;
    this.#host = host;
    const forget = (): void => this.#forget();
    this.handlers = {
      data: (_socket, text) => {
        this.#reader.feed(text);
        this.#serveNext();
      },
      ended: () => {
        this.#heard = true;
        if (!this.#busy) this.#end();
      },
      closed: forget,
      failed: forget,
    };
  }

  /** Its program is gone: so are its descriptors. */
  close(): void {
    this.#timer?.cancel();
    this.#socket.close();
  }

  /** The server ends: what is only kept alive is closed, and who has said nothing yet may ask once. */
  part(): void {
    if (this.#busy || !this.#reader.idle) return;
    if (this.#answered > 0) this.#end();
    else this.#closeAfter(patience);
  }

  /** Answers what has come in whole; closes after the last answer of a connection. */
  #serveNext(): void {
    if (this.#busy) return;
    const request = this.#reader.next();
    if (request === undefined) return;
    if (request === "bad") {
      this.#socket.write(formatResponse({ status: 400, headers: [["Connection", "close"]], body: "" }));
      this.#end();
      return;
    }
    this.#busy = true;
    const respond = (response: HttpResponse): void => {
      if (this.#busy && !this.#host.program.ended) this.#respond(request, response);
    };
    const asked: Exchange = { request, client: formatIp(this.#socket.remote.ip), socket: this.#socket };
    const given = this.#host.answer(asked, respond);
    if (given) respond(given);
  }

  #respond(request: HttpRequest, given: HttpResponse): void {
    this.#busy = false;
    this.#answered++;
    if (this.#socket.state === "CLOSED") return;
    const { idle, requests = Infinity, header } = this.#host.keepAlive();
    const last = this.#heard || this.#host.parting || !keepsAlive(request) || idle === 0 || this.#answered >= requests;
    this.#socket.write(this.#host.written(given, request.method === "HEAD", last ? "close" : header));
    if (last) {
      this.#end();
      return;
    }
    if (idle !== undefined) this.#closeAfter(idle);
    this.#serveNext();
  }

  #closeAfter(wait: Time): void {
    const { clock } = this.#host.program;
    this.#due = clock.now + wait;
    // One timer a connection: with each request only the moment moves.
    if (this.#timer && this.#timer.at <= this.#due) return;
    this.#timer?.cancel();
    this.#timer = clock.after(wait, () => this.#look(), "background");
  }

  #look(): void {
    const { clock } = this.#host.program;
    const wait = this.#due - clock.now;
    this.#timer = undefined;
    if (wait > 0) this.#timer = clock.after(wait, () => this.#look(), "background");
    else if (!this.#busy && this.#reader.idle) this.#end();
  }

  /** Nothing more is said, and nothing more is read: what still comes is answered with a reset. */
  #end(): void {
    this.#socket.end();
    this.#socket.close();
    this.#forget();
  }

  #forget(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#host.gone(this);
  }
}

/** An answer as it goes over the wire. */
function format(given: HttpResponse, isHead: boolean, more: More): string {
  const headers = more === "close" ? withClose(given.headers) : more ? [...given.headers, more] : given.headers;
  if (!isHead) return formatResponse({ ...given, headers });
  return formatResponse({ ...given, body: "", headers: [...headers, contentLength(given.body)] });
}

/** The last answer of a connection says so. */
function withClose(headers: Headers): Headers {
  const rest = headers.filter(([name]) => name.toLowerCase() !== "connection");
  return [...rest, ["Connection", "close"]];
}
