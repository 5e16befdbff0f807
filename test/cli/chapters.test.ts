/** Owns the tests of the verbs on chapters: choosing them, running several in real kernels, and what they print. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { chosenChapters, runJobs, settle } from "../../kernel-lib/cli/chapters";
import { checkJobs, register as registerCheck } from "../../kernel-lib/cli/check";
import { CliError } from "../../kernel-lib/cli/error";
import { Progress } from "../../kernel-lib/cli/progress";
import { parseChapter } from "../../kernel-lib/course/chapter";
import { runChapter } from "../../kernel-lib/course/check";
import { chapterTemplate, nextChapterName, slugOf } from "../../kernel-lib/course/template";

const front = "---\ntitle: One\nminutes: 5\ngoals: [learn]\nsources: []\n---\n\n";
const cell = (code: string) => `\`\`\`ts\n${code}\n\`\`\`\n`;
const flags = { jobs: 2, timeout: 20 };

let root: string;
const write = (path: string, text: string) => writeFileSync(join(root, path), text);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "kubebook-cli-"));
  mkdirSync(join(root, "content"));
  mkdirSync(join(root, "notebooks"));
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

describe("a chapter on the command line", () => {
  beforeEach(() => {
    for (const name of ["01-pods", "05-connecting-applications", "10-node-port"]) write(`content/${name}.md`, front);
  });

  it.each([
    "5",
    "05",
    "05-connecting-applications",
    "connecting-applications",
    "content/05-connecting-applications.md",
  ])("is named by %s", async (word) => {
    expect((await chosenChapters(root, [word])).map(({ number }) => number)).toEqual([5]);
  });

  it("comes in the course's order, and once", async () => {
    const words = ["10", "notebooks/01-pods.ipynb", "node-port"];
    expect((await chosenChapters(root, words)).map(({ number }) => number)).toEqual([1, 10]);
    expect(await chosenChapters(root, [])).toHaveLength(3);
  });

  it("that is none is answered with those that are", async () => {
    await expect(chosenChapters(root, ["5", "conecting-applications"])).rejects.toThrow(
      "no chapter conecting-applications; did you mean connecting-applications?\nThe chapters are:\n" +
        "  01-pods\n  05-connecting-applications\n  10-node-port",
    );
    await expect(chosenChapters(root, ["7"])).rejects.toMatchObject({ exitCode: 2 });
  });

  it("must have a number of its own and a chapter's name", async () => {
    write("content/05-two.md", front);
    write("content/notes.md", "");
    const message =
      "content/05-two.md:1: chapter number 5 is taken: content/05-connecting-applications.md has it too\n" +
      "content/notes.md:1: a chapter's file is called NN-name.md (lower-case words joined by -)";
    await expect(chosenChapters(root, [])).rejects.toThrow(new CliError(message));
  });
});

describe("run and check", () => {
  it("run chapters side by side in kernels, write them, find them as committed, and tell what is not", {
    timeout: 60_000,
  }, async () => {
    write("content/01-one.md", front + cell('console.log("one", process.pid > 0);'));
    write("content/02-two.md", front + cell("const x: number = 2;\nx + 1"));
    write("README.md", `${cell("console.log(1 + 1);")}\n\`\`\`text output\n2\n\`\`\`\n`);
    const chapters = await chosenChapters(root, []);
    const jobs = chapters.map((files) => ({
      name: files.name,
      run: (options: Parameters<typeof runChapter>[2]) => runChapter(root, files, options),
    }));
    expect(await runJobs(root, jobs, flags)).toMatchObject([{ report: "" }, { report: "" }]);
    const first = readFileSync(join(root, "notebooks/01-one.ipynb"), "utf8");
    expect(first).toContain("one true");

    const good = await runJobs(root, await checkJobs(root, []), flags);
    expect(good.map(({ name, report }) => [name, report])).toEqual([
      ["01-one", ""],
      ["02-two", ""],
      ["README.md", ""],
    ]);

    write("notebooks/01-one.ipynb", first.replace("one true", "one false"));
    const bad = await runJobs(root, await checkJobs(root, ["1", "README.md"]), flags);
    const print = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    expect(() => settle(bad, "")).toThrow("1 of 2 failed: 01-one");
    expect(print.mock.calls.join("")).toMatch(/-one false\n +\+one true/);
  });

  it("end their kernels at Ctrl-C, and change no notebook", { timeout: 60_000 }, async () => {
    const endless =
      'fs.writeFileSync("pid", String(process.pid));\nawait new Promise(() => setInterval(() => {}, 100));';
    write("content/01-one.md", front + cell(`import * as fs from "node:fs";\n${endless}`));
    const built = join(__dirname, "..", "..", "kernel-lib", "dist");
    const program = `
      const { chosenChapters, runJobs } = require(${JSON.stringify(join(built, "cli", "chapters.js"))});
      const { runChapter } = require(${JSON.stringify(join(built, "course", "check.js"))});
      chosenChapters(".", []).then(([files]) =>
        runJobs(process.cwd(), [{ name: "01-one", run: (options) => runChapter(process.cwd(), files, options) }], { jobs: 1, timeout: 60 }));
    `;
    const running = spawn(process.execPath, ["-e", program], { cwd: root, stdio: "ignore" });
    const ended = new Promise((resolve) => running.once("exit", resolve));
    const pidFile = join(root, "notebooks", "pid");
    await vi.waitFor(() => expect(readFileSync(pidFile, "utf8")).toMatch(/\d/), { timeout: 30_000, interval: 50 });
    const kernel = Number(readFileSync(pidFile, "utf8"));
    expect(process.kill(kernel, 0)).toBe(true);
    running.kill("SIGINT");
    expect(await ended).toBe(130);
    await vi.waitFor(() => expect(() => process.kill(kernel, 0)).toThrow("ESRCH"), { timeout: 5_000, interval: 50 });
    expect(readdirSync(join(root, "notebooks"))).toEqual(["pid"]);
  });

  it("do not take a notebook without a chapter for one that was checked", async () => {
    write("notebooks/09-gone.ipynb", "{}");
    await expect(checkJobs(root, [])).rejects.toThrow("notebooks/09-gone.ipynb has no chapter in content/");
  });

  it("refuse options that mean nothing", async () => {
    const program = new Command().exitOverride();
    registerCheck(program);
    await expect(program.parseAsync(["check", "--jobs", "none"], { from: "user" })).rejects.toThrow(
      "a positive number is needed, not none",
    );
  });
});

describe("the command", () => {
  it("ends with the words of the mistake and its exit code", () => {
    const command = join(__dirname, "..", "..", "kernel-lib", "cli", "kubebook.js");
    const asked = spawnSync(process.execPath, [command, "check", "no-such-chapter"], { encoding: "utf8" });
    expect(asked.stderr).toMatch(/^no chapter no-such-chapter\nThe chapters are:\n {2}\d\d-/m);
    expect(asked.stderr).not.toContain("    at ");
    expect(asked.status).toBe(2);
  });
});

describe("progress", () => {
  it("is one living line on a terminal, and a line per finished job elsewhere", () => {
    const written = { terminal: "", file: "" };
    const terminal = new Progress(2, { isTTY: true, columns: 24, write: (text) => (written.terminal += text) });
    const file = new Progress(2, { write: (text) => (written.file += text) });
    for (const progress of [terminal, file]) {
      progress.update("01-one", 1, 3);
      progress.update("02-two", 2, 3);
      progress.finish("01-one", "✓ 01-one");
      progress.clear();
    }
    expect(written.file).toBe("✓ 01-one\n");
    expect(written.terminal.split("\r\x1b[2K")).toEqual([
      "",
      "[0/2] 01-one 1/3",
      "[0/2] 01-one 1/3 · 02-t",
      "✓ 01-one\n",
      "[1/2] 02-two 2/3",
      "",
    ]);
  });
});

describe("a new chapter", () => {
  it("takes the number after the last, and a name that a file can have", () => {
    expect(nextChapterName(slugOf("Finding a Service"), [{ number: 5 }, { number: 1 }])).toBe("06-finding-a-service");
    expect(nextChapterName(slugOf("  Über «kube-proxy»! "), [])).toBe("01-uber-kube-proxy");
    expect(slugOf("…")).toBe("");
  });

  it("is a chapter as it is, whatever its title", () => {
    for (const title of ["Finding a Service", "A: \"title\" # with 'all'", "- no: list"]) {
      const chapter = parseChapter("content/01-x.md", chapterTemplate(title));
      expect(chapter.title).toBe(title);
      expect(chapter.cells.filter(({ kind }) => kind === "code")).toHaveLength(4);
    }
  });
});
