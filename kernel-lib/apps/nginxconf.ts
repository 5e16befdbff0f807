/** Owns reading nginx's configuration: its syntax, which directives there are, and the complaints in nginx's words. */
import type { Files } from "./files";

/** One directive as it is written. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  /** What is in its braces; undefined: it ends with a semicolon. */
  readonly block: readonly Directive[] | undefined;
  /** `/etc/nginx/conf.d/default.conf:3` */
  readonly at: string;
}

/** nginx would not start: what it says after `[emerg]`. */
export class ConfError extends Error {}

type Context = "main" | "events" | "http" | "server" | "location";

interface Rule {
  readonly in: readonly Context[];
  /** Least and most arguments. */
  readonly args: readonly [number, number];
  /** The context within its braces. */
  readonly block?: Context | "types";
}

const most = 99;
const [h, s, l] = ["http", "server", "location"] as const;
const web = [h, s, l] as const;

const rules: Readonly<Record<string, Rule>> = {
  user: { in: ["main"], args: [1, 2] },
  worker_processes: { in: ["main"], args: [1, 1] },
  worker_rlimit_nofile: { in: ["main"], args: [1, 1] },
  daemon: { in: ["main"], args: [1, 1] },
  pid: { in: ["main"], args: [1, 1] },
  error_log: { in: ["main", ...web], args: [1, most] },
  include: { in: ["main", "events", ...web], args: [1, 1] },
  events: { in: ["main"], args: [0, 0], block: "events" },
  worker_connections: { in: ["events"], args: [1, 1] },
  multi_accept: { in: ["events"], args: [1, 1] },
  use: { in: ["events"], args: [1, 1] },
  http: { in: ["main"], args: [0, 0], block: "http" },
  server: { in: [h], args: [0, 0], block: "server" },
  location: { in: [s, l], args: [1, 2], block: "location" },
  types: { in: web, args: [0, 0], block: "types" },
  listen: { in: [s], args: [1, most] },
  server_name: { in: [s], args: [1, most] },
  root: { in: web, args: [1, 1] },
  alias: { in: [l], args: [1, 1] },
  index: { in: web, args: [1, most] },
  try_files: { in: [s, l], args: [2, most] },
  return: { in: [s, l], args: [1, 2] },
  error_page: { in: web, args: [2, most] },
  add_header: { in: web, args: [2, 3] },
  ssl_certificate: { in: [h, s], args: [1, 1] },
  ssl_certificate_key: { in: [h, s], args: [1, 1] },
  ...ignored("ssl_protocols ssl_ciphers ssl_prefer_server_ciphers ssl_session_cache ssl_session_timeout", [h, s]),
  ...ignored("ssl_session_tickets ssl_dhparam ssl_ecdh_curve http2 log_format keepalive_requests", [h, s]),
  ...ignored("server_names_hash_bucket_size types_hash_max_size client_header_timeout", [h, s]),
  ...ignored("default_type access_log sendfile tcp_nopush tcp_nodelay keepalive_timeout gzip gzip_types", web),
  ...ignored("gzip_vary gzip_proxied gzip_min_length server_tokens charset client_max_body_size send_timeout", web),
  ...ignored("log_not_found client_body_timeout client_body_buffer_size expires etag", web),
};

function ignored(names: string, contexts: readonly Context[]): Readonly<Record<string, Rule>> {
  return Object.fromEntries(names.split(" ").map((name) => [name, { in: contexts, args: [1, most] } as const]));
}

/** What nginx has, but not this one: it says so rather than to pass over it. */
const elsewhere = new Set(
  [
    "proxy_pass proxy_set_header proxy_http_version proxy_redirect proxy_read_timeout proxy_ssl_verify upstream rewrite",
    "if map set geo split_clients limit_req limit_conn auth_basic auth_basic_user_file fastcgi_pass fastcgi_param",
    "uwsgi_pass grpc_pass stub_status autoindex allow deny internal sub_filter stream mail load_module resolver",
    "ssl_client_certificate ssl_verify_client ssl_stapling ssl_password_file real_ip_header set_real_ip_from",
  ].flatMap((line) => line.split(" ")),
);

interface Token {
  readonly text: string;
  readonly line: number;
  readonly quoted: boolean;
}

function tokens(text: string): readonly Token[] {
  const found: Token[] = [];
  const pattern =
    /\n|#[^\n]*|([;{}])|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|((?:\\.|\$\{[^}]*\}|[^\s;{}"'#\\])(?:\\.|\$\{[^}]*\}|[^\s;{}\\])*)/g;
  let line = 1;
  for (const match of text.matchAll(pattern)) {
    const [all, mark, double, single, word] = match;
    const quoted = double ?? single;
    if (quoted !== undefined) found.push({ text: unescaped(quoted), line, quoted: true });
    else if (mark !== undefined || word !== undefined) found.push({ text: mark ?? word ?? "", line, quoted: false });
    line += all.split("\n").length - 1;
  }
  return found;
}

/** What a backslash stands for within quotes. */
function unescaped(text: string): string {
  const letters: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
  return text.replace(/\\(["'\\nrt])/g, (_, letter: string) => letters[letter] ?? letter);
}

/** Reads a file and all that it includes. @throws ConfError in nginx's words */
export function readConf(files: Files, path: string): readonly Directive[] {
  return new Reader(files, path).file("main");
}

class Reader {
  readonly #files: Files;
  readonly #path: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
    const text = files.read(path);
    if (text === undefined) throw new ConfError(`open() "${path}" failed (2: No such file or directory)`);
    this.#tokens = tokens(text);
  }

  #where(token: Token | undefined): string {
    return `${this.#path}:${(token ?? this.#tokens.at(-1))?.line ?? 1}`;
  }

  file(context: Context | "types"): readonly Directive[] {
    const found = this.#directives(context, false);
    return found;
  }

  #directives(context: Context | "types", inBlock: boolean): readonly Directive[] {
    const found: Directive[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (!token) {
        if (inBlock) throw new ConfError(`unexpected end of file, expecting "}" in ${this.#where(token)}`);
        return found;
      }
      if (token.text === "}" && !token.quoted) {
        if (!inBlock) throw new ConfError(`unexpected "}" in ${this.#where(token)}`);
        this.#at++;
        return found;
      }
      found.push(...this.#directive(context));
    }
  }

  #directive(context: Context | "types"): readonly Directive[] {
    const words: string[] = [];
    const begin = this.#tokens[this.#at];
    for (;;) {
      const token = this.#tokens[this.#at++];
      if (!token) throw new ConfError(`unexpected end of file, expecting ";" or "}" in ${this.#where(token)}`);
      const mark = token.quoted ? "" : token.text;
      if (mark === "}") {
        throw new ConfError(`unexpected "}" in ${this.#where(token)}`);
      }
      if (mark !== ";" && mark !== "{") {
        words.push(token.text);
        continue;
      }
      const [name = "", ...args] = words;
      const at = this.#where(begin);
      if (name === "") throw new ConfError(`unexpected "${mark}" in ${this.#where(token)}`);
      if (context === "types") return [{ name, args, block: undefined, at }];
      const rule = this.#ruleFor(name, args, context, mark, this.#where(token));
      if (name === "include") return this.#included(args[0] ?? "", context, at);
      return [{ name, args, block: rule.block && this.#directives(rule.block, true), at }];
    }
  }

  #ruleFor(name: string, args: readonly string[], context: Context, mark: string, at: string): Rule {
    if (elsewhere.has(name)) throw new ConfError(`directive "${name}" is not simulated here in ${at}`);
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (!rule) throw new ConfError(`unknown directive "${name}" in ${at}`);
    if (!rule.in.includes(context)) throw new ConfError(`"${name}" directive is not allowed here in ${at}`);
    if (rule.block && mark === ";") throw new ConfError(`directive "${name}" has no opening "{" in ${at}`);
    if (!rule.block && mark === "{") throw new ConfError(`directive "${name}" is not terminated by ";" in ${at}`);
    if (args.length < rule.args[0] || args.length > rule.args[1]) {
      throw new ConfError(`invalid number of arguments in "${name}" directive in ${at}`);
    }
    return rule;
  }

  /** One file, or all that match `*` in a folder, by name; of none that match nothing comes. */
  #included(pattern: string, context: Context, at: string): readonly Directive[] {
    const path = pattern.startsWith("/") ? pattern : `/etc/nginx/${pattern}`;
    if (!path.includes("*")) {
      if (path === "/etc/nginx/mime.types" && this.#files.read(path) === undefined) return [];
      if (this.#files.read(path) === undefined) {
        throw new ConfError(`open() "${path}" failed (2: No such file or directory) in ${at}`);
      }
      return new Reader(this.#files, path).file(context);
    }
    const folder = path.slice(0, path.lastIndexOf("/"));
    const parts = path.slice(folder.length + 1).split("*");
    const names = (this.#files.list(folder) ?? []).filter((name) => {
      const [first = "", last = ""] = [parts[0], parts.at(-1)];
      return !name.startsWith(".") && name.startsWith(first) && name.endsWith(last);
    });
    return names.flatMap((name) => {
      if (this.#files.read(`${folder}/${name}`) === undefined) return [];
      return new Reader(this.#files, `${folder}/${name}`).file(context);
    });
  }
}
