/** Owns what we add to the TypeScript that tslab compiles with: source maps, interruptible awaits, our own packages. */
import { SourceMap } from "node:module";
import { dirname, join, sep } from "node:path";
import type ts from "@tslab/typescript-for-tslab";
import { namedInFull } from "./shorthand";

/** A place in a cell's source; line and column count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The packages that a notebook always gets from our own install, by the folder that holds each package. */
export type OwnPackages = Readonly<Record<string, string>>;

/** The name that V8 knows a cell's compiled code by. */
export const scriptName = (id: number): string => `kubebook-cell-${id}`;

const inlineMap = /\n?\/\/# sourceMappingURL=data:application\/json;(?:charset=utf-8;)?base64,([A-Za-z0-9+/=]+)\s*$/;
/** tslab puts this many lines before a cell's source: `export {};`. */
const linesBefore = 1;
const wrappers = { sync: "(function(exports, require) { ", async: "(async function(exports, require) { " };

/** The compiled form of one cell: from what V8 runs back to what the learner wrote, in tslab's two steps. */
interface Compiled {
  readonly toModule: SourceMap;
  readonly toSource: SourceMap;
  readonly asyncWrapper: boolean;
  /** What comes behind is the executor's own call of the cell. */
  readonly lines: number;
}

/**
 * Stands between tslab's converter and its TypeScript. The converter compiles a cell in two steps (TypeScript to an ES
 * module, that to CommonJS) and keeps no source map of either, so we ask both for one.
 */
export class Compiler {
  readonly typescript: typeof ts;
  readonly #packages: OwnPackages;
  readonly #compiled = new Map<number, Compiled>();
  #cell = 0;
  #awaitsAtTop = false;

  /** Puts itself in the place of the TypeScript module; call it before tslab's converter is loaded. */
  constructor(packages: OwnPackages) {
    const tslab = dirname(require.resolve("tslab/package.json"));
    const path = require.resolve("@tslab/typescript-for-tslab", { paths: [tslab] });
    this.typescript = require(path) as typeof ts;
    this.#packages = packages;
    const replacement = Object.create(this.typescript, {
      __esModule: { value: true }, // or tslab's import would copy the original's own properties
      createWatchCompilerHost: { value: (...host: readonly unknown[]) => this.#createHost(host) },
      transpileModule: { value: (text: string, options: ts.TranspileOptions) => this.#transpile(text, options) },
    });
    const loaded = require.cache[path];
    if (!loaded) throw new Error("TypeScript is not in the module cache");
    loaded.exports = replacement;
  }

  /** What is compiled from now on is this cell's. */
  begin(id: number): void {
    this.#cell = id;
    this.#awaitsAtTop = false;
  }

  /** True when the cell that was just compiled has an await outside of any function. */
  get awaitsAtTop(): boolean {
    return this.#awaitsAtTop;
  }

  /** Says how tslab's executor wrapped the cell that was just compiled. */
  wrapped(asyncWrapper: boolean): void {
    const compiled = this.#compiled.get(this.#cell);
    if (compiled) this.#compiled.set(this.#cell, { ...compiled, asyncWrapper });
  }

  /** Where in its source a position (from 1) in a cell's compiled code comes from. */
  position(id: number, line: number, column: number): Position | undefined {
    const compiled = this.#compiled.get(id);
    if (!compiled || line > compiled.lines) return undefined;
    const wrapper = line === 1 ? wrappers[compiled.asyncWrapper ? "async" : "sync"].length : 0;
    const inModule = original(compiled.toModule, line - 1, column - 1 - wrapper);
    const inSource = inModule && original(compiled.toSource, inModule.line, inModule.column);
    if (!inSource || inSource.line < linesBefore) return undefined;
    return { line: inSource.line - linesBefore + 1, column: inSource.column + 1 };
  }

  /** First step: the host of tslab's compiler, with a source map, our packages, and no files watched that do not change. */
  #createHost(host: readonly unknown[]): unknown {
    const [roots, options, system, ...rest] = host as [string[], ts.CompilerOptions, ts.System, ...unknown[]];
    const types = this.#packages["@types/node"];
    const ours: ts.CompilerOptions = {
      inlineSourceMap: true,
      paths: Object.fromEntries(
        Object.entries(this.#packages).flatMap(([name, folder]) => [
          [name, [folder]],
          [`${name}/*`, [join(folder, "*")]],
        ]),
      ),
      // Only Node's globals: every other @types package that lies about would slow the start and change what compiles.
      ...(types ? { typeRoots: [dirname(types)], types: ["node"] } : {}),
    };
    watchOnlyTheLearnersFiles(system, Object.values(this.#packages));
    const create = this.typescript.createWatchCompilerHost as (...all: readonly unknown[]) => unknown;
    return create(roots, { ...options, ...ours }, system, ...rest);
  }

  /** Second step: the ES module to CommonJS. Composes nothing yet; both maps are kept until an error asks. */
  #transpile(text: string, options: ts.TranspileOptions): ts.TranspileOutput {
    const found = inlineMap.exec(text);
    if (!found?.[1]) return this.typescript.transpileModule(text, options);
    const first = JSON.parse(Buffer.from(found[1], "base64").toString("utf8")) as SourceMapPayload;
    const module = text.slice(0, found.index);
    const output = this.typescript.transpileModule(module, {
      ...options,
      compilerOptions: { ...options.compilerOptions, sourceMap: true },
      transformers: {
        before: [...(module.includes("await") ? [this.#checkAfterAwait] : []), namedInFull(this.typescript)],
      },
    });
    const code = output.outputText.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
    if (!output.sourceMapText || first.file !== "__tslab__.js") return { ...output, outputText: code };
    this.#compiled.set(this.#cell, {
      toModule: new SourceMap(JSON.parse(output.sourceMapText) as SourceMapPayload),
      toSource: new SourceMap(first),
      asyncWrapper: false,
      lines: code.split("\n").length,
    });
    return { ...output, outputText: `${code}//# sourceURL=${scriptName(this.#cell)}\n` };
  }

  /** `await x` becomes `__tslab__.awake(await x)`: an interrupted cell that wakes up again ends there. */
  readonly #checkAfterAwait: ts.TransformerFactory<ts.SourceFile> = (context) => {
    const { factory, isAwaitExpression, isFunctionLike, visitEachChild, visitNode } = this.typescript;
    const visit = (node: ts.Node, inFunction: boolean): ts.Node => {
      const below = inFunction || isFunctionLike(node);
      const inside = visitEachChild(node, (child) => visit(child, below), context);
      if (!isAwaitExpression(inside)) return inside;
      if (!inFunction) this.#awaitsAtTop = true;
      const awake = factory.createPropertyAccessExpression(factory.createIdentifier("__tslab__"), "awake");
      return factory.createCallExpression(awake, undefined, [inside]);
    };
    return (file) => visitNode(file, (node) => visit(node, false)) as ts.SourceFile;
  };
}

/** The fields of a source map (ECMA-426) that Node's reader wants. */
type SourceMapPayload = ConstructorParameters<typeof SourceMap>[0];

function original(map: SourceMap, line: number, column: number): Position | undefined {
  const entry = map.findEntry(line, column);
  return "originalLine" in entry && entry.originalLine !== undefined
    ? { line: entry.originalLine, column: entry.originalColumn }
    : undefined;
}

/** TypeScript polls every file that it reads; installed packages and its own library do not change under a kernel. */
function watchOnlyTheLearnersFiles(system: ts.System, ownFolders: readonly string[]): void {
  const { watchFile } = system;
  const fixed = ownFolders.map((folder) => join(folder, sep));
  const nothing: ts.FileWatcher = { close: () => {} };
  system.watchFile = (path, ...rest) => {
    if (!watchFile || path.includes("/node_modules/") || fixed.some((folder) => path.startsWith(folder)))
      return nothing;
    return watchFile(path, ...rest);
  };
  system.watchDirectory = () => nothing;
}
