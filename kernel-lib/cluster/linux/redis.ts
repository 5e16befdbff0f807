/** Owns the tools of Redis: `redis-cli`, and a `redis-server` for a machine that is no container. */
import { serveRedis } from "../../apps/redis";
import { formatCommand, type Reply, RespReader } from "../../apps/resp";
import type { Ip } from "../../net/address";
import { SocketError, type TcpSocket } from "../../net/socket";
import { second } from "../../sim/clock";
import { type Call, Failed, type Tool } from "../shell/tool";
import { readFlags } from "./flags";
import { findHost } from "./names";

const cliVersion = "8.0.2";
const patience = 10 * second;

/** `redis-cli [-h HOST] [-p PORT] [COMMAND [ARGUMENT…]]`; without a command, lines that are piped in or typed. */
const redisCli: Tool = async (call) => {
  const flags = readFlags(call.args, {
    tool: "redis-cli",
    letters: "h:p:n:",
    long: { raw: "raw", "no-raw": "no-raw" },
    stopAtWord: true,
  });
  const host = flags.given.get("h") ?? "127.0.0.1";
  const port = Number(flags.given.get("p") ?? 6379);
  const pretty = flags.has("no-raw") || (call.toTerminal && !flags.has("raw"));
  const address = `${host}:${port}`;
  const found = await findHost(call, host, "IPv4");
  if (found === "stopped") return 130;
  if ("problem" in found) throw new Failed(`Could not connect to Redis at ${address}: ${found.problem}`);
  const lines = flags.words.length > 0 ? [flags.words] : inputLines(call).map(wordsOf);
  const link = new Link(call);
  if ((await link.connect(found.ip, port)) === "stopped") return 130;
  if (link.problem !== undefined) throw new Failed(`Could not connect to Redis at ${address}: ${link.problem}`);
  let failed = false;
  for (const words of lines) {
    if (words.length === 0) continue;
    const reply = await link.ask(words);
    if (reply === "stopped") return 130;
    if (reply === undefined) throw new Failed("Error: Server closed the connection");
    failed ||= "error" in reply;
    call.out(`${pretty ? prettily(reply) : plainly(reply)}\n`);
  }
  link.close();
  return failed && flags.words.length > 0 ? 1 : 0;
};

function inputLines(call: Call): readonly string[] {
  if (!call.terminal) return call.stdin.split("\n");
  const lines: string[] = [];
  for (let line = call.terminal.readLine(); line !== undefined; line = call.terminal.readLine()) lines.push(line);
  return lines;
}

/** Words of a line; double quotes hold one together. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, quoted, word]) => quoted?.replace(/\\(.)/g, "$1") ?? word ?? "",
  );
}

/** A connection whose answers a tool waits for. */
class Link {
  readonly #call: Call;
  readonly #reader = new RespReader();
  #socket: TcpSocket | undefined;
  #wake = (): void => {};
  #open = false;
  problem: string | undefined;

  constructor(call: Call) {
    this.#call = call;
  }

  async connect(ip: Ip, port: number): Promise<"stopped" | "done"> {
    const ended = (why: string): void => {
      this.problem = why;
      this.#open = false;
      this.#wake();
    };
    return this.#wait(() => {
      this.#socket = this.#call.place.netns.sockets.connectTcp(
        { ip, port, owner: "redis-cli", timeout: patience },
        {
          connected: () => {
            this.#open = true;
            this.#wake();
          },
          data: (_socket, text) => {
            this.#reader.feed(text);
            this.#wake();
          },
          closed: () => ended("Server closed the connection"),
          failed: (_socket, { outcome }) =>
            ended(
              outcome === "refused"
                ? "Connection refused"
                : outcome === "unreachable"
                  ? "Network is unreachable"
                  : "Connection timed out",
            ),
        },
      );
    });
  }

  async ask(words: readonly string[]): Promise<Reply | "stopped" | undefined> {
    if (!this.#open) return undefined;
    let reply = undefined as ReturnType<RespReader["nextReply"]>;
    this.#socket?.write(formatCommand(words));
    while (reply === undefined && this.#open) {
      if ((await this.#wait(() => {})) === "stopped") return "stopped";
      reply = this.#reader.nextReply();
    }
    return reply === "bad" ? undefined : reply;
  }

  close(): void {
    if (this.#open) this.#socket?.end();
  }

  async #wait(begin: () => void): Promise<"stopped" | "done"> {
    const end = await this.#call.process.pause(
      (wake) => {
        this.#wake = wake;
        begin();
        return () => undefined;
      },
      undefined,
      "foreground",
    );
    if (end === "stopped") this.#socket?.abort();
    return end === "stopped" ? "stopped" : "done";
  }
}

/** As at a terminal. */
function prettily(reply: Reply, indent = ""): string {
  if ("status" in reply) return reply.status;
  if ("error" in reply) return `(error) ${reply.error}`;
  if ("integer" in reply) return `(integer) ${reply.integer}`;
  if ("bulk" in reply)
    return reply.bulk === null
      ? "(nil)"
      : reply.bulk.includes("\r\n")
        ? reply.bulk.replace(/\r\n/g, "\n")
        : JSON.stringify(reply.bulk);
  if (reply.array.length === 0) return "(empty array)";
  const width = String(reply.array.length).length;
  return reply.array
    .map((item, at) => {
      const number = `${String(at + 1).padStart(width)}) `;
      return `${at === 0 ? "" : indent}${number}${prettily(item, indent + " ".repeat(number.length))}`;
    })
    .join("\n");
}

/** As into a pipe. */
function plainly(reply: Reply): string {
  if ("status" in reply) return reply.status;
  if ("error" in reply) return `${reply.error}\n`;
  if ("integer" in reply) return String(reply.integer);
  if ("bulk" in reply) return (reply.bulk ?? "").replace(/\r\n/g, "\n");
  return reply.array.map(plainly).join("\n");
}

/** `redis-server [--port N] [--replicaof HOST PORT]`: in the foreground, until it is interrupted. */
const redisServer: Tool = async (call) => {
  const { place, process, cluster, shell } = call;
  const open = new Set<{ close(): void }>();
  const host = {
    netns: place.netns,
    random: shell.random,
    files: place.files,
    clock: cluster.sim.clock,
    write: (text: string) => call.out(text),
    own: <T extends { close(): void }>(thing: T): T => {
      open.add(thing);
      return thing;
    },
    disown: (thing: { close(): void }) => void open.delete(thing),
  };
  try {
    serveRedis(host, cliVersion, call.args);
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    throw new Failed(
      "# Warning: Could not create server TCP listening socket *:6379: bind: Address already in use\n# Failed listening on port 6379 (tcp), aborting.",
    );
  }
  await process.pause(() => undefined);
  for (const thing of open) thing.close();
  return 0;
};

export const redisTools = { "redis-cli": redisCli, "redis-server": redisServer };
