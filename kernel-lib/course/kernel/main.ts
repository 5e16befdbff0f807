/** Owns the kernel process: its engine here, its sockets in a thread of their own that a busy cell cannot hold up. */
import { Session } from "node:inspector";
import * as modules from "node:module";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { completeReply, inspectReply } from "./ask";
import { type Cell, currentCell, forgetContexts, newCell, runInCell } from "./cell";
import { Compiler } from "./compiler";
import { Engine, interruption, type Outcome } from "./engine";
import { interrupted, thrownFailure, typeFailure, uncaughtText } from "./failure";
import { type Event, type Failure, type Job, type SocketsStart, stopKey } from "./jobs";
import { Output } from "./output";
import { kernelLib, ownPackages, resolveOwnPackages } from "./packages";
import { bundleOf, type DisplayRequest, showRequest } from "./show";
import { installStackTraces } from "./stack";

/** The cells of this kernel, for whoever asks where an error comes from. */
class Cells {
  readonly #byId = new Map<number, Cell>();
  readonly #byLabel = new Map<number, Cell>();

  add(cell: Cell): void {
    this.#byId.set(cell.id, cell);
    this.#byLabel.set(cell.label, cell);
  }

  label = (id: number): number | undefined => this.#byId.get(id)?.label;
  source = (label: number): string | undefined => this.#byLabel.get(label)?.source;
}

function main(connectionFile: string): void {
  const { JPY_PARENT_PID: parent, KUBEBOOK_KERNEL_STDIN: stdin } = process.env;
  const closed = new Int32Array(new SharedArrayBuffer(4));
  const start: SocketsStart = { connectionFile, parent, stdin, closed };
  const worker = new Worker(join(__dirname, "sockets.js"), { workerData: start });
  worker.on("error", (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  forgetTheTerminal();
  // Node 22 can keep compiled code between starts; TypeScript is most of what a start loads.
  const { enableCompileCache } = modules as { enableCompileCache?: (directory: string) => unknown };
  enableCompileCache?.(join(kernelLib(), "..", ".cache", "compiled"));
  const tell = (event: Event) => worker.postMessage(event);
  process.on("exit", () => {
    tell({ kind: "leaving" }); // also when a cell calls process.exit
    Atomics.wait(closed, 0, 0, 1_000);
  });
  const output = new Output(tell);
  const cells = new Cells();
  const packages = ownPackages();
  const compiler = new Compiler(packages);
  resolveOwnPackages(packages);
  installStackTraces(
    (id, line, column) => {
      const position = compiler.position(id, line, column);
      const label = cells.label(id);
      return position && label !== undefined ? { ...position, label } : undefined;
    },
    [kernelLib(), packages.tslab ?? ""],
  );
  const engine = new Engine(process.cwd(), compiler);
  output.capture();
  offerDisplay(output);
  reportTheUncaught(output);
  offerStop(engine);
  tell({ kind: "ready" });
  worker.on("message", (job: Job) => perform(job, engine, output, cells, tell));
}

function perform(job: Job, engine: Engine, output: Output, cells: Cells, tell: (event: Event) => void): void {
  const answer = (content: Record<string, unknown>) => tell({ kind: "answer", id: job.id, content });
  switch (job.kind) {
    case "execute": {
      const cell = newCell(job.id, job.label, job.code);
      cells.add(cell);
      engine.execute(cell, (outcome) => void report(outcome, cell, job, engine, output, cells).then(answer));
      break;
    }
    case "complete":
      answer(attempt(() => completeReply(engine, job.code, job.cursor)));
      break;
    case "inspect":
      answer(attempt(() => inspectReply(engine, job.code, job.cursor)));
      break;
    case "isComplete":
      answer(attempt(() => ({ ...engine.isComplete(job.code) })));
      break;
    case "interrupt":
      engine.interrupt();
      tell({ kind: "interrupted", id: job.id });
      break;
    case "shutdown":
      engine.close();
      process.exit(0);
  }
}

/** A question about half-written code that the compiler trips over is answered with an error, not with silence. */
function attempt(answer: () => Record<string, unknown>): Record<string, unknown> {
  try {
    return answer();
  } catch (error) {
    return { status: "error", ...thrownFailure(error, () => undefined) };
  }
}

/** Publishes how a cell ended; what is returned goes into the reply. */
async function report(
  outcome: Outcome,
  cell: Cell,
  job: Job & { kind: "execute" },
  engine: Engine,
  output: Output,
  cells: Cells,
): Promise<Record<string, unknown>> {
  // Promises that nobody handled are told of in the next turn: while this cell is still the one.
  await new Promise(setImmediate);
  try {
    const failure = failureOf(outcome, cell, cells);
    if (failure) return fail(failure, cell, output);
    if (outcome.status === "ok" && outcome.value && !job.silent) await showResult(outcome.value.of, cell, output);
    return { status: "ok", payload: [], user_expressions: await evaluate(job.userExpressions, engine, job.label) };
  } catch (error) {
    return fail(thrownFailure(error, cells.source), cell, output);
  }
}

function fail(failure: Failure, cell: Cell, output: Output): Record<string, unknown> {
  output.publish("error", { ...failure }, cell);
  return { status: "error", ...failure };
}

function failureOf(outcome: Outcome, cell: Cell, cells: Cells): Failure | undefined {
  switch (outcome.status) {
    case "ok":
      return undefined;
    case "interrupted":
      return interrupted;
    case "types":
      return typeFailure(outcome.diagnostics, cell.label, cell.source);
    case "thrown":
      return thrownFailure(outcome.error, cells.source);
  }
}

async function showResult(value: unknown, cell: Cell, output: Output): Promise<void> {
  const data = await runInCell(cell, () => bundleOf(value));
  if (Object.keys(data).length === 0) return;
  output.publish("execute_result", { execution_count: cell.label, data, metadata: {} }, cell);
}

let expressions = 0;

/** The protocol's user_expressions: evaluated after the cell, without a trace in it. */
async function evaluate(wanted: Readonly<Record<string, string>>, engine: Engine, label: number) {
  const results: Record<string, unknown> = {};
  for (const [name, code] of Object.entries(wanted)) {
    expressions += 1;
    const cell = newCell(-expressions, label, code);
    const outcome = await new Promise<Outcome>((finish) => engine.execute(cell, finish));
    results[name] =
      outcome.status === "ok"
        ? { status: "ok", data: outcome.value ? await bundleOf(outcome.value.of) : {}, metadata: {} }
        : { status: "error", ...failureOf(outcome, cell, new Cells()) };
  }
  return results;
}

/** What a cell prints must not depend on where the kernel was started: no colours, no width. */
function forgetTheTerminal(): void {
  for (const name of ["FORCE_COLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "LINES", "NODE_DISABLE_COLORS"]) {
    delete process.env[name];
  }
  for (const name of ["JPY_PARENT_PID", "KUBEBOOK_KERNEL_STDIN"]) delete process.env[name];
  process.env.NO_COLOR = "1";
  process.env.TERM = "dumb";
}

/** The ways in which code shows things: kernel-lib's display, and tslab's own. */
function offerDisplay(output: Output): void {
  const global = globalThis as unknown as Record<symbol, unknown>;
  global[Symbol.for("kubebook.display")] = (request: DisplayRequest) => showRequest(request, output);
  global[Symbol.for("kubebook.signal")] = () => currentCell()?.abort.signal;
  const tslab = require("tslab/dist/jupyter") as { lastWriteDisplayData: unknown };
  tslab.lastWriteDisplayData = (content: Record<string, unknown>, update: boolean) =>
    output.publish(update ? "update_display_data" : "display_data", content);
}

/** An error that nobody caught belongs to the stderr of the cell that started it; it ends neither cell nor kernel. */
function reportTheUncaught(output: Output): void {
  const report = (error: unknown) => {
    if (error !== interruption) output.text("stderr", uncaughtText(error));
  };
  process.on("uncaughtException", report);
  process.on("unhandledRejection", report);
}

/** Leaves a function for the interrupter to call while a cell holds this thread (see `interrupter.ts`). */
function offerStop(engine: Engine): void {
  const session = new Session();
  session.connect();
  (globalThis as unknown as Record<symbol, unknown>)[Symbol.for(stopKey)] = () => {
    if (!engine.holding) return;
    forgetContexts();
    session.post("Runtime.terminateExecution");
  };
}

const [connectionFile] = process.argv.slice(2);
if (connectionFile === undefined) {
  process.stderr.write("usage: node main.js CONNECTION_FILE\n");
  process.exit(2);
}
main(connectionFile);
