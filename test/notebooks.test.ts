/** Owns the test of the course itself: every chapter, run again in a fresh kernel, shows what its notebook shows. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkJobs } from "../kernel-lib/cli/check";
import { startKernel } from "../kernel-lib/course/kernel";

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
});
