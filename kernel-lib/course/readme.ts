/** Owns README's code: its `ts` fences, run in order as one notebook, and the `text output` fences beside them. */
import { readCells } from "./cells";
import type { Chapter } from "./chapter";
import { SourceError } from "./problem";

/**
 * README read as if it were a chapter; its outputs are in its own `text output` fences, not in a notebook.
 * @param file the path to name in messages
 * @throws SourceError with every mistake
 */
export function readmeChapter(text: string, file = "README.md"): Chapter {
  const { cells, problems } = readCells(file, text.replace(/\r\n?/g, "\n"), 0, "readme");
  if (problems.length > 0) throw new SourceError(problems);
  const name = file.slice(file.lastIndexOf("/") + 1).replace(/\.md$/, "");
  return { number: 0, name, file, title: name, minutes: 1, goals: [], sources: [], cells };
}
