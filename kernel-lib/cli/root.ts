/** Owns where the checkout is: the folder that holds the chapters and the library. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { CliError } from "./error";

/** The nearest folder at or above this file that holds `content/` and `kernel-lib/`. */
export function findRoot(): string {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "content")) && existsSync(join(folder, "kernel-lib"))) return folder;
    if (dirname(folder) === folder)
      throw new CliError("the course's own folder (with content/ and kernel-lib/) was not found");
  }
}
