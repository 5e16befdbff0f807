/** Owns running a `main.ts` of the tests' folders as it stands: it is compiled into .cache, run, and taken away again. */
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Hands the program's arguments to the `main` beside a script. @param script its `import.meta.url` */
export async function runMain(script) {
  const here = dirname(fileURLToPath(script));
  const outfile = join(here, "..", "..", ".cache", `${basename(here)}-${process.pid}.cjs`);
  await build({
    entryPoints: [join(here, "main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    packages: "external",
    logLevel: "warning",
  });
  try {
    await createRequire(script)(outfile).main(process.argv.slice(2));
  } finally {
    rmSync(outfile, { force: true });
  }
}
