/** Owns what the kernel's two threads say to each other: the socket thread asks, the engine's thread answers. */

/** What the socket thread asks the engine's thread to do. `id` is unique in a kernel's life. */
export type Job =
  | {
      readonly kind: "execute";
      readonly id: number;
      /** The execution count: the number that a learner sees beside the cell. */
      readonly label: number;
      readonly code: string;
      readonly silent: boolean;
      readonly userExpressions: Readonly<Record<string, string>>;
    }
  | { readonly kind: "complete"; readonly id: number; readonly code: string; readonly cursor: number }
  | { readonly kind: "inspect"; readonly id: number; readonly code: string; readonly cursor: number }
  | { readonly kind: "isComplete"; readonly id: number; readonly code: string }
  | { readonly kind: "interrupt"; readonly id: number }
  | { readonly kind: "shutdown"; readonly id: number };

/** What the engine's thread tells the socket thread. `cell` is the id of the execution that caused it. */
export type Event =
  | { readonly kind: "ready" }
  | { readonly kind: "leaving" }
  | { readonly kind: "stream"; readonly cell: number; readonly name: StreamName; readonly text: string }
  | { readonly kind: "publish"; readonly cell: number; readonly type: PublishType; readonly json: string }
  | { readonly kind: "answer"; readonly id: number; readonly content: Record<string, unknown> }
  | { readonly kind: "interrupted"; readonly id: number };

/** The two text streams of a cell. */
export type StreamName = "stdout" | "stderr";

/** The iopub messages, beside streams, that running code causes. */
export type PublishType = "display_data" | "update_display_data" | "execute_result" | "clear_output" | "error";

/** How an execution failed (Jupyter messaging, "error"). */
export interface Failure {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

/** What the socket thread is started with. */
export interface SocketsStart {
  readonly connectionFile: string;
  /** The process that started us, as Jupyter tells in JPY_PARENT_PID. */
  readonly parent: string | undefined;
  /** "pipe" when our standard input is a pipe that the parent holds open as long as it lives. */
  readonly stdin: string | undefined;
  /** Becomes 1 when the sockets are closed: a process that ends with open ones is aborted by ZeroMQ. */
  readonly closed: Int32Array;
}

/** Where the engine's thread leaves the function that the interrupter calls in it while a cell holds it. */
export const stopKey = "kubebook.stop";
