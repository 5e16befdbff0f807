/** Owns `kubebook run`: notebooks made anew, with what their cells show. */
import type { Command } from "commander";
import { addRunFlags, chosenChapters, count, type RunFlags, runJobs, settle } from "./chapters";
import { findRoot } from "./root";

/** Adds the verb. */
export function register(program: Command): void {
  const command = program
    .command("run")
    .description("build and run the notebooks, and write what their cells show; what fails is not written")
    .argument("[chapter...]", "number, name or file; all if none is given");
  addRunFlags(command).action(async (words: readonly string[], flags: RunFlags) => {
    const root = findRoot();
    const chapters = await chosenChapters(root, words);
    const { runChapter } = await import("../course/check.js");
    const jobs = chapters.map((files) => ({
      name: files.name,
      run: (options: Parameters<typeof runChapter>[2]) => runChapter(root, files, options),
    }));
    const outcomes = await runJobs(root, jobs, flags);
    settle(outcomes, `${count(outcomes.length, "notebook")} written`);
  });
}
