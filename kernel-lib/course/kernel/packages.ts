/** Owns where a notebook's packages come from: kernel-lib, tslab and Node's types always from this kernel's install. */
import { existsSync } from "node:fs";
import Module from "node:module";
import { dirname, join } from "node:path";
import type { OwnPackages } from "./compiler";

/** The folders of the packages that this install gives to every notebook. */
export function ownPackages(): OwnPackages {
  const tslab = dirname(require.resolve("tslab/package.json"));
  return {
    "kernel-lib": kernelLib(),
    tslab,
    "@types/node": dirname(require.resolve("@types/node/package.json", { paths: [kernelLib(), tslab] })),
  };
}

/** The folder of the kernel-lib that this file belongs to. */
export function kernelLib(): string {
  let directory = __dirname;
  while (!existsSync(join(directory, "package.json"))) directory = dirname(directory);
  return directory;
}

/** The fields of Node's module loader that resolve a request; Node documents them for exactly this use. */
interface Loader {
  _resolveFilename(request: string, ...rest: unknown[]): string;
}

/** Makes `require` find our packages from any folder. */
export function resolveOwnPackages(packages: OwnPackages): void {
  const loader = Module as unknown as Loader;
  const resolve = loader._resolveFilename;
  const roots = Object.entries(packages).filter(([name]) => !name.startsWith("@types/"));
  loader._resolveFilename = function (this: unknown, request, ...rest) {
    for (const [name, folder] of roots) {
      if (request === name || request.startsWith(`${name}/`)) {
        return resolve.call(this, join(folder, request.slice(name.length)), ...rest);
      }
    }
    return resolve.call(this, request, ...rest);
  };
}
