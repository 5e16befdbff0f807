/** Owns the worker processes: each runs one seed after another, and is handed the next one when it is through. */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { runSeed, type Verdict } from "./run";
import type { Choice } from "./situation";

/** One run that is wanted. */
export interface Task extends Choice {
  readonly seed: number;
}

/** What became of it: a verdict, or what was thrown. */
export interface Result {
  readonly task: Task;
  readonly verdict?: Verdict;
  readonly error?: string;
  /** CPU seconds. */
  readonly cpu: number;
}

/** This word says that a process is a worker. */
const word = "--worker";

/** In a worker: runs what it is sent until it is sent no more. False: this process is none. */
export function serveAsWorker(): boolean {
  if (!process.send || process.argv[2] !== word) return false;
  process.on("message", (task: Task) => {
    void perform(task).then((result) => process.send?.(result));
  });
  return true;
}

/** Runs one, here. */
export async function perform(task: Task): Promise<Result> {
  const before = process.cpuUsage();
  const cpu = (): number => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  };
  try {
    const verdict = await runSeed(task.seed, task);
    return { task, verdict, cpu: cpu() };
  } catch (error) {
    return { task, error: error instanceof Error ? (error.stack ?? error.message) : String(error), cpu: cpu() };
  }
}

/**
 * Runs all tasks over as many processes as there are processors.
 * @param script what a worker runs: it must come to `serveAsWorker`
 * @param told each result as it comes, in no order
 */
export async function performAll(
  script: string,
  tasks: readonly Task[],
  told: (result: Result) => void,
): Promise<void> {
  const waiting = [...tasks];
  const count = Math.min(availableParallelism(), tasks.length);
  await Promise.all(Array.from({ length: count }, () => work(script, waiting, told)));
}

function work(script: string, waiting: Task[], told: (result: Result) => void): Promise<void> {
  // Most of what a run makes is thrown away soon.
  const child = fork(script, [word], { execArgv: ["--max-semi-space-size=64"] });
  return new Promise((resolve, reject) => {
    let current: Task | undefined;
    const next = (): void => {
      current = waiting.shift();
      if (current) child.send(current);
      else child.disconnect();
    };
    child.on("message", (result: Result) => {
      told(result);
      next();
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (current) reject(new Error(`the worker with seed ${current.seed} ended (${signal ?? code})`));
      else resolve();
    });
    endsWithParent(child);
    next();
  });
}

/** A worker does not outlive who wanted it. */
function endsWithParent(child: ChildProcess): void {
  const end = (): void => void child.kill();
  process.once("exit", end);
  child.once("exit", () => process.removeListener("exit", end));
}
