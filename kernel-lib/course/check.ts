/** Owns running and checking chapters: what the notebook must show, held against what a fresh kernel shows. */
import { readFile, rm } from "node:fs/promises";
import type { Chapter } from "./chapter";
import { compareCells, compareOutputs, type Failure, type Sides } from "./compare";
import { type ExecuteNotebookOptions, type Execution, executeNotebook } from "./execute";
import { printFailures, runFailures } from "./failures";
import { type ChapterFiles, readChapter, readIfThere, shortPath, writeIfChanged } from "./files";
import type { Kernel } from "./kernel";
import { lintOutputs } from "./lint";
import { formatNotebook, type Notebook, parseNotebook } from "./nbformat";
import { buildNotebook } from "./notebook";
import { SourceError } from "./problem";
import { readmeChapter } from "./readme";
import { failureReport } from "./report";

/** How to run: in which kernel, and who is told. */
export interface RunOptions extends ExecuteNotebookOptions {
  /** Starts the kernel that one notebook runs in. */
  readonly startKernel: () => Promise<Kernel>;
}

/** What came of a chapter. */
export interface Outcome {
  readonly name: string;
  readonly failures: readonly Failure[];
  /** The failures as text for people; empty if there are none. */
  readonly report: string;
  /** Code cells that ran. */
  readonly cells: number;
}

/**
 * Checks a chapter: its notebook is the one that the chapter gives, every cell runs as its tags say, and shows what the
 * notebook shows. Where outputs differ, they are left in `*.changed.ipynb`.
 */
export function checkChapter(root: string, files: ChapterFiles, options: RunOptions): Promise<Outcome> {
  return outcomeOf(files.name, options, async (kernel) => {
    const { chapter, built, failures } = await readBoth(root, files);
    if (built === undefined || failures.length > 0) return { chapter, notebook: built, failures };
    const execution = await executeNotebook(built, await kernel(), options);
    const found = executionFailures(built, execution, { old: shortPath(root, files.notebook), new: "this run" });
    if (found.length === 0) await rm(files.changed, { force: true });
    return { chapter, notebook: built, execution, failures: await leaveChanged(root, files, execution, found) };
  });
}

/** Runs a chapter's notebook and writes what it shows. What fails changes nothing: it is left in `*.changed.ipynb`. */
export function runChapter(root: string, files: ChapterFiles, options: RunOptions): Promise<Outcome> {
  return outcomeOf(files.name, options, async (kernel) => {
    const chapter = await readChapter(root, files);
    const notebook = buildNotebook(chapter);
    const execution = await executeNotebook(notebook, await kernel(), options);
    const found = [...runFailures(execution), ...lintOutputs(execution.notebook)];
    if (found.length === 0) {
      await writeIfChanged(files.notebook, formatNotebook(execution.notebook));
      await rm(files.changed, { force: true });
    }
    return { chapter, notebook, execution, failures: await leaveChanged(root, files, execution, found) };
  });
}

/** Checks README: its `ts` fences run in order without failing, and print what the `text output` fences below say. */
export function checkReadme(path: string, name: string, options: RunOptions): Promise<Outcome> {
  return outcomeOf(name, options, async (kernel) => {
    const chapter = readmeChapter(await readFile(path, "utf8"), name);
    const notebook = buildNotebook(chapter);
    const execution = await executeNotebook(notebook, await kernel(), options);
    const failures = [...runFailures(execution), ...printFailures(chapter, execution.notebook)];
    return { chapter, notebook, execution, failures };
  });
}

/** What a run of one text came to, before it is put into words. */
interface Finding {
  readonly chapter?: Chapter | undefined;
  readonly notebook?: Notebook | undefined;
  readonly execution?: Execution;
  readonly failures: readonly Failure[];
}

/**
 * Starts a kernel at once, so that it is up when the files are read, and stops it in any case. A text that cannot be
 * read, or a kernel that does not start, is a failure like others.
 */
async function outcomeOf(
  name: string,
  { startKernel }: RunOptions,
  work: (kernel: () => Promise<Kernel>) => Promise<Finding>,
): Promise<Outcome> {
  const starting = startKernel().then(
    (kernel) => ({ kernel }),
    (error: unknown) => ({ error }),
  );
  const kernel = async (): Promise<Kernel> => {
    const started = await starting;
    if ("kernel" in started) return started.kernel;
    throw new KernelStartError(started.error);
  };
  try {
    return inWords(name, await work(kernel));
  } catch (error) {
    if (!(error instanceof SourceError || error instanceof KernelStartError)) throw error;
    return inWords(name, { failures: [{ what: error.message }] });
  } finally {
    const started = await starting;
    if ("kernel" in started) await started.kernel.stop();
  }
}

class KernelStartError extends Error {
  constructor(cause: unknown) {
    super(`the kernel did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "KernelStartError";
  }
}

function inWords(name: string, { chapter, notebook, execution, failures }: Finding): Outcome {
  const cells = execution?.runs.filter(({ state }) => state !== "not run").length ?? 0;
  return {
    name,
    failures,
    cells,
    report: failures.length === 0 ? "" : failureReport(name, chapter, notebook, failures),
  };
}

/** Where something failed, leaves the run beside the notebook, and says so. */
async function leaveChanged(
  root: string,
  files: ChapterFiles,
  execution: Execution,
  failures: readonly Failure[],
): Promise<readonly Failure[]> {
  if (failures.length === 0) return failures;
  await writeIfChanged(files.changed, formatNotebook(execution.notebook));
  return [...failures, { what: `this run is in ${shortPath(root, files.changed)}` }];
}

interface Both {
  readonly chapter?: Chapter;
  /** The notebook of the chapter, with the committed outputs. */
  readonly built?: Notebook;
  readonly failures: readonly Failure[];
}

/**
 * Reads chapter and notebook, and says where the one is not the other's.
 * @throws SourceError where either cannot be read
 */
async function readBoth(root: string, files: ChapterFiles): Promise<Both> {
  const file = shortPath(root, files.notebook);
  const chapter = await readChapter(root, files);
  const text = await readIfThere(files.notebook);
  if (text === undefined) return { chapter, failures: [{ what: `${file} is missing: \`kubebook run\` makes it` }] };
  const committed = parseNotebook(file, text);
  const built = buildNotebook(chapter, committed);
  if (formatNotebook(built) === text) return { chapter, built, failures: [] };
  const failures = compareCells(committed, built, { old: file, new: chapter.file });
  const hint = { what: `${file} is not what \`kubebook build\` makes of ${chapter.file}` };
  return { chapter, built, failures: [...failures, hint] };
}

function executionFailures(golden: Notebook, execution: Execution, sides: Sides): readonly Failure[] {
  const bad = new Map(runFailures(execution).map((failure) => [failure.cell, failure]));
  // What a cell shows that did not run is no news.
  const shown = compareOutputs(golden, execution.notebook, sides).filter(({ cell }) => !bad.has(cell));
  return [...bad.values(), ...shown, ...lintOutputs(execution.notebook)].sort(byCell);
}

function byCell(left: Failure, right: Failure): number {
  return (left.cell ?? Infinity) - (right.cell ?? Infinity);
}
