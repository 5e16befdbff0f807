/** Owns the course's files: which chapters and notebooks there are, and reading and writing them whole or not at all. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { type Chapter, chapterName, parseChapter } from "./chapter";
import { type Problem, SourceError } from "./problem";

/** One chapter's files. Paths are absolute. */
export interface ChapterFiles {
  readonly number: number;
  /** `05-connecting-applications` */
  readonly name: string;
  readonly markdown: string;
  readonly notebook: string;
  /** What a check leaves where the outputs differ. */
  readonly changed: string;
}

const notebooksFolder = "notebooks";
const contentFolder = "content";

/**
 * The chapters in `content/`, in order.
 * @throws SourceError where two have one number, or a file is not called as a chapter is
 */
export async function listChapters(root: string): Promise<readonly ChapterFiles[]> {
  const folder = join(root, contentFolder);
  const problems: Problem[] = [];
  const chapters: ChapterFiles[] = [];
  for (const file of (await readdir(folder)).sort()) {
    if (!file.endsWith(".md")) continue;
    const called = chapterName(file);
    const other = chapters.find((chapter) => chapter.number === called?.number);
    const path = shortPath(root, join(folder, file));
    if (called === undefined) {
      problems.push({
        file: path,
        line: 1,
        message: "a chapter's file is called NN-name.md (lower-case words joined by -)",
      });
    } else if (other !== undefined) {
      const message = `chapter number ${called.number} is taken: ${shortPath(root, other.markdown)} has it too`;
      problems.push({ file: path, line: 1, message });
    } else chapters.push({ ...called, markdown: join(folder, file), ...notebookPaths(root, called.name) });
  }
  if (problems.length > 0) throw new SourceError(problems);
  return chapters.sort((left, right) => left.number - right.number);
}

/** Where a chapter's notebook is, and what a check leaves beside it. */
export function notebookPaths(root: string, name: string): { notebook: string; changed: string } {
  const folder = join(root, notebooksFolder);
  return { notebook: join(folder, `${name}.ipynb`), changed: join(folder, `${name}.changed.ipynb`) };
}

/** The notebooks that belong to no chapter; absolute paths. */
export async function strayNotebooks(root: string, chapters: readonly ChapterFiles[]): Promise<readonly string[]> {
  const known = new Set(chapters.flatMap(({ notebook, changed }) => [notebook, changed]));
  const files = await readdir(join(root, notebooksFolder)).catch(() => []);
  const paths = files.filter((file) => file.endsWith(".ipynb")).map((file) => join(root, notebooksFolder, file));
  return paths.filter((path) => !known.has(path)).sort();
}

/** Reads a chapter. @throws SourceError with its mistakes */
export async function readChapter(root: string, files: ChapterFiles): Promise<Chapter> {
  return parseChapter(shortPath(root, files.markdown), await readFile(files.markdown, "utf8"));
}

/** A file's text; nothing if there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes a file whole or not at all, and only if its text is another one; whether it was. */
export async function writeIfChanged(path: string, text: string): Promise<boolean> {
  if ((await readIfThere(path)) === text) return false;
  await mkdir(dirname(path), { recursive: true });
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}`);
  try {
    await writeFile(draft, text);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return true;
}

/** A path as messages name it: from the course's folder, with `/`. */
export function shortPath(root: string, path: string): string {
  return relative(root, path).split(sep).join("/");
}
