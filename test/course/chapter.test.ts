/** Owns the tests of chapters: each Markdown text in input/ gives the notebook, or the mistakes, in output/. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chapterName, parseChapter } from "../../kernel-lib/course/chapter";
import { formatNotebook } from "../../kernel-lib/course/nbformat";
import { buildNotebook } from "../../kernel-lib/course/notebook";
import { SourceError } from "../../kernel-lib/course/problem";
import { readmeChapter } from "../../kernel-lib/course/readme";

const inputs = join(__dirname, "input");
const outputs = join(__dirname, "output");

/** The notebook's file, or what is wrong with the chapter, a line each. */
function resultOf(name: string, text: string): { ending: ".ipynb" | ".txt"; text: string } {
  try {
    return { ending: ".ipynb", text: formatNotebook(buildNotebook(parseChapter(name, text))) };
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return { ending: ".txt", text: `${error.message}\n` };
  }
}

describe("a chapter", () => {
  for (const name of readdirSync(inputs)) {
    it(`${name} gives what is in output/`, () => {
      const { ending, text } = resultOf(name, readFileSync(join(inputs, name), "utf8"));
      const path = join(outputs, name.replace(/\.md$/, ending));
      if (!existsSync(path)) {
        writeFileSync(path, text);
        throw new Error(`${path} is new: read it, and commit it if it is right`);
      }
      expect(text).toBe(readFileSync(path, "utf8"));
    });
  }

  it("has an input for every output", () => {
    expect(readdirSync(outputs).map((name) => name.replace(/\.[a-z]+$/, ".md"))).toEqual(readdirSync(inputs));
  });

  it("means the same with the line ends and the byte order mark of another system", () => {
    const text = readFileSync(join(inputs, "03-fences.md"), "utf8");
    expect(resultOf("03-fences.md", `\uFEFF${text.replaceAll("\n", "\r\n")}`)).toEqual(resultOf("03-fences.md", text));
  });

  it("is built twice into the same bytes", () => {
    const text = readFileSync(join(inputs, "03-fences.md"), "utf8");
    const once = buildNotebook(parseChapter("03-fences.md", text));
    expect(formatNotebook(buildNotebook(parseChapter("03-fences.md", text), once))).toBe(formatNotebook(once));
  });

  it("says where it is in the file, also behind front matter", () => {
    const text = readFileSync(join(inputs, "03-fences.md"), "utf8");
    const { cells } = parseChapter("03-fences.md", text);
    for (const cell of cells.slice(1)) {
      const last = cell.kind === "markdown" ? cell.source.split("\n")[0] : undefined;
      if (last !== undefined) expect(text.split("\n")[cell.line - 1]).toBe(last);
    }
    expect(text.split("\n")[(cells[2]?.line ?? 0) - 1]).toBe('import { sh } from "kernel-lib";');
  });

  it("is called by a number of two digits and lower-case words", () => {
    expect(chapterName("05-connecting-applications.md")).toEqual({ number: 5, name: "05-connecting-applications" });
    for (const name of ["5-one.md", "05.md", "05-One.md", "05-one-.md", "05_one.md", "one.md"]) {
      expect(chapterName(name), name).toBeUndefined();
      expect(() => parseChapter(`content/${name}`, "---\n---\n"), name).toThrow(/NN-name\.md/);
    }
  });
});

describe("README", () => {
  it("runs its ts fences only, and holds each against the `text output` fence below it", () => {
    const { cells } = readmeChapter(
      [
        "# Title",
        "```sh",
        "npm start",
        "```",
        "```ts",
        "print(1);",
        "```",
        "It says",
        "```text output",
        "1",
        "```",
      ].join("\n"),
    );
    expect(cells.filter(({ kind }) => kind === "code")).toEqual([
      { kind: "code", source: "print(1);", line: 6, tags: [], prints: "1\n" },
    ]);
  });

  it("knows no output without a cell, and no two of one cell", () => {
    const output = "```text output\n1\n```\n";
    expect(() => readmeChapter(output)).toThrow("README.md:1: output of what?");
    expect(() => readmeChapter(`\`\`\`ts\n1\n\`\`\`\n${output}${output}`)).toThrow(
      "README.md:7: the cell above has its",
    );
  });
});
