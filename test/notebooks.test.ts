/** Owns the test of the course itself: every chapter, run again in a fresh kernel, shows what its notebook shows. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkJobs } from "../kernel-lib/cli/check";
import { parseChapter } from "../kernel-lib/course/chapter";
import { executeNotebook } from "../kernel-lib/course/execute";
import { startKernel } from "../kernel-lib/course/kernel";
import { buildNotebook } from "../kernel-lib/course/notebook";
import { chapterTemplate } from "../kernel-lib/course/template";

const root = join(__dirname, "..");
const jobs = await checkJobs(root, []);

describe("the course", () => {
  it("has a job for every chapter and for README", () => {
    const chapters = readdirSync(join(root, "content")).filter((name) => name.endsWith(".md"));
    expect(chapters.length).toBeGreaterThan(0);
    expect(jobs.map(({ name }) => name)).toEqual([
      ...chapters.map((name) => name.replace(/\.md$/, "")).sort(),
      "README.md",
    ]);
  });

  for (const job of jobs) {
    it.concurrent(`${job.name} does what it says`, { timeout: 120_000 }, async ({ expect }) => {
      const { report, cells } = await job.run({ startKernel: () => startKernel({ cwd: join(root, "notebooks") }) });
      expect(report).toBe("");
      expect(cells).toBeGreaterThan(0);
    });
  }

  it("begins a new chapter with a text that runs as it is", { timeout: 120_000 }, async () => {
    const kernel = await startKernel({ cwd: join(root, "notebooks") });
    try {
      const chapter = parseChapter("content/01-new.md", chapterTemplate("New"));
      const { runs, notebook } = await executeNotebook(buildNotebook(chapter), kernel);
      expect(runs.map(({ state, reason }) => reason ?? state)).toEqual(["ran", "ran", "ran", "ran"]);
      expect(JSON.stringify(notebook.cells)).toContain("app=web");
    } finally {
      await kernel.stop();
    }
  });
});
