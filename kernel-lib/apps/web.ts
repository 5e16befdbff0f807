/**
 * Owns `kubebook/web`, an image made for this course: a small web server whose manners at its start and at its end are set
 * from outside, for what nginx cannot show. It listens on 8080. What it hears of, all by environment variables:
 *
 * | Variable | Default | What it does |
 * |---|---|---|
 * | `PORT` | 8080 | where it listens |
 * | `START_SECONDS` | 0 | it listens so long after its start |
 * | `ANSWER_MILLISECONDS` | 0 | every page takes so long |
 * | `KEEPALIVE_SECONDS` | 75 | an idle connection is closed after it; 0: no connection is kept |
 * | `ON_SIGTERM` | exit | `exit`: it is gone at once (143). `ignore`: it goes on. `close`: it stops listening at once, ends what is under way, and exits (0). `drain`: it goes on serving, `/healthz` is 503, every answer says `Connection: close`; then as `close` |
 * | `DRAIN_SECONDS` | 0 | how long `drain` goes on serving, and how long `close` stays at least |
 *
 * `/` says who answers, `/hostname` only its name, `/healthz` whether it is well, `/slow?seconds=2` takes its time, `/drain`
 * begins what ON_SIGTERM=drain does without a signal (for a preStop hook of kind httpGet) and does not exit.
 *
 * A tag is a version, `1.0`; in `1.0-distroless` there is no program beside the server: no shell, no `sleep`.
 */
import { formatIp } from "../net/address";
import { millisecond, second, type Time } from "../sim/clock";
import type { App, Program } from "./app";
import type { HttpResponse } from "./http";
import { type Exchange, type HttpServer, serveHttp } from "./httpserver";

const manners = ["exit", "ignore", "close", "drain"] as const;
type Manners = (typeof manners)[number];

interface Settings {
  readonly port: number;
  readonly start: Time;
  readonly answer: Time;
  readonly keepAlive: Time;
  readonly onSigterm: Manners;
  readonly drain: Time;
}

/** The server of a version, which it tells. */
export function web(version: string): App {
  return (program) => {
    const settings = readSettings(program);
    if (typeof settings === "string") {
      program.write(`web: ${settings}\n`, "stderr");
      later(program, 0, () => program.exit(1));
      return;
    }
    new Web(program, version, settings).start();
  };
}

/** The settings, or what is wrong with them. */
function readSettings({ env }: Program): Settings | string {
  const problems: string[] = [];
  const number = (name: string, usual: number, most = Infinity): number => {
    const text = env.get(name);
    if (text === undefined || text === "") return usual;
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value > most) problems.push(`${name}: invalid value "${text}"`);
    return value;
  };
  const manner = env.get("ON_SIGTERM") || "exit";
  const onSigterm = manners.find((one) => one === manner);
  if (!onSigterm) problems.push(`ON_SIGTERM: "${manner}" is none of ${manners.join(", ")}`);
  const settings: Settings = {
    port: number("PORT", 8080, 65_535),
    start: number("START_SECONDS", 0) * second,
    answer: number("ANSWER_MILLISECONDS", 0) * millisecond,
    keepAlive: number("KEEPALIVE_SECONDS", 75) * second,
    onSigterm: onSigterm ?? "exit",
    drain: number("DRAIN_SECONDS", 0) * second,
  };
  return problems[0] ?? settings;
}

class Web {
  readonly #program: Program;
  readonly #version: string;
  readonly #settings: Settings;
  #server: HttpServer | undefined;
  #draining = false;
  #ending = false;

  constructor(program: Program, version: string, settings: Settings) {
    this.#program = program;
    this.#version = version;
    this.#settings = settings;
  }

  start(): void {
    const program = this.#program;
    program.onSignal("SIGTERM", () => this.#sigterm());
    program.onSignal("SIGINT", () => program.exit(130));
    const { start } = this.#settings;
    if (start === 0) this.#listen();
    else later(program, start, () => this.#listen());
  }

  #listen(): void {
    if (this.#ending) return;
    const { port, keepAlive } = this.#settings;
    const answer = (asked: Exchange, respond: (response: HttpResponse) => void): HttpResponse | undefined =>
      this.#answer(asked, respond);
    const keep = { idle: keepAlive };
    this.#server = serveHttp(this.#program, { port, owner: "web" }, answer, { keepAlive: () => keep });
    this.#program.write(`listening on port ${port}\n`);
  }

  #answer({ request, socket }: Exchange, respond: (response: HttpResponse) => void): HttpResponse | undefined {
    const [path = "/", query = ""] = request.target.split("?");
    const { hostname } = this.#program;
    switch (path) {
      case "/healthz":
        return this.#draining ? page(503, "draining\n") : page(200, "ok\n");
      case "/drain":
        this.#drain();
        return page(200, "draining\n");
      case "/":
      case "/hostname":
      case "/slow": {
        const text =
          path === "/hostname"
            ? `${hostname}\n`
            : `Hello from ${hostname} at ${formatIp(socket.local.ip)}, version ${this.#version}\n`;
        const asked = path === "/slow" ? Number(/(?:^|&)seconds=(\d+(?:\.\d+)?)/.exec(query)?.[1] ?? 1) : 0;
        const takes = this.#settings.answer + asked * second;
        if (takes === 0) return page(200, text);
        later(this.#program, takes, () => respond(page(200, text)));
        return undefined;
      }
      default:
        return page(404, "not found\n");
    }
  }

  #sigterm(): void {
    const program = this.#program;
    const { onSigterm, drain } = this.#settings;
    if (onSigterm === "exit") {
      program.exit(143);
      return;
    }
    if (onSigterm === "ignore" || this.#ending) {
      program.write("SIGTERM: ignored\n");
      return;
    }
    this.#ending = true;
    program.write(onSigterm === "drain" ? "SIGTERM: draining\n" : "SIGTERM: closing\n");
    if (onSigterm === "drain") {
      this.#drain();
      later(program, drain, () => this.#close(() => program.exit(0)));
      return;
    }
    let left = 2;
    const over = (): void => {
      if (--left === 0) program.exit(0);
    };
    this.#draining = true;
    this.#close(over);
    later(program, drain, over);
  }

  /** Serves on, and asks clients and load balancers to go elsewhere. */
  #drain(): void {
    this.#draining = true;
    this.#server?.sendAway();
  }

  #close(closed: () => void): void {
    if (this.#server) this.#server.drain(closed);
    else closed();
  }
}

function page(status: number, body: string): HttpResponse {
  return { status, headers: [["Content-Type", "text/plain; charset=utf-8"]], body };
}

/** Something that a program does later, if it lives. */
function later(program: Program, delay: Time, run: () => void): void {
  const timer = program.clock.after(delay, () => {
    program.disown(owned);
    run();
  });
  const owned = program.own({ close: () => timer.cancel() });
}
