/** Owns HTTP/1.1 messages over sockets: reading and writing requests and responses (RFC 9110, RFC 9112), as text. */
import { rfc3339 } from "../api/time";
import { utf8Length } from "../net/packet";
import { hour, second, type Time } from "../sim/clock";
import { takeOctets } from "./octets";

/** Header fields in the order in which they are written; names as written, compared without case. */
export type Headers = readonly (readonly [name: string, value: string])[];

export interface HttpRequest {
  readonly method: string;
  /** As in the request line: `/`, `/index.html?x=1`. */
  readonly target: string;
  readonly version: string;
  readonly headers: Headers;
  readonly body: string;
}

export interface HttpResponse {
  readonly status: number;
  readonly reason?: string;
  readonly version?: string;
  readonly headers: Headers;
  readonly body: string;
}

const reasons: { readonly [status: number]: string } = {
  200: "OK",
  201: "Created",
  204: "No Content",
  301: "Moved Permanently",
  302: "Moved Temporarily",
  304: "Not Modified",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Not Allowed",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Temporarily Unavailable",
  504: "Gateway Time-out",
};

/** The value of a header field; undefined if it is not there. */
export function header(headers: Headers, name: string): string | undefined {
  const wanted = name.toLowerCase();
  for (const [field, value] of headers) {
    if (field.length === wanted.length && (field === name || field.toLowerCase() === wanted)) return value;
  }
  return undefined;
}

/** A request as it goes over the wire; Content-Length is added where there is a body. */
export function formatRequest(request: Omit<HttpRequest, "version"> & { readonly version?: string }): string {
  const { method, target, version = "HTTP/1.1", headers, body } = request;
  const length = body !== "" && header(headers, "content-length") === undefined;
  return formatMessage(`${method} ${target} ${version}`, length ? [...headers, contentLength(body)] : headers, body);
}

/** A response as it goes over the wire; Content-Length is added if it is not there. */
export function formatResponse(response: HttpResponse): string {
  const { status, reason = reasons[status] ?? "", version = "HTTP/1.1", headers, body } = response;
  const length = header(headers, "content-length") === undefined && header(headers, "transfer-encoding") === undefined;
  return formatMessage(`${version} ${status} ${reason}`, length ? [...headers, contentLength(body)] : headers, body);
}

/** The header field that says how long a body is. */
export function contentLength(body: string): readonly [string, string] {
  return ["Content-Length", String(utf8Length(body))];
}

function formatMessage(start: string, headers: Headers, body: string): string {
  let text = `${start}\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  return `${text}\r\n${body}`;
}

interface Head {
  readonly start: readonly string[];
  readonly headers: Headers;
}

/** A head's lines, read; undefined: it is none. */
function parseHead(text: string, start: RegExp): Head | undefined {
  const [first = "", ...fields] = text.split("\r\n");
  const match = start.exec(first);
  const headers = fields.map((field) => /^([^\s:]+):[ \t]*(.*?)[ \t]*$/.exec(field));
  if (!match || headers.some((field) => !field)) return undefined;
  return { start: match.slice(1), headers: headers.map((field) => [field?.[1] ?? "", field?.[2] ?? ""] as const) };
}

/** Remembers the last head: a client's requests differ in nothing, a server's answers of one second neither. */
function rememberingLast(start: RegExp): (text: string) => Head | undefined {
  let last: { readonly text: string; readonly head: Head | undefined } | undefined;
  return (text) => {
    if (last?.text !== text) last = { text, head: parseHead(text, start) };
    return last.head;
  };
}

const parseRequestHead = rememberingLast(/^([A-Z]+) (\S+) (HTTP\/1\.[01])$/);
const parseResponseHead = rememberingLast(/^(HTTP\/1\.[01]) (\d{3}) ?(.*)$/);

/** The largest head that is read before it counts as broken: nginx's large_client_header_buffers, all of them. */
const headLimit = 32_768;

/**
 * Reads messages from a stream of text as it comes. `next` gives whole messages; "bad" once the stream is none.
 * A body is as long as Content-Length says; without one a request has none, and a response lasts until the stream ends.
 */
export class HttpReader<M extends HttpRequest | HttpResponse> {
  #rest = "";
  #head: Head | undefined;
  #bad = false;
  readonly #parse: (start: readonly string[], headers: Headers, body: string) => M;
  readonly #untilEnd: boolean;
  /** What a response answers: to HEAD it has no body. */
  expectsNoBody = false;

  private constructor(untilEnd: boolean, parse: (start: readonly string[], headers: Headers, body: string) => M) {
    this.#untilEnd = untilEnd;
    this.#parse = parse;
  }

  static requests(): HttpReader<HttpRequest> {
    return new HttpReader<HttpRequest>(false, ([method = "", target = "", version = ""], headers, body) => {
      return { method, target, version, headers, body };
    });
  }

  static responses(): HttpReader<HttpResponse> {
    return new HttpReader<HttpResponse>(true, ([version = "", status = "", reason = ""], headers, body) => {
      return { status: Number(status), reason, version, headers, body };
    });
  }

  /** Takes in more of the stream. */
  feed(text: string): void {
    this.#rest += text;
  }

  /** Whether nothing of a next message has come yet. */
  get idle(): boolean {
    return this.#rest === "" && this.#head === undefined;
  }

  /** The next whole message; undefined if more of the stream is needed. */
  next(ended = false): M | "bad" | undefined {
    if (this.#bad || !this.#readHead()) return this.#bad ? "bad" : undefined;
    const head = this.#head;
    if (!head) return undefined;
    const declared = header(head.headers, "content-length");
    const length = this.expectsNoBody
      ? 0
      : declared === undefined && !this.#untilEnd
        ? 0
        : Number(declared ?? Number.NaN);
    const body = Number.isNaN(length) ? (ended ? this.#rest : undefined) : takeOctets(this.#rest, length);
    if (body === undefined) return undefined;
    this.#rest = this.#rest.slice(body.length);
    this.#head = undefined;
    return this.#parse(head.start, head.headers, body);
  }

  /** True when a head is there to be read. */
  #readHead(): boolean {
    if (this.#head) return true;
    const end = this.#rest.indexOf("\r\n\r\n");
    if (end < 0) {
      // What does not begin with a method is seen at once to be no request: a TLS hello, for one.
      this.#bad = this.#rest.length > headLimit || (!this.#untilEnd && /^[^A-Z\r\n]/.test(this.#rest));
      return false;
    }
    const text = this.#rest.slice(0, end);
    this.#head = this.#untilEnd ? parseResponseHead(text) : parseRequestHead(text);
    this.#bad = this.#head === undefined;
    if (this.#bad) return false;
    this.#rest = this.#rest.slice(end + 4);
    return true;
  }
}

/** RFC 9112, section 9.3. */
export function keepsAlive(request: Pick<HttpRequest, "version" | "headers">): boolean {
  const said = header(request.headers, "connection")?.toLowerCase();
  return said === "close" ? false : request.version === "HTTP/1.1" || said === "keep-alive";
}

const days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Remembers the text of one second: a server that is asked often says the same date many times. */
function ofSecond(write: (time: Time) => string): (time: Time) => string {
  let known = { at: -1, text: "" };
  return (time) => {
    const at = Math.floor(time / second);
    if (known.at !== at) known = { at, text: write(time) };
    return known.text;
  };
}

/** `Thu, 01 Jan 2026 00:00:12 GMT` (RFC 9110, section 5.6.7). */
export const httpDate = ofSecond((time) => {
  const { year, month, day, clock } = calendar(time);
  const weekday = days[Math.floor(time / (24 * hour)) % 7];
  return `${weekday}, ${day} ${month} ${year} ${clock} GMT`;
});

/** `01/Jan/2026:00:00:12 +0000`: as access logs write it. */
export const logDate = ofSecond((time) => {
  const { year, month, day, clock } = calendar(time);
  return `${day}/${month}/${year}:${clock} +0000`;
});

function calendar(time: Time) {
  const text = rfc3339(time);
  return {
    year: text.slice(0, 4),
    month: months[Number(text.slice(5, 7)) - 1] ?? "",
    day: text.slice(8, 10),
    clock: text.slice(11, 19),
  };
}
