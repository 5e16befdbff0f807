/** Owns the measurement of our kernel against plain tslab: its start, and what a cell costs over tslab's engine. */
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { findRoot } from "../../kernel-lib/cli/root";
import { type Kernel, KernelProcess, kernelCommand, startKernel } from "../../kernel-lib/course/kernel";
import { newMessage } from "../../kernel-lib/course/wire";
import type { Measurement } from "./main";

/** How often each side is timed; the medians are compared. */
const rounds = 3;
const cells = Array.from(
  { length: 30 },
  (_, i) => `const x${i}: number = ${i};\nconsole.log("cell", x${i});\nx${i} + 1`,
);

/** The same cells in tslab's engine alone: no protocol, no second process. Prints milliseconds per cell. */
const engineProgram = `
const { createConverter } = require("tslab/dist/converter");
const { createExecutor } = require("tslab/dist/executor");
const node = createConverter({});
const executor = createExecutor(process.cwd(), { node, browser: node, close() {} }, { log() {}, error: console.error });
const cells = JSON.parse(process.argv[1]);
(async () => {
  await executor.execute("0");
  const write = process.stdout.write;
  process.stdout.write = () => true;
  const begun = performance.now();
  for (const cell of cells) await executor.execute(cell);
  const spent = performance.now() - begun;
  process.stdout.write = write;
  console.log(spent / cells.length);
  process.exit(0);
})();`;

/** Starts and cells, ours against plain tslab's, taken in turns. */
export async function benchKernel(): Promise<readonly Measurement[]> {
  const root = findRoot();
  const tslab = join(dirname(createRequire(join(root, "package.json")).resolve("tslab/package.json")), "bin", "tslab");
  const commands = {
    ours: [...kernelCommand(join(root, "kernel-lib"))],
    theirs: [process.execPath, tslab, "kernel", "--config-path", "{connection_file}"],
  };
  const times = { ours: emptyTimes(), theirs: emptyTimes() };
  const engine: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const side of ["ours", "theirs"] as const) await measure(root, commands[side], times[side]);
    engine.push(Number(execFileSync(process.execPath, ["-e", engineProgram, JSON.stringify(cells)], { cwd: root })));
  }
  const { ours, theirs } = times;
  const [our, their] = [median(ours.cell), median(theirs.cell)];
  return [
    { name: "kernel start to the first kernel_info reply", value: median(ours.info), unit: "ms" },
    { name: "  of plain tslab's", value: median(ours.info) / median(theirs.info), unit: "×", aim: "≤ 1.2" },
    { name: "kernel start to the end of the first cell", value: median(ours.first), unit: "ms" },
    { name: "  of plain tslab's", value: median(ours.first) / median(theirs.first), unit: "×", aim: "≤ 1.2" },
    { name: "a cell in our kernel", value: our, unit: "ms" },
    { name: "a cell in plain tslab's kernel", value: their, unit: "ms" },
    { name: "a cell, over tslab's engine alone", value: our - median(engine), unit: "ms", aim: "≤ 5" },
  ];
}

interface Times {
  readonly info: number[];
  readonly first: number[];
  readonly cell: number[];
}

function emptyTimes(): Times {
  return { info: [], first: [], cell: [] };
}

async function measure(cwd: string, command: readonly string[], times: Times): Promise<void> {
  times.info.push(await untilInfo(cwd, command));
  const begun = performance.now();
  const kernel = await startKernel({ cwd, command, interruptMode: "message" });
  try {
    await run(kernel, "0");
    times.first.push(performance.now() - begun);
    const start = performance.now();
    for (const cell of cells) await run(kernel, cell);
    times.cell.push((performance.now() - start) / cells.length);
  } finally {
    await kernel.stop();
  }
}

/** Until the kernel's first word, whatever it still has to load behind it. */
async function untilInfo(cwd: string, command: readonly string[]): Promise<number> {
  const begun = performance.now();
  const kernel = await KernelProcess.start({ cwd, command });
  try {
    await new Promise<void>((resolve) => {
      kernel.onMessage((channel) => channel === "shell" && resolve());
      kernel.send("shell", newMessage("kernel_info_request", {}, "bench"));
    });
    return performance.now() - begun;
  } finally {
    await kernel.stop();
  }
}

async function run(kernel: Kernel, code: string): Promise<void> {
  const { status, evalue } = await kernel.execute(code, () => {});
  if (status !== "ok") throw new Error(`a cell of the measurement failed: ${evalue}`);
}

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}
