/** Owns the kernel's sockets, in a thread of their own: it answers while a cell computes, and can stop it. */
import { readFileSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { dirname, join } from "node:path";
import { parentPort, Worker, workerData } from "node:worker_threads";
import { Reply, Router, XPublisher } from "zeromq";
import type { ConnectionInfo } from "../protocol";
import { address, frame, newHeader, type Received, unframe } from "../wire";
import { History } from "./history";
import { kernelInfo } from "./info";
import { Interrupter } from "./interrupter";
import type { Event, Job, SocketsStart } from "./jobs";
import { kernelLib } from "./packages";
import { Requests, type Wire } from "./requests";

type Sending = XPublisher | Router;

async function run(start: SocketsStart): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error("the sockets' thread has no parent");
  const connection = readConnection(start.connectionFile);
  const sockets = {
    shell: new Router({ linger: 1_000, sendHighWaterMark: 0 }),
    control: new Router({ linger: 1_000, sendHighWaterMark: 0 }),
    stdin: new Router({ linger: 0 }),
    iopub: new XPublisher({ linger: 1_000, sendHighWaterMark: 0, verbosity: "allSubs" }),
    hb: new Reply({ linger: 0 }),
  };
  for (const channel of ["shell", "control", "stdin", "iopub", "hb"] as const) {
    await sockets[channel].bind(address(connection, channel));
  }
  const session = newHeader("", "").msg_id;
  const outbox = new Outbox();
  const work = (job: Job) => port.postMessage(job);
  const interrupter = new Interrupter(work);
  let arrivals = 0;
  const wire: Wire = {
    publish: (type, content, parent) => {
      const header = newHeader(type, session);
      const text = typeof content === "string" ? content : JSON.stringify(content);
      const parts = { header: JSON.stringify(header), parent: JSON.stringify(parent), metadata: "{}", content: text };
      // The first frame of a published message is its topic.
      outbox.send(sockets.iopub, frame(parts, connection.key, [Buffer.from(`kernel.${session}.${type}`)]));
    },
    reply: (channel, to, type, content) => {
      const parts = {
        header: JSON.stringify(newHeader(type, session)),
        parent: JSON.stringify(to.message.header),
        metadata: "{}",
        content: JSON.stringify(content),
      };
      outbox.send(sockets[channel as "shell" | "control"], frame(parts, connection.key, to.identities));
    },
    drained: async () => {
      for (let before = -1; before !== arrivals; ) {
        before = arrivals;
        for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      }
    },
  };
  const close = () => {
    interrupter.close();
    for (const socket of Object.values(sockets)) socket.close();
    Atomics.store(start.closed, 0, 1);
    Atomics.notify(start.closed, 0);
  };
  const end = () => {
    close();
    work({ kind: "shutdown", id: 0 });
    // A cell that computes does not hear that.
    setTimeout(() => process.kill(process.pid, "SIGKILL"), 500);
  };
  const info = kernelInfo(version());
  const requests = new Requests({
    info,
    history: new History(),
    wire,
    work,
    interrupt: (id) => interrupter.interrupt(id),
    end: () => void outbox.empty().then(end),
  });
  port.on("message", (event: Event) => {
    if (event.kind === "ready" && process.platform !== "win32") {
      new Worker(join(__dirname, "signals.js")).on("message", () => requests.interrupt());
    }
    if (event.kind === "interrupted") interrupter.heard(event.id);
    requests.event(event);
    if (event.kind === "leaving") void outbox.empty().then(close);
  });
  wire.publish("status", { execution_state: "starting" }, {});
  for (const channel of ["shell", "control"] as const) {
    void listen(sockets[channel], connection.key, (received) => {
      arrivals += 1;
      requests.receive(channel, received);
    });
  }
  void echo(sockets.hb);
  void welcome(sockets.iopub, (topic) => {
    const header = JSON.stringify(newHeader("iopub_welcome", session));
    const content = JSON.stringify({ subscription: topic });
    const parts = { header, parent: "{}", metadata: "{}", content };
    outbox.send(sockets.iopub, frame(parts, connection.key, [Buffer.from(topic)]));
  });
  endWithParent(start, end);
}

/** Sends in order: a ZeroMQ socket takes one send at a time. */
class Outbox {
  readonly #last = new Map<Sending, Promise<void>>();

  send(socket: Sending, frames: Buffer[]): void {
    const before = this.#last.get(socket);
    const sent = (before ?? Promise.resolve()).then(() => socket.send(frames)).catch(() => {}); // a client that is gone
    this.#last.set(socket, sent);
  }

  /** Resolves when all that was handed in is with ZeroMQ. */
  async empty(): Promise<void> {
    await Promise.all(this.#last.values());
  }
}

async function listen(socket: Router, key: string, take: (received: Received) => void): Promise<void> {
  for await (const frames of socket) {
    let received: Received;
    try {
      received = unframe(frames, key);
    } catch (error) {
      process.stderr.write(`ignored a message: ${error instanceof Error ? error.message : String(error)}\n`);
      continue;
    }
    take(received);
  }
}

async function echo(heartbeat: Reply): Promise<void> {
  for await (const frames of heartbeat) await heartbeat.send(frames);
}

/** Tells every new subscriber that it hears us from now on (Jupyter enhancement proposal 65). */
async function welcome(iopub: XPublisher, greet: (topic: string) => void): Promise<void> {
  const subscribe = 1; // the first byte; 0 is a subscription that ends
  for await (const [frames] of iopub) if (frames?.[0] === subscribe) greet(frames.subarray(1).toString("utf8"));
}

function readConnection(file: string): ConnectionInfo {
  const connection = JSON.parse(readFileSync(file, "utf8")) as ConnectionInfo;
  if (connection.key !== "" && connection.signature_scheme !== "hmac-sha256") {
    throw new Error(`unsupported signature scheme: ${connection.signature_scheme}`);
  }
  return connection;
}

/** A kernel outlives nobody: it ends when whoever started it is gone. */
function endWithParent(start: SocketsStart, end: () => void): void {
  const orphaned = () => {
    // Who started us with such a pipe gave the connection a folder of its own, and can no longer remove it.
    if (start.stdin === "pipe") rmSync(dirname(start.connectionFile), { recursive: true, force: true });
    end();
  };
  if (start.stdin === "pipe") {
    const stdin = new Socket({ fd: 0, readable: true, writable: false });
    stdin.on("data", () => {}).once("close", orphaned);
    stdin.on("error", () => {}); // close follows
  }
  const parent = Number(start.parent);
  if (!Number.isInteger(parent) || parent <= 1) return;
  const direct = process.ppid === parent;
  setInterval(() => {
    if (direct ? process.ppid !== parent : !alive(parent)) orphaned();
  }, 1_000).unref();
}

function alive(process_id: number): boolean {
  try {
    process.kill(process_id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function version(): string {
  const { version } = JSON.parse(readFileSync(join(kernelLib(), "package.json"), "utf8")) as { version: string };
  return version;
}

run(workerData as SocketsStart).catch((error: unknown) => {
  throw error; // becomes the worker's error event, which ends the process with its message
});
