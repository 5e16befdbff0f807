/** Owns running a notebook: cell after cell through a kernel, and an honest account of what each cell came to. */
import type { Kernel, Reply } from "./kernel";
import { type CodeNotebookCell, type Notebook, tagsOf } from "./nbformat";
import { type CellMessage, foldOutputs } from "./outputs";

/** What became of a code cell. Only `ran` is good: it did what its tags promise. */
export type CellState = "ran" | "failed" | "did not fail" | "aborted" | "timed out" | "kernel died" | "not run";

/** One code cell's account. */
export interface CellRun {
  /** Its place among all cells of the notebook, from 0. */
  readonly index: number;
  readonly state: CellState;
  /** Why it is not good: the error's name and value, or a sentence. */
  readonly reason?: string;
}

/** A notebook as it looks after this run, and the account of each of its code cells. */
export interface Execution {
  readonly notebook: Notebook;
  readonly runs: readonly CellRun[];
}

/** How to run a notebook. */
export interface ExecuteNotebookOptions {
  /** The longest that one cell may take, in milliseconds. Default 60 000. */
  readonly timeout?: number;
  /** Called before a code cell runs; `done` of `total` code cells are behind it. */
  readonly onCell?: (done: number, total: number) => void;
}

/** How long an interrupted cell may take to end, in milliseconds. */
const interruptGrace = 5_000;

/**
 * Runs the code cells of a notebook in order. The first cell that fails without the tag `raises-exception`, is aborted,
 * takes too long or loses its kernel ends the run: the cells after it are `not run`. The kernel stays the caller's to stop.
 */
export async function executeNotebook(
  notebook: Notebook,
  kernel: Kernel,
  { timeout = 60_000, onCell }: ExecuteNotebookOptions = {},
): Promise<Execution> {
  const messages: CellMessage[] = [];
  const runs: CellRun[] = [];
  const counts = new Map<number, number>();
  const code = [...notebook.cells.entries()].filter((entry): entry is [number, CodeNotebookCell] => {
    return entry[1].cell_type === "code";
  });
  let stopped = false;
  for (const [index, cell] of code) {
    if (stopped) {
      runs.push({ index, state: "not run", reason: "a cell above ended the run" });
      continue;
    }
    onCell?.(runs.length, code.length);
    const mustFail = tagsOf(cell).includes("raises-exception");
    const execution = kernel.execute(cell.source, (message) => messages.push({ cell: index, message }), {
      stopOnError: !mustFail,
    });
    const end = await endOf(execution, kernel, timeout);
    if (typeof end.reply?.execution_count === "number") counts.set(index, end.reply.execution_count);
    const run = accountOf(end, mustFail);
    runs.push({ index, ...run });
    stopped = run.state !== "ran" && run.state !== "did not fail";
  }
  const outputs = foldOutputs(messages);
  const cells = notebook.cells.map((cell, index) => {
    if (cell.cell_type !== "code") return cell;
    return { ...cell, outputs: outputs.get(index) ?? [], execution_count: counts.get(index) ?? null };
  });
  return { notebook: { ...notebook, cells }, runs };
}

/** The reply, or the reason why there is none. */
interface End {
  readonly reply?: Reply;
  readonly state?: "timed out" | "kernel died";
  readonly reason?: string;
}

async function endOf(execution: Promise<Reply>, kernel: Kernel, timeout: number): Promise<End> {
  const died = (error: unknown): End => ({
    state: "kernel died",
    reason: error instanceof Error ? error.message : String(error),
  });
  const end = execution.then((reply): End => ({ reply }), died);
  const first = await within(end, timeout);
  if (first !== undefined) return first;
  const reason = `it took longer than ${timeout / 1000} s`;
  await within(
    kernel.interrupt().catch(() => undefined),
    interruptGrace,
  );
  const last = await within(end, interruptGrace);
  if (last !== undefined) return { ...last, state: "timed out", reason };
  return { state: "timed out", reason: `${reason}, and an interrupt did not stop it` };
}

/** What a promise gives within this time (milliseconds), or nothing. */
async function within<T>(promise: Promise<T>, time: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), time);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function accountOf({ reply, state, reason }: End, mustFail: boolean): { state: CellState; reason?: string } {
  if (state !== undefined) return { state, ...(reason === undefined ? {} : { reason }) };
  switch (reply?.status) {
    case "ok":
      if (!mustFail) return { state: "ran" };
      return { state: "did not fail", reason: "it is tagged raises-exception, but nothing was thrown" };
    case "error":
      return mustFail ? { state: "ran" } : { state: "failed", reason: errorText(reply) };
    default:
      return { state: "aborted", reason: "the kernel skipped it" };
  }
}

function errorText({ ename = "Error", evalue = "" }: Reply): string {
  return evalue === "" ? ename : `${ename}: ${evalue}`;
}
