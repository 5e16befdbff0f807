/** Owns a kernel without a process: it runs JavaScript cells here, and misbehaves when it is told to. */
import type { Kernel, Reply } from "../../kernel-lib/course/kernel";
import type { Message } from "../../kernel-lib/course/protocol";

/** What a cell of the fake kernel can call. */
export interface CellTools {
  print(text: string): void;
  show(data: Record<string, unknown>): void;
  /** What lasts from cell to cell, and what a test plants there. */
  readonly state: Record<string, unknown>;
  /** A cell that never ends by itself. */
  forever(): Promise<void>;
  /** The process ends in the middle of the cell. */
  die(): Promise<void>;
}

/** How a fake kernel behaves. */
export interface FakeKernelOptions {
  readonly state?: Record<string, unknown>;
  /** Answers every execution after a failed one with `aborted`, as a kernel does with what is queued. */
  readonly abortsAfterError?: boolean;
  /** Answers this execution (from 1) with `aborted`, without a word on why. */
  readonly aborts?: number;
  readonly ignoresInterrupt?: boolean;
}

/** A kernel for tests. */
export class FakeKernel implements Kernel {
  stopped = false;
  private count = 0;
  private failed = false;
  private interrupts: (() => void)[] = [];
  private readonly state: Record<string, unknown>;

  constructor(private readonly options: FakeKernelOptions = {}) {
    this.state = { ...options.state };
  }

  async execute(code: string, onMessage: (message: Message) => void): Promise<Reply> {
    if (this.stopped) throw new Error("the kernel is dead");
    this.count++;
    if ((this.failed && this.options.abortsAfterError) || this.options.aborts === this.count)
      return { status: "aborted" };
    const send = (type: string, content: Record<string, unknown>) => onMessage(message(type, content));
    const tools: CellTools = {
      print: (text) => send("stream", { name: "stdout", text: `${text}\n` }),
      show: (data) => send("display_data", { data, metadata: {}, transient: {} }),
      state: this.state,
      forever: () => new Promise((_, reject) => this.interrupts.push(() => reject(new Error("interrupted")))),
      die: () => {
        this.stopped = true;
        return Promise.resolve();
      },
    };
    try {
      await new Function("tools", `with (tools) { return (async () => { ${code}\n })(); }`)(tools);
      if (this.stopped) throw new Error("stopped");
      return { status: "ok", execution_count: this.count };
    } catch (error) {
      if (this.stopped) throw new Error("the kernel died (SIGKILL)");
      this.failed = true;
      const { name: ename, message: evalue } = error as Error;
      const traceback = [`${ename}: ${evalue}`];
      send("error", { ename, evalue, traceback });
      return { status: "error", ename, evalue, traceback, execution_count: this.count };
    }
  }

  async interrupt(): Promise<void> {
    if (!this.options.ignoresInterrupt) for (const interrupt of this.interrupts) interrupt();
  }

  async stop(): Promise<void> {
    this.stopped = true;
  }
}

function message(type: string, content: Record<string, unknown>): Message {
  const header = { msg_id: "1", session: "1", username: "", date: "", msg_type: type, version: "5.4" };
  return { header, parent_header: {}, metadata: {}, content };
}
