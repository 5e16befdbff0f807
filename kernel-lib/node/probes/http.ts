/** Owns asking over HTTP from a node, as the kubelet's client does: one connection a request, redirects, failures in Go's words. */
import { formatRequest, type Headers, HttpReader, type HttpResponse, header } from "../../apps/http";
import { clientOverTls, type TlsFailure } from "../../apps/tls/stream";
import { formatSocketAddress } from "../../net/address";
import type { TcpHandlers, TcpSocket } from "../../net/socket";
import type { Time } from "../../sim/clock";
import type { Asker, Asking, Outcome } from "./ask";
import { dial, goErrno } from "./dial";
import { type ProbeUrl, probeUrl, redirected, urlText } from "./url";

/** What is asked: an `httpGet` with its host and port known. */
export interface HttpAsk {
  /** `HTTP` or `HTTPS`; certificates are not verified. */
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** `kube-probe/1.36`, `kube-lifecycle/1.36`. */
  readonly agent: string;
  /** For all of it, redirects too; undefined: none. */
  readonly timeout: Time | undefined;
}

/** What came of it: an answer, or Go's sentence why there is none (`Get "http://10.244.1.5:80/": EOF`). */
export type HttpAnswer = { readonly response: HttpResponse } | { readonly error: string };

/** The kubelet follows so many redirects, and only on the same host. */
const redirects = 10;

/** Asks, and tells once, from the clock. */
export function askHttp(asker: Asker, ask: HttpAsk, told: (answer: HttpAnswer) => void): Asking {
  const first = probeUrl(ask.scheme, ask.host, ask.port, ask.path);
  const { headers, host } = requestHeaders(ask);
  let running: Asking | undefined;
  let over = false;
  const finish = (answer: HttpAnswer): void => {
    if (over) return;
    over = true;
    deadline?.cancel();
    told(answer);
  };
  let now = first;
  const go = (url: ProbeUrl, hops: number): void => {
    now = url;
    // A host that is given on purpose is for the first request only.
    const named = hops === 0 ? (host ?? url.authority) : url.authority;
    running = request(asker, url, [["Host", named], ...headers], (answer) => {
      const location = "response" in answer ? isRedirect(answer.response) : undefined;
      const next = location === undefined ? undefined : redirected(url, location);
      if (next === undefined || next.host !== first.host || over) finish(answer);
      else if (hops + 1 < redirects) go(next, hops + 1);
      else finish({ error: `Get "${urlText(next)}": stopped after ${redirects} redirects` });
    });
  };
  const late = (): void => {
    running?.cancel();
    finish({
      error: `Get "${urlText(now)}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    });
  };
  const deadline = ask.timeout === undefined ? undefined : asker.sim.clock.after(ask.timeout, late, "background");
  go(first, 0);
  return {
    cancel() {
      over = true;
      deadline?.cancel();
      running?.cancel();
    },
  };
}

const redirectCodes: readonly number[] = [301, 302, 303, 307, 308];

function isRedirect({ status, headers }: HttpResponse): string | undefined {
  return redirectCodes.includes(status) ? header(headers, "location") : undefined;
}

/** Go writes the agent first, then the rest by name, and that the connection is for once last. */
function requestHeaders({ headers, agent }: HttpAsk): { readonly headers: Headers; readonly host: string | undefined } {
  const given = headers.map(({ name, value }) => [canonical(name), value] as const);
  const has = (name: string): string | undefined => given.find(([field]) => field === name)?.[1];
  const apart = new Set(["Host", "User-Agent", "Accept", "Connection"]);
  const accept = has("Accept") ?? "*/*";
  const rest = given.filter(([name]) => !apart.has(name));
  if (accept !== "") rest.push(["Accept", accept]);
  rest.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  const said = has("User-Agent") ?? agent;
  return {
    headers: [...(said === "" ? [] : [["User-Agent", said] as const]), ...rest, ["Connection", "close"]],
    host: has("Host"),
  };
}

/** `x-custom-header` → `X-Custom-Header` (textproto.CanonicalMIMEHeaderKey). */
function canonical(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

/** One request on a connection of its own. */
function request(asker: Asker, url: ProbeUrl, headers: Headers, told: (answer: HttpAnswer) => void): Asking {
  const exchange = new Exchange(url, headers, told);
  if (url.scheme === "http") return dial(asker, url, exchange.handlers, (problem) => exchange.fail(problem));
  const side = {
    ...{ host: url.host, protocols: ["h2", "http/1.1"], random: asker.random, padded: false },
    // InsecureSkipVerify: whatever the server shows is good.
    check: () => undefined,
    secured: () => true,
    broken: (why: TlsFailure) => exchange.fail(tlsWords(why, exchange.first)),
  };
  const secure = clientOverTls(side, exchange.handlers);
  const handlers: TcpHandlers = {
    ...secure,
    data(socket, text) {
      exchange.first ||= text;
      secure.data?.(socket, text);
    },
  };
  return dial(asker, url, handlers, (problem) => exchange.fail(problem));
}

/** What one connection hears, until the whole answer is there. */
class Exchange {
  /** The first that came over the wire. */
  first = "";
  readonly handlers: TcpHandlers;
  readonly #url: ProbeUrl;
  readonly #told: (answer: HttpAnswer) => void;
  readonly #reader = HttpReader.responses();
  #heard = "";
  #over = false;

  constructor(url: ProbeUrl, headers: Headers, told: (answer: HttpAnswer) => void) {
    this.#url = url;
    this.#told = told;
    const target = url.path.startsWith("/") ? url.path : `/${url.path}`;
    this.handlers = {
      connected: (socket) => {
        if (!this.#over) socket.write(formatRequest({ method: "GET", target, headers, body: "" }));
      },
      data: (socket, text) => {
        this.#reader.feed(text);
        if (this.#heard.length < lineLimit) this.#heard += text;
        this.#read(socket, false);
      },
      ended: (socket) => {
        this.#read(socket, true);
        socket.end();
      },
      failed: (socket, failure) => {
        const ends = [socket.local, socket.remote].map(({ ip, port }) => formatSocketAddress(ip, port));
        this.fail(`read tcp ${ends.join("->")}: read: ${goErrno(failure)}`);
      },
    };
  }

  fail(problem: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#told({ error: `Get "${urlText(this.#url)}": ${problem}` });
  }

  #read(socket: TcpSocket, ended: boolean): void {
    if (this.#over) return;
    const response = this.#reader.next(ended);
    if (response === undefined && !ended) return;
    socket.end();
    if (response === undefined) this.fail(this.#heard === "" ? "EOF" : "unexpected EOF");
    else if (response === "bad") this.fail(malformed(this.#heard));
    else {
      this.#over = true;
      this.#told({ response });
    }
  }
}

/** As much of what was heard as an error may show. */
const lineLimit = 4_096;

function malformed(heard: string): string {
  const line = heard.replace(/\r?\n[\s\S]*$/, "");
  return `net/http: HTTP/1.x transport connection broken: malformed HTTP response ${JSON.stringify(line)}`;
}

/** crypto/tls, and what net/http makes of it. */
function tlsWords(why: TlsFailure, first: string): string {
  switch (why.failure) {
    case "not-tls":
      return first.startsWith("HTTP/")
        ? "http: server gave HTTP response to HTTPS client"
        : "tls: first record does not look like a TLS handshake";
    case "alert":
      return `remote error: tls: ${alertWords[why.alert] ?? `alert(${why.alert})`}`;
    default:
      return "EOF";
  }
}

const alertWords: { readonly [alert: number]: string } = {
  10: "unexpected message",
  40: "handshake failure",
  42: "bad certificate",
  70: "protocol version not supported",
  80: "internal error",
  112: "unrecognized name",
};

/** How the kubelet judges an answer (pkg/probe/http/http.go). */
export function judgeHttp(answer: HttpAnswer): Outcome {
  if ("error" in answer) return { result: "failure", message: answer.error };
  const { status, body } = answer.response;
  if (status < 200 || status >= 400) {
    return { result: "failure", message: `HTTP probe failed with statuscode: ${status}` };
  }
  if (status < 300) return { result: "success", message: body };
  return { result: "warning", message: `Probe terminated redirects, Response body: ${body}` };
}
