/** Owns the house's walls: which folder may import which, what the core may not say, and who must be able to read it. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
const library = join(root, "kernel-lib");

/** A folder may import itself and the folders named here. */
const layers: Readonly<Record<string, readonly string[]>> = {
  sim: [],
  net: ["sim"],
  api: ["sim"],
  apps: ["sim", "net", "api"],
  control: ["sim", "api"],
  node: ["sim", "net", "api", "apps"],
  cluster: ["sim", "net", "api", "apps", "control", "node"],
  apiserver: ["sim", "api", "cluster"],
  course: [],
  jupyterlab: [],
  cli: ["cluster", "apiserver", "course"],
};
const core = ["sim", "net", "api", "apps", "control", "node"];
const coreBanned = [
  /\brequire\s*\(/,
  /\bMath\.random\b/,
  /\bDate\b/,
  /\bset(Timeout|Interval|Immediate)\b/,
  /\bPromise\b/,
  /\b(async|await)\b/,
  /\bprocess\b/,
  /\bconsole\b/,
  /\bperformance\b/,
];
/** What the libraries belong to: the core computes with these, and with nothing else. */
const coreLibraries = /^(@noble\/hashes|ip-num|pure-rand|yaml|kubernetes-types|rfc6902|node-forge)(\/|$)/;

function sources(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter(
      (path) => path.endsWith(".ts") && !path.includes("node_modules") && !path.startsWith(join(library, "dist")),
    );
}

function imports(text: string): string[] {
  const found = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)];
  return found.map((match) => match[1] as string);
}

/** The code without its comments and its strings' contents: words in them are not said by the code. */
function bare(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""')
    .replace(/`(?:[^`\\$]|\\.|\$(?!\{))*`/g, "``")
    .replace(/(^|[^:])\/\/.*$/gm, "$1");
}

describe("the layers", () => {
  it.each(Object.keys(layers))("%s imports only what lies below it", (layer) => {
    const wrong: string[] = [];
    for (const path of sources(join(library, layer))) {
      for (const name of imports(readFileSync(path, "utf8"))) {
        if (!name.startsWith(".")) continue;
        const target = relative(library, resolve(dirname(path), name)).split("/")[0] as string;
        if (target !== layer && !layers[layer]?.includes(target)) wrong.push(`${relative(root, path)} imports ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it.each(core)("%s knows no clock, dice, platform or promise but those it is handed", (layer) => {
    const wrong: string[] = [];
    for (const path of sources(join(library, layer))) {
      const text = readFileSync(path, "utf8");
      const code = bare(text);
      for (const banned of coreBanned) {
        const found = code.match(banned);
        if (found) wrong.push(`${relative(root, path)} says ${found[0]}`);
      }
      for (const name of imports(text)) {
        if (!name.startsWith(".") && !coreLibraries.test(name)) wrong.push(`${relative(root, path)} imports ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("cluster/ has no clock and no dice of its own", () => {
    const wrong = sources(join(library, "cluster")).flatMap((path) => {
      const found = bare(readFileSync(path, "utf8")).match(/\b(Math\.random|Date|performance)\b/);
      return found ? [`${relative(root, path)} says ${found[0]}`] : [];
    });
    expect(wrong).toEqual([]);
  });

  it("cluster/ and the face import nothing of Node, so that a browser can run them", () => {
    const paths = [...sources(join(library, "cluster")), join(library, "index.ts")];
    const wrong = paths.flatMap((path) =>
      imports(readFileSync(path, "utf8"))
        .filter((name) => name.startsWith("node:") || ["fs", "path", "os", "crypto", "child_process"].includes(name))
        .map((name) => `${relative(root, path)} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it("every folder of kernel-lib is a layer", () => {
    const folders = readdirSync(library, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "dist" && entry.name !== "node_modules")
      .map((entry) => entry.name);
    expect(folders.filter((name) => !(name in layers))).toEqual([]);
  });

  it("every file opens with one sentence that says what it owns", () => {
    const silent = sources(library).filter((path) => !/^(#!.*\n)?\/\*\*[\s*]+Owns /.test(readFileSync(path, "utf8")));
    expect(silent.map((path) => relative(root, path))).toEqual([]);
  });

  it("the core compiles without the types of Node and of the browser", () => {
    compile(["-p", join(library, "tsconfig.core.json")]);
  }, 60_000);

  it("a notebook's TypeScript reads the declarations of kernel-lib", () => {
    const face = join(library, "dist", "index.d.ts");
    expect(existsSync(face), "kernel-lib is compiled").toBe(true);
    const ts = createRequire(join(root, "package.json"))("@tslab/typescript-for-tslab") as NotebookTypeScript;
    const program = ts.createProgram([face], {
      noEmit: true,
      strict: true,
      target: 9,
      module: 1,
      moduleResolution: 2,
      lib: ["lib.es2022.d.ts"],
      types: ["node"],
      typeRoots: [join(root, "node_modules", "@types")],
    });
    const ours = ts.getPreEmitDiagnostics(program).filter((found) => found.file?.fileName.startsWith(library));
    expect(
      ours.map((found) => `${found.file?.fileName}: ${ts.flattenDiagnosticMessageText(found.messageText, "\n")}`),
    ).toEqual([]);
  }, 60_000);
});

interface NotebookTypeScript {
  createProgram(files: string[], options: object): object;
  getPreEmitDiagnostics(program: object): Array<{ file?: { fileName: string }; messageText: unknown }>;
  flattenDiagnosticMessageText(text: unknown, newLine: string): string;
}

function compile(args: string[]): void {
  const { bin } = createRequire(join(root, "package.json"))("typescript/package.json") as { bin: { tsc: string } };
  try {
    execFileSync(process.execPath, [join(root, "node_modules", "typescript", bin.tsc), ...args], { encoding: "utf8" });
  } catch (error) {
    throw new Error((error as { stdout?: string }).stdout || String(error));
  }
}
