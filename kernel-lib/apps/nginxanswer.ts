/** Owns nginx's answers: files, redirects, and its pages for what went wrong. */
import type { Program } from "./app";
import type { FileEntry } from "./files";
import { type Headers, type HttpResponse, header, httpDate } from "./http";
import type { Exchange } from "./httpserver";
import { locationFor, type Scope, type Server } from "./nginxservers";
import type { SecureSocket } from "./tls/stream";

/** Whom a request is for, and how. */
export interface Asked {
  readonly server: Server | undefined;
  /** Whether it came to a port for TLS. */
  readonly secure: boolean;
  /** Writes to the error log. */
  fail(text: string): void;
}

const types: { readonly [extension: string]: string } = {
  html: "text/html",
  css: "text/css",
  txt: "text/plain",
  js: "application/javascript",
  json: "application/json",
  svg: "image/svg+xml",
};

const titles: { readonly [status: number]: string } = {
  301: "301 Moved Permanently",
  302: "302 Found",
  307: "307 Temporary Redirect",
  308: "308 Permanent Redirect",
  400: "400 Bad Request",
  401: "401 Authorization Required",
  403: "403 Forbidden",
  404: "404 Not Found",
  405: "405 Not Allowed",
  410: "410 Gone",
  500: "500 Internal Server Error",
  502: "502 Bad Gateway",
  503: "503 Service Temporarily Unavailable",
  504: "504 Gateway Time-out",
};

export function respond(program: Program, version: string, exchange: Exchange, asked: Asked): HttpResponse {
  const { method, target } = exchange.request;
  const base: Headers = [
    ["Server", `nginx/${version}`],
    ["Date", httpDate(program.clock.now)],
  ];
  const page = (status: number, more: Headers = [], lines?: readonly string[]): HttpResponse => ({
    status,
    ...(status in titles && { reason: titles[status]?.slice(4) ?? "" }),
    headers: [...base, ["Content-Type", "text/html"], ["Connection", "keep-alive"], ...more],
    body: errorPage(status, `nginx/${version}`, lines),
  });
  // What came to a port for TLS without it.
  const clear = asked.secure && !(exchange.socket as SecureSocket).secure;
  const complaint = "The plain HTTP request was sent to HTTPS port";
  if (clear) return page(400, [["Connection", "close"]], [`400 ${complaint}`, complaint]);
  if (!asked.server) return page(404);
  const path = decoded(target.split("?")[0] ?? "/");
  const scope = locationFor(asked.server, path);
  if (scope.returns) return returned(scope, { program, exchange, asked, base, page });
  if (method !== "GET" && method !== "HEAD") return page(405);
  const found = find(program, scope, path);
  if (typeof found === "number") {
    if (found !== 405) asked.fail(`${reasonFor(program, scope, path, found)}, ${request(exchange, asked.server)}`);
    const own = scope.errorPages.get(found);
    const file = own === undefined ? undefined : program.files.entry(`${locationFor(asked.server, own).root}${own}`);
    return file ? { ...fileResponse(own ?? "", file, base, scope), status: found } : page(found);
  }
  if (found.slash) {
    const host = header(exchange.request.headers, "host") ?? "localhost";
    return page(301, [["Location", `${asked.secure ? "https" : "http"}://${host}${path}/`]]);
  }
  return fileResponse(found.path, found.file, base, scope);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

interface Returning {
  readonly program: Program;
  readonly exchange: Exchange;
  readonly asked: Asked;
  readonly base: Headers;
  readonly page: (status: number, more?: Headers) => HttpResponse;
}

/** `return 301 https://$host$request_uri;`, `return 200 "text";` */
function returned({ returns, headers }: Scope, { exchange, asked, base, page }: Returning): HttpResponse {
  const { status, text } = returns ?? { status: 500, text: undefined };
  const host = header(exchange.request.headers, "host")?.replace(/:\d+$/, "") ?? "";
  const values: Readonly<Record<string, string>> = {
    host,
    http_host: header(exchange.request.headers, "host") ?? "",
    request_uri: exchange.request.target,
    uri: exchange.request.target.split("?")[0] ?? "/",
    scheme: asked.secure ? "https" : "http",
    remote_addr: exchange.client,
    hostname: "",
    server_name: asked.server?.names[0] ?? "",
    request_method: exchange.request.method,
  };
  const said = text?.replace(/\$\{?(\w+)\}?/g, (whole, name: string) => values[name] ?? whole);
  if (status >= 300 && status < 400) return page(status, [["Location", said ?? ""]]);
  if (said === undefined) return page(status);
  const type: Headers = [["Content-Type", "application/octet-stream"]];
  return { status, headers: [...base, ...type, ["Connection", "keep-alive"], ...headers], body: said };
}

type Found = { readonly path: string; readonly file: FileEntry; readonly slash?: false } | { readonly slash: true };

/** The file for a path, or the status that says why there is none. */
function find(program: Program, scope: Scope, path: string): Found | number {
  const { tryFiles } = scope;
  if (!tryFiles) return look(program, scope, path);
  for (const [at, each] of tryFiles.entries()) {
    const code = /^=(\d{3})$/.exec(each)?.[1];
    if (code !== undefined) return Number(code);
    const uri = each.replaceAll("$uri", path);
    const found = look(program, scope, uri);
    if (typeof found !== "number" && !found.slash) return found;
    if (at === tryFiles.length - 1) return found;
  }
  return 404;
}

function placeOf(scope: Scope, path: string): string {
  return `${(scope.alias ?? scope.root).replace(/\/$/, "")}${path}`;
}

function look(program: Program, scope: Scope, path: string): Found | number {
  const place = placeOf(scope, path);
  if (!place.endsWith("/")) {
    const file = program.files.entry(place);
    if (file) return { path: place, file };
    return program.files.isFolder(place) ? { slash: true } : 404;
  }
  for (const name of scope.index) {
    const file = program.files.entry(`${place}${name}`);
    if (file) return { path: `${place}${name}`, file };
  }
  return program.files.isFolder(place) ? 403 : 404;
}

/** What the error log says of it. */
function reasonFor(program: Program, scope: Scope, path: string, status: number): string {
  const place = placeOf(scope, path);
  if (status === 403) return `directory index of "${place}" is forbidden`;
  const wanted = place.endsWith("/") ? `${place}${scope.index[0] ?? "index.html"}` : place;
  const folder = program.files.isFolder(wanted.slice(0, wanted.lastIndexOf("/")));
  const failure = folder || !place.endsWith("/") ? "open()" : "stat()";
  return `${failure} "${wanted}" failed (2: No such file or directory)`;
}

function request({ request: { method, target, headers }, client }: Exchange, server: Server): string {
  const line = `request: "${method} ${target} HTTP/1.1", host: "${header(headers, "host") ?? ""}"`;
  return `client: ${client}, server: ${server.names[0] ?? ""}, ${line}`;
}

/** What was answered with a file last: all who ask for it in the same second are told the same. */
const lastAnswers = new WeakMap<FileEntry, { readonly key: readonly unknown[]; readonly response: HttpResponse }>();

function fileResponse(path: string, file: FileEntry, base: Headers, scope: Scope): HttpResponse {
  const [[, server], [, date]] = base as readonly [Headers[number], Headers[number]];
  const last = lastAnswers.get(file);
  const key = [path, scope, server, date];
  if (last?.key.every((part, at) => part === key[at])) return last.response;
  const response = newFileResponse(path, file, base, scope);
  lastAnswers.set(file, { key, response });
  return response;
}

function newFileResponse(path: string, file: FileEntry, base: Headers, scope: Scope): HttpResponse {
  const seconds = Math.floor(file.modified / 1_000_000);
  const type = types[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream";
  const headers: Headers = [
    ...base,
    ["Content-Type", type],
    ["Last-Modified", httpDate(file.modified)],
    ["Connection", "keep-alive"],
    ["ETag", `"${seconds.toString(16)}-${file.text.length.toString(16)}"`],
    ["Accept-Ranges", "bytes"],
    ...scope.headers,
  ];
  return { status: 200, headers, body: file.text };
}

/** nginx's own page for a status; `lines`: title and, beneath the heading, a sentence of its own. */
export function errorPage(status: number, server: string, lines?: readonly string[]): string {
  const title = titles[status] ?? String(status);
  const parts = [
    "<html>",
    `<head><title>${lines?.[0] ?? title}</title></head>`,
    "<body>",
    `<center><h1>${title}</h1></center>`,
    ...(lines?.[1] === undefined ? [] : [`<center>${lines[1]}</center>`]),
    `<hr><center>${server || "nginx"}</center>`,
    "</body>",
    "</html>",
    "",
  ];
  return parts.join("\r\n");
}
