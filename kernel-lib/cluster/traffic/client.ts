/** Owns an HTTP client with a pool of connections: one try of a request, from the connection to the whole answer. */
import { formatRequest, HttpReader, type HttpResponse, keepsAlive } from "../../apps/http";
import type { Ip } from "../../net/address";
import { type Failure, SocketError, type TcpSocket } from "../../net/socket";
import type { Clock, Time, Timer } from "../../sim/clock";
import type { Answerer, Answerers } from "./answerers";
import type { CheckedTraffic } from "./options";
import type { TrafficTry } from "./outcome";
import type { Asker, Resolver } from "./resolver";
import { curlSays } from "./words";

/** Where the client is, and whom it asks. */
export interface ClientParts {
  readonly asker: Asker;
  readonly resolver: Resolver;
  readonly answerers: Answerers;
  readonly port: number;
  /** As it stands in the URL. */
  readonly host: string;
}

/** A try that waits for its answer. */
interface Waiting {
  readonly at: Time;
  readonly done: (tried: TrafficTry) => void;
  during: TrafficTry["during"];
  timer: Timer | undefined;
  /** The connection that it has, or waits for. */
  on: Connection | undefined;
}

interface Connection {
  readonly socket: TcpSocket;
  readonly reader: HttpReader<HttpResponse>;
  /** Whose request is under way on it. */
  waiting: Waiting | undefined;
  answerer: Answerer | undefined;
  requests: number;
  /** Nothing more can be asked on it. */
  over: boolean;
}

export class HttpClient {
  readonly #parts: ClientParts;
  readonly #options: CheckedTraffic;
  readonly #clock: Clock;
  readonly #request: string;
  /** Kept connections; the one that has been idle longest is first. */
  readonly #idle: Connection[] = [];
  /** How many are kept, idle or not. */
  #kept = 0;

  constructor(parts: ClientParts, options: CheckedTraffic) {
    this.#parts = parts;
    this.#options = options;
    this.#clock = parts.asker.netns.network.sim.clock;
    const headers: [string, string][] = [
      ["Host", parts.port === 80 ? parts.host : `${parts.host}:${parts.port}`],
      ["User-Agent", "kubebook"],
      ["Accept", "*/*"],
    ];
    if (options.connections === 0) headers.push(["Connection", "close"]);
    this.#request = formatRequest({ method: "GET", target: options.path, headers, body: "" });
  }

  /** Tries once; `done` is told what became of it. */
  try(done: (tried: TrafficTry) => void): void {
    const { resolver } = this.#parts;
    const waiting: Waiting = { at: this.#clock.now, done, during: "connect", timer: undefined, on: undefined };
    const limit = this.#options.connectTimeout;
    waiting.timer = this.#clock.after(limit, () => this.#timeout(waiting), "background");
    // As real pools do: the first k requests open k connections, those after them use these in turn.
    const idle = this.#kept >= this.#options.connections ? this.#idle.shift() : undefined;
    if (idle) {
      this.#send(idle, waiting);
      return;
    }
    const { ip } = resolver;
    if (ip !== undefined) {
      this.#connect(ip, waiting);
      return;
    }
    waiting.during = "resolve";
    resolver.ask((found) => {
      if (!waiting.timer) return;
      waiting.during = "connect";
      if (found !== undefined) this.#connect(found, waiting);
      else {
        waiting.during = "resolve";
        this.#tell(waiting, "resolve");
      }
    });
  }

  /** Ends the connections that nobody uses. */
  close(): void {
    for (const { socket } of this.#idle.splice(0)) socket.end();
  }

  #connect(ip: Ip, waiting: Waiting): void {
    const { asker, answerers, port } = this.#parts;
    const { owner, netns } = asker;
    answerers.expect({ ip, port });
    const made = (socket: TcpSocket): Connection => ({
      ...{ socket, reader: HttpReader.responses(), waiting, answerer: undefined, requests: 0, over: false },
    });
    // Told from the clock only, never from inside connectTcp.
    let connection: Connection;
    try {
      const socket = netns.sockets.connectTcp(
        { ip, port, owner, background: true },
        {
          connected: () => connection.waiting && this.#send(connection, connection.waiting),
          data: (_, text) => this.#read(connection, text),
          ended: () => this.#ended(connection),
          closed: () => this.#forget(connection),
          failed: (_, failure) => this.#failed(connection, failure),
        },
      );
      connection = made(socket);
    } catch (error) {
      // Every port of the client is in use (EADDRNOTAVAIL of connect(2)).
      if (!(error instanceof SocketError)) throw error;
      this.#tell(waiting, "unreachable");
      return;
    }
    waiting.on = connection;
    if (this.#options.connections > 0) this.#kept++;
  }

  #send(connection: Connection, waiting: Waiting): void {
    connection.waiting = waiting;
    connection.requests++;
    waiting.on = connection;
    waiting.during = "exchange";
    const { timeout, connectTimeout } = this.#options;
    if (connectTimeout < timeout) {
      waiting.timer?.cancel();
      const left = waiting.at + timeout - this.#clock.now;
      waiting.timer = this.#clock.after(left, () => this.#timeout(waiting), "background");
    }
    connection.socket.write(this.#request);
  }

  #read(connection: Connection, text: string): void {
    connection.reader.feed(text);
    const answer = connection.reader.next();
    if (answer !== undefined) this.#answered(connection, answer);
  }

  #answered(connection: Connection, answer: HttpResponse | "bad"): void {
    const { waiting, socket } = connection;
    connection.waiting = undefined;
    const kept = this.#options.connections > 0 && answer !== "bad" && !connection.over && canKeep(answer);
    if (kept && this.#kept <= this.#options.connections) this.#idle.push(connection);
    else {
      this.#forget(connection);
      // What the server has said it will end, it ends.
      if (answer === "bad" || canKeep(answer)) socket.end();
    }
    if (!waiting) return;
    if (answer === "bad") this.#tell(waiting, "malformed");
    else if (answer.status >= 500) this.#tell(waiting, "5xx", answer.status);
    else this.#tell(waiting, "ok", answer.status);
  }

  /** The server says that it will send no more. */
  #ended(connection: Connection): void {
    const { waiting, socket, reader } = connection;
    this.#forget(connection);
    const answer = waiting && reader.next(true);
    if (answer !== undefined) this.#answered(connection, answer);
    else if (waiting) {
      connection.waiting = undefined;
      this.#tell(waiting, "closed");
    }
    socket.end();
  }

  #failed(connection: Connection, { outcome }: Failure): void {
    const { waiting } = connection;
    connection.waiting = undefined;
    this.#forget(connection);
    if (waiting) this.#tell(waiting, outcome);
  }

  #timeout(waiting: Waiting): void {
    const { on } = waiting;
    if (on) {
      on.waiting = undefined;
      this.#forget(on);
      on.socket.abort();
    }
    this.#tell(waiting, "timeout");
  }

  /** It is no longer one of the pool. */
  #forget(connection: Connection): void {
    if (connection.over) return;
    connection.over = true;
    if (this.#options.connections > 0) this.#kept--;
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #tell(waiting: Waiting, result: TrafficTry["result"], status?: number): void {
    const { at, during, on, timer } = waiting;
    timer?.cancel();
    waiting.timer = undefined;
    const took = this.#clock.now - at;
    if (on) on.answerer ??= this.#parts.answerers.of(on.socket.local, on.socket.remote);
    const { host, port } = this.#parts;
    const common = { at, took, result, during, reused: (on?.requests ?? 0) > 1 };
    const answered = status === undefined ? common : { ...common, status };
    const tried = on?.answerer ? { ...answered, ...on.answerer } : answered;
    const told = { host, port, ...(status !== undefined && { status }) };
    waiting.done(result === "ok" ? tried : { ...tried, message: curlSays(result, during, took, told) });
  }
}

/** RFC 9112 section 9.3. */
function canKeep({ version = "HTTP/1.1", headers }: HttpResponse): boolean {
  return keepsAlive({ version, headers });
}
