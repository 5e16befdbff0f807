/** Owns a Redis server: its clients, its log, and replicas that follow a leader found by name. */
import { formatIp, parseIp } from "../net/address";
import type { TcpHandlers, TcpSocket } from "../net/socket";
import { second } from "../sim/clock";
import type { App, Program } from "./app";
import { execute, type RedisData, writes } from "./rediscommands";
import { lookupHost } from "./resolver";
import { formatCommand, formatReply, type Reply, RespReader } from "./resp";

const defaultPort = 6379;
/** How long a replica waits until it tries its leader again (replicationCron runs once a second). */
const retry = second;

const reasons = {
  refused: "Connection refused",
  reset: "Connection reset by peer",
  unreachable: "No route to host",
  timeout: "Connection timed out",
} as const;

/** What a server needs of the world: a program of an image has it, and so has one at a prompt. */
export type RedisHost = Pick<Program, "netns" | "random" | "files" | "clock" | "own" | "disown" | "write">;

interface Leader {
  readonly host: string;
  readonly port: number;
}

/** `redis-server [--port N] [--replicaof HOST PORT]` (`--slaveof` is its older name). */
export function redis(version: string): App {
  return (program) => {
    serveRedis(program, version, program.argv.slice(1));
    program.onSignal("SIGTERM", () => {
      program.write("1:signal-handler Received SIGTERM scheduling shutdown...\n");
      program.exit(0);
    });
  };
}

/** Starts a server; it ends with its host. @throws SocketError the port is taken */
export function serveRedis(host: RedisHost, version: string, args: readonly string[]): void {
  new RedisServer(host, version, args).start();
}

class RedisServer {
  readonly #host: RedisHost;
  readonly #version: string;
  readonly #data: RedisData = new Map();
  readonly #replicas = new Set<TcpSocket>();
  readonly #port: number;
  #leader: Leader | undefined;
  #link: "none" | "connect" | "connecting" | "sync" | "connected" = "none";
  /** What ends the present step towards the leader: the search for its address, the connection, the wait. */
  #giveUp = (): void => {};

  constructor(host: RedisHost, version: string, args: readonly string[]) {
    this.#host = host;
    this.#version = version;
    const at = args.findIndex((word) => word === "--replicaof" || word === "--slaveof");
    const [name, port] = args.slice(at + 1);
    if (at >= 0 && name !== undefined) this.#leader = { host: name, port: Number(port ?? defaultPort) };
    this.#port = args.includes("--port") ? Number(args[args.indexOf("--port") + 1]) : defaultPort;
  }

  start(): void {
    this.#log(`# Redis version=${this.#version}, bits=64, just started`);
    const listener = this.#host.netns.sockets.listenTcp({ port: this.#port, owner: "redis-server" }, (socket) =>
      this.#client(socket),
    );
    this.#host.own(listener);
    this.#host.own({ close: () => this.#giveUp() });
    this.#log(`* Running mode=standalone, port=${this.#port}.`);
    this.#log("* Ready to accept connections");
    if (this.#leader) this.#connect();
  }

  #log(text: string): void {
    this.#host.write(`1:${this.#leader ? "S" : "M"} ${text}\n`);
  }

  // ── Clients ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #client(socket: TcpSocket): TcpHandlers {
    const reader = new RespReader();
    const owned = this.#host.own({ close: () => socket.abort() });
    const gone = (): void => {
      this.#host.disown(owned);
      this.#replicas.delete(socket);
    };
    return {
      data: (_socket, text) => {
        reader.feed(text);
        for (let words = reader.nextCommand(); words !== undefined; words = reader.nextCommand()) {
          if (words === "bad") {
            socket.write(formatReply({ error: "ERR Protocol error" }));
            socket.end();
            return;
          }
          if (words.length === 0) continue;
          if (words[0]?.toLowerCase() === "quit") {
            socket.write(formatReply({ status: "OK" }));
            socket.end();
            return;
          }
          socket.write(this.#answer(words, socket));
        }
      },
      closed: gone,
      failed: gone,
    };
  }

  #answer(words: readonly string[], socket: TcpSocket): string {
    const [name = "", ...args] = words;
    switch (name.toLowerCase()) {
      case "info":
        return formatReply({ bulk: this.#info() });
      case "role":
        return formatReply(this.#role());
      case "replconf":
        return formatReply({ status: "OK" });
      case "psync":
        return this.#sync(socket);
      case "replicaof":
      case "slaveof":
        this.#follow(args);
        return formatReply({ status: "OK" });
      default: {
        if (this.#leader && writes(words)) {
          return formatReply({ error: "READONLY You can't write against a read only replica." });
        }
        const reply = execute(this.#data, words);
        if (writes(words) && !("error" in reply))
          for (const replica of this.#replicas) replica.write(formatCommand(words));
        return formatReply(reply);
      }
    }
  }

  #info(): string {
    const role = this.#leader
      ? [
          "role:slave",
          `master_host:${this.#leader.host}`,
          `master_port:${this.#leader.port}`,
          `master_link_status:${this.#link === "connected" ? "up" : "down"}`,
        ]
      : ["role:master", `connected_slaves:${this.#replicas.size}`];
    const keys = this.#data.size > 0 ? [`db0:keys=${this.#data.size},expires=0,avg_ttl=0`] : [];
    return [
      "# Server",
      `redis_version:${this.#version}`,
      "",
      "# Replication",
      ...role,
      "",
      "# Keyspace",
      ...keys,
      "",
    ].join("\r\n");
  }

  #role(): Reply {
    if (!this.#leader) {
      const replicas = [...this.#replicas].map(({ remote }): Reply => {
        return { array: [{ bulk: formatIp(remote.ip) }, { bulk: String(remote.port) }] };
      });
      return { array: [{ bulk: "master" }, { integer: 0 }, { array: replicas }] };
    }
    const { host, port } = this.#leader;
    return { array: [{ bulk: "slave" }, { bulk: host }, { integer: port }, { bulk: this.#link }, { integer: 0 }] };
  }

  // ── Replication ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** A replica gets everything at once, then every write. What Redis sends as an RDB file is JSON here. */
  #sync(socket: TcpSocket): string {
    this.#log(`* Replica ${formatIp(socket.remote.ip)}:${defaultPort} asks for synchronization`);
    this.#replicas.add(socket);
    const snapshot = JSON.stringify([...this.#data]);
    return (
      formatReply({ status: "FULLRESYNC 0000000000000000000000000000000000000000 0" }) + formatReply({ bulk: snapshot })
    );
  }

  #follow([host = "", port = ""]: readonly string[]): void {
    this.#giveUp();
    const none = host.toLowerCase() === "no" && port.toLowerCase() === "one";
    this.#leader = none ? undefined : { host, port: Number(port) };
    this.#link = "none";
    if (!none) this.#connect();
  }

  #connect(): void {
    const leader = this.#leader;
    if (!leader) return;
    this.#link = "connecting";
    this.#log(`* Connecting to MASTER ${leader.host}:${leader.port}`);
    const { netns, random, files } = this.#host;
    const looking = lookupHost({ netns, random, files, owner: "redis-server" }, leader.host, (found) => {
      if (this.#leader !== leader) return;
      if ("problem" in found) {
        this.#log(`# Unable to connect to MASTER: ${found.problem}`);
        this.#retry(leader);
        return;
      }
      this.#log("* MASTER <-> REPLICA sync started");
      const socket = netns.sockets.connectTcp(
        { ip: parseIp(found.ip), port: leader.port, owner: "redis-server", timeout: 60 * second },
        this.#fromLeader(leader),
      );
      this.#giveUp = () => socket.abort();
    });
    this.#giveUp = () => looking.cancel();
  }

  #fromLeader(leader: Leader): TcpHandlers {
    const reader = new RespReader();
    const lost = (why: string): void => {
      if (this.#leader !== leader) return;
      this.#log(why);
      this.#retry(leader);
    };
    return {
      connected: (socket) => {
        socket.write(
          formatCommand(["REPLCONF", "listening-port", String(this.#port)]) + formatCommand(["PSYNC", "?", "-1"]),
        );
      },
      data: (_socket, text) => {
        reader.feed(text);
        for (let reply = reader.nextReply(); reply !== undefined && reply !== "bad"; reply = reader.nextReply()) {
          this.#take(reply);
        }
      },
      closed: () => lost("# Connection with master lost."),
      failed: (_socket, { outcome }) => {
        if (this.#link === "connected") lost("# Connection with master lost.");
        else lost(`# Error condition on socket for SYNC: ${reasons[outcome]}`);
      },
    };
  }

  #take(reply: Reply): void {
    if ("status" in reply && reply.status.startsWith("FULLRESYNC")) this.#link = "sync";
    else if ("bulk" in reply && this.#link === "sync") {
      this.#data.clear();
      for (const [key, value] of JSON.parse(reply.bulk ?? "[]") as [string, string][]) this.#data.set(key, value);
      this.#link = "connected";
      this.#log("* MASTER <-> REPLICA sync: Finished with success");
    } else if ("array" in reply) {
      const words = reply.array.map((word) => ("bulk" in word ? (word.bulk ?? "") : ""));
      execute(this.#data, words);
    }
  }

  #retry(leader: Leader): void {
    this.#link = "connect";
    const timer = this.#host.clock.after(
      retry,
      () => {
        if (this.#leader === leader) this.#connect();
      },
      "background",
    );
    this.#giveUp = () => timer.cancel();
  }
}
