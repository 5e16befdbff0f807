/** Owns the test of the bundler, on a checkout in small: one extension package, one entry. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bundleLab } from "../../kernel-lib/cli/bundle";

let root: string;
const said: string[] = [];
const bundle = () => bundleLab(root, (text) => said.push(text));

function write(file: string, content: unknown): void {
  const full = path.join(root, file);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  fs.writeFileSync(full, typeof content === "string" ? content : JSON.stringify(content));
}

const extension = "node_modules/@jupyterlab/one-extension";

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), "kubebook-bundle-"));
  said.length = 0;
  write("package.json", { name: "x", version: "0", dependencies: { "@jupyterlab/one-extension": "1.2.3", ws: "1" } });
  write("package-lock.json", "{}");
  write("kernel-lib/cli/bundle.ts", "");
  write("kernel-lib/cli/bundle/rules.ts", "");
  write("kernel-lib/jupyterlab/process.ts", "export const process = {};");
  write(
    "kernel-lib/jupyterlab/entry.ts",
    'import { plugins } from "kubebook:extensions";\nconsole.log(plugins.map((one) => one.module.default));',
  );
  write(`${extension}/package.json`, {
    name: "@jupyterlab/one-extension",
    version: "1.2.3",
    main: "lib/index.js",
    styleModule: "style/index.js",
    jupyterlab: { extension: true, schemaDir: "schema", themePath: "style/theme.css" },
  });
  write(
    `${extension}/lib/index.js`,
    'import icon from "../style/icon.svg";\nexport default { id: "one:plugin", icon };',
  );
  write(`${extension}/style/index.js`, 'import "./base.css";');
  write(`${extension}/style/base.css`, '.one { background: url("./icon.svg"); }');
  write(`${extension}/style/theme.css`, ":root { --one: #abcdef; }");
  write(`${extension}/style/icon.svg`, "<svg><path/></svg>");
  write(`${extension}/schema/plugin.json`, { type: "object" });
});

afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

const read = (directory: string, file: string) => fs.readFileSync(path.join(directory, file), "utf8");
const manifest = (directory: string) => JSON.parse(read(directory, "lab.json")) as { script: string; style: string };

describe("the front end's bundle", () => {
  it("holds what the packages say of themselves: plugins, styles, theme, schemas", async () => {
    const { directory } = await bundle();
    const { script, style } = manifest(directory);
    expect(read(directory, `static/${script}`)).toContain("one:plugin");
    expect(read(directory, `static/${script}`)).toContain("<svg><path/></svg>");
    expect(read(directory, `static/${style}`)).toContain("data:image/svg+xml");
    expect(read(directory, "themes/@jupyterlab/one-extension/index.css")).toContain("#abcdef");
    expect(JSON.parse(read(directory, "settings.json"))).toEqual([
      { id: "@jupyterlab/one-extension:plugin", version: "1.2.3", schema: { type: "object" } },
    ]);
  });

  it("is made once, in words, and then only found", async () => {
    const { directory } = await bundle();
    expect(said.join(" ")).toMatch(/JupyterLab is ready: [\d.]+ MB in \d+ s/);
    said.length = 0;
    const written = fs.statSync(path.join(directory, "lab.json")).mtimeMs;
    expect(await bundle()).toEqual({ directory });
    expect(said).toEqual([]);
    expect(fs.statSync(path.join(directory, "lab.json")).mtimeMs).toBe(written);
  });

  it("is made anew when the lock file or a source changes, and only the last one before is kept", async () => {
    const directories = [(await bundle()).directory];
    write("package-lock.json", '{"changed":true}');
    directories.push((await bundle()).directory);
    write("kernel-lib/jupyterlab/process.ts", "export const process = { env: {} };");
    directories.push((await bundle()).directory);
    expect(new Set(directories).size).toBe(3);
    expect(directories.map((directory) => fs.existsSync(directory))).toEqual([false, true, true]);
  });

  it("may be made by several at once", async () => {
    const made = await Promise.all([bundle(), bundle(), bundle()]);
    expect(new Set(made.map(({ directory }) => directory)).size).toBe(1);
    expect(fs.readdirSync(path.join(root, ".cache/lab"))).toEqual([path.basename(made[0]?.directory ?? "")]);
  });

  it("names the missing file when a package is broken, and leaves nothing half-made", async () => {
    fs.rmSync(path.join(root, extension, "style/base.css"));
    await expect(bundle()).rejects.toThrow(/Could not resolve ".\/base.css"/);
    expect(fs.readdirSync(path.join(root, ".cache/lab"))).toEqual([]);
  });
});
