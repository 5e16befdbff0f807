/** Owns the test of the check itself: everything that can be wrong with a notebook is caught, and said. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildChapter } from "../../kernel-lib/course/build";
import { checkChapter, checkReadme, type Outcome, runChapter } from "../../kernel-lib/course/check";
import { type ChapterFiles, listChapters } from "../../kernel-lib/course/files";
import { type CodeNotebookCell, formatNotebook, type Notebook, parseNotebook } from "../../kernel-lib/course/nbformat";
import { FakeKernel, type FakeKernelOptions } from "./fakekernel";

const chapter = `---
title: Small
minutes: 5
goals: [be checked]
sources: []
---

## Who answers?

\`\`\`ts
print("the first pod");
print(\`with \${state.world ?? "peace"}\`);
\`\`\`

\`\`\`ts
show({
  "application/vnd.vegalite.v5+json": { description: "Bars", data: { values: [{ pod: "a", n: 1 }, { pod: "b", n: 2 }] } },
  "image/svg+xml": "<svg/>",
  "text/plain": "Bars",
});
\`\`\`

### Break it

\`\`\`ts raises-exception
throw new Error("as it must");
\`\`\`

\`\`\`ts no-compare="the time is the host's"
print(state.time ?? "now");
\`\`\`
`;

let root: string;
let files: ChapterFiles;
const kernels: FakeKernel[] = [];

/** A kernel that behaves like this; its cells see `state`. */
function inKernel(options: FakeKernelOptions = {}) {
  const startKernel = async () => {
    const kernel = new FakeKernel(options);
    kernels.push(kernel);
    return kernel;
  };
  return { startKernel, timeout: 1000 };
}

const check = (options?: FakeKernelOptions): Promise<Outcome> => checkChapter(root, files, inKernel(options));
const notebook = (): Notebook => parseNotebook("x.ipynb", readFileSync(files.notebook, "utf8"));

/** Changes the committed notebook by hand; the nth code cell (from 0) if `change` is about a cell. */
function edit(change: (notebook: Notebook) => Notebook): void {
  writeFileSync(files.notebook, formatNotebook(change(notebook())));
}

function editCell(nth: number, change: (cell: CodeNotebookCell) => CodeNotebookCell): void {
  edit((old) => {
    let code = -1;
    return {
      ...old,
      cells: old.cells.map((cell) => {
        if (cell.cell_type === "code") code++;
        return cell.cell_type === "code" && code === nth ? change(cell) : cell;
      }),
    };
  });
}

function editText(change: (text: string) => string): void {
  const before = readFileSync(files.notebook, "utf8");
  const after = change(before);
  expect(after).not.toBe(before);
  writeFileSync(files.notebook, after);
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "kubebook-check-"));
  mkdirSync(join(root, "content"));
  mkdirSync(join(root, "notebooks"));
  writeFileSync(join(root, "content", "05-small.md"), chapter);
  const [only] = await listChapters(root);
  if (only === undefined) throw new Error("there is no chapter");
  files = only;
  expect(await runChapter(root, files, inKernel())).toMatchObject({ failures: [], cells: 4 });
  expect(await check()).toMatchObject({ failures: [], report: "", cells: 4 });
});

afterEach(() => {
  expect(kernels.every((kernel) => kernel.stopped)).toBe(true);
  expect(readdirSync(join(root, "notebooks")).filter((name) => name.startsWith("."))).toEqual([]);
  kernels.length = 0;
  rmSync(root, { recursive: true });
});

describe("a check", () => {
  it("tells chapter, cell, source and a unified diff when an output is another one", async () => {
    const { report } = await check({ state: { world: "war" } });
    expect(report).toBe(`✗ 05-small

  cell 3 [1] under “Who answers?” (content/05-small.md:11)
    │ print("the first pod");
    │ print(\`with \${state.world ?? "peace"}\`);
  output 1 (stdout) differs
    --- notebooks/05-small.ipynb
    +++ this run
    @@ -1,3 +1,3 @@
     ── output 1 · stdout
     the first pod
    -with peace
    +with war

  this run is in notebooks/05-small.changed.ipynb`);
  });

  it("leaves the run beside the notebook, and takes it away when all is well again", async () => {
    await check({ state: { world: "war" } });
    expect(readFileSync(files.changed, "utf8")).toContain("with war");
    expect(readFileSync(files.notebook, "utf8")).toContain("with peace");
    await check();
    expect(existsSync(files.changed)).toBe(false);
  });

  it("catches an output that was changed in the notebook", async () => {
    editCell(0, (cell) => ({ ...cell, outputs: [{ output_type: "stream", name: "stdout", text: "the last pod\n" }] }));
    expect((await check()).report).toContain("-the last pod\n    +the first pod");
  });

  it("catches a point that a chart lost, and says which", async () => {
    editText((text) => text.replace(/,\s*\{\s*"n": 2,\s*"pod": "b"\s*\}/, ""));
    const { report } = await check();
    expect(report).toContain("output 1 (application/vnd.vegalite.v5+json) differs");
    expect(report).toMatch(/\+ +"n": 2,\n *\+ +"pod": "b"/);
  });

  it("compares JSON by value, whatever the order of its fields", async () => {
    const spec = {
      data: {
        values: [
          { n: 1, pod: "a" },
          { n: 2.0, pod: "b" },
        ],
      },
      description: "Bars",
    };
    editCell(1, (cell) => ({
      ...cell,
      outputs: cell.outputs.map((output) =>
        output.output_type === "display_data"
          ? { ...output, data: { ...output.data, "application/vnd.vegalite.v5+json": spec } }
          : output,
      ),
    }));
    expect((await check()).report).toBe("");
  });

  it("catches every MIME type that is another, missing or new", async () => {
    const set = (data: Record<string, unknown>) =>
      editCell(1, (cell) => ({ ...cell, outputs: [{ output_type: "display_data", data, metadata: {} }] }));
    const [, , , shown] = notebook().cells;
    const output = shown?.cell_type === "code" ? shown.outputs[0] : undefined;
    if (output?.output_type !== "display_data") throw new Error("no chart");
    set({ ...output.data, "image/svg+xml": "<svg>old</svg>" });
    expect((await check()).report).toContain("output 1 (image/svg+xml) differs");
    set({ ...output.data, "text/html": "<b>" });
    expect((await check()).report).toContain("output 1 has no text/html any more");
    const { "text/plain": _, ...rest } = output.data;
    set(rest);
    expect((await check()).report).toContain("output 1 has text/plain, which is new");
  });

  it("catches an output that is missing, one too many, and another order", async () => {
    const text = { output_type: "stream", name: "stderr", text: "warning\n" } as const;
    editCell(0, (cell) => ({ ...cell, outputs: [] }));
    expect((await check()).report).toContain("output 1 (stdout) is new");
    await runChapter(root, files, inKernel());
    editCell(0, (cell) => ({ ...cell, outputs: [...cell.outputs, text] }));
    expect((await check()).report).toContain("output 2 (stderr) is missing");
    editCell(0, (cell) => ({ ...cell, outputs: [text, ...cell.outputs.slice(0, 1)] }));
    expect((await check()).report).toContain("output 1 was stderr, and is now stdout; output 2 (stdout) is missing");
  });

  it("catches two cells that were swapped in the notebook", async () => {
    edit((old) => {
      const cells = [...old.cells];
      const [a, b] = [cells[2], cells[3]];
      if (a && b) cells.splice(2, 2, b, a);
      return { ...old, cells };
    });
    const { report } = await check();
    expect(report).toContain("notebooks/05-small.ipynb is not what `kubebook build` makes of content/05-small.md");
    expect(report).toContain("cell 3 of the notebook stands elsewhere in the chapter");
    expect(report).toContain("cell 4 [2] under “Who answers?” (content/05-small.md:16)");
  });

  it("catches two cells that were swapped in the chapter, though each shows what it showed", async () => {
    const [a, b] = ['```ts\nprint("a");\n```\n', '```ts\nprint("b");\n```\n'];
    writeFileSync(files.markdown, chapter + a + b);
    await runChapter(root, files, inKernel());
    writeFileSync(files.markdown, chapter + b + a);
    await buildChapter(root, files);
    expect((await check()).report).toContain("it was execution 6, and is now 5");
  });

  it("catches a cell that was broken", async () => {
    writeFileSync(files.markdown, chapter.replace('print("the first pod");', "prynt();"));
    await buildChapter(root, files);
    const { failures, report } = await check();
    expect(report).toContain("failed: ReferenceError: prynt is not defined");
    expect(failures.filter(({ what }) => what === "not run: a cell above ended the run")).toHaveLength(3);
    expect(report).toContain("cells below it that did not run: 3");
  });

  it("catches a cell that fails though no tag says so, and one that must fail and does not", async () => {
    writeFileSync(files.markdown, chapter.replace("ts raises-exception", "ts"));
    await buildChapter(root, files);
    expect((await check()).report).toContain("failed: Error: as it must");
    writeFileSync(files.markdown, chapter.replace('throw new Error("as it must");', 'print("fine");'));
    await buildChapter(root, files);
    expect((await check()).report).toContain("did not fail: it is tagged raises-exception, but nothing was thrown");
  });

  it("catches aborted cells, cells that take too long, and a kernel that dies or does not start", async () => {
    expect((await check({ aborts: 2 })).report).toContain("aborted: the kernel skipped it");
    writeFileSync(files.markdown, `${chapter}\n\`\`\`ts\nawait forever();\n\`\`\`\n`);
    await buildChapter(root, files);
    const slow = await checkChapter(root, files, { ...inKernel(), timeout: 20 });
    expect(slow.report).toContain("timed out: it took longer than 0.02 s");
    writeFileSync(files.markdown, `${chapter}\n\`\`\`ts\nawait die();\n\`\`\`\n`);
    await buildChapter(root, files);
    expect((await check()).report).toContain("kernel died: the kernel died (SIGKILL)");
    const broken = await checkChapter(root, files, { startKernel: () => Promise.reject(new Error("no such program")) });
    expect(broken.report).toContain("the kernel did not start: no such program");
  });

  it("catches a cell that the committed notebook never ran", async () => {
    writeFileSync(files.markdown, `${chapter}\n\`\`\`ts\nstate.x = 1;\n\`\`\`\n`);
    await buildChapter(root, files);
    expect((await check()).report).toContain("has never run this cell: `kubebook run` makes its outputs");
  });

  it("catches a notebook that is not its chapter's: text, source, metadata, a cell more or less", async () => {
    const whole = readFileSync(files.notebook, "utf8");
    const changes: [(text: string) => string, string][] = [
      [(text) => text.replace("## Who answers?", "## Who?"), "the cell is not as in the chapter"],
      [(text) => text.replace('show({\\n"', 'show( {\\n"'), "the cell is not as in the chapter"],
      [(text) => text.replace('"raises-exception"', '"raises-error"'), "the cell is not as in the chapter"],
      [(text) => text.replace('"minutes": 5', '"minutes": 6'), "the notebook's metadata differ"],
      [(text) => text.replace(/\n /g, "\n  "), "is not what `kubebook build` makes"],
    ];
    for (const [change, words] of changes) {
      expect(change(whole)).not.toBe(whole);
      writeFileSync(files.notebook, change(whole));
      expect((await check()).report).toContain(words);
    }
    writeFileSync(files.notebook, whole);
    edit((old) => ({ ...old, cells: old.cells.filter((_, index) => index !== 2) }));
    expect((await check()).report).toContain("the notebook lacks this cell");
    writeFileSync(files.notebook, whole);
    const more = { cell_type: "markdown", id: "more", metadata: {}, source: "More." } as const;
    edit((old) => ({ ...old, cells: [...old.cells, more] }));
    expect((await check()).report).toContain("cell 8 of the notebook is not in the chapter");
  });

  it("says of a notebook that is missing or is no JSON what it is, and a build overwrites neither it nor its outputs", async () => {
    writeFileSync(files.notebook, '{\n "cells": [\n<<<<<<< ours\n');
    expect((await check()).report).toContain(
      'notebooks/05-small.ipynb:3:1: this is not JSON: a value or ] is expected, not "<"',
    );
    await expect(buildChapter(root, files)).rejects.toThrow("notebooks/05-small.ipynb:3:1");
    expect(readFileSync(files.notebook, "utf8")).toContain("<<<<<<< ours");
    rmSync(files.notebook);
    expect((await check()).report).toContain("notebooks/05-small.ipynb is missing: `kubebook run` makes it");
  });

  it("tells the mistakes of a chapter that cannot be read", async () => {
    writeFileSync(files.markdown, chapter.replace("minutes: 5", "minutes: soon"));
    expect((await check()).report).toContain("content/05-small.md:3:10: minutes must be a whole number of minutes");
  });

  it("does not compare a cell that says why it cannot be, but wants it to run", async () => {
    expect((await check({ state: { time: "later" } })).report).toBe("");
    writeFileSync(files.markdown, chapter.replace("state.time", "nothing.time"));
    await buildChapter(root, files);
    expect((await check()).report).toContain("failed: ReferenceError");
  });

  it("wants a picture and a description beside every chart", async () => {
    writeFileSync(
      files.markdown,
      chapter.replace('  "image/svg+xml": "<svg/>",\n', "").replace('description: "Bars", ', ""),
    );
    const { failures } = await runChapter(root, files, inKernel());
    expect(failures.map(({ what }) => what)).toEqual([
      "output 1: the chart has no picture (image/svg+xml) beside its Vega spec",
      "output 1: the chart has no `description` for screen readers",
      "this run is in notebooks/05-small.changed.ipynb",
    ]);
    expect(readFileSync(files.notebook, "utf8")).toContain("<svg/>");
  });
});

describe("a build", () => {
  it("keeps the outputs of cells that did not change, and of no other", async () => {
    writeFileSync(files.markdown, chapter.replace("the first pod", "another pod").replace("Who answers?", "Who?"));
    expect(await buildChapter(root, files)).toMatchObject({ state: "changed", unrun: 1 });
    const code = notebook().cells.filter((cell): cell is CodeNotebookCell => cell.cell_type === "code");
    expect(code.map(({ execution_count: count }) => count)).toEqual([null, 2, 3, 4]);
    expect(code.map(({ outputs }) => outputs.length)).toEqual([0, 1, 1, 1]);
    expect(await buildChapter(root, files)).toMatchObject({ state: "same" });
  });

  it("leaves the notebook alone when a run fails", async () => {
    const before = readFileSync(files.notebook, "utf8");
    writeFileSync(files.markdown, chapter.replace('print("the first pod");', "prynt();"));
    expect((await runChapter(root, files, inKernel())).report).toContain("prynt is not defined");
    expect(readFileSync(files.notebook, "utf8")).toBe(before);
  });
});

describe("README", () => {
  it("is held by what its cells print", async () => {
    const path = join(root, "README.md");
    const text = "# Kubebook\n\n```ts\nprint(1 + 1);\n```\n\nprints\n\n```text output\n2\n```\n";
    writeFileSync(path, text);
    expect((await checkReadme(path, "README.md", inKernel())).report).toBe("");
    writeFileSync(path, text.replace("2\n```", "3\n```"));
    expect((await checkReadme(path, "README.md", inKernel())).report).toContain("it prints something else");
    writeFileSync(path, text.replace("print", "prynt"));
    expect((await checkReadme(path, "README.md", inKernel())).report).toContain("failed: ReferenceError");
  });
});
