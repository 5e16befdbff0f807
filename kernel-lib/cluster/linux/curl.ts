/** Owns curl: its options, what it prints, and its exit codes. */
import type { HttpResponse } from "../../apps/http";
import { millisecond, second, type Time } from "../../sim/clock";
import { resolvePath } from "../shell/filesystem";
import { type Call, Failed, type Tool } from "../shell/tool";
import { isDefaultPort, progress, redirection, writeOut } from "./curltext";
import { CurlTls, type Problem } from "./curltls";
import { exchange, type Outcome, parseUrl, type Request, type Url } from "./http";

const version = "8.14.1";
/** The kernel gives up a connection attempt after six retries: 127 s. */
const help = "curl: try 'curl --help' or 'curl --manual' for more information";

interface Options {
  silent: boolean;
  showError: boolean;
  head: boolean;
  include: boolean;
  verbose: boolean;
  fail: boolean;
  location: boolean;
  insecure: boolean;
  authorities: string | undefined;
  output: string | undefined;
  writeOut: string | undefined;
  connectTimeout: Time | undefined;
  maxTime: Time | undefined;
  retries: number;
  retryRefused: boolean;
  method: string | undefined;
  data: string | undefined;
  readonly headers: (readonly [string, string])[];
  readonly resolve: Map<string, string>;
  /** `--connect-to`: from whom (either may be empty: any), and to whom (empty: the same). */
  readonly connectTo: (readonly [host: string, port: string, toHost: string, toPort: string])[];
  readonly urls: string[];
}

type Take = (options: Options, value: string) => void;

const flags: Readonly<Record<string, (options: Options) => void>> = {
  s: (o) => {
    o.silent = true;
  },
  S: (o) => {
    o.showError = true;
  },
  I: (o) => {
    o.head = true;
  },
  i: (o) => {
    o.include = true;
  },
  v: (o) => {
    o.verbose = true;
  },
  f: (o) => {
    o.fail = true;
  },
  L: (o) => {
    o.location = true;
  },
  k: (o) => {
    o.insecure = true;
  },
  4: () => {},
  N: () => {},
  g: () => {},
};

const longFlags: Readonly<Record<string, string>> = {
  silent: "s",
  "show-error": "S",
  head: "I",
  include: "i",
  verbose: "v",
  fail: "f",
  location: "L",
  insecure: "k",
  ipv4: "4",
  "no-buffer": "N",
  globoff: "g",
  "http1.1": "N",
  "tlsv1.2": "N",
  "tlsv1.3": "N",
};

const takers: Readonly<Record<string, Take>> = {
  o: (o, value) => {
    o.output = value;
  },
  w: (o, value) => {
    o.writeOut = value;
  },
  m: (o, value) => {
    o.maxTime = timeOf(value, "-m");
  },
  X: (o, value) => {
    o.method = value;
  },
  d: (o, value) => {
    o.data = o.data === undefined ? value : `${o.data}&${value}`;
  },
  H: (o, value) => {
    const colon = value.indexOf(":");
    if (colon > 0) o.headers.push([value.slice(0, colon).trim(), value.slice(colon + 1).trim()]);
  },
  A: (o, value) => void o.headers.push(["User-Agent", value]),
};

const longTakers: Readonly<Record<string, Take>> = {
  output: takers.o as Take,
  "write-out": takers.w as Take,
  "max-time": takers.m as Take,
  request: takers.X as Take,
  data: takers.d as Take,
  header: takers.H as Take,
  "user-agent": takers.A as Take,
  cacert: (o, value) => {
    o.authorities = value;
  },
  "connect-to": (o, value) => {
    const parts = value.match(/\[[^\]]*\]|[^:]+|(?<=^|:)(?=:|$)/g) ?? [];
    const [host = "", port = "", toHost = "", toPort = ""] = parts.map((part) => part.replace(/^\[|\]$/g, ""));
    o.connectTo.push([host, port, toHost, toPort]);
  },
  "connect-timeout": (o, value) => {
    o.connectTimeout = timeOf(value, "--connect-timeout");
  },
  retry: (o, value) => {
    o.retries = Number(value);
  },
  "retry-delay": () => {},
  "retry-max-time": () => {},
  interface: () => {},
  url: (o, value) => void o.urls.push(value),
  resolve: (o, value) => {
    const [, host = "", port = "", ip = ""] = /^\+?([^:]*):([^:]*):(.*)$/.exec(value) ?? [];
    o.resolve.set(`${host}:${port}`, ip.replace(/^\[|\]$/g, ""));
  },
};

function timeOf(text: string, option: string): Time {
  if (!/^\d*\.?\d+$/.test(text)) {
    throw new Failed(`curl: option ${option}: expected a proper numerical parameter\n${help}`, 2);
  }
  return Math.round(Number(text) * second);
}

function readOptions(args: readonly string[]): Options {
  const options: Options = {
    silent: false,
    showError: false,
    head: false,
    include: false,
    verbose: false,
    fail: false,
    location: false,
    insecure: false,
    authorities: undefined,
    output: undefined,
    writeOut: undefined,
    connectTimeout: undefined,
    maxTime: undefined,
    retries: 0,
    retryRefused: false,
    method: undefined,
    data: undefined,
    headers: [],
    resolve: new Map(),
    connectTo: [],
    urls: [],
  };
  const rest = [...args];
  const needed = (option: string): string => {
    const value = rest.shift();
    if (value === undefined) throw new Failed(`curl: option ${option}: requires parameter\n${help}`, 2);
    return value;
  };
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg.startsWith("--")) {
      const name = arg.slice(2);
      const flag = Object.hasOwn(longFlags, name) ? flags[longFlags[name] ?? ""] : undefined;
      if (flag) flag(options);
      else if (name === "retry-connrefused") options.retryRefused = true;
      else if (name === "version") options.urls.push("");
      else if (Object.hasOwn(longTakers, name)) longTakers[name]?.(options, needed(arg));
      else throw new Failed(`curl: option ${arg}: is unknown\n${help}`, 2);
    } else if (arg.startsWith("-") && arg !== "-") readShort(options, arg, needed);
    else options.urls.push(arg);
  }
  return options;
}

function readShort(options: Options, arg: string, needed: (option: string) => string): void {
  for (let at = 1; at < arg.length; at++) {
    const letter = arg[at] ?? "";
    const flag = Object.hasOwn(flags, letter) ? flags[letter] : undefined;
    if (flag) {
      flag(options);
      continue;
    }
    const taker = Object.hasOwn(takers, letter) ? takers[letter] : undefined;
    if (!taker) throw new Failed(`curl: option ${arg}: is unknown\n${help}`, 2);
    taker(options, at + 1 < arg.length ? arg.slice(at + 1) : needed(`-${letter}`));
    return;
  }
}

/** curl, as a command of the shell. */
export const curl: Tool = async (call) => {
  if (call.args.includes("--version") || call.args.includes("-V")) {
    call.out(`curl ${version} (x86_64-pc-linux-gnu) libcurl/${version}\n`);
    return 0;
  }
  const options = readOptions(call.args);
  if (options.urls.length === 0) throw new Failed(`curl: (2) no URL specified\n${help}`, 2);
  let exitCode = 0;
  for (const text of options.urls) exitCode = await fetchOne(call, options, text);
  return exitCode;
};

/** How often `-L` follows. */
const redirectLimit = 50;

async function fetchOne(call: Call, options: Options, text: string, followed = 0): Promise<number> {
  const fail = (code: number, message: string): number => {
    if (!options.silent || options.showError) call.err(`curl: (${code}) ${message}\n`);
    return code;
  };
  const url = parseUrl(text);
  if (!url || url.host === "") {
    return fail(
      3,
      url?.host === "" && text !== ""
        ? "URL rejected: No host part in the URL"
        : "URL rejected: Malformed input to a URL function",
    );
  }
  if (url.scheme !== "http" && url.scheme !== "https") return fail(1, `Protocol "${url.scheme}" not supported`);
  for (let tries = 0; ; tries++) {
    const tls = url.scheme === "https" ? CurlTls.prepare(call, url.host, options) : undefined;
    if (tls && !(tls instanceof CurlTls)) return fail(...tls);
    const outcome = await once(call, options, url, tls);
    const problem = problemOf(outcome, url, options, tls);
    if (!problem && outcome.result === "response") {
      const next = options.location ? redirection(outcome.response, url) : undefined;
      if (next === undefined) return finish(call, options, url, outcome);
      if (followed === redirectLimit) return fail(47, `Maximum (${redirectLimit}) redirects followed`);
      if (options.head || options.include) call.out(`${headOf(outcome.response).join("\n")}\n\n`);
      return fetchOne(call, options, next, followed + 1);
    }
    const [code, message] = problem ?? [52, "Empty reply from server"];
    const transient =
      outcome.result === "timeout" || outcome.result === "no-host" || (options.retryRefused && code === 7);
    if (tries < options.retries && transient) {
      const wait = 2 ** tries;
      if (!options.silent)
        call.err(
          `Warning: Problem: ${code === 7 ? "connection refused" : "timeout"}. Will retry in ${wait} second${wait > 1 ? "s" : ""}. ${options.retries - tries} \nWarning: retr${options.retries - tries > 1 ? "ies" : "y"} left.\n`,
        );
      if (!(await call.process.sleep(wait * second))) return 130;
      continue;
    }
    if (outcome.result === "stopped") return 130;
    if (options.writeOut !== undefined) call.out(writeOut(options.writeOut, url, undefined));
    return fail(code, message);
  }
}

async function once(call: Call, options: Options, url: Url, tls: CurlTls | undefined): Promise<Outcome> {
  const named = (name: string): boolean => options.headers.some(([each]) => each.toLowerCase() === name);
  const host = isDefaultPort(url) ? url.host : `${url.host}:${url.port}`;
  const headers: (readonly [string, string])[] = [];
  if (!named("host")) headers.push(["Host", host]);
  if (!named("user-agent")) headers.push(["User-Agent", `curl/${version}`]);
  if (!named("accept")) headers.push(["Accept", "*/*"]);
  headers.push(...options.headers);
  if (options.data !== undefined) {
    headers.push(["Content-Length", String(new TextEncoder().encode(options.data).length)]);
    if (!named("content-type")) headers.push(["Content-Type", "application/x-www-form-urlencoded"]);
  }
  const method = options.method ?? (options.head ? "HEAD" : options.data === undefined ? "GET" : "POST");
  const to = options.connectTo.find(
    ([name, port]) => (name === "" || name === url.host) && (port === "" || Number(port) === url.port),
  );
  const asked = { ...url, host: to?.[2] || url.host, port: Number(to?.[3] || url.port) };
  const given = options.resolve.get(`${asked.host}:${asked.port}`);
  const request: Request = {
    url: given ? { ...asked, host: given } : asked,
    method,
    headers,
    body: options.data ?? "",
    connectTimeout: options.connectTimeout,
    timeout: options.maxTime,
    ...(tls && { tls: tls.side }),
  };
  const outcome = await exchange(call, request);
  if (options.verbose) tellConnection(call, url, request, outcome, tls);
  return outcome;
}

function tellConnection(call: Call, url: Url, request: Request, outcome: Outcome, tls: CurlTls | undefined): void {
  const ip = "ip" in outcome ? outcome.ip : undefined;
  if (ip !== undefined) {
    if (ip !== url.host) call.err(`* Host ${url.host}:${url.port} was resolved.\n* IPv6: (none)\n* IPv4: ${ip}\n`);
    call.err(`*   Trying ${ip}:${request.url.port}...\n`);
  }
  if (tls && ip !== undefined && (outcome.result !== "failed" || outcome.connected)) {
    for (const line of tls.lines) call.err(`* ${line}\n`);
  }
  if (outcome.result !== "response") {
    if (outcome.result === "failed") call.err(`* connect to ${ip} port ${url.port} failed: ${wordOf(outcome)}\n`);
    else if (outcome.result === "tls") call.err("* closing connection #0\n");
    return;
  }
  call.err(`* Connected to ${url.host} (${ip}) port ${url.port}\n* using HTTP/1.x\n`);
  call.err(`> ${request.method} ${request.url.path} HTTP/1.1\n`);
  for (const [name, value] of request.headers) call.err(`> ${name}: ${value}\n`);
  call.err("> \n* Request completely sent off\n");
  for (const line of tls?.later ?? []) call.err(`* ${line}\n`);
  for (const line of headOf(outcome.response)) call.err(`< ${line}\n`);
  call.err("< \n");
  call.err(`* Connection #0 to host ${url.host} left intact\n`);
}

function headOf(response: HttpResponse): readonly string[] {
  const status = `${response.version ?? "HTTP/1.1"} ${response.status} ${response.reason ?? ""}`.trimEnd();
  return [status, ...response.headers.map(([name, value]) => `${name}: ${value}`)];
}

function wordOf(outcome: Extract<Outcome, { result: "failed" }>): string {
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: "Connection refused",
    EHOSTUNREACH: "No route to host",
    ENETUNREACH: "Network is unreachable",
    ETIMEDOUT: "Connection timed out",
    ECONNRESET: "Connection reset by peer",
  };
  return words[outcome.failure.errno] ?? outcome.failure.errno;
}

/** curl's exit code and message (lib/connect.c, lib/strerror.c); undefined if all went well. */
function problemOf(outcome: Outcome, url: Url, options: Options, tls: CurlTls | undefined): Problem | undefined {
  const took = `${Math.floor(outcome.took / millisecond)} ms`;
  switch (outcome.result) {
    case "response":
      if (options.fail && outcome.response.status >= 400) {
        return [22, `The requested URL returned error: ${outcome.response.status}`];
      }
      return undefined;
    case "no-host":
      return [6, `Could not resolve host: ${url.host}`];
    case "timeout": {
      // curl's own clock notices a time-out one to two milliseconds late.
      const late = Math.floor(outcome.took / millisecond) + 1;
      if (outcome.during === "resolve") return [28, `Resolving timed out after ${late} milliseconds`];
      if (outcome.during === "connect") {
        return [
          28,
          options.connectTimeout !== undefined || options.maxTime !== undefined
            ? `Connection timed out after ${late} milliseconds`
            : `Failed to connect to ${url.host} port ${url.port} after ${took}: Could not connect to server`,
        ];
      }
      return [28, `Operation timed out after ${late} milliseconds with 0 bytes received`];
    }
    case "failed":
      if (outcome.connected) return [tls && !tls.done ? 35 : 56, "Recv failure: Connection reset by peer"];
      return [
        outcome.failure.outcome === "timeout" ? 28 : 7,
        `Failed to connect to ${url.host} port ${url.port} after ${took}: Could not connect to server`,
      ];
    case "tls":
      return tls?.problem(outcome.why);
    case "empty":
      return [52, "Empty reply from server"];
    case "bad":
      return [1, "Received HTTP/0.9 when not allowed"];
    case "stopped":
      return [130, ""];
  }
}

function finish(call: Call, options: Options, url: Url, outcome: Extract<Outcome, { result: "response" }>): number {
  const { response } = outcome;
  const head = `${headOf(response).join("\r\n")}\r\n\r\n`.replaceAll("\r", "");
  const text = (options.head || options.include ? head : "") + (options.head ? "" : response.body);
  if (options.output === undefined || options.output === "-") call.out(text);
  else if (options.output !== "/dev/null") call.place.files.write(resolvePath(call.folder, options.output), text);
  if (options.output !== undefined && !options.silent) call.err(progress(response));
  if (options.writeOut !== undefined) call.out(writeOut(options.writeOut, url, outcome));
  return 0;
}
