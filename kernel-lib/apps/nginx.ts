/** Owns nginx as its official image runs it: a web server of files, with its configuration and its log. */
import { rfc3339 } from "../api/time";
import { anyIpv4, anyIpv6 } from "../net/address";
import { SocketError } from "../net/socket";
import { millisecond } from "../sim/clock";
import type { App, Program } from "./app";
import { type HttpResponse, header, logDate } from "./http";
import { type Exchange, type HttpServer, type KeepAlive, type Over, serveHttp } from "./httpserver";
import { errorPage, respond } from "./nginxanswer";
import { ConfError } from "./nginxconf";
import {
  defaultConf,
  defaultKeepAlive,
  type Listen,
  listenText,
  readServers,
  defaultRoot as root,
  type Server,
  serverFor,
} from "./nginxservers";
import { overTls } from "./tls/stream";

/** What a browser shows of a new nginx. */
const welcome = `<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto; font-family: sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page comes from a web server in a container: it is up, and it answers.
What it serves lies in ${root}; put your own pages there.</p>
</body>
</html>
`;

/** The files of the image that matter here. */
export const nginxFiles: { readonly [path: string]: string } = {
  [`${root}/index.html`]: welcome,
  [`${root}/50x.html`]: errorPage(502, ""),
  ...defaultConf,
};

/** How often, and after how long, it tries again to have its port (ngx_open_listening_sockets). */
const bindTries = 5;
const bindPause = 500 * millisecond;

/**
 * nginx of a version (`1.29.3`). SIGQUIT ends it once all requests are answered, SIGTERM at once; at SIGHUP it reads its
 * configuration again.
 * @param follows whether that is also done whenever a file of /etc/nginx/conf.d changes, as some images do by a script
 */
export function nginx(version: string, follows = false): App {
  return (program) => {
    const master = new Master(program, version);
    program.title(["nginx: master process", ...program.argv].join(" "));
    master.start();
    if (follows) master.follow("/etc/nginx/conf.d");
  };
}

/** One listening socket: an address, or both families of a port. */
interface Door {
  readonly port: number;
  /** The addresses that it stands for, as they are in the configuration. */
  readonly listens: readonly Listen[];
  readonly key: string;
}

/** Which sockets a configuration needs: IPv4's and IPv6's "any" of a port are one. */
function doorsOf(servers: readonly Server[]): readonly Door[] {
  const all = new Map(servers.flatMap(({ listens }) => listens.map((listen) => [listenText(listen), listen] as const)));
  const doors = new Map<string, Listen[]>();
  for (const listen of all.values()) {
    const both = listen.ip === anyIpv4 || listen.ip === anyIpv6;
    const key = both ? `any:${listen.port}` : listenText(listen);
    doors.set(key, [...(doors.get(key) ?? []), listen]);
  }
  return [...doors].map(([key, listens]) => ({ port: listens[0]?.port ?? 80, listens, key }));
}

/** The master process: its configuration and its sockets. */
class Master {
  readonly #program: Program;
  readonly #version: string;
  readonly #open = new Map<string, HttpServer>();
  #servers: readonly Server[] = [];
  #requests = 0;

  constructor(program: Program, version: string) {
    this.#program = program;
    this.#version = version;
  }

  #say(level: string, text: string): void {
    const at = rfc3339(this.#program.clock.now).slice(0, 19).replace(/-/g, "/").replace("T", " ");
    this.#program.write(`${at} [${level}] 1#1: ${text}\n`, "stderr");
  }

  /** What is an emergency before the workers run goes to the terminal too. */
  #emergency(text: string): void {
    this.#say("emerg", text);
    this.#program.write(`nginx: [emerg] ${text}\n`, "stderr");
  }

  start(): void {
    const servers = this.#read((problem) => this.#emergency(problem));
    if (!servers) {
      const ended = this.#program.clock.after(0, () => this.#program.exit(1));
      this.#program.own({ close: () => ended.cancel() });
      return;
    }
    this.#servers = servers;
    this.#bind(doorsOf(servers), bindTries);
  }

  /** The servers of the configuration; undefined if it is none, and `tell` was told why. */
  #read(tell: (problem: string) => void): readonly Server[] | undefined {
    try {
      return readServers(this.#program.files);
    } catch (error) {
      if (!(error instanceof ConfError)) throw error;
      tell(error.message);
      return undefined;
    }
  }

  /** Goes on once it has its ports; if somebody else in the pod keeps one, it says so, waits, and in the end gives up. */
  #bind(doors: readonly Door[], tries: number): void {
    const taken = doors.filter(({ port }) => isTaken(this.#program, port));
    if (taken.length === 0) {
      this.#serve(doors);
      return;
    }
    for (const { listens } of taken) {
      for (const listen of listens) {
        this.#emergency(`bind() to ${listenText(listen)} failed (98: Address already in use)`);
      }
    }
    this.#say("notice", "try again to bind() after 500ms");
    const next = this.#program.clock.after(bindPause, () => {
      this.#program.disown(waiting);
      if (tries > 1) this.#bind(doors, tries - 1);
      else {
        this.#emergency("still could not bind()");
        this.#program.exit(1);
      }
    });
    const waiting = this.#program.own({ close: () => next.cancel() });
  }

  #serve(doors: readonly Door[]): void {
    const program = this.#program;
    for (const door of doors) this.#listen(door);
    for (const text of [
      'using the "epoll" event method',
      `nginx/${this.#version}`,
      "OS: Linux",
      "start worker processes",
    ]) {
      this.#say("notice", text);
    }
    // `worker_processes auto`: one for each CPU of the node.
    for (let cpu = 0; cpu < 4; cpu++) program.spawn("nginx: worker process");
    program.onSignal("SIGQUIT", () => {
      this.#say("notice", "signal 3 (SIGQUIT) received, shutting down");
      let left = this.#open.size;
      if (left === 0) program.exit(0);
      for (const server of this.#open.values()) {
        server.drain(() => {
          left--;
          if (left === 0) program.exit(0);
        });
      }
    });
    program.onSignal("SIGHUP", () => {
      this.#say("notice", "signal 1 (SIGHUP) received, reconfiguring");
      this.reload();
    });
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      program.onSignal(signal, () => {
        this.#say("notice", `signal ${signal === "SIGTERM" ? 15 : 2} (${signal}) received, exiting`);
        program.exit(0);
      });
    }
  }

  /** Reads the configuration again; with one that is none it goes on as before. */
  reload(): void {
    this.#say("notice", "reconfiguring");
    const servers = this.#read((problem) => this.#say("emerg", problem));
    if (!servers) return;
    this.#servers = servers;
    const doors = doorsOf(servers);
    for (const [key, server] of this.#open) {
      if (doors.some((door) => door.key === key)) continue;
      this.#open.delete(key);
      server.drain(() => {});
    }
    for (const door of doors) if (!this.#open.has(door.key)) this.#listen(door);
  }

  /** Reloads soon after a file of this folder has changed. */
  follow(folder: string): void {
    let pending = false;
    this.#program.files.watch(folder, () => {
      if (pending) return;
      pending = true;
      this.#program.clock.after(0, () => {
        pending = false;
        if (!this.#program.ended) this.reload();
      });
    });
  }

  #listen({ port, listens, key }: Door): void {
    const [first] = listens;
    if (!first) return;
    const secure = listens.some(({ ssl }) => ssl);
    const server = (host: string | undefined): Server | undefined => serverFor(this.#servers, first, host);
    const over: Over = (accept) => {
      const side = {
        chain: (name: string | undefined) => server(name)?.chain,
        protocols: ["http/1.1"],
        random: this.#program.random,
      };
      return overTls(side, accept);
    };
    const ip = listens.length === 1 ? first.ip : undefined;
    const options = { port, owner: "nginx", ...(ip !== undefined && { ip }) };
    const answer = (asked: Exchange): HttpResponse => this.#answer(asked, server, secure);
    const keepAlive = (): KeepAlive => server(undefined)?.keepAlive ?? defaultKeepAlive;
    this.#open.set(key, serveHttp(this.#program, options, answer, { keepAlive, ...(secure && { over }) }));
  }

  #answer(asked: Exchange, server: (host: string | undefined) => Server | undefined, secure: boolean): HttpResponse {
    this.#requests++;
    const host = header(asked.request.headers, "host")?.replace(/:\d+$/, "");
    const chosen = server(host);
    const response = respond(this.#program, this.#version, asked, {
      server: chosen,
      secure,
      fail: (text) => this.#say("error", `*${this.#requests} ${text}`),
    });
    this.#program.write(`${accessLine(this.#program, asked, response)}\n`);
    return response;
  }
}

function isTaken(program: Program, port: number): boolean {
  try {
    program.netns.sockets.listenTcp({ port, owner: "nginx" }, () => ({})).close();
    return false;
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    return true;
  }
}

/** The image's `main` format: combined, and who the request was forwarded for. */
function accessLine(program: Program, { request, client }: Exchange, response: HttpResponse): string {
  const field = (name: string): string => header(request.headers, name) ?? "-";
  const line = `${request.method} ${request.target} ${request.version}`;
  const size = request.method === "HEAD" ? 0 : response.body.length;
  const at = logDate(program.clock.now);
  return `${client} - - [${at}] "${line}" ${response.status} ${size} "${field("referer")}" "${field("user-agent")}" "${field("x-forwarded-for")}"`;
}
