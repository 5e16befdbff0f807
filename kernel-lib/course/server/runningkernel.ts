/** Owns one kernel as the server keeps it: its process, what it is doing, its clients, and its restarts after a death. */
import { randomUUID } from "node:crypto";
import type { KernelProcess } from "../kernelprocess";
import type { Channel, Message } from "../protocol";
import { newMessage } from "../wire";
import { Buffers } from "./buffers";

/** What the server needs of a kernel process; tests hand in one that runs nothing. */
export type KernelHandle = Pick<KernelProcess, "ready" | "send" | "onMessage" | "onExit" | "interrupt" | "stop">;
export type LaunchKernel = (options: { readonly cwd: string }) => Promise<KernelHandle>;

/** One WebSocket (or test) that takes part in a kernel's conversation. */
export interface KernelClient {
  /** Whose requests are this client's: the `session` in their headers. */
  readonly sessions: ReadonlySet<string>;
  deliver(channel: Channel, message: Message): void;
}

export type ExecutionState = "starting" | "idle" | "busy" | "restarting" | "dead";

/** How often a kernel may die before it is left dead, and how long it must live for that to be forgotten (Jupyter's own figures). */
const restartLimit = 5;
const stableAfter = 10_000; // milliseconds

/** What a front end asks by itself: it neither makes a kernel busy nor counts as somebody's activity (Jupyter Server's list). */
const untracked = new Set(
  (
    "comm_info_request comm_info_reply kernel_info_request kernel_info_reply shutdown_request shutdown_reply " +
    "interrupt_request interrupt_reply debug_request debug_reply stream display_data update_display_data execute_input " +
    "execute_result error status clear_output debug_event input_request input_reply"
  ).split(" "),
);

/** One run of a kernel's process; a restart begins another. */
interface Life {
  handle: KernelHandle | undefined;
  readonly waiting: (readonly ["shell" | "control" | "stdin", Message])[];
  readonly begun: number;
  over: boolean;
}

export class RunningKernel {
  readonly id = randomUUID();
  state: ExecutionState = "starting";
  lastActivity = new Date();
  /** Why the kernel died last, for the log. */
  reason = "";
  private life: Life;
  private readonly clients = new Set<KernelClient>();
  private readonly buffers = new Buffers();
  private restarts = 0;
  private leaving = false;
  /** The session in the kernel's own headers: what we say in its name must carry it, or JupyterLab drops what came before. */
  private kernelSession: string = randomUUID();
  /** The spawning of the present life's process. */
  private started: Promise<void> = Promise.resolve();
  /** One restart or stop at a time. */
  private turn: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    readonly cwd: string,
    private readonly launch: LaunchKernel,
    private readonly onDead: (kernel: RunningKernel) => void,
    private readonly log: (line: string) => void,
  ) {
    this.life = this.begin();
  }

  get connections(): number {
    return this.clients.size;
  }

  /** Takes a client in, and gives it what its session missed while it was away. */
  join(client: KernelClient, session: string): void {
    for (const [channel, message] of this.buffers.take(session)) client.deliver(channel, message);
    this.clients.add(client);
  }

  /** Lets a client go; what its session would have got is kept for its return. */
  leave(client: KernelClient): void {
    if (!this.clients.delete(client) || this.state === "dead") return;
    const present = (session: string) => [...this.clients].some(({ sessions }) => sessions.has(session));
    for (const session of client.sessions) if (!present(session)) this.buffers.keep(session);
  }

  /** To the kernel; until it is ready messages wait in order. */
  send(channel: "shell" | "control" | "stdin", message: Message): void {
    if (this.life.handle === undefined) this.life.waiting.push([channel, message]);
    else this.life.handle.send(channel, message);
  }

  async interrupt(): Promise<void> {
    await this.life.handle?.interrupt();
  }

  /** A fresh process for the same clients, which are not told: who asks for a restart waits for it. @throws when it does not come up */
  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.end();
      this.buffers.clear();
      this.restarts = 0;
      this.state = "restarting";
      this.life = this.begin();
      await this.untilReady(this.life);
    });
  }

  /** Ends the process for good. */
  stop(): Promise<void> {
    this.leaving = true;
    return this.inTurn(async () => {
      await this.end();
      this.state = "dead";
    });
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  private async end(): Promise<void> {
    const { life } = this;
    life.over = true;
    await this.started.catch(() => {});
    await life.handle?.stop();
  }

  private begin(): Life {
    const life: Life = { handle: undefined, waiting: [], begun: Date.now(), over: false };
    this.started = this.launch({ cwd: this.cwd }).then((handle) => this.attach(life, handle));
    this.started.catch((error: unknown) => this.died(life, error instanceof Error ? error.message : String(error)));
    return life;
  }

  private attach(life: Life, handle: KernelHandle): void {
    life.handle = handle;
    handle.onMessage((channel, message) => {
      if (!life.over) this.receive(channel, message);
    });
    handle.onExit((code, signal, expected) => {
      if (!expected) this.died(life, signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`);
    });
    for (const [channel, message] of life.waiting.splice(0)) handle.send(channel, message);
    handle.ready.then(
      () => {
        if (!life.over && (this.state === "starting" || this.state === "restarting")) this.state = "idle";
      },
      (error: unknown) => this.died(life, error instanceof Error ? error.message : String(error)),
    );
  }

  private async untilReady(life: Life): Promise<void> {
    await this.started;
    await life.handle?.ready;
  }

  private receive(channel: Channel, message: Message): void {
    this.kernelSession = message.header.session;
    if (channel === "iopub") {
      this.follow(message);
      this.toAll(message);
      return;
    }
    const session = message.parent_header.session;
    if (session === undefined) return;
    for (const client of this.clients) if (client.sessions.has(session)) client.deliver(channel, message);
    this.buffers.add(session, channel, message);
    if (message.header.msg_type === "shutdown_reply" && message.content.restart === false) this.leaving = true;
  }

  private toAll(message: Message): void {
    for (const client of this.clients) client.deliver("iopub", message);
    this.buffers.addToAll("iopub", message);
  }

  /** Busy or idle by the requests of people, not by what front ends ask on their own (as Jupyter Server has it). */
  private follow(message: Message): void {
    const cause = message.parent_header.msg_type;
    const tracked = cause !== undefined && !untracked.has(cause);
    if (tracked || !untracked.has(message.header.msg_type) || this.state === "busy") this.lastActivity = new Date();
    const state = message.header.msg_type === "status" ? message.content.execution_state : undefined;
    if (tracked && (state === "busy" || state === "idle")) this.state = state;
  }

  private died(life: Life, reason: string): void {
    if (life.over) return;
    life.over = true;
    this.reason = reason;
    this.log(`kernel ${this.id} died: ${reason}`);
    if (Date.now() - life.begun > stableAfter) this.restarts = 0;
    this.restarts += 1;
    if (this.leaving || this.restarts > restartLimit) {
      this.state = "dead";
      this.say("dead");
      this.onDead(this);
      return;
    }
    this.log(`restarting kernel ${this.id} (${this.restarts}/${restartLimit})`);
    this.state = "restarting";
    this.say("restarting");
    void this.inTurn(async () => {
      // What a process that never became ready left behind goes first.
      await life.handle?.stop();
      if (!this.leaving && this.life === life) this.life = this.begin();
    });
  }

  private say(state: ExecutionState): void {
    this.toAll(newMessage("status", { execution_state: state }, this.kernelSession));
  }
}
