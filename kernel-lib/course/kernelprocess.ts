/** Owns a kernel process over its lives: messages to and from it, interrupt, restart, stop. */
import { randomUUID } from "node:crypto";
import { type KernelOptions, type Life, type MessageChannel, type RequestChannel, spawnKernel } from "./kernelspawn";
import type { Message } from "./protocol";
import { newMessage, unframe } from "./wire";

/** What the kernel does at the moment, as it says itself. */
export type KernelState = "starting" | "idle" | "busy" | "restarting" | "dead";

/** Called for every message from the kernel. */
export type MessageHandler = (channel: MessageChannel, message: Message) => void;

/** Called when the process has ended; `expected` when `stop` or `restart` asked for it. */
export type ExitHandler = (code: number | null, signal: NodeJS.Signals | null, expected: boolean) => void;

/** A kernel process, and what goes to it and comes from it. */
export class KernelProcess {
  /** Resolves when the kernel has answered on shell and iopub; rejects when it dies before, or takes too long. */
  ready: Promise<void> = Promise.resolve();
  readonly #options: KernelOptions;
  readonly #session = randomUUID();
  readonly #messageHandlers = new Set<MessageHandler>();
  readonly #exitHandlers = new Set<ExitHandler>();
  /** The channels that have answered in this life, and what waits for that. */
  #heard = new Set<MessageChannel>();
  #onHeard: () => void = () => {};
  #waiting: (readonly [RequestChannel, Message])[] | undefined;
  #stopping = false;
  #state: KernelState = "starting";
  #life: Life | undefined;

  private constructor(options: KernelOptions) {
    this.#options = options;
  }

  /** Spawns a kernel. Resolves as soon as the process runs; `ready` says when it answers. */
  static async start(options: KernelOptions): Promise<KernelProcess> {
    const kernel = new KernelProcess(options);
    await kernel.#begin();
    return kernel;
  }

  /** What the kernel does at the moment. */
  get state(): KernelState {
    return this.#state;
  }

  /** The process id, while there is a process. */
  get pid(): number | undefined {
    return this.#state === "dead" ? undefined : this.#life?.child.pid;
  }

  /** Sends a message. For a kernel that is not ready yet it waits; to a dead one it is dropped. */
  send(channel: RequestChannel, message: Message): void {
    if (this.#state === "dead") return;
    if (this.#waiting) this.#waiting.push([channel, message]);
    else this.#life?.post(channel, message);
  }

  /** Adds a handler for messages from the kernel; returns how to remove it. */
  onMessage(handler: MessageHandler): () => void {
    this.#messageHandlers.add(handler);
    return () => this.#messageHandlers.delete(handler);
  }

  /** Adds a handler for the end of the process; returns how to remove it. */
  onExit(handler: ExitHandler): () => void {
    this.#exitHandlers.add(handler);
    return () => this.#exitHandlers.delete(handler);
  }

  /** Stops what runs now; the kernel itself goes on. Resolves when the kernel has been told. */
  async interrupt(): Promise<void> {
    if (this.#state === "dead") return;
    const mode = this.#options.interruptMode ?? (this.#options.command ? "signal" : "message");
    if (mode === "signal") this.#life?.child.kill("SIGINT");
    else this.#life?.post("control", newMessage("interrupt_request", {}, this.#session));
  }

  /** Ends the process and starts a fresh one; handlers stay. Also brings back a kernel that died. */
  async restart(): Promise<void> {
    await this.#end(true);
    this.#state = "restarting";
    await this.#begin();
  }

  /** Ends the process: asked first, then killed. */
  async stop(): Promise<void> {
    await this.#end(false);
  }

  async #begin(): Promise<void> {
    this.#waiting = [];
    this.#heard = new Set();
    this.#stopping = false;
    const life = await spawnKernel(this.#options);
    this.#life = life;
    life.child.once("exit", (code, signal) => this.#exited(life, code, signal));
    for (const channel of ["shell", "control", "stdin", "iopub"] as const) void this.#receive(life, channel);
    this.ready = this.#handshake(life);
    this.ready.catch(() => {}); // whoever waits for it hears of it; nobody has to
  }

  async #end(restart: boolean): Promise<void> {
    const life = this.#life;
    if (!life || this.#state === "dead") return;
    this.#stopping = true;
    life.post("control", newMessage("shutdown_request", { restart }, this.#session));
    if (!(await within(life.exited, this.#waiting ? 300 : 3_000))) life.child.kill("SIGTERM");
    if (!(await within(life.exited, 1_000))) life.child.kill("SIGKILL");
    await life.exited;
  }

  #exited(life: Life, code: number | null, signal: NodeJS.Signals | null): void {
    life.close();
    this.#state = "dead";
    for (const handler of [...this.#exitHandlers]) handler(code, signal, this.#stopping);
  }

  async #receive(life: Life, channel: MessageChannel): Promise<void> {
    for await (const frames of life.sockets[channel]) {
      let message: Message;
      try {
        message = unframe(frames, life.connection.key).message;
      } catch {
        continue; // whoever sent this does not know our key
      }
      if (this.#life !== life) continue;
      if (channel === "iopub" && message.header.msg_type === "status") this.#follow(message.content.execution_state);
      if (message.parent_header.session === this.#session || message.header.msg_type === "iopub_welcome") {
        this.#heard.add(channel); // the answer to our own handshake, interrupt or shutdown: nobody else's business
        this.#onHeard();
        continue;
      }
      for (const handler of [...this.#messageHandlers]) handler(channel, message);
    }
  }

  #follow(state: unknown): void {
    if (this.#state !== "dead" && (state === "busy" || state === "idle")) this.#state = state;
  }

  /** Asks for kernel_info until shell and iopub have both answered: a subscription takes effect only after a while. */
  async #handshake(life: Life): Promise<void> {
    const ask = () => life.post("shell", newMessage("kernel_info_request", {}, this.#session));
    const timeout = this.#options.startTimeout ?? 60_000;
    await new Promise<void>((resolve, reject) => {
      const finish = (error?: Error) => {
        clearInterval(nudge);
        clearTimeout(limit);
        this.#onHeard = () => {};
        if (error) reject(error);
        else resolve();
      };
      const nudge = setInterval(() => this.#heard.has("shell") && ask(), 50);
      const limit = setTimeout(() => finish(new Error(`the kernel did not answer within ${timeout} ms`)), timeout);
      this.#onHeard = () => this.#heard.has("shell") && this.#heard.has("iopub") && finish();
      const ended = (code: number | null, signal: NodeJS.Signals | null) => {
        const words = life.lastWords();
        finish(new Error(`the kernel ended at its start (${signal ?? `exit code ${code}`})${words && `:\n${words}`}`));
      };
      life.child.once("exit", ended);
      ask();
    });
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const [channel, message] of waiting) life.post(channel, message);
  }
}

/** True when the promise resolves within so many milliseconds. */
async function within(promise: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const result = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return result;
}
