#!/usr/bin/env node
/** Owns the start of the command `kubebook`: in a checkout it compiles what is missing or older than its source, then hands over. */

const { execFileSync } = require("node:child_process");
const { existsSync, readdirSync, rmSync, statSync, utimesSync } = require("node:fs");
const { dirname, join, relative } = require("node:path");

const library = dirname(__dirname);
const dist = join(library, "dist");
const stamp = join(dist, ".tsbuildinfo");

/** When the newest TypeScript source below `folder` was written, milliseconds. */
function newestSource(folder) {
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "dist" && entry.name !== "node_modules" && entry.name !== "jupyterlab") {
        newest = Math.max(newest, newestSource(path));
      }
    } else if (entry.name.endsWith(".ts") || entry.name.startsWith("tsconfig")) {
      newest = Math.max(newest, statSync(path).mtimeMs);
    }
  }
  return newest;
}

/** Takes away what was compiled from sources that are gone: a stale `x.js` would hide a new `x/index.js`. */
function removeStale(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeStale(path);
    else if (/\.(js|d\.ts)$/.test(entry.name)) {
      const source = join(library, relative(dist, path)).replace(/(\.d\.ts|\.js)$/, ".ts");
      if (!existsSync(source)) rmSync(path);
    }
  }
}

function compileWhatIsMissing() {
  if (!existsSync(join(library, "cli", "main.ts"))) return; // a packed copy: nothing to compile
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= newestSource(library)) return;
  const begin = Date.now();
  if (existsSync(dist)) removeStale(dist);
  process.stderr.write("Compiling kernel-lib … ");
  const compiler = require.resolve("typescript/package.json", { paths: [library] });
  const { bin } = require(compiler);
  try {
    execFileSync(process.execPath, [join(dirname(compiler), bin.tsc), "-b", library], {
      encoding: "utf8",
      stdio: "pipe",
    });
  } catch (error) {
    process.stderr.write(`failed\n${error.stdout || error.message}\n`);
    process.exit(1);
  }
  // The compiler leaves its own stamp alone when nothing that it emits has changed.
  const now = new Date();
  utimesSync(stamp, now, now);
  process.stderr.write(`done in ${((Date.now() - begin) / 1000).toFixed(1)} s\n`);
}

compileWhatIsMissing();
require("../dist/cli/main.js");
