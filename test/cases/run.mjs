/** Owns `npm run cases`: compiles the judges of Kubernetes' own cases, and runs them on the files of a folder. */
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const outfile = join(here, "..", "..", ".cache", `cases-${process.pid}.cjs`);
await build({
  entryPoints: [join(here, "main.ts")],
  outfile,
  bundle: true,
  platform: "node",
  packages: "external",
  logLevel: "warning",
});
try {
  await createRequire(import.meta.url)(outfile).main(process.argv.slice(2));
} finally {
  rmSync(outfile, { force: true });
}
