/** Owns what nginx makes of its configuration: servers with their addresses, names, certificates and locations. */
import { anyIpv4, anyIpv6, formatIp, type Ip, tryParseIp } from "../net/address";
import { hour, millisecond, minute, second, type Time } from "../sim/clock";
import type { Files } from "./files";
import type { KeepAlive } from "./httpserver";
import { ConfError, type Directive, readConf } from "./nginxconf";
import { type Certificate, readCertificates } from "./tls/certificate";
import { readPrivateKey } from "./tls/keys";

/** An address that a server listens at. */
export interface Listen {
  readonly ip: Ip;
  readonly port: number;
  readonly ssl: boolean;
  readonly isDefault: boolean;
}

/** What may be said in a server and again in its locations. */
export interface Scope {
  readonly root: string;
  readonly alias: string | undefined;
  readonly index: readonly string[];
  readonly tryFiles: readonly string[] | undefined;
  readonly returns: { readonly status: number; readonly text: string | undefined } | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly errorPages: ReadonlyMap<number, string>;
}

export interface Location extends Scope {
  readonly kind: "exact" | "prefix" | "prefix-only" | "regex";
  readonly pattern: string;
  readonly expression?: RegExp;
}

export interface Server extends Scope {
  readonly names: readonly string[];
  readonly listens: readonly Listen[];
  readonly locations: readonly Location[];
  readonly keepAlive: KeepAlive;
  readonly chain: readonly Certificate[];
}

/** `0.0.0.0:80`, `[::]:80` */
export function listenText({ ip, port }: Pick<Listen, "ip" | "port">): string {
  return typeof ip === "number" ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`;
}

/** What an image's nginx has before anybody changes it. */
export const defaultRoot = "/usr/share/nginx/html";

export const defaultConf: { readonly [path: string]: string } = {
  "/etc/nginx/nginx.conf": `user  nginx;
worker_processes  auto;

error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    sendfile        on;
    keepalive_timeout  65;
    include /etc/nginx/conf.d/*.conf;
}
`,
  "/etc/nginx/conf.d/default.conf": `server {
    listen       80;
    listen  [::]:80;
    server_name  localhost;

    location / {
        root   ${defaultRoot};
        index  index.html index.htm;
    }

    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   ${defaultRoot};
    }
}
`,
};

/** Reads the configuration of a container. @throws ConfError in nginx's words */
export function readServers(files: Files): readonly Server[] {
  const main = readConf(files, "/etc/nginx/nginx.conf");
  if (!main.some(({ name }) => name === "events")) throw new ConfError('no "events" section in configuration');
  const http = main.find(({ name }) => name === "http")?.block ?? [];
  const outer = scopeOf(http, { ...plainScope, root: "/etc/nginx/html" });
  const servers = http.flatMap((directive) =>
    directive.name === "server" ? serverOf(directive, http, outer, files) : [],
  );
  const defaults = new Set<string>();
  for (const { listens } of servers) {
    for (const listen of listens.filter(({ isDefault }) => isDefault)) {
      if (defaults.has(listenText(listen))) throw new ConfError(`a duplicate default server for ${listenText(listen)}`);
      defaults.add(listenText(listen));
    }
  }
  return servers;
}

const plainScope: Scope = {
  root: defaultRoot,
  alias: undefined,
  index: ["index.html"],
  tryFiles: undefined,
  returns: undefined,
  headers: [],
  errorPages: new Map(),
};

function last(block: readonly Directive[], wanted: string): Directive | undefined {
  return block.filter(({ name }) => name === wanted).at(-1);
}

function scopeOf(block: readonly Directive[], outer: Scope): Scope {
  const returned = last(block, "return");
  const pages = block.filter(({ name }) => name === "error_page");
  const headers = block.filter(({ name }) => name === "add_header");
  return {
    root: last(block, "root")?.args[0] ?? outer.root,
    alias: last(block, "alias")?.args[0],
    index: last(block, "index")?.args ?? outer.index,
    tryFiles: last(block, "try_files")?.args,
    returns: returned ? returnOf(returned) : undefined,
    headers:
      headers.length > 0 ? headers.map(({ args: [name = "", value = ""] }) => [name, value] as const) : outer.headers,
    errorPages:
      pages.length > 0
        ? new Map(
            pages.flatMap(({ args }) => args.slice(0, -1).map((code) => [Number(code), args.at(-1) ?? ""] as const)),
          )
        : outer.errorPages,
  };
}

function returnOf({ args: [first = "", text], at }: Directive): { status: number; text: string | undefined } {
  if (/^https?:\/\/|^\$scheme/.test(first)) return { status: 302, text: first };
  if (!/^\d{3}$/.test(first)) throw new ConfError(`invalid return code "${first}" in ${at}`);
  return { status: Number(first), text };
}

function serverOf(directive: Directive, http: readonly Directive[], outer: Scope, files: Files): Server {
  const block = directive.block ?? [];
  const scope = scopeOf(block, outer);
  const written = block.filter(({ name }) => name === "listen");
  const listens =
    written.length > 0 ? written.map(listenOf) : [{ ip: anyIpv4, port: 80, ssl: false, isDefault: false }];
  const names = block.flatMap(({ name, args }) => (name === "server_name" ? args : []));
  const chain = chainOf(block, http, files);
  if (chain.length === 0 && listens.some(({ ssl }) => ssl)) {
    throw new ConfError(`no "ssl_certificate" is defined for the "listen ... ssl" directive in ${directive.at}`);
  }
  const locations = block.flatMap((one) => (one.name === "location" ? locationOf(one, scope) : []));
  return { ...scope, names, listens, locations, keepAlive: keepAliveOf(block, http), chain };
}

/** What nginx does where its configuration says nothing (ngx_http_core_module). */
export const defaultKeepAlive: KeepAlive = { idle: 75 * second, requests: 1000 };

/** `keepalive_timeout 65 60`: an idle connection is closed after 65 s, and the client told that it is after 60 s. */
function keepAliveOf(block: readonly Directive[], http: readonly Directive[]): KeepAlive {
  const timeout = last(block, "keepalive_timeout") ?? last(http, "keepalive_timeout");
  const requests = last(block, "keepalive_requests") ?? last(http, "keepalive_requests");
  const [idle, told] = (timeout?.args ?? []).map((text) => timeOf(text, timeout?.at ?? ""));
  const count = requests?.args[0];
  if (count !== undefined && !/^\d+$/.test(count)) {
    throw new ConfError(`"keepalive_requests" directive invalid value in ${requests?.at}`);
  }
  return {
    idle: idle ?? defaultKeepAlive.idle ?? 0,
    requests: count === undefined ? 1000 : Number(count),
    ...(told !== undefined && { header: ["Keep-Alive", `timeout=${Math.floor(told / second)}`] as const }),
  };
}

const units: { readonly [unit: string]: Time } = {
  ms: millisecond,
  "": second,
  s: second,
  m: minute,
  h: hour,
  d: 24 * hour,
  w: 7 * 24 * hour,
};

/** A span of time as nginx writes it: `65`, `1m30s`, `500ms` (ngx_parse_time). */
function timeOf(text: string, at: string): Time {
  const parts = [...text.matchAll(/(\d+)(ms|[smhdw]|$)/g)];
  if (text === "" || parts.map(([part]) => part).join("") !== text) {
    throw new ConfError(`"keepalive_timeout" directive invalid value in ${at}`);
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ""] ?? second), 0);
}

function listenOf({ args: [address = "", ...options], at }: Directive): Listen {
  const match = /^(?:(\[[^\]]*\]|[^:[\]]*[^\d:[\]][^:[\]]*):?)?(\d+)?$/.exec(address);
  const [host, port] = [match?.[1]?.replace(/[[\]]/g, ""), Number(match?.[2] ?? 80)];
  if (!match || port < 1 || port > 65_535)
    throw new ConfError(`invalid port in "${address}" of the "listen" directive in ${at}`);
  const ip = host === undefined || host === "*" ? anyIpv4 : tryParseIp(host);
  if (ip === undefined) throw new ConfError(`host not found in "${address}" of the "listen" directive in ${at}`);
  const known =
    /^(ssl|default_server|default|http2|reuseport|proxy_protocol|deferred|bind|(ipv6only|backlog|fastopen|so_keepalive|rcvbuf|sndbuf)=.+)$/;
  const unknown = options.find((option) => !known.test(option));
  if (unknown !== undefined) throw new ConfError(`invalid parameter "${unknown}" in ${at}`);
  if (options.includes("proxy_protocol"))
    throw new ConfError(`parameter "proxy_protocol" is not simulated here in ${at}`);
  const isDefault = options.includes("default_server") || options.includes("default");
  return { ip, port, ssl: options.includes("ssl"), isDefault };
}

function locationOf(directive: Directive, outer: Scope): Location {
  const { args, block = [], at } = directive;
  const scope = scopeOf(block, outer);
  const [first = "", second] = args;
  if (second === undefined) return { ...scope, kind: "prefix", pattern: first };
  if (first === "=") return { ...scope, kind: "exact", pattern: second };
  if (first === "^~") return { ...scope, kind: "prefix-only", pattern: second };
  if (first !== "~" && first !== "~*") throw new ConfError(`invalid location modifier "${first}" in ${at}`);
  try {
    const expression = new RegExp(second, first === "~*" ? "i" : "");
    return { ...scope, kind: "regex", pattern: second, expression };
  } catch {
    throw new ConfError(`pcre2_compile() failed: "${second}" in ${at}`);
  }
}

/** A server's certificates, checked against their key; none if it has none. */
function chainOf(block: readonly Directive[], http: readonly Directive[], files: Files): readonly Certificate[] {
  const [certificate, key] = ["ssl_certificate", "ssl_certificate_key"].map(
    (name) => last(block, name) ?? last(http, name),
  );
  const [path, keyPath] = [certificate?.args[0], key?.args[0]];
  if (path === undefined) return [];
  if (keyPath === undefined) throw new ConfError(`no "ssl_certificate_key" is defined for certificate "${path}"`);
  const text = files.read(path);
  if (text === undefined)
    throw new ConfError(`cannot load certificate "${path}": BIO_new_file() failed ${missing(path)}`);
  const chain = readCertificates(text);
  if (chain.length === 0) {
    const why = "error:0480006C:PEM routines::no start line:Expecting: TRUSTED CERTIFICATE";
    throw new ConfError(`cannot load certificate "${path}": PEM_read_bio_X509_AUX() failed (SSL: ${why})`);
  }
  const whole = chain.filter((one): one is Certificate => one !== undefined);
  const [leaf] = chain;
  if (!leaf || whole.length < chain.length) {
    const why = "error:0688010A:asn1 encoding routines::nested asn1 error";
    throw new ConfError(`cannot load certificate "${path}": PEM_read_bio_X509_AUX() failed (SSL: ${why})`);
  }
  const keyText = files.read(keyPath);
  if (keyText === undefined) {
    throw new ConfError(`cannot load certificate key "${keyPath}": BIO_new_file() failed ${missing(keyPath)}`);
  }
  const secret = readPrivateKey(keyText);
  if (!secret) {
    const why = "error:1E08010C:DECODER routines::unsupported:No supported data to decode.";
    throw new ConfError(`cannot load certificate key "${keyPath}": PEM_read_bio_PrivateKey() failed (SSL: ${why})`);
  }
  if (!leaf.belongsTo(secret)) {
    const why = "error:05800074:x509 certificate routines::key values mismatch";
    throw new ConfError(`SSL_CTX_use_PrivateKey("${keyPath}") failed (SSL: ${why})`);
  }
  return whole;
}

function missing(path: string): string {
  return `(SSL: error:80000002:system library::No such file or directory:calling fopen(${path}, r) error:10000080:BIO routines::no such file)`;
}

/** Whether an address stands for all of its family. */
export function isAny(ip: Ip): boolean {
  return ip === anyIpv4 || ip === anyIpv6;
}

/** The server for a name among those at an address: by its name, with a star, or the default one. */
export function serverFor(
  servers: readonly Server[],
  at: Pick<Listen, "ip" | "port">,
  host: string | undefined,
): Server | undefined {
  const here = servers.filter(({ listens }) => listens.some((one) => one.ip === at.ip && one.port === at.port));
  const name = host?.toLowerCase().replace(/\.$/, "");
  const starts = (pattern: string): boolean => pattern.startsWith("*.") && name?.endsWith(pattern.slice(1)) === true;
  const ends = (pattern: string): boolean => pattern.endsWith(".*") && name?.startsWith(pattern.slice(0, -1)) === true;
  return (
    here.find(({ names }) => name !== undefined && names.some((one) => one.toLowerCase() === name)) ??
    here.find(({ names }) => names.some(starts)) ??
    here.find(({ names }) => names.some(ends)) ??
    here.find(({ listens }) => listens.some((one) => one.ip === at.ip && one.port === at.port && one.isDefault)) ??
    here[0]
  );
}

/** The location for a path: an exact one, else a regular expression, else the longest beginning. */
export function locationFor(server: Server, path: string): Scope {
  const exact = server.locations.find(({ kind, pattern }) => kind === "exact" && pattern === path);
  if (exact) return exact;
  const [longest] = server.locations
    .filter(({ kind, pattern }) => (kind === "prefix" || kind === "prefix-only") && path.startsWith(pattern))
    .sort((one, other) => other.pattern.length - one.pattern.length);
  if (longest?.kind === "prefix-only") return longest;
  return server.locations.find(({ expression }) => expression?.test(path)) ?? longest ?? server;
}
