/** Owns how Markdown becomes cells: split at headings and at the code fences that run, otherwise passed on unchanged. */
import MarkdownIt = require("markdown-it");

import { type Fence, type FenceOption, parseFence } from "./fence";
import type { Problem } from "./problem";
import { encodeRaw } from "./raw";

/** A piece of the text, as written. */
export interface MarkdownCell {
  readonly kind: "markdown";
  readonly source: string;
  /** The line in the file on which it begins, from 1. */
  readonly line: number;
}

/** A fence that runs. */
export interface CodeCell {
  readonly kind: "code";
  /** TypeScript. */
  readonly source: string;
  readonly line: number;
  /** Jupyter's cell tags. */
  readonly tags: readonly string[];
  /** Why its outputs are not compared. */
  readonly noCompare?: string;
  /** What it must print, where the text says so (README). */
  readonly prints?: string;
}

export type Cell = MarkdownCell | CodeCell;

/** chapter: ts and sh fences run, and those with a file name; readme: ts fences run, `text output` is what they print. */
export type Style = "chapter" | "readme";

type Token = ReturnType<MarkdownIt["parse"]>[number];

const cellOptions: readonly FenceOption[] = ["raises-exception", "hide-input", "hide-output", "no-compare", "no-run"];
const knownOptions: Readonly<Record<Style, readonly FenceOption[]>> = {
  chapter: ["file", ...cellOptions],
  readme: ["output", ...cellOptions],
};
const running: Readonly<Record<Style, readonly string[]>> = { chapter: ["ts", "sh"], readme: ["ts"] };
/** Languages that look as if they ran, and the one that does. */
const lookalikes: ReadonlyMap<string, string> = new Map([
  ...["typescript", "javascript", "js", "tsx", "mts"].map((name) => [name, "ts"] as const),
  ...["bash", "shell", "zsh"].map((name) => [name, "sh"] as const),
]);

/**
 * The cells of a Markdown text (LF line ends).
 * @param firstLine where the text begins in the file, from 0; what stands above is front matter
 */
export function readCells(
  file: string,
  text: string,
  firstLine: number,
  style: Style,
): { cells: readonly Cell[]; problems: readonly Problem[] } {
  const reader = new CellReader(file, text.split("\n").slice(firstLine), firstLine, style);
  reader.read();
  return reader;
}

/** Walks over the blocks of a text once, and holds the cells read so far and the Markdown not yet given to one. */
class CellReader {
  readonly cells: Cell[] = [];
  readonly problems: Problem[] = [];
  private readonly markdown = new MarkdownIt({ html: true });
  /** The first line that is in no cell yet. */
  private rest = 0;
  /** How many `<details>` are open, and the line of the last that opened. */
  private details = 0;
  private detailsLine = 0;

  constructor(
    private readonly file: string,
    private readonly lines: readonly string[],
    private readonly firstLine: number,
    private readonly style: Style,
  ) {}

  read(): void {
    const environment: Record<string, unknown> = {};
    for (const token of this.markdown.parse(this.lines.join("\n"), environment)) this.readToken(token);
    if (this.details > 0) this.complain(this.detailsLine, "this <details> has no end: a line </details> is missing");
    this.flush(this.lines.length);
    this.checkReferences(environment);
  }

  private readToken(token: Token): void {
    if (token.type === "html_block") this.readHtml(token);
    for (const child of token.children ?? []) if (child.type === "html_inline") this.countDetails(child.content, token);
    if (token.map === null) return;
    if (token.type === "heading_open" && token.level === 0 && this.details === 0) this.readHeading(token, token.map[0]);
    if (token.type === "fence") this.readFence(token, token.map);
  }

  private readHeading(token: Token, line: number): void {
    if (token.tag === "h1" && this.style === "chapter") {
      this.complain(line, "the level-1 heading is made from the front matter's title; begin sections with ##");
    }
    this.flush(line);
  }

  private readHtml(token: Token): void {
    this.countDetails(token.content, token);
    const swallowed = /^ {0,3}(```|~~~)/m.exec(token.content);
    if (swallowed === null || token.content.trimStart().startsWith("<!--") || token.map === null) return;
    const line = token.map[0] + token.content.slice(0, swallowed.index).split("\n").length - 1;
    this.complain(line, "this fence is part of the HTML above it: leave an empty line before it");
  }

  private countDetails(html: string, token: Token): void {
    for (const [tag] of html.replace(/<!--[\s\S]*?-->/g, "").matchAll(/<details\b|<\/details>/gi)) {
      const line = token.map?.[0] ?? 0;
      if (tag.startsWith("</") && this.details === 0) this.complain(line, "this </details> closes nothing");
      else this.details += tag.startsWith("</") ? -1 : 1;
      if (!tag.startsWith("</")) this.detailsLine = line;
    }
  }

  private readFence(token: Token, [begin, end]: [number, number]): void {
    const fence = parseFence(token.info, knownOptions[this.style]);
    const column = (this.lines[begin] ?? "").indexOf(token.markup) + token.markup.length;
    for (const { column: at, message } of fence.mistakes) this.complain(begin, message, column + at + 1);
    if (fence.mistakes.length > 0) return;
    if (token.level === 0 && !this.isClosed(token, begin, end)) {
      this.complain(begin, `this fence has no end: a line ${token.markup} is missing`);
      return;
    }
    if (fence.options.output) this.readExpectation(token, begin);
    else if (!this.runs(fence, token, begin)) return;
    else if (token.content.trim() === "") this.complain(begin, `this ${fence.language} cell is empty`);
    else {
      this.flush(begin);
      this.cells.push(codeCell(fence, token.content, this.firstLine + begin + 2));
      this.rest = end;
    }
  }

  /** Whether a fence becomes a cell; says so where it looks as if it should, and cannot. */
  private runs({ language, options }: Fence, token: Token, line: number): boolean {
    const isCell = options.file !== undefined || running[this.style].includes(language);
    const given = Object.keys(options).filter((option) => option !== "no-run");
    const shown = !isCell || options["no-run"] === true || this.details > 0;
    const meant = lookalikes.get(language);
    if (shown && given.length > 0) {
      this.complain(line, `${given.join(", ")} means nothing here: this fence is shown, not run`);
    } else if (!shown && token.level > 0) {
      this.complain(line, `a ${language} fence in a list or quote cannot be a cell: move it out, or write no-run`);
    } else if (meant !== undefined && this.style === "chapter" && !options["no-run"] && this.details === 0) {
      this.complain(line, `${language} fences do not run: write ${meant} for a cell, or ${language} no-run to show it`);
    }
    return !shown && token.level === 0;
  }

  /** README: a `text output` fence is what the last cell prints. */
  private readExpectation(token: Token, line: number): void {
    const index = this.cells.map((cell) => cell.kind).lastIndexOf("code");
    const cell = this.cells[index];
    if (cell?.kind !== "code") this.complain(line, "output of what? No cell stands above this fence");
    else if (cell.prints !== undefined) this.complain(line, "the cell above has its output already");
    else this.cells[index] = { ...cell, prints: token.content };
  }

  private isClosed(token: Token, begin: number, end: number): boolean {
    const last = (this.lines[end - 1] ?? "").trim();
    const mark = token.markup[0] ?? "`";
    return end - begin > 1 && last.length >= token.markup.length && [...last].every((letter) => letter === mark);
  }

  /** Makes a Markdown cell of the lines from the last cell to here, if they hold anything. */
  private flush(end: number): void {
    while (this.rest < end && this.lines[this.rest]?.trim() === "") this.rest++;
    const source = this.lines.slice(this.rest, end).join("\n").trimEnd();
    if (source !== "") this.cells.push({ kind: "markdown", source, line: this.firstLine + this.rest + 1 });
    this.rest = end;
  }

  /** A cell is rendered alone, so a link `[text][label]` finds no label that another cell defines. */
  private checkReferences(environment: Record<string, unknown>): void {
    const { references } = environment;
    if (references === undefined || this.style === "readme") return;
    for (const cell of this.cells) {
      if (cell.kind === "code") continue;
      if (this.markdown.render(cell.source, { references }) === this.markdown.render(cell.source)) continue;
      const message = "a link here has its address in another cell, where it is not found: write [text](address)";
      this.problems.push({ file: this.file, line: cell.line, message });
    }
  }

  /** @param line from 0, within the Markdown */
  private complain(line: number, message: string, column?: number): void {
    const place = column === undefined ? {} : { column };
    this.problems.push({ file: this.file, line: this.firstLine + line + 1, ...place, message });
  }
}

function codeCell(fence: Fence, content: string, line: number): CodeCell {
  const { options } = fence;
  const tags = (["raises-exception", "hide-input", "hide-output"] as const).filter((tag) => options[tag]);
  const reason = options["no-compare"];
  const source = codeOf(fence, content);
  return reason === undefined
    ? { kind: "code", source, line, tags }
    : { kind: "code", source, line, tags: [...tags, "no-compare"], noCompare: reason };
}

/** The TypeScript of a fence: itself, or its text raw in the tag that types it (`sh`) or writes it (`file`). */
function codeOf(fence: Fence, content: string): string {
  const { file } = fence.options;
  if (file !== undefined) return `await file(${JSON.stringify(file)})\`${encodeRaw(content)}\`;`;
  if (fence.language !== "sh") return content.trimEnd();
  const text = content.replace(/^(?:[ \t]*\n)+/, "").trimEnd();
  return `await sh\`${encodeRaw(text.includes("\n") ? `\n${text}\n` : text)}\`;`;
}
