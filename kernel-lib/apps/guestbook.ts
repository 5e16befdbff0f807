/** Owns the guestbook's page: it keeps its messages in Redis, writes to the leader and reads from the followers. */
import { parseIp } from "../net/address";
import { second } from "../sim/clock";
import type { App, Program } from "./app";
import type { HttpResponse } from "./http";
import { serveHttp } from "./httpserver";
import { lookupHost } from "./resolver";
import { formatCommand, type Reply, RespReader } from "./resp";

/** As the sample application names its Services. */
const leader = "redis-leader";
const follower = "redis-follower";
const redisPort = 6379;
/** How long the page waits for its database (default_socket_timeout would be 60 s). */
const patience = 5 * second;

const page = `<!DOCTYPE html>
<html>
<head>
<title>Guestbook</title>
</head>
<body>
<h2>Guestbook</h2>
<form action="guestbook.php">
<input type="hidden" name="cmd" value="set">
<input type="hidden" name="key" value="guestbook">
<input name="value" placeholder="Messages">
<button>Submit</button>
</form>
</body>
</html>
`;

/**
 * `/` is the page; `/guestbook.php?cmd=set&key=K&value=V` keeps a text, `?cmd=get&key=K` gives it. The database is found
 * by DNS, or by environment variables where `GET_HOSTS_FROM` is `env`.
 */
export const guestbook: App = (program) => {
  serveHttp(program, { port: 80, owner: "apache2" }, ({ request }, respond) => {
    const [path = "/", query = ""] = request.target.split("?", 2);
    if (path === "/" || path === "/index.html") return answer(200, "text/html", page);
    if (path !== "/guestbook.php") return answer(404, "text/html", "<h1>Not Found</h1>\n");
    const asked = parameters(query);
    const [key = "", value = ""] = [asked.get("key"), asked.get("value")];
    if (asked.get("cmd") === "set") {
      askRedis(program, leader, ["SET", key, value], (reply) =>
        respond("error" in reply ? failed(reply.error) : json({ message: "Updated" })),
      );
    } else if (asked.get("cmd") === "get") {
      askRedis(program, follower, ["GET", key], (reply) =>
        respond("error" in reply ? failed(reply.error) : json({ data: "bulk" in reply ? (reply.bulk ?? "") : "" })),
      );
    } else return answer(200, "text/html", "PHP Version 7.4\n");
    return undefined;
  });
  program.onSignal("SIGTERM", () => program.exit(0));
  program.onSignal("SIGWINCH", () => program.exit(0));
};

/** One command over a connection of its own; what cannot be had is told as an error. */
function askRedis(program: Program, service: string, words: readonly string[], done: (reply: Reply) => void): void {
  const { netns, random, files, env } = program;
  const variable = `${service.toUpperCase().replace(/-/g, "_")}_SERVICE_HOST`;
  const host = env.get("GET_HOSTS_FROM") === "env" ? (env.get(variable) ?? "localhost") : service;
  lookupHost({ netns, random, files, owner: "apache2" }, host, (found) => {
    if (program.ended) return;
    if ("problem" in found) {
      done({ error: `php_network_getaddresses: getaddrinfo failed: ${found.problem} [tcp://${host}:${redisPort}]` });
      return;
    }
    const reader = new RespReader();
    let over = false;
    const finish = (reply: Reply): void => {
      if (over) return;
      over = true;
      program.disown(owned);
      done(reply);
    };
    const socket = netns.sockets.connectTcp(
      { ip: parseIp(found.ip), port: redisPort, owner: "apache2", timeout: patience },
      {
        connected: (own) => own.write(formatCommand(words)),
        data(own, text) {
          reader.feed(text);
          const reply = reader.nextReply();
          if (reply === undefined) return;
          own.end();
          finish(reply === "bad" ? { error: "Protocol error" } : reply);
        },
        closed: () => finish({ error: `Connection closed by ${host}` }),
        failed: (_own, { outcome }) => {
          const why = outcome === "refused" ? "Connection refused" : "Connection timed out";
          finish({ error: `${why} [tcp://${host}:${redisPort}]` });
        },
      },
    );
    const owned = program.own({ close: () => socket.abort() });
  });
}

function answer(status: number, type: string, body: string): HttpResponse {
  return {
    status,
    headers: [
      ["Server", "Apache/2.4.54 (Debian)"],
      ["X-Powered-By", "PHP/7.4"],
      ["Content-Type", type],
    ],
    body,
  };
}

function json(value: object): HttpResponse {
  return answer(200, "application/json", JSON.stringify(value));
}

function failed(why: string): HttpResponse {
  return answer(500, "text/html", `Fatal error: Uncaught Predis\\Connection\\ConnectionException: ${why}\n`);
}

function parameters(query: string): ReadonlyMap<string, string> {
  return new Map(
    query
      .split("&")
      .filter(Boolean)
      .map((pair) => {
        const [name = "", ...value] = pair.split("=");
        return [decoded(name), decoded(value.join("="))];
      }),
  );
}

function decoded(text: string): string {
  const spaced = text.replace(/\+/g, " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}
