/** Tests the learner's copies: made, judged, reset and updated, with nothing of theirs lost and the chapters untouched. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Work } from "../../kernel-lib/course/work";

let folder: string;
let work: Work;
let log: string[];

interface TestCell {
  id: string;
  cell_type: string;
  source: string;
  metadata: Record<string, unknown>;
  outputs?: Record<string, unknown>[];
  execution_count?: number | null;
}

const code = (id: string, source: string, more: Partial<TestCell> = {}): TestCell => {
  const outputs = [{ output_type: "stream", name: "stdout", text: "out\n" }];
  return { id, cell_type: "code", source, metadata: {}, outputs, execution_count: 1, ...more };
};
const about = { chapter: "05-services", title: "Services", minutes: 20, goals: ["see it"] };
const chapter = (cells: TestCell[]) => ({ cells, metadata: { kubebook: about }, nbformat: 4, nbformat_minor: 5 });
const publish = (name: string, cells: TestCell[]) =>
  writeFileSync(join(folder, "notebooks", `${name}.ipynb`), JSON.stringify(chapter(cells)));
const copyFile = () => join(folder, "work", "05-services.ipynb");
const copy = () => JSON.parse(readFileSync(copyFile(), "utf8")) as { cells: TestCell[] };
const save = (cells: TestCell[]) => writeFileSync(copyFile(), JSON.stringify(chapter(cells)));
const status = async () => (await work.chapters())[0];
const sources = () => copy().cells.map(({ source }) => [source].flat().join(""));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kubebook-work-"));
  for (const name of ["notebooks", "work"]) mkdirSync(join(folder, name));
  log = [];
  work = new Work(join(folder, "notebooks"), join(folder, "work"), join(folder, "work", ".kubebook"), (line) =>
    log.push(line),
  );
  publish("05-services", [code("a", "1 + 1"), code("b", "2 + 2")]);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the list of chapters", () => {
  test("is in the order of their numbers, with title, minutes, goals and state", async () => {
    publish("12-end", [code("a", "1")]);
    publish("01-begin", [code("a", "1")]);
    writeFileSync(join(folder, "notebooks", "05-services.changed.ipynb"), "{}");
    expect((await work.chapters()).map(({ name }) => name)).toEqual(["01-begin", "05-services", "12-end"]);
    expect((await work.chapters())[1]).toEqual({
      name: "05-services",
      title: "Services",
      minutes: 20,
      goals: ["see it"],
      path: "05-services.ipynb",
      state: "new",
      update: false,
    });
  });

  test("leaves out a chapter that is not JSON, and the log says which and where", async () => {
    writeFileSync(join(folder, "notebooks", "06-broken.ipynb"), '{"cells": [}');
    expect((await work.chapters()).map(({ name }) => name)).toEqual(["05-services"]);
    expect(log.join()).toContain("06-broken.ipynb:1:12");
  });
});

describe("a copy", () => {
  test("is made at the first open: without outputs, and the chapter itself stays as it is", async () => {
    const before = readFileSync(join(folder, "notebooks", "05-services.ipynb"));
    expect(await work.open("05-services")).toBe("05-services.ipynb");
    for (const cell of copy().cells) expect(cell).toMatchObject({ outputs: [], execution_count: null });
    expect((await status())?.state).toBe("opened");
    expect(readFileSync(join(folder, "notebooks", "05-services.ipynb"))).toEqual(before);
  });

  test("that is there is left as it is by another open, two at once too", async () => {
    await Promise.all([work.open("05-services"), work.open("05-services")]);
    save([code("a", "mine")]);
    await work.open("05-services");
    expect(sources()).toEqual(["mine"]);
  });

  test("of no chapter is refused, whatever the name tries", async () => {
    for (const name of ["none", "", "..", "../notebooks/05-services", "05-services.ipynb", "/etc/passwd", ".hidden"]) {
      await expect(work.open(name)).rejects.toMatchObject({ status: 404 });
      await expect(work.reset(name)).rejects.toMatchObject({ status: 404 });
      await expect(work.update(name)).rejects.toMatchObject({ status: 404 });
    }
  });
});

describe("a chapter is done", () => {
  beforeEach(() => work.open("05-services"));
  const error = { output_type: "error", ename: "E", evalue: "", traceback: [] };
  const expected = { tags: ["raises-exception"] };
  const cases: readonly [string, TestCell[], "opened" | "done"][] = [
    ["when every code cell ran", [code("a", "1"), { ...code("t", "text"), cell_type: "markdown" }], "done"],
    ["not when one did not run", [code("a", "1"), code("b", "2", { execution_count: null })], "opened"],
    ["not when one failed", [code("a", "1"), code("b", "2", { outputs: [error] })], "opened"],
    ["also when one failed that is there to fail", [code("b", "2", { outputs: [error], metadata: expected })], "done"],
    [
      "not when one that is there to fail did not run",
      [code("b", "2", { execution_count: null, metadata: expected })],
      "opened",
    ],
    [
      "also with an empty cell at its end",
      [code("a", "1"), code("b", " \n", { execution_count: null, outputs: [] })],
      "done",
    ],
    ["not when no code is left", [], "opened"],
  ];
  test.each(cases)("%s", async (_, cells, state) => {
    save(cells);
    expect((await status())?.state).toBe(state);
  });

  test("not when its copy cannot be read, which is no error for the list", async () => {
    writeFileSync(copyFile(), "no JSON");
    expect(await status()).toMatchObject({ state: "opened", update: false });
  });

  test("no longer after a reset", async () => {
    save([code("a", "1")]);
    await work.reset("05-services");
    expect((await status())?.state).toBe("opened");
  });
});

describe("a reset", () => {
  test("gives the original back and keeps every old copy beside it, one that cannot be read too", async () => {
    await work.open("05-services");
    for (const text of [JSON.stringify(chapter([code("a", "first try")])), "no JSON"]) {
      writeFileSync(copyFile(), text);
      await work.reset("05-services");
      expect(sources()).toEqual(["1 + 1", "2 + 2"]);
    }
    const files = readdirSync(join(folder, "work")).filter((name) => name.endsWith(".ipynb"));
    expect(files.sort()).toEqual([
      "05-services.before-reset-1.ipynb",
      "05-services.before-reset-2.ipynb",
      "05-services.ipynb",
    ]);
    expect(readFileSync(join(folder, "work", "05-services.before-reset-1.ipynb"), "utf8")).toContain("first try");
    expect(readFileSync(join(folder, "work", "05-services.before-reset-2.ipynb"), "utf8")).toBe("no JSON");
  });

  test("of a chapter whose original cannot be read changes nothing", async () => {
    await work.open("05-services");
    save([code("a", "mine")]);
    writeFileSync(join(folder, "notebooks", "05-services.ipynb"), "{");
    await expect(work.reset("05-services")).rejects.toThrow(/^Unreadable Notebook: notebooks\/05-services.ipynb /);
    expect(sources()).toEqual(["mine"]);
  });

  test("that cannot write says so without naming a folder, and leaves no half of a copy", async () => {
    mkdirSync(join(folder, "work", ".kubebook"));
    writeFileSync(join(folder, "work", ".kubebook", "chapters"), "a file where a folder must be");
    await expect(work.reset("05-services")).rejects.toThrow(
      /^Unexpected error with file: 05-services.ipynb \(EEXIST\)$/,
    );
    expect(readdirSync(join(folder, "work"))).toEqual([".kubebook"]);
  });
});

describe("a chapter that changed", () => {
  beforeEach(async () => {
    await work.open("05-services");
    save([code("a", "1 + 1"), code("b", "my own 2 + 2"), code("mine", "my cell")]);
    publish("05-services", [code("a", "1 + 1"), code("new", "3 + 3"), code("b", "2 + 2, better")]);
  });

  test("is offered and not forced", async () => {
    expect(await status()).toMatchObject({ update: true });
    await work.open("05-services");
    expect(sources()).toEqual(["1 + 1", "my own 2 + 2", "my cell"]);
  });

  test("is taken over with what the learner wrote kept, and then no longer offered", async () => {
    await work.update("05-services");
    expect(sources()).toEqual(["1 + 1", "3 + 3", "my own 2 + 2", "my cell"]);
    expect(copy().cells[0]?.execution_count).toBe(1);
    expect(copy().cells[1]).toMatchObject({ outputs: [], execution_count: null });
    expect(await status()).toMatchObject({ update: false, state: "opened" });
  });

  test("is offered when it only lost a cell, and not when the learner did", async () => {
    await work.update("05-services");
    save([code("a", "1 + 1")]);
    expect(await status()).toMatchObject({ update: false });
    publish("05-services", [code("a", "1 + 1"), code("new", "3 + 3")]);
    expect(await status()).toMatchObject({ update: true });
  });

  test("is not offered when only its outputs changed, or nobody has a copy", async () => {
    await work.update("05-services");
    publish("05-services", [code("a", "1 + 1", { outputs: [] }), code("new", "3 + 3"), code("b", "2 + 2, better")]);
    expect(await status()).toMatchObject({ update: false });
    publish("06-other", [code("a", "1")]);
    expect((await work.chapters())[1]).toMatchObject({ state: "new", update: false });
  });

  test("is offered also when what the copy was made from is lost, and loses nothing then", async () => {
    rmSync(join(folder, "work", ".kubebook"), { recursive: true });
    expect(await status()).toMatchObject({ update: true });
    await work.update("05-services");
    expect(sources()).toEqual(["1 + 1", "3 + 3", "my own 2 + 2", "my cell"]);
  });

  test("into a copy that cannot be read is refused, and the copy stays", async () => {
    writeFileSync(copyFile(), "no JSON");
    await expect(work.update("05-services")).rejects.toThrow(/^Unreadable Notebook: 05-services.ipynb /);
    expect(readFileSync(copyFile(), "utf8")).toBe("no JSON");
  });
});
