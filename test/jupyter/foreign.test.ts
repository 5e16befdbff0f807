/** Owns the course in Jupyters that are not ours: nbclient with our kernel and with plain tslab, and Python's JupyterLab. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compareOutputs } from "../../kernel-lib/course/compare";
import { installSpec } from "../../kernel-lib/course/kernelspec";
import { formatNotebook, type Notebook, parseNotebook, withoutOutputs } from "../../kernel-lib/course/nbformat";
import { chromiumPath, launch, watchedPage } from "../browser/browser";
import { expectIdle, notebook as openNotebook, runAll } from "../browser/lab";
import { requireOrSkip } from "../judges";

const root = resolve(import.meta.dirname, "../..");
const python = process.env.KUBEBOOK_PYTHON ?? "python3";
const chapters = readdirSync(join(root, "notebooks")).filter((name) => /^\d+-.*(?<!\.changed)\.ipynb$/.test(name));

let folder = "";
/** A learner's folder: plain tslab finds the packages of a notebook by the folders above it. */
let work = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kubebook-foreign-"));
  installSpec({ kind: "prefix", directory: folder });
  const tslab = join(folder, "share", "jupyter", "kernels", "tslab");
  mkdirSync(tslab, { recursive: true });
  const argv = [
    process.execPath,
    join(root, "node_modules/tslab/bin/tslab"),
    "kernel",
    "--config-path={connection_file}",
  ];
  writeFileSync(
    join(tslab, "kernel.json"),
    JSON.stringify({ argv, display_name: "TypeScript", language: "typescript" }),
  );
  work = join(folder, "work");
  mkdirSync(work);
  symlinkSync(join(root, "node_modules"), join(work, "node_modules"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const env = () => ({ ...process.env, JUPYTER_PATH: join(folder, "share", "jupyter") });

function has(...modules: string[]): boolean {
  return spawnSync(python, ["-c", `import ${modules.join(", ")}`]).status === 0;
}

interface Run {
  /** The status of each code cell's reply; null: there was none. */
  readonly replies: readonly (string | null)[];
  readonly notebook: Notebook;
}

async function nbclient(name: string, kernel: string): Promise<Run> {
  const script = join(import.meta.dirname, "run_notebook.py");
  const child = spawn(python, [script, join(root, "notebooks", name), kernel, work], { env: env() });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const code = await new Promise((done) => child.on("close", done));
  expect(code, stderr).toBe(0);
  const { replies, notebook } = JSON.parse(stdout) as { replies: Run["replies"]; notebook: string };
  return { replies, notebook: parseNotebook(name, notebook) };
}

function golden(name: string): Notebook {
  return parseNotebook(name, readFileSync(join(root, "notebooks", name), "utf8"));
}

function codeCells({ cells }: Notebook) {
  return cells.flatMap((cell) => (cell.cell_type === "code" ? [cell] : []));
}

describe("nbclient", { timeout: 180_000 }, () => {
  it.for(chapters)("runs %s in our kernel, and gets the committed outputs", async (name, context) => {
    requireOrSkip(context, has("nbclient", "nbformat"), `nbclient is not installed for ${python}`);
    const { replies, notebook } = await nbclient(name, "kubebook");
    expect(replies).toEqual(codeCells(golden(name)).map(() => "ok"));
    expect(compareOutputs(golden(name), notebook, { old: "committed", new: "nbclient" })).toEqual([]);
  });

  it.for(chapters)("runs %s in plain tslab without a failing cell", async (name, context) => {
    requireOrSkip(context, has("nbclient", "nbformat"), `nbclient is not installed for ${python}`);
    const { replies, notebook } = await nbclient(name, "tslab");
    const wanted = codeCells(golden(name));
    expect(replies).toEqual(wanted.map(() => "ok"));
    // tslab says "ok" of cells that it never ran: one that shows something in our kernel must have shown something here.
    const silent = codeCells(notebook).filter(
      (cell, at) => cell.outputs.length === 0 && wanted[at]?.outputs.length !== 0,
    );
    expect(silent.map((cell) => cell.source)).toEqual([]);
  });
});

describe("Python's JupyterLab", { timeout: 180_000 }, () => {
  let lab: ChildProcess | undefined;

  afterAll(() => {
    if (lab?.pid !== undefined && lab.exitCode === null) process.kill(lab.pid, "SIGTERM");
  });

  /** Starts JupyterLab on the folder, on a port of its own choice, and waits for the address it prints. */
  function start(): Promise<string> {
    const own = {
      JUPYTER_CONFIG_DIR: join(folder, "config"),
      JUPYTER_RUNTIME_DIR: join(folder, "runtime"),
      JUPYTER_DATA_DIR: join(folder, "data"),
    };
    const options = ["--no-browser", "--ip=127.0.0.1", "--port=0", `--ServerApp.root_dir=${work}`, "--allow-root"];
    const quiet = ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"];
    const child = spawn(python, ["-m", "jupyterlab", ...options, ...quiet], { env: { ...env(), ...own } });
    lab = child;
    return new Promise((ready, reject) => {
      let told = "";
      child.stderr.on("data", (text) => {
        told += text;
        const address = /http:\/\/127\.0\.0\.1:\d+\/lab\?token=\w+/.exec(told)?.[0];
        if (address !== undefined) ready(address);
      });
      child.on("close", () => reject(new Error(told)));
    });
  }

  const drawing = chapters.filter((name) =>
    readFileSync(join(root, "notebooks", name), "utf8").includes("application/vnd.vegalite.v5+json"),
  );

  it.for(drawing.slice(0, 1))("opens %s, runs it in our kernel, and shows text and chart", async (name, context) => {
    requireOrSkip(context, has("jupyterlab"), `jupyterlab is not installed for ${python}`);
    requireOrSkip(
      context,
      chromiumPath !== undefined,
      "Chromium is not installed (KUBEBOOK_CHROMIUM names one elsewhere)",
    );
    writeFileSync(join(work, name), formatNotebook(withoutOutputs(golden(name))));
    const address = new URL(await start());
    const browser = await launch();
    try {
      const { page } = await watchedPage(browser, address.origin);
      address.pathname = `/lab/tree/${name}`;
      await page.goto(address.href);
      await expectIdle(page);
      await runAll(page);
      const shown = openNotebook(page);
      await shown.locator(".jp-OutputArea-output pre").first().waitFor();
      await shown.locator("[role='graphics-document']").first().waitFor();
      expect(await shown.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count()).toBe(0);
    } finally {
      await browser.close();
    }
  });
});
