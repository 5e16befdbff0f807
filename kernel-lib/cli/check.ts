/** Owns `kubebook check`: chapters run again, and held against what is committed. */
import { basename, join } from "node:path";
import type { Command } from "commander";
import { addRunFlags, chosenChapters, count, type Job, type RunFlags, runJobs, settle } from "./chapters";
import { CliError } from "./error";
import { findRoot } from "./root";

const readme = "README.md";

/** Adds the verb. */
export function register(program: Command): void {
  const command = program
    .command("check")
    .description("run the notebooks and compare with what is committed; differences are printed, with exit code 1")
    .argument("[chapter...]", `number, name or file, or ${readme}; all of them if none is given`);
  addRunFlags(command).action(async (words: readonly string[], flags: RunFlags) => {
    const root = findRoot();
    const jobs = await checkJobs(root, words);
    const outcomes = await runJobs(root, jobs, flags);
    settle(outcomes, `${count(outcomes.length, "text")} checked: all as committed`);
  });
}

/** What a check of these words runs; without words every chapter and README. */
export async function checkJobs(root: string, words: readonly string[]): Promise<readonly Job[]> {
  const { checkChapter, checkReadme } = await import("../course/check.js");
  const { readIfThere, shortPath, strayNotebooks } = await import("../course/files.js");
  const isReadme = (word: string) => basename(word) === readme;
  const others = words.filter((word) => !isReadme(word));
  const chapters = words.length > 0 && others.length === 0 ? [] : await chosenChapters(root, others);
  if (words.length === 0) {
    const strays = await strayNotebooks(root, chapters);
    const list = strays.map((path) => `${shortPath(root, path)} has no chapter in content/`);
    if (list.length > 0) throw new CliError(list.join("\n"));
  }
  const jobs: Job[] = chapters.map((files) => ({
    name: files.name,
    run: (options) => checkChapter(root, files, options),
  }));
  const path = join(root, readme);
  if (words.some(isReadme) || (words.length === 0 && (await readIfThere(path)) !== undefined)) {
    jobs.push({ name: readme, run: (options) => checkReadme(path, readme, options) });
  }
  return jobs;
}
