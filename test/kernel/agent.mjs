/** Owns what runs inside the sandbox: commands that come as JSON lines, run there, and their results sent back the same way. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** A command that runs longer is killed: nothing in the sandbox outlives its question. */
const longest = 20_000;

const answer = (id, result) => process.stdout.write(`${JSON.stringify({ id, ...result })}\n`);

/** Runs a command to its end; with `first`, only until it has printed a line. */
function run({ id, argv, input, first }) {
  const [command, ...words] = argv;
  const child = spawn(command, words, { timeout: longest, killSignal: "SIGKILL" });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    child[name].setEncoding("utf8");
    child[name].on("data", (text) => {
      output[name] += text;
      if (first && output.stdout.includes("\n")) child.kill("SIGKILL");
    });
  }
  child.on("error", (error) => answer(id, { status: 127, ...output, stderr: String(error) }));
  child.on("close", (status) => answer(id, { status: status ?? 137, ...output }));
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
}

/** Starts a server, and says so when its port is open: `port` is `tcp 80`, `tcp6 80`, `udp 80` or `udp6 80`. */
function serve({ id, argv, port }) {
  const [command, ...words] = argv;
  const child = spawn(command, words, { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  let ended = false;
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  child.on("error", (error) => {
    stderr += error;
    ended = true;
  });
  child.on("exit", () => {
    ended = true;
  });
  const began = Date.now();
  const look = () => {
    if (listens(child.pid, port)) answer(id, { status: 0, stdout: "", stderr });
    else if (ended || Date.now() - began > longest) answer(id, { status: 1, stdout: "", stderr });
    else setTimeout(look, 5);
  };
  look();
}

/** /proc/PID/net is the process's own namespace: a listening TCP socket is in state 0A, an unconnected UDP one in 07. */
function listens(pid, port) {
  const [table, number] = port.split(" ");
  const wanted = `:${Number(number).toString(16).toUpperCase().padStart(4, "0")} `;
  const state = table.startsWith("tcp") ? "0A" : "07";
  try {
    const lines = readFileSync(`/proc/${pid}/net/${table}`, "utf8").split("\n").slice(1);
    return lines.some((line) => {
      const [, local, , found] = line.trim().split(/\s+/);
      return `${local ?? ""} `.endsWith(wanted) && found === state;
    });
  } catch {
    return false;
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const request = JSON.parse(line);
    if (request.port) serve(request);
    else run(request);
  })
  .on("close", () => process.exit(0));
