/** Owns the front end as files: JupyterLab bundled from its npm packages, kept by content in `.cache/lab`. */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { type Extension, extensionsModule, findExtensions, readSchemas } from "./bundle/extensions";
import { pageOptions, themeOptions } from "./bundle/rules";

/** What the page must load first; `lab.json` in the bundle's folder. */
export interface LabManifest {
  readonly script: string;
  readonly style: string;
  /** The script's static imports, so that the page can ask for them at once. */
  readonly preload: readonly string[];
  readonly version: string;
}

const manifestFile = "lab.json";

/** Our sources that decide what the bundle is, as paths under the root, in a stable order. */
function sourceFiles(root: string): string[] {
  const under = (folder: string) =>
    fs
      .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
      .map((file) => path.join(folder, file))
      .filter((file) => fs.statSync(path.join(root, file)).isFile());
  const bundler = path.join("kernel-lib", "cli", "bundle");
  return [
    "package-lock.json",
    `${bundler}.ts`,
    ...under(bundler),
    ...under(path.join("kernel-lib", "jupyterlab")),
  ].sort();
}

/** The name of the bundle that belongs to this lock file, these sources and this bundler. */
function bundleName(root: string): string {
  const hash = crypto.createHash("sha256");
  for (const file of sourceFiles(root)) {
    const text = fs.readFileSync(path.join(root, file));
    hash.update(`${file.split(path.sep).join("/")} ${text.length}\n`).update(text);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Ready if the file that is written last is there. */
function isReady(directory: string): boolean {
  return fs.existsSync(path.join(directory, manifestFile));
}

/**
 * Keeps `keep` and the one before it (a server that still runs may be serving that), and what another process may be
 * building right now.
 */
function removeOldBundles(cache: string, keep: string): void {
  const hour = 3_600_000;
  const now = fs.statSync(path.join(cache, keep)).mtimeMs;
  const age = (name: string) => now - (fs.statSync(path.join(cache, name), { throwIfNoEntry: false })?.mtimeMs ?? 0);
  const others = fs.readdirSync(cache).filter((name) => name !== keep);
  const unfinished = others.filter((name) => name.startsWith(".") && age(name) > hour);
  const finished = others.filter((name) => !name.startsWith(".")).sort((a, b) => age(a) - age(b));
  for (const name of [...unfinished, ...finished.slice(1)]) {
    fs.rmSync(path.join(cache, name), { recursive: true, force: true });
  }
}

/** JupyterLab asks for `@scope/package/index.css`, whatever the style sheet's name in the package. */
function themeFile(directory: string, { name }: Extension): string {
  return path.join(directory, "themes", ...name.split("/"), "index.css");
}

async function build(root: string, directory: string): Promise<void> {
  const esbuild = await import("esbuild");
  const extensions = findExtensions(root);
  const [page] = await Promise.all([
    esbuild.build(pageOptions(root, path.join(directory, "static"), extensionsModule(extensions))),
    ...extensions.flatMap((extension) =>
      extension.theme === undefined
        ? []
        : [esbuild.build(themeOptions(root, extension.theme, themeFile(directory, extension)))],
    ),
  ]);
  const outputs = Object.entries(page.metafile.outputs);
  const entry = outputs.find(([, output]) => output.entryPoint?.endsWith("entry.ts"));
  if (entry?.[1].cssBundle === undefined) throw new Error("The bundle of JupyterLab has no script or no style sheet.");
  const version = extensions.find(({ name }) => name === "@jupyterlab/application-extension")?.version;
  const manifest: LabManifest = {
    script: path.basename(entry[0]),
    style: path.basename(entry[1].cssBundle),
    preload: entry[1].imports.filter(({ kind }) => kind === "import-statement").map((used) => path.basename(used.path)),
    version: version ?? "",
  };
  fs.writeFileSync(path.join(directory, "settings.json"), JSON.stringify(readSchemas(extensions)));
  fs.writeFileSync(path.join(directory, manifestFile), JSON.stringify(manifest));
}

/** Bytes of all files in a folder. */
function folderSize(directory: string): number {
  const files = fs.readdirSync(directory, { recursive: true, encoding: "utf8" });
  return files.reduce((sum, file) => sum + fs.statSync(path.join(directory, file)).size, 0);
}

/**
 * Finds or makes the front end and returns its folder:
 * `static/` (scripts, styles, fonts; names carry a hash), `themes/`, `settings.json` (schemas), `lab.json`.
 *
 * The first call takes seconds and tells `onProgress` about it; later ones only find the folder. It is written beside
 * its place and then moved there, so that two processes may do it at once and a half-written one is never served.
 *
 * @throws Error with esbuild's words if a package is missing or does not parse.
 */
export async function bundleLab(root: string, onProgress: (text: string) => void): Promise<{ directory: string }> {
  const cache = path.join(root, ".cache", "lab");
  const name = bundleName(root);
  const directory = path.join(cache, name);
  if (isReady(directory)) return { directory };

  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  fs.mkdirSync(cache, { recursive: true });
  const temporary = fs.mkdtempSync(path.join(cache, ".building-"));
  onProgress("Putting JupyterLab together from its packages; this is needed once and takes some seconds …");
  const ticker = setInterval(() => onProgress(`Putting JupyterLab together … ${seconds()} s`), 2000);
  try {
    await build(root, temporary);
    moveIntoPlace(temporary, directory);
  } finally {
    clearInterval(ticker);
    fs.rmSync(temporary, { recursive: true, force: true });
  }
  removeOldBundles(cache, name);
  const megabytes = (folderSize(directory) / 1e6).toFixed(1);
  onProgress(`JupyterLab is ready: ${megabytes} MB in ${seconds()} s, kept for the next start.`);
  return { directory };
}

/** A folder that another process put there in the meantime is as good as ours. */
function moveIntoPlace(temporary: string, directory: string): void {
  try {
    fs.renameSync(temporary, directory);
  } catch (error) {
    if (!isReady(directory)) throw error;
  }
}
