/**
 * Owns many short conversations from one network namespace: `serve NAME PORT 4|6` says to everybody NAME and whom it saw;
 * `ask SECONDS` reads lines of `ADDRESS PORT` and prints, in their order, what came of each.
 */
import { createConnection, createServer } from "node:net";
import { createInterface } from "node:readline";

const words = {
  ECONNREFUSED: "refused",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
};

/** One connection: what the server said, or why there was none. */
function ask(host, port, patience) {
  return new Promise((resolve) => {
    let said = "";
    const socket = createConnection({ host, port: Number(port) });
    const end = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end("timeout"), patience);
    socket.on("data", (text) => {
      said += text;
    });
    socket.on("error", ({ code }) => {
      clearTimeout(timer);
      end(words[code] ?? code);
    });
    socket.on("end", () => {
      clearTimeout(timer);
      end(said.trim() || "closed");
    });
  });
}

const [what, first, port, version] = process.argv.slice(2);
if (what === "serve") {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.end(`${first} saw ${socket.remoteAddress}\n`);
  });
  server.listen({ port: Number(port), host: version === "4" ? "0.0.0.0" : "::", backlog: 4096 });
} else {
  const lines = [];
  for await (const line of createInterface({ input: process.stdin })) lines.push(line.split(" "));
  const answers = await Promise.all(lines.map(([host, to]) => ask(host, to, Number(first) * 1000)));
  process.stdout.write(answers.map((answer) => `${answer}\n`).join(""));
}
