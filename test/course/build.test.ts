/** Owns the properties of the way from Markdown to a notebook, for any chapter: nothing lost, nothing changed, repeatable. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeRaw } from "../../kernel-lib/cluster/raw";
import { type Cell, parseChapter } from "../../kernel-lib/course/chapter";
import { formatNotebook, parseNotebook } from "../../kernel-lib/course/nbformat";
import { buildNotebook } from "../../kernel-lib/course/notebook";

const front = "---\ntitle: T\nminutes: 1\ngoals: [g]\nsources: []\n---\n";

const word = fc.constantFrom("pod", "`sh`", "*why*", "<b>", "\\", "$x$", "| a |", "$" + "{HOME}", "ü", "1.", "&amp;");
const line = fc.array(word, { minLength: 1, maxLength: 5 }).map((words) => `x ${words.join(" ")}`);
/** A block of Markdown that is no cell. */
const prose = fc.oneof(
  line,
  fc.array(line, { minLength: 2, maxLength: 3 }).map((lines) => lines.join("\n")),
  line.map((text) => `## ${text}`),
  line.map((text) => `- ${text}\n  - ${text}`),
  line.map((text) => `> ${text}`),
  line.map((text) => `\`\`\`text\n${text}\n\`\`\``),
  line.map((text) => `<details><summary>s</summary>\n\n\`\`\`ts\n${text}\n\`\`\`\n\n</details>`),
);
/** A fence that becomes a cell: what it begins with, and its lines. */
const fence = fc.record({
  info: fc.constantFrom("ts", "sh", "yaml file=a.yaml", "ts raises-exception", 'sh no-compare="why"'),
  text: fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => lines.join("\n")),
});
const chapters = fc.array(fc.oneof(prose, fence), { minLength: 1, maxLength: 12 });

function markdownOf(blocks: readonly (string | { info: string; text: string })[]): string {
  const texts = blocks.map((block) => (typeof block === "string" ? block : `~~~${block.info}\n${block.text}\n~~~`));
  return `${front}\n${texts.join("\n\n")}\n`;
}

/** What a cell's fence said, read back from its code as JavaScript and the tags would. */
function fenceText({ source }: Cell): string {
  const call = /^await (?:sh|file\("a\.yaml"\))(`[\s\S]*`);$/.exec(source)?.[1];
  if (call === undefined) return source;
  const tag = (strings: TemplateStringsArray) => decodeRaw(strings.raw).join("");
  return String(new Function("tag", `return tag${call}`)(tag)).trim();
}

describe("any chapter", () => {
  it("gives a valid notebook with all its text, in order", () => {
    fc.assert(
      fc.property(chapters, (blocks) => {
        const { cells } = parseChapter("01-x.md", markdownOf(blocks));
        const fences = blocks.flatMap((block) => (typeof block === "string" ? [] : [block.text]));
        expect(cells.filter(({ kind }) => kind === "code").map(fenceText)).toEqual(fences);
        const texts = blocks.flatMap((block) => (typeof block === "string" ? [block] : []));
        const shown = cells.slice(1).flatMap((cell) => (cell.kind === "markdown" ? [cell.source] : []));
        expect(shown.join("\n\n")).toBe(texts.join("\n\n"));
        const notebook = buildNotebook(parseChapter("01-x.md", markdownOf(blocks)));
        expect(parseNotebook("x.ipynb", formatNotebook(notebook))).toEqual(notebook);
      }),
      { numRuns: 200 },
    );
  });

  it("is built twice into the same bytes, and again over what it was", () => {
    fc.assert(
      fc.property(chapters, (blocks) => {
        const build = () => buildNotebook(parseChapter("01-x.md", markdownOf(blocks)));
        const once = formatNotebook(build());
        expect(formatNotebook(build())).toBe(once);
        expect(formatNotebook(buildNotebook(parseChapter("01-x.md", markdownOf(blocks)), build()))).toBe(once);
      }),
    );
  });

  it("keeps the id and outputs of a cell when another is put before it", () => {
    fc.assert(
      fc.property(chapters, fence, (blocks, more) => {
        const ran = buildNotebook(parseChapter("01-x.md", markdownOf(blocks)));
        const outputs = [{ output_type: "stream", name: "stdout", text: "ran" }] as const;
        const cells = ran.cells.map((cell) =>
          cell.cell_type === "code" ? { ...cell, execution_count: 1, outputs } : cell,
        );
        const text = `${more.text} unlike all others`;
        const after = buildNotebook(parseChapter("01-x.md", markdownOf([{ ...more, text }, ...blocks])), {
          ...ran,
          cells,
        });
        const code = after.cells.flatMap((cell) => (cell.cell_type === "code" ? [cell.outputs.length] : []));
        expect(code).toEqual([0, ...code.slice(1).map(() => 1)]);
      }),
    );
  });
});
