/** Owns `agnhost netexec`, the server of Kubernetes' own tests (test/images/agnhost/netexec), as far as it answers by itself. */

import { rfc3339 } from "../api/time";
import { formatSocketAddress } from "../net/address";
import { second, type Time } from "../sim/clock";
import { readDuration } from "../sim/duration";
import type { App, Program } from "./app";
import type { HttpResponse } from "./http";
import { type Exchange, type HttpServer, serveHttp } from "./httpserver";
import { pause } from "./pause";

/** `agnhost pause` (what the image runs by itself), `agnhost netexec --http-port=8080 --udp-port=8081 --delay-shutdown=0`. */
export const agnhost: App = (program) => {
  const [, command = "", ...args] = program.argv;
  if (command === "pause") pause(program);
  else if (command === "netexec") new Netexec(program, args).start();
  else {
    program.write(
      `Error: unknown command ${JSON.stringify(command)} for "app"\nRun 'app --help' for usage.\n`,
      "stderr",
    );
    later(program, 0, () => program.exit(1));
  }
};

class Netexec {
  readonly #program: Program;
  readonly #begun: Time;
  readonly #args: readonly string[];
  #server: HttpServer | undefined;

  constructor(program: Program, args: readonly string[]) {
    this.#program = program;
    this.#args = args;
    this.#begun = program.clock.now;
  }

  start(): void {
    const program = this.#program;
    const [http, udp, delay] = [
      this.#number("http-port", 8080),
      this.#number("udp-port", 8081),
      this.#number("delay-shutdown", 0),
    ];
    program.onSignal("SIGTERM", () => {
      // Go's own answer to a signal that nobody has asked for, by the first process: it cannot die of it, and exits with 2.
      if (delay === 0) {
        program.exit(2);
        return;
      }
      this.#log(`Sleeping ${delay} seconds before terminating...`);
      later(program, delay * second, () => program.exit(0));
    });
    if (udp !== -1) this.#listenUdp(udp);
    this.#log(`Started HTTP server on port ${http}`);
    this.#server = serveHttp(program, { port: http, owner: "agnhost" }, (asked, respond) =>
      this.#answer(asked, respond),
    );
  }

  /** The value of `--name=3` or `--name 3`. */
  #number(name: string, usual: number): number {
    const at = this.#args.findIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
    if (at < 0) return usual;
    const [, value = this.#args[at + 1] ?? ""] = (this.#args[at] ?? "").split("=");
    return Number(value);
  }

  #log(text: string): void {
    const at = rfc3339(this.#program.clock.now).slice(0, 19).replace(/-/g, "/").replace("T", " ");
    this.#program.write(`${at} ${text}\n`, "stderr");
  }

  #listenUdp(port: number): void {
    const program = this.#program;
    const answer = (text: string, from: string): string | undefined => {
      const [word = "", ...rest] = text.trim().split(" ");
      if (word === "hostname" || word === "hostName") return program.hostname;
      if (word === "echo") return rest.join(" ");
      return word === "clientip" ? from : undefined;
    };
    const socket = program.netns.sockets.openUdp(
      { port, owner: "agnhost" },
      {
        received(self, { payload, source }) {
          const from = formatSocketAddress(source.ip, source.port);
          const reply = typeof payload === "string" ? answer(payload, from) : undefined;
          if (reply !== undefined) self.send(reply, source);
        },
      },
    );
    program.own(socket);
    this.#log(`Started UDP server on port  ${port}`);
  }

  #answer({ request, socket }: Exchange, respond: (response: HttpResponse) => void): HttpResponse | undefined {
    const program = this.#program;
    const [path = "/", query = ""] = request.target.split("?");
    const asked = parameters(query);
    switch (path) {
      case "/hostname":
      case "/hostName":
        this.#log(`GET ${path}`);
        return text(200, program.hostname);
      case "/clientip":
        this.#log("GET /clientip");
        return text(200, formatSocketAddress(socket.remote.ip, socket.remote.port));
      case "/healthz":
        this.#log("GET /healthz");
        return text(200, "");
      case "/echo": {
        const [msg, code] = [asked.get("msg") ?? "", asked.get("code") ?? ""];
        this.#log(`GET /echo?msg=${msg}&code=${code}`);
        if (code !== "" && !/^\d{3}$/.test(code)) {
          return text(200, `argument 'code' must be an integer or empty, got ${JSON.stringify(code)}\n`);
        }
        return text(code === "" ? 200 : Number(code), msg);
      }
      case "/shutdown":
        this.#log("GET /shutdown");
        program.exit(0);
        return undefined;
      case "/exit":
        this.#exit(asked, respond);
        return undefined;
      case "/dial":
      case "/shell":
      case "/upload":
      case "/redirect":
        return text(501, `${path} is not simulated here\n`);
      default: {
        this.#log("GET /");
        const at = rfc3339(program.clock.now).slice(0, 19).replace("T", " ");
        return text(200, `NOW: ${at} +0000 UTC m=+${((program.clock.now - this.#begun) / second).toFixed(9)}`);
      }
    }
  }

  /** `/exit?code=3&wait=2s&timeout=10s`: without a time-out at once, else when the last connection is over. */
  #exit(asked: ReadonlyMap<string, string>, respond: (response: HttpResponse) => void): void {
    const program = this.#program;
    const [code, timeout, wait] = ["code", "timeout", "wait"].map((name) => asked.get(name) ?? "");
    this.#log(`GET /exit?code=${code}&timeout=${timeout}&wait=${wait}`);
    const [allowed, first] = [durationOf(timeout), durationOf(wait)];
    if (allowed === undefined || first === undefined || !/^\d*$/.test(code ?? "")) {
      const [name, what, value] =
        allowed === undefined
          ? ["timeout", "a valid golang duration", timeout]
          : first === undefined
            ? ["wait", "a valid golang duration", wait]
            : ["code", "an integer [0-127]", code];
      respond(text(200, `argument '${name}' must be ${what} or empty, got ${JSON.stringify(value)}\n`));
      return;
    }
    later(program, first, () => {
      if (allowed === 0) {
        program.exit(Number(code));
        return;
      }
      later(program, allowed, () => program.exit(Number(code)));
      respond(text(200, ""));
      this.#server?.drain(() => program.exit(Number(code)));
    });
  }
}

function text(status: number, body: string): HttpResponse {
  return { status, headers: [["Content-Type", "text/plain; charset=utf-8"]], body };
}

function parameters(query: string): ReadonlyMap<string, string> {
  return new Map(
    query.split("&").flatMap((pair): [string, string][] => {
      const [name = "", value = ""] = pair.split("=");
      return name === "" ? [] : [[name, decode(value)]];
    }),
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replace(/\+/g, " "));
  } catch {
    return text;
  }
}

/** `1m30s`; nothing is 0; undefined: it is none. */
function durationOf(text = ""): Time | undefined {
  const span = text === "" ? 0 : readDuration(text);
  return typeof span === "string" ? undefined : span;
}

/** Something that a program does later, if it lives. */
function later(program: Program, delay: Time, run: () => void): void {
  const timer = program.clock.after(delay, run);
  program.own({ close: () => timer.cancel() });
}
