/** Owns the CoreDNS server: its Corefile, its sockets over UDP and TCP, health and readiness, reloading and its end. */
import { sha512 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import type { SocketAddress } from "../net/address";
import { formatIp } from "../net/address";
import { second } from "../sim/clock";
import type { App, Closable, Program } from "./app";
import { type ClusterDnsOptions, zoneOf } from "./clusterdns";
import { type Asked, chainOf, emptyAnswer, type Handler } from "./corednschain";
import { lameduckOf, loopOf, plugins, processPlugins } from "./corednsplugins";
import { CorefileError, parseCorefile, type ServerBlock } from "./corefile";
import { type DnsAnswer, type DnsMessage, type DnsQueryNote, isDns } from "./dns";
import { DnsStreamReader, dnsResponse, dnsStream } from "./dnsmessage";
import { type Answer, type HttpServer, serveHttp } from "./httpserver";

/** How often `reload` looks whether the Corefile has changed. */
const reloadPeriod = 30 * second;

/** Where it looks unless it is told, and what it serves if nothing is there. */
const unnamed = "/Corefile";
const defaultCorefile = ".:53 {\nwhoami\nlog\nerrors\n}\n";

interface Server {
  readonly block: ServerBlock;
  readonly handle: Handler;
}

/** A server of what its Corefile says; `options.store` is what the plugin `kubernetes` reads. */
export function coredns(options: ClusterDnsOptions, version: string): App {
  return (program) => new CoreDns(program, options, version).start();
}

class CoreDns {
  readonly #program: Program;
  readonly #options: ClusterDnsOptions;
  readonly #version: string;
  readonly #path: string;
  #servers: readonly Server[] = [];
  #blocks: readonly ServerBlock[] = [];
  #ready: HttpServer | undefined;
  #text = "";
  #open: Closable[] = [];
  readonly #counts = new Map<string, number>();

  constructor(program: Program, options: ClusterDnsOptions, version: string) {
    this.#program = program;
    this.#options = options;
    this.#version = version;
    const { argv } = program;
    const at = argv.indexOf("-conf");
    this.#path = at < 0 ? unnamed : (argv[at + 1] ?? "");
  }

  start(): void {
    const program = this.#program;
    program.onSignal("SIGTERM", () => this.#stop());
    const text = program.files.read(this.#path) ?? (this.#path === unnamed ? defaultCorefile : undefined);
    if (text === undefined) {
      this.#die(`loading Caddyfile via flag: open ${this.#path}: no such file or directory`);
      return;
    }
    try {
      this.#load(text);
    } catch (error) {
      if (!(error instanceof CorefileError)) throw error;
      this.#die(error.message);
      return;
    }
    this.#listen();
    this.#serveHttp();
    for (const { zones, port } of this.#blocks) for (const zone of zones) program.write(`${zone}:${port}\n`);
    this.#tellHash();
    program.write(`CoreDNS-${this.#version}\nlinux/amd64\n`);
    const loop = this.#findLoop();
    if (loop) {
      const see = "see https://coredns.io/plugins/loop#troubleshooting";
      program.write(
        `[FATAL] plugin/loop: Loop (${loop} -> :53) detected for zone ".", ${see}. Query: "HINFO 4547991504243258144.3688648895315093531."\n`,
      );
      this.#end(1);
      return;
    }
    if (this.#has("reload")) this.#watch();
  }

  /** @throws CorefileError */
  #load(text: string): void {
    const blocks = parseCorefile(this.#path, text);
    const { program, store } = { program: this.#program, store: this.#options.store };
    const log = (level: string, line: string): void => program.write(`[${level}] ${line}\n`);
    const ask: Handler = (asked, done) => this.#handle(asked, done);
    this.#servers = blocks.map((block) => {
      return { block, handle: chainOf(block, plugins, processPlugins, { program, store, ask, log }, this.#path) };
    });
    this.#blocks = blocks;
    this.#text = text;
  }

  #has(plugin: string): boolean {
    return this.#blocks.some(({ directives }) => directives.some(({ name }) => name === plugin));
  }

  #findLoop(): string | undefined {
    const fail = (_: unknown, why: string): CorefileError => new CorefileError(why);
    for (const { directives } of this.#blocks) {
      const loop = loopOf(directives, { program: this.#program, fail });
      if (loop) return loop;
    }
    return undefined;
  }

  #listen(): void {
    const program = this.#program;
    const { sockets } = program.netns;
    const keep = (thing: Closable): void => {
      this.#open.push(program.own(thing));
    };
    for (const port of new Set(this.#blocks.map((block) => block.port))) {
      const local = { ip: 0, port };
      const udp = sockets.openUdp(
        { port, owner: "coredns" },
        {
          received: (server, { payload, source, target }) => {
            if (!isDns(payload) || payload.response) return;
            this.#answer(payload, source, target ?? local, "udp", (message) => server.send(message, source));
          },
        },
      );
      keep(udp);
      const tcp = sockets.listenTcp({ port, owner: "coredns" }, (accepted) => {
        const reader = new DnsStreamReader();
        return {
          data: (socket, text) => {
            reader.feed(text);
            for (let message = reader.next(); message !== undefined; message = reader.next()) {
              if (message === "bad" || message.response || program.ended) return socket.abort();
              this.#answer(message, accepted.remote, accepted.local, "tcp", (response) => {
                if (socket.state !== "CLOSED") socket.write(dnsStream(response));
              });
            }
          },
        };
      });
      keep(tcp);
    }
  }

  #serveHttp(): void {
    const program = this.#program;
    if (this.#has("health")) serveHttp(program, { port: 8080, owner: "coredns" }, okAt("/health"));
    if (this.#has("ready")) this.#ready = serveHttp(program, { port: 8181, owner: "coredns" }, okAt("/ready"));
    if (this.#has("prometheus")) {
      const headers = [["Content-Type", "text/plain; version=0.0.4; charset=utf-8"]] as const;
      serveHttp(program, { port: 9153, owner: "coredns" }, ({ request }) => {
        const found = request.target === "/metrics";
        return { status: found ? 200 : 404, headers, body: found ? this.#metrics() : "404 page not found\n" };
      });
    }
  }

  #answer(
    message: DnsMessage,
    client: SocketAddress,
    local: SocketAddress,
    transport: "udp" | "tcp",
    send: (message: DnsMessage) => void,
  ): void {
    const asked: Asked = { message, question: message.question, client, local, transport };
    this.#handle(asked, (answer) => {
      if (this.#program.ended) return;
      this.#note(asked, answer);
      send(dnsResponse(message, answer, transport));
    });
  }

  /** The server block of the longest zone that the name is in. */
  #handle(asked: Asked, done: Parameters<Handler>[1]): void {
    const { name } = asked.question;
    const here = this.#servers.filter(({ block }) => block.port === asked.local.port);
    const zone = zoneOf(
      here.flatMap(({ block }) => block.zones),
      name,
    );
    const server = here.find(({ block }) => zone !== undefined && block.zones.includes(zone));
    if (server) server.handle(asked, done);
    else done(emptyAnswer("REFUSED"));
  }

  #note({ client, transport, question }: Asked, { rcode, answers }: DnsAnswer): void {
    const { netns, clock, hostname } = this.#program;
    const key = `${transport} ${question.type} ${rcode}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    const { journal } = netns.network.sim;
    if (!journal.read) return;
    const detail: DnsQueryNote = {
      ...{ kind: "dns-query", client: formatIp(client.ip), port: client.port, server: hostname, transport },
      ...{ name: question.name, type: question.type, rcode, answers: answers.map(({ data }) => data) },
    };
    journal.write({
      at: clock.now,
      where: netns.name,
      about: question.name,
      what: `${question.type}? ${rcode}`,
      detail,
    });
  }

  #metrics(): string {
    const requests = new Map<string, number>();
    const responses = new Map<string, number>();
    for (const [key, count] of this.#counts) {
      const [proto, type, rcode] = key.split(" ");
      const request = `coredns_dns_requests_total{family="1",proto="${proto}",server="dns://:53",type="${type}",view="",zone="."}`;
      const response = `coredns_dns_responses_total{plugin="",rcode="${rcode}",server="dns://:53",view="",zone="."}`;
      requests.set(request, (requests.get(request) ?? 0) + count);
      responses.set(response, (responses.get(response) ?? 0) + count);
    }
    const section = (name: string, help: string, lines: ReadonlyMap<string, number>): string => {
      const values = [...lines].sort(([a], [b]) => (a < b ? -1 : 1)).map(([line, value]) => `${line} ${value}\n`);
      return `# HELP ${name} ${help}\n# TYPE ${name} counter\n${values.join("")}`;
    };
    return [
      section("coredns_dns_requests_total", "Counter of DNS requests made per zone, protocol and family.", requests),
      section("coredns_dns_responses_total", "Counter of response status codes.", responses),
    ].join("");
  }

  #tellHash(): void {
    if (!this.#has("reload")) return;
    const hash = bytesToHex(sha512(this.#text));
    this.#program.write(`[INFO] plugin/reload: Running configuration SHA512 = ${hash}\n`);
  }

  /** Looks for another Corefile now and then; one that is wrong changes nothing. */
  #watch(): void {
    const program = this.#program;
    const look = (): void => {
      timer = program.clock.after(reloadPeriod, look, "background");
      const text = program.files.read(this.#path);
      if (text === undefined || text === this.#text) return;
      program.write("[INFO] Reloading\n");
      try {
        this.#load(text);
      } catch (error) {
        if (!(error instanceof CorefileError)) throw error;
        this.#text = text;
        program.write(`[ERROR] Restart failed: ${error.message}\n`);
        program.write(`[ERROR] plugin/reload: Corefile changed but reload failed: ${error.message}\n`);
        return;
      }
      for (const thing of this.#open) {
        program.disown(thing);
        thing.close();
      }
      this.#open = [];
      this.#listen();
      this.#tellHash();
      program.write("[INFO] Reloading complete\n");
    };
    let timer = program.clock.after(reloadPeriod, look, "background");
    program.own({ close: () => timer.cancel() });
  }

  #stop(): void {
    const program = this.#program;
    program.write("[INFO] SIGTERM: Shutting down servers then terminating\n");
    // Whoever asks whether it is ready is refused from now on, and whoever asks whether it is well is answered to the end.
    this.#ready?.drain(() => {});
    const seconds = Math.max(0, ...this.#blocks.map(({ directives }) => lameduckOf(directives)));
    if (seconds === 0) {
      this.#end(0);
      return;
    }
    program.write(`[INFO] plugin/health: Going into lameduck mode for ${seconds}s\n`);
    const timer = program.clock.after(seconds * second, () => program.exit(0));
    program.own({ close: () => timer.cancel() });
  }

  #die(why: string): void {
    this.#program.write(`${why}\n`);
    this.#end(1);
  }

  /** Not before whoever starts it has finished doing so. */
  #end(code: number): void {
    const timer = this.#program.clock.after(0, () => this.#program.exit(code));
    this.#program.own({ close: () => timer.cancel() });
  }
}

/** The one page of a plugin that answers whether all is well. */
function okAt(path: string): Answer {
  const headers = [["Content-Type", "text/plain; charset=utf-8"]] as const;
  return ({ request }) => {
    const found = request.target.replace(/\?.*$/, "") === path;
    return { status: found ? 200 : 404, headers, body: found ? "OK" : "404 page not found\n" };
  };
}
