/** Owns one life of a kernel process: its spawn, connection file and sockets, until it has ended and left nothing. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Dealer, Subscriber } from "zeromq";
import type { Channel, ConnectionInfo, Message } from "./protocol";
import { address, frameMessage } from "./wire";

/** How to start a kernel. */
export interface KernelOptions {
  /** The folder that the kernel's code runs in: the notebook's. */
  readonly cwd: string;
  /** Program and arguments; `{connection_file}` stands for the connection file's path. Default: our kernel. */
  readonly command?: readonly string[];
  /** Environment variables beside this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** How this kernel is interrupted. Default: by message for our kernel, by SIGINT for another. */
  readonly interruptMode?: "message" | "signal";
  /** How long the kernel may take until it answers, in milliseconds. Default 60 000. */
  readonly startTimeout?: number;
}

/** The channels that messages travel on; the heartbeat carries none. */
export type MessageChannel = Exclude<Channel, "hb">;

/** The channels that a client can send on. */
export type RequestChannel = Exclude<MessageChannel, "iopub">;

/** One life of the process, from spawn to exit. */
export interface Life {
  readonly child: ChildProcess;
  readonly connection: ConnectionInfo;
  readonly sockets: Readonly<Record<RequestChannel, Dealer>> & { readonly iopub: Subscriber };
  /** Resolves when the process has ended. */
  readonly exited: Promise<void>;
  /** The end of what it wrote to stderr: a kernel that cannot start says why there. */
  lastWords(): string;
  /** Sends a message, in the order of the calls. */
  post(channel: RequestChannel, message: Message): void;
  /** Closes the sockets and removes the files. */
  close(): void;
}

/**
 * The command of our kernel: this Node, the compiled entry of this install. Interrupting a computing cell tears away
 * calls that Node keeps count of; the flag tells it not to take a wrong count for a reason to abort.
 * @param root kernel-lib's folder; default the one that this file belongs to.
 */
export function kernelCommand(root: string = packageRoot()): readonly string[] {
  return [process.execPath, "--no-force-async-hooks-checks", kernelEntry(root), "{connection_file}"];
}

/** The compiled program of our kernel. */
export function kernelEntry(root: string = packageRoot()): string {
  return join(root, "dist", "course", "kernel", "main.js");
}

/** Spawns a kernel and connects to it. Rejects when the program cannot be run. */
export async function spawnKernel(options: KernelOptions): Promise<Life> {
  const command = options.command ?? kernelCommand();
  if (!existsSync(options.cwd)) throw new Error(`the kernel's folder does not exist: ${options.cwd}`);
  const directory = mkdtempSync(join(tmpdir(), "kubebook-"));
  const connection = await newConnection(directory, options.command === undefined);
  const file = join(directory, "kernel.json");
  writeFileSync(file, JSON.stringify(connection), { mode: 0o600 });
  const [program = process.execPath, ...rest] = command.map((part) => part.replaceAll("{connection_file}", file));
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env, JPY_PARENT_PID: String(process.pid), KUBEBOOK_KERNEL_STDIN: "pipe" },
    stdio: ["pipe", "ignore", "pipe"],
    windowsHide: true,
  });
  const killAtExit = () => {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  };
  process.on("exit", killAtExit);
  const removeFiles = () => {
    process.off("exit", killAtExit);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await new Promise<void>((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  } catch (error) {
    removeFiles();
    throw new Error(`cannot start the kernel: ${error instanceof Error ? error.message : String(error)}`);
  }
  return connect(child, connection, removeFiles);
}

function connect(child: ChildProcess, connection: ConnectionInfo, removeFiles: () => void): Life {
  const common = { linger: 0, reconnectInterval: 20, sendHighWaterMark: 0, receiveHighWaterMark: 0 };
  // One identity for all: a kernel asks for input on stdin by the identity that it knows from shell.
  const routingId = randomUUID();
  const sockets = {
    shell: new Dealer({ ...common, routingId }),
    control: new Dealer({ ...common, routingId }),
    stdin: new Dealer({ ...common, routingId }),
    iopub: new Subscriber({ linger: 0, reconnectInterval: 20, receiveHighWaterMark: 0 }),
  };
  sockets.iopub.subscribe();
  for (const channel of ["shell", "control", "stdin", "iopub"] as const) {
    sockets[channel].connect(address(connection, channel));
  }
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-4_000);
  });
  const sending = new Map<RequestChannel, Promise<void>>(); // a socket takes one send at a time
  const send = async (channel: RequestChannel, message: Message) => {
    await sending.get(channel);
    if (!sockets[channel].closed) await sockets[channel].send(frameMessage(message, connection.key)).catch(() => {});
  };
  return {
    child,
    connection,
    sockets,
    exited: new Promise((resolve) => child.once("exit", () => resolve())),
    lastWords: () => stderr.trim(),
    post: (channel, message) => {
      sending.set(channel, send(channel, message));
    },
    close: () => {
      for (const socket of Object.values(sockets)) socket.close();
      removeFiles();
    },
  };
}

/** ipc where the kernel is ours and the platform has it: no ports to race for, and only this user can connect. */
async function newConnection(directory: string, ours: boolean): Promise<ConnectionInfo> {
  const path = join(directory, "k");
  const ipc = ours && process.platform !== "win32" && path.length < 90; // a socket's path has room for about 100 bytes
  const ports = ipc ? [1, 2, 3, 4, 5] : await freePorts(5);
  const [shell_port = 0, iopub_port = 0, stdin_port = 0, control_port = 0, hb_port = 0] = ports;
  return {
    transport: ipc ? "ipc" : "tcp",
    ip: ipc ? path : "127.0.0.1",
    ...{ shell_port, iopub_port, stdin_port, control_port, hb_port },
    key: randomBytes(32).toString("hex"),
    signature_scheme: "hmac-sha256",
    kernel_name: "kubebook",
  };
}

/** Ports that were free a moment ago, as every Jupyter client finds them: the kernel has to bind them itself. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function packageRoot(): string {
  let directory = __dirname;
  while (!existsSync(join(directory, "package.json"))) directory = dirname(directory);
  return directory;
}
