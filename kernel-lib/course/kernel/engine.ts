/** Owns running cells: tslab's converter and executor, with values, diagnostics and errors handed over as they are. */
import type { Converter, Diagnostic } from "tslab/dist/converter";
import type { ConverterSet, Executor } from "tslab/dist/executor";
import type { Cell } from "./cell";
import { currentCell, runInCell } from "./cell";
import type { Compiler } from "./compiler";

/** How a cell ended. */
export type Outcome =
  | { readonly status: "ok"; readonly value?: { readonly of: unknown } }
  | { readonly status: "thrown"; readonly error: unknown }
  | { readonly status: "types"; readonly diagnostics: readonly Diagnostic[] }
  | { readonly status: "interrupted" };

/** What an await in an interrupted cell throws when it wakes up; nobody is told. */
export const interruption = new Error("Interrupted");

interface Running {
  readonly cell: Cell;
  readonly finish: (outcome: Outcome) => void;
}

/** One engine per kernel; one cell at a time. */
export class Engine {
  readonly #compiler: Compiler;
  readonly #executor: Executor;
  readonly #convert: typeof import("tslab/dist/converter");
  #diagnostics: readonly Diagnostic[] = [];
  #running: Running | undefined;
  #compiling = false;

  /** Loads tslab; `compiler` must be in place before. Takes most of the kernel's start. */
  constructor(directory: string, compiler: Compiler) {
    this.#compiler = compiler;
    this.#convert = require("tslab/dist/converter") as typeof import("tslab/dist/converter");
    const { createExecutor } = require("tslab/dist/executor") as typeof import("tslab/dist/executor");
    this.#executor = createExecutor(directory, this.#converters(), {
      // The executor logs one thing, a last expression's value; and reports two, diagnostics and what was thrown.
      log: (value: unknown) => {
        const cell = currentCell();
        if (cell) cell.value = { of: value };
      },
      error: (...report: readonly unknown[]) => {
        const cell = currentCell();
        if (cell && report.length === 1) cell.thrown = { error: report[0] };
      },
    });
    (globalThis as unknown as { __tslab__: { awake?: unknown } }).__tslab__.awake = awake;
    this.#executor.inspect("0", 0); // the first use makes the compiler ready
  }

  /** True while a cell's own code runs; the compiler, before it, must not be torn away. */
  get holding(): boolean {
    return this.#running !== undefined && !this.#compiling;
  }

  /**
   * Runs a cell. `finish` is called once, at its end. It is a callback, not a promise, because an interrupt may tear away
   * the whole stack below, and then nobody would be left who waits.
   */
  execute(cell: Cell, finish: (outcome: Outcome) => void): void {
    const running = { cell, finish };
    this.#running = running;
    this.#compiling = true;
    this.#diagnostics = [];
    this.#compiler.begin(cell.id);
    const done = runInCell(cell, () => this.#executor.execute(cell.source));
    done.then(
      (ok) => this.#finish(running, this.#outcome(cell, ok)),
      (error: unknown) => this.#finish(running, { status: "thrown", error }),
    );
  }

  /** Ends the running cell where it awaits; its code does not go on when what it awaited comes. */
  interrupt(): void {
    const running = this.#running;
    if (!running) return;
    running.cell.abort.abort(interruption);
    this.#executor.interrupt();
    this.#finish(running, { status: "interrupted" });
  }

  #finish(running: Running, outcome: Outcome): void {
    if (this.#running !== running) return; // already interrupted
    this.#running = undefined;
    // The cell is remembered for its source; what it gave must not be kept alive by that.
    delete running.cell.value;
    delete running.cell.thrown;
    running.finish(outcome);
  }

  /** tslab's completions at an offset (UTF-16) of a cell that is being written. */
  complete(code: string, offset: number): ReturnType<Executor["complete"]> {
    return this.#executor.complete(code, offset);
  }

  /** What is known about the name at an offset (UTF-16). */
  inspect(code: string, offset: number): ReturnType<Executor["inspect"]> | undefined {
    return this.#executor.inspect(code, offset);
  }

  /** Whether a cell could be run as it is. */
  isComplete(code: string): { readonly status: "complete" | "incomplete" | "invalid"; readonly indent?: string } {
    const { completed, indent } = this.#convert.isCompleteCode(code);
    if (!completed) return { status: "incomplete", indent: indent ?? "" };
    const { createSourceFile, ScriptTarget } = this.#compiler.typescript;
    const file = createSourceFile("cell.ts", code, ScriptTarget.Latest) as { parseDiagnostics?: { code: number }[] };
    const faults = file.parseDiagnostics ?? [];
    if (faults.some((fault) => fault.code === unterminatedTemplate)) return { status: "incomplete", indent: "" };
    return { status: faults.length > 0 ? "invalid" : "complete" };
  }

  /** Lets go of what the compiler holds. */
  close(): void {
    this.#executor.close();
  }

  #outcome(cell: Cell, ok: boolean): Outcome {
    if (cell.abort.signal.aborted || wasBroken(cell.thrown?.error)) return { status: "interrupted" };
    if (this.#diagnostics.length > 0) return { status: "types", diagnostics: this.#diagnostics };
    if (cell.thrown) return { status: "thrown", error: cell.thrown.error };
    if (!ok) return { status: "thrown", error: new Error("the cell failed without saying why") };
    return cell.value ? { status: "ok", value: cell.value } : { status: "ok" };
  }

  /** tslab's converters, with what they say about a cell noted on the way. */
  #converters(): ConverterSet {
    const node = this.#convert.createConverter({ isJS: false, isBrowser: false });
    let browser: Converter | undefined;
    const noting = (converter: Converter): Converter => ({
      ...converter,
      convert: (declarations, source) => {
        const result = converter.convert(declarations, source);
        this.#diagnostics = result.diagnostics;
        this.#compiling = false;
        // tslab takes `await (…)` at the top for a call of a function "await"; what it compiles to is right all the same.
        const hasToplevelAwait = result.hasToplevelAwait === true || this.#compiler.awaitsAtTop;
        this.#compiler.wrapped(hasToplevelAwait);
        return { ...result, hasToplevelAwait };
      },
      addModule: (name, content, meta) => {
        this.#diagnostics = converter.addModule(name, content, meta);
        return [...this.#diagnostics];
      },
    });
    return {
      node: noting(node),
      get browser() {
        browser ??= noting(createBrowser());
        return browser;
      },
      close: () => {
        node.close();
        browser?.close();
      },
    };
  }
}

/** True for what Node's vm throws when SIGINT breaks the synchronous part of a cell. */
function wasBroken(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === "ERR_SCRIPT_EXECUTION_INTERRUPTED";
}

/** "Unterminated template literal." */
const unterminatedTemplate = 1160;

function createBrowser(): Converter {
  const { createConverter } = require("tslab/dist/converter") as typeof import("tslab/dist/converter");
  return createConverter({ isJS: false, isBrowser: true });
}

/** Stands around every await of a cell (see `compiler.ts`). */
function awake(value: unknown): unknown {
  if (currentCell()?.abort.signal.aborted) throw interruption;
  return value;
}
