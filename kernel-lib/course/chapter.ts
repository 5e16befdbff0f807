/** Owns a chapter: its Markdown file read as front matter and cells, and the title cell made from the front matter. */
import { type Cell, readCells } from "./cells";
import { type FrontMatter, parseFrontMatter } from "./frontmatter";
import { type Problem, SourceError } from "./problem";

export type { Cell, CodeCell, MarkdownCell } from "./cells";
export type { FrontMatter, Source } from "./frontmatter";

/** One sitting of the course. */
export interface Chapter extends FrontMatter {
  /** Its place in the course. */
  readonly number: number;
  /** The file's name without `.md`: `05-connecting-applications`. */
  readonly name: string;
  /** The file as it is called in messages: `content/05-connecting-applications.md`. */
  readonly file: string;
  readonly cells: readonly Cell[];
}

/** How a chapter's file is called. */
const fileName = /^(\d{2,})-([a-z0-9]+(?:-[a-z0-9]+)*)\.md$/;

/** The number and name in a chapter's file name; nothing if it is not called as a chapter is. */
export function chapterName(baseName: string): { number: number; name: string } | undefined {
  const match = fileName.exec(baseName);
  return match?.[1] === undefined ? undefined : { number: Number(match[1]), name: baseName.slice(0, -".md".length) };
}

/**
 * Reads a chapter.
 * @param file the path to name in messages; its last part says number and name
 * @throws SourceError with every mistake of the file, each with its line
 */
export function parseChapter(file: string, text: string): Chapter {
  const problems: Problem[] = [];
  const called = chapterName(file.slice(file.lastIndexOf("/") + 1));
  if (called === undefined) {
    const message = "a chapter's file is called NN-name.md: a number of two digits, then lower-case words joined by -";
    problems.push({ file, line: 1, message });
  }
  const lines = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const front = parseFrontMatter(file, lines);
  const body = readCells(file, lines, front.bodyLine, "chapter");
  problems.push(...front.problems);
  // Without an end of the front matter the rest is no Markdown worth judging.
  if (front.bodyLine > 0) problems.push(...body.problems);
  if (body.cells.length === 0 && problems.length === 0) {
    problems.push({ file, line: front.bodyLine + 1, message: "the chapter has no text" });
  }
  if (problems.length > 0 || called === undefined || front.frontMatter === undefined) {
    throw new SourceError(problems.sort((left, right) => left.line - right.line));
  }
  const title: Cell = { kind: "markdown", source: titleText(called.number, front.frontMatter), line: 1 };
  return { ...called, file, ...front.frontMatter, cells: [title, ...body.cells] };
}

/** The head of the notebook: what it is called, how long it takes, what it is for, and what it follows. */
function titleText(number: number, { title, minutes, goals, sources }: FrontMatter): string {
  const paragraphs = [
    `# ${title}`,
    `*Chapter ${number} · about ${minutes} minutes*`,
    "**At the end you can**",
    goals.map((goal) => `- ${goal.replace(/\s*\n\s*/g, " ")}`).join("\n"),
  ];
  const links = sources.map((source) => `[${source.title.replace(/[[\]\\]/g, "\\$&")}](<${source.url}>)`);
  if (links.length > 0) paragraphs.push(`Follows ${links.join(", ")}.`);
  return paragraphs.join("\n\n");
}
