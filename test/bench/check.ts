/** Owns the measurement of `kubebook check` against nbclient, which runs the same notebook in tslab's own kernel. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findRoot } from "../../kernel-lib/cli/root";
import { type ChapterFiles, listChapters } from "../../kernel-lib/course/files";
import type { Measurement } from "./main";

/** How often each side is timed; the medians are compared. */
const rounds = 3;

/** Runs a notebook in the kernel `tslab`, as `jupyter execute` does. */
const nbclientProgram = [
  "import sys, nbformat, nbclient",
  "notebook = nbformat.read(sys.argv[1], as_version=4)",
  "nbclient.NotebookClient(notebook, kernel_name='tslab', timeout=120).execute()",
].join("\n");

/** `kubebook check` of the first chapter, in seconds and as a share of nbclient's time with tslab. */
export async function benchCheck(): Promise<readonly Measurement[]> {
  const root = findRoot();
  const name = "kubebook check of a chapter";
  const [chapter] = await listChapters(root);
  if (chapter === undefined) return [{ name, unit: "s", skipped: "there is no chapter" }];
  const check = seconds(root, process.execPath, [
    join(root, "kernel-lib", "cli", "kubebook.js"),
    "check",
    chapter.name,
  ]);
  if (typeof check === "string") return [{ name, unit: "s", skipped: `the check fails:\n${check}` }];
  const share = `${name}, of nbclient's time with the tslab kernel`;
  const nbclient = nbclientSeconds(root, chapter);
  if (typeof nbclient === "string") return [{ name: share, unit: "×", aim: "≤ 0.8", skipped: nbclient }];
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [times, time] of [
      [ours, check()],
      [theirs, nbclient()],
    ] as const)
      times.push(time);
  }
  return [
    { name, value: median(ours), unit: "s" },
    { name: "nbclient with the tslab kernel, the same notebook", value: median(theirs), unit: "s" },
    { name: share, value: median(ours) / median(theirs), unit: "×", aim: "≤ 0.8" },
  ];
}

/** Times a program; runs it once before, and gives its words where it fails. */
function seconds(cwd: string, program: string, args: readonly string[], env = process.env): (() => number) | string {
  const run = () => spawnSync(program, args, { cwd, env, encoding: "utf8" });
  const first = run();
  if (first.error !== undefined) return first.error.message;
  if (first.status !== 0) return `${first.stdout}${first.stderr}`.trim();
  return () => {
    const begun = performance.now();
    const { status } = run();
    if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed`);
    return (performance.now() - begun) / 1000;
  };
}

/** Times nbclient on the chapter's notebook; says why it cannot. */
function nbclientSeconds(root: string, chapter: ChapterFiles): (() => number) | string {
  const python = process.env.KUBEBOOK_PYTHON ?? "python3";
  const found = spawnSync(python, ["-c", "import nbclient"], { encoding: "utf8" });
  if (found.status !== 0) return `${python} has no nbclient`;
  const folder = mkdtempSync(join(tmpdir(), "kubebook-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const kernel = join(folder, "kernels", "tslab");
  mkdirSync(kernel, { recursive: true });
  const tslab = join(dirname(createRequire(join(root, "package.json")).resolve("tslab/package.json")), "bin", "tslab");
  const argv = [process.execPath, tslab, "kernel", "--config-path={connection_file}"];
  writeFileSync(join(kernel, "kernel.json"), JSON.stringify({ argv, display_name: "tslab", language: "typescript" }));
  const timed = seconds(root, python, ["-c", nbclientProgram, chapter.notebook], {
    ...process.env,
    JUPYTER_PATH: folder,
  });
  return typeof timed === "string" ? `nbclient fails: ${timed.split("\n").slice(-3).join(" ")}` : timed;
}

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}
