import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { installedSpecs, installSpec, specDirectory, uninstallSpec } from "../../kernel-lib/course/kernelspec";
import { logoPng } from "../../kernel-lib/course/logo";

const environment = { ...process.env };
let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kubebook-spec-"));
  process.env.JUPYTER_DATA_DIR = join(directory, "data");
  delete process.env.VIRTUAL_ENV;
  delete process.env.CONDA_PREFIX;
});
afterEach(() => {
  process.env = { ...environment };
  rmSync(directory, { recursive: true, force: true });
});

test("installing twice is as installing once, and uninstalling removes what was installed", () => {
  const first = installSpec({ kind: "user" });
  expect(first).toBe(join(directory, "data", "kernels", "kubebook"));
  expect(installSpec({ kind: "user" })).toBe(first);
  expect(installedSpecs().filter((spec) => spec.directory === first)).toMatchObject([{ state: "ours" }]);
  expect(uninstallSpec({ kind: "user" })).toBe(first);
  expect(uninstallSpec({ kind: "user" })).toBeUndefined();
});

test("the kernelspec starts the compiled kernel and is interrupted by message", () => {
  const spec = JSON.parse(readFileSync(join(installSpec({ kind: "prefix", directory }), "kernel.json"), "utf8"));
  expect(spec).toMatchObject({
    language: "typescript",
    interrupt_mode: "message",
    argv: [
      process.execPath,
      "--no-force-async-hooks-checks",
      expect.stringMatching(/dist.course.kernel.main\.js$/),
      "{connection_file}",
    ],
  });
});

test("--sys-prefix goes into the active Python environment", () => {
  process.env.VIRTUAL_ENV = join(directory, "venv");
  expect(specDirectory({ kind: "sys-prefix" })).toBe(
    join(directory, "venv", "share", "jupyter", "kernels", "kubebook"),
  );
});

test("--sys-prefix without any Python says so", () => {
  process.env.PATH = directory;
  expect(() => specDirectory({ kind: "sys-prefix" })).toThrow("--sys-prefix needs a Python");
});

test("a place that cannot be written is an error that names it", () => {
  writeFileSync(join(directory, "file"), "");
  expect(() => installSpec({ kind: "prefix", directory: join(directory, "file") })).toThrow(
    /cannot write the kernelspec to .*file/,
  );
});

test("a kernelspec whose kernel is gone is listed as broken", () => {
  const folder = installSpec({ kind: "user" });
  writeFileSync(join(folder, "kernel.json"), JSON.stringify({ argv: ["node", join(directory, "gone.js")] }));
  expect(installedSpecs().find((spec) => spec.directory === folder)).toMatchObject({ state: "broken" });
});

test("the logo is a PNG with as many pixels as it says", () => {
  const png = logoPng(32);
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([32, 32]);
  const length = png.readUInt32BE(33);
  expect(inflateSync(png.subarray(41, 41 + length)).length).toBe(32 * (1 + 4 * 32));
});
