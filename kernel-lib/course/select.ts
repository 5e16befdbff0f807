/** Owns how a chapter is named on the command line: by number, by name, or by file. */
import type { ChapterFiles } from "./files";
import { nearest } from "./suggest";

/**
 * The chapters that these words name, in the course's order; all of them if there are no words.
 * @throws Error that lists the chapters, where a word names none
 */
export function selectChapters(chapters: readonly ChapterFiles[], words: readonly string[]): readonly ChapterFiles[] {
  if (words.length === 0) return chapters;
  const chosen = words.map((word) => {
    const chapter = chapters.find((one) => namesOf(one).includes(bare(word)));
    if (chapter !== undefined) return chapter;
    const meant = nearest(bare(word), chapters.flatMap(namesOf));
    const list = chapters.map(({ name }) => `  ${name}`).join("\n");
    throw new Error(
      `no chapter ${word}${meant ? `; did you mean ${meant}?` : ""}\nThe chapters are:\n${list || "  (none)"}`,
    );
  });
  return chapters.filter((chapter) => chosen.includes(chapter));
}

/** What a chapter may be called: `5`, `05`, `05-name`, `name`. */
function namesOf({ number, name }: ChapterFiles): readonly string[] {
  const dash = name.indexOf("-");
  return [String(number), name.slice(0, dash), name, name.slice(dash + 1)];
}

/** A word without folder and ending: `content/05-name.md` and `notebooks/05-name.ipynb` mean `05-name`. */
function bare(word: string): string {
  return word.replace(/^.*[\\/]/, "").replace(/\.(md|changed\.ipynb|ipynb)$/, "");
}
