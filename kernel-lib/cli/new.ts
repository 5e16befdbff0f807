/** Owns `kubebook new`: a chapter's file with the next free number. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { chosenChapters } from "./chapters";
import { CliError } from "./error";
import { findRoot } from "./root";

/** Adds the verb. */
export function register(program: Command): void {
  program
    .command("new")
    .description("begin a chapter: content/NN-name.md with the next free number")
    .argument("<name>", 'its title, such as "Finding a Service"')
    .action(async (title: string) => {
      const { chapterTemplate, nextChapterName, slugOf } = await import("../course/template.js");
      const { shortPath } = await import("../course/files.js");
      const root = findRoot();
      const slug = slugOf(title);
      if (slug === "") throw new CliError(`a chapter's name needs a letter or digit (a-z, 0-9), not “${title}”`, 2);
      const chapters = await chosenChapters(root, []);
      const same = chapters.find(({ name }) => name.slice(name.indexOf("-") + 1) === slug);
      if (same !== undefined) throw new CliError(`there is a chapter of this name: ${shortPath(root, same.markdown)}`);
      const name = nextChapterName(slug, chapters);
      const path = join(root, "content", `${name}.md`);
      // wx: a file that has come meanwhile is not overwritten.
      await writeFile(path, chapterTemplate(title), { flag: "wx" });
      process.stdout.write(`${shortPath(root, path)}\n`);
    });
}
