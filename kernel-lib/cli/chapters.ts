/** Owns what the verbs on chapters share: choosing them, running several at a time, and how what came of them is told. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Outcome, RunOptions } from "../course/check";
import type { ChapterFiles } from "../course/files";
import type { Kernel } from "../course/kernel";
import { CliError } from "./error";
import { Progress } from "./progress";

/** The options of the verbs that run cells. */
export interface RunFlags {
  readonly jobs: number;
  readonly timeout: number;
}

/** One text to run, and how. */
export interface Job {
  readonly name: string;
  run(options: RunOptions): Promise<Outcome>;
}

/** Gives a verb the options of running cells. */
export function addRunFlags(command: Command): Command {
  return command
    .option("-j, --jobs <number>", "how many notebooks run at a time", positive, availableParallelism())
    .option("--timeout <seconds>", "the longest that one cell may take", positive, 60);
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new CliError(`a positive number is needed, not ${text}`, 2);
}

/** The chapters that the words name. @throws CliError in which the mistakes of names and words are told */
export async function chosenChapters(root: string, words: readonly string[]): Promise<readonly ChapterFiles[]> {
  const { listChapters } = await import("../course/files.js");
  const { selectChapters } = await import("../course/select.js");
  const chapters = await told(listChapters(root));
  try {
    return selectChapters(chapters, words);
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error), 2);
  }
}

/** The result of work on a learner's or author's text; its mistakes are told without our own call stack. */
export async function told<T>(work: Promise<T>): Promise<T> {
  const { SourceError } = await import("../course/problem.js");
  try {
    return await work;
  } catch (error) {
    throw error instanceof SourceError ? new CliError(error.message) : error;
  }
}

/**
 * Runs jobs, `flags.jobs` at a time, each in a kernel of its own; progress goes to standard error, reports of failures to
 * standard output. Ctrl-C stops the kernels.
 */
export async function runJobs(root: string, jobs: readonly Job[], flags: RunFlags): Promise<readonly Outcome[]> {
  const { mapPool } = await import("../course/pool.js");
  const { startKernel } = await import("../course/kernel.js");
  const progress = new Progress(jobs.length);
  const kernels = new Set<Kernel>();
  const start = async (): Promise<Kernel> => {
    const kernel = await startKernel({ cwd: join(root, "notebooks") });
    kernels.add(kernel);
    return kernel;
  };
  const interrupted = () => {
    progress.clear();
    void Promise.allSettled([...kernels].map((kernel) => kernel.stop())).then(() => process.exit(130));
  };
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    return await mapPool(jobs, flags.jobs, async (job) => {
      const begun = performance.now();
      const outcome = await job.run({
        startKernel: start,
        timeout: flags.timeout * 1000,
        onCell: (done, total) => progress.update(job.name, done, total),
      });
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      const mark = outcome.failures.length === 0 ? "✓" : "✗";
      progress.finish(job.name, `${mark} ${job.name} · ${count(outcome.cells, "cell")} · ${seconds} s`);
      return outcome;
    });
  } finally {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
  }
}

/** Prints what failed. @throws CliError if anything did */
export function settle(outcomes: readonly Outcome[], good: string): void {
  const failed = outcomes.filter(({ failures }) => failures.length > 0);
  for (const { report } of failed) process.stdout.write(`\n${report}\n`);
  if (failed.length > 0) throw new CliError(`\n${failed.length} of ${outcomes.length} failed: ${names(failed)}`);
  process.stdout.write(`${good}\n`);
}

function names(outcomes: readonly Outcome[]): string {
  return outcomes.map(({ name }) => name).join(", ");
}

/** `1 cell`, `3 cells`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
