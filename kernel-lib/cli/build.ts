/** Owns `kubebook build`: notebooks from chapters. */
import type { Command } from "commander";
import { chosenChapters, count } from "./chapters";
import { CliError } from "./error";
import { findRoot } from "./root";

/** Adds the verb. */
export function register(program: Command): void {
  program
    .command("build")
    .description("make the notebooks from the chapters; outputs of cells that did not change are kept")
    .argument("[chapter...]", "number, name or file; all if none is given")
    .action(async (words: readonly string[]) => {
      const { buildChapter } = await import("../course/build.js");
      const { SourceError } = await import("../course/problem.js");
      const root = findRoot();
      const mistakes: string[] = [];
      for (const files of await chosenChapters(root, words)) {
        try {
          const { state, unrun } = await buildChapter(root, files);
          const left = unrun === 0 ? "" : `; ${count(unrun, "cell")} to run (kubebook run ${files.number})`;
          process.stdout.write(`${files.name}: ${state}${left}\n`);
        } catch (error) {
          if (!(error instanceof SourceError)) throw error;
          mistakes.push(error.message);
        }
      }
      if (mistakes.length > 0) throw new CliError(mistakes.join("\n"));
    });
}
