/** Owns talking to a kernel as its client: cells in, messages and replies out (for `run` and `check`). */
import { KernelProcess } from "./kernelprocess";
import type { KernelOptions } from "./kernelspawn";
import type { Message } from "./protocol";
import { newMessage } from "./wire";

export { type ExitHandler, KernelProcess, type KernelState, type MessageHandler } from "./kernelprocess";
export { type KernelOptions, kernelCommand, kernelEntry } from "./kernelspawn";

/** What a kernel says at the end of an execution (Jupyter messaging, "Execution results"). */
export interface Reply {
  readonly status: "ok" | "error" | "aborted";
  readonly execution_count?: number;
  readonly ename?: string;
  readonly evalue?: string;
  readonly traceback?: readonly string[];
}

/** The fields of an execute request that a caller may choose; each is the protocol's own. */
export interface ExecuteOptions {
  /** After an error, abort what is queued behind this request. Default true. */
  readonly stopOnError?: boolean;
  /** Count this execution, and keep it in the history. Default true. */
  readonly storeHistory?: boolean;
  /** Publish no result and do not count. Default false. */
  readonly silent?: boolean;
}

/** A running kernel. */
export interface Kernel {
  /**
   * Runs code. `onMessage` gets every iopub message that this execution caused, also those that come late (a timer that
   * prints when the cell is long done). Resolves when both the reply and `idle` have come; rejects when the kernel dies.
   */
  execute(code: string, onMessage: (message: Message) => void, options?: ExecuteOptions): Promise<Reply>;
  /** Stops what runs now; its execution then ends with an error. */
  interrupt(): Promise<void>;
  /** Ends the kernel, and removes what it left. */
  stop(): Promise<void>;
}

interface Execution {
  readonly onMessage: (message: Message) => void;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
  reply?: Reply;
  idle: boolean;
  done: boolean;
}

/** Starts a kernel, ours unless `command` says otherwise, and waits until it answers. */
export async function startKernel(options: KernelOptions): Promise<Kernel> {
  const process = await KernelProcess.start(options);
  try {
    await process.ready;
  } catch (error) {
    await process.stop();
    throw error;
  }
  const executions = new Map<string, Execution>();
  process.onMessage((channel, message) => {
    const execution = executions.get(message.parent_header.msg_id ?? "");
    if (!execution) return;
    if (channel === "iopub") {
      execution.onMessage(message);
      if (message.header.msg_type === "status" && message.content.execution_state === "idle") execution.idle = true;
    } else if (channel === "shell" && message.header.msg_type === "execute_reply") {
      execution.reply = message.content as unknown as Reply;
    }
    settle(execution);
  });
  process.onExit((code, signal) => {
    for (const execution of executions.values()) {
      if (!execution.done) execution.reject(new Error(`the kernel died (${signal ?? `exit code ${code}`})`));
    }
  });
  return {
    execute: (code, onMessage, chosen = {}) =>
      new Promise<Reply>((resolve, reject) => {
        const request = executeRequest(code, chosen);
        executions.set(request.header.msg_id, { onMessage, resolve, reject, idle: false, done: false });
        if (process.state === "dead") reject(new Error("the kernel is dead"));
        else process.send("shell", request);
      }),
    interrupt: () => process.interrupt(),
    stop: () => process.stop(),
  };
}

function settle(execution: Execution): void {
  if (execution.done || !execution.idle || !execution.reply) return;
  execution.done = true;
  execution.resolve(execution.reply);
}

function executeRequest(code: string, options: ExecuteOptions): Message {
  const content = {
    code,
    silent: options.silent ?? false,
    store_history: options.storeHistory ?? true,
    user_expressions: {},
    allow_stdin: false,
    stop_on_error: options.stopOnError ?? true,
  };
  return newMessage("execute_request", content, "kubebook");
}
