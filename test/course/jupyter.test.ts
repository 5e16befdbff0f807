/** Owns asking Jupyter's own tools about the kernel: its kernel test suite, and nbclient. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installSpec } from "../../kernel-lib/course/kernelspec";
import { requireOrSkip } from "../judges";

const python = process.env.KUBEBOOK_PYTHON ?? "python3";
let directory = "";

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "kubebook-jupyter-"));
  installSpec({ kind: "prefix", directory });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function has(...modules: string[]): boolean {
  return spawnSync(python, ["-c", `import ${modules.join(", ")}`]).status === 0;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, JUPYTER_PATH: join(directory, "share", "jupyter") };
    const child = spawn(python, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (text) => (stdout += text));
    child.stderr.on("data", (text) => (stderr += text));
    child.on("error", reject).on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

function notebook(cells: readonly string[]): string {
  const file = join(directory, "notebook.ipynb");
  const code = (source: string, i: number) => ({
    cell_type: "code",
    id: `cell-${i}`,
    metadata: {},
    execution_count: null,
    outputs: [],
    source,
  });
  writeFileSync(file, JSON.stringify({ cells: cells.map(code), metadata: {}, nbformat: 4, nbformat_minor: 5 }));
  return file;
}

test("Jupyter's own kernel test suite passes for everything that the kernel claims", {
  timeout: 180_000,
}, async (context) => {
  requireOrSkip(context, has("jupyter_kernel_test"), `jupyter_kernel_test is not installed for ${python}`);
  const { code, stderr } = await run(join(__dirname, "jupyter_kernel.py"));
  expect(stderr).toMatch(/Ran 13 tests/);
  expect(stderr.match(/skipped .*/g)).toEqual(["skipped 'No code page something'"]); // pagers: left the protocol
  expect(code, stderr).toBe(0);
});

test("nbclient runs a notebook that lies outside of any install", { timeout: 120_000 }, async (context) => {
  requireOrSkip(context, has("nbclient", "nbformat"), `nbclient is not installed for ${python}`);
  const file = notebook([
    `const a: number = 20;`,
    `console.log("twice");\na * 2`,
    `await new Promise((r) => setTimeout(r, 5)); a`,
  ]);
  const { stdout, stderr } = await run(join(__dirname, "nbclient_stops.py"), file, directory);
  expect(JSON.parse(stdout || stderr)).toEqual({
    ended: "ok",
    cells: [
      [1, []],
      [2, ["stream", "execute_result"]],
      [3, ["execute_result"]],
    ],
    language: "typescript",
  });
});

test("after an error in cell 2 nbclient raises, and no later cell looks run", { timeout: 120_000 }, async (context) => {
  requireOrSkip(context, has("nbclient", "nbformat"), `nbclient is not installed for ${python}`);
  const file = notebook([`1`, `throw new RangeError("on purpose")`, `3`, `4`]);
  const { stdout, stderr } = await run(join(__dirname, "nbclient_stops.py"), file, directory);
  expect(JSON.parse(stdout || stderr)).toMatchObject({
    ended: "RangeError: on purpose",
    cells: [
      [1, ["execute_result"]],
      [2, ["error"]],
      [null, []],
      [null, []],
    ],
  });
});
