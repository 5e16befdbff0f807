/** Owns the tests of running notebooks: what becomes of each cell, over a kernel that misbehaves on purpose. */
import { describe, expect, it } from "vitest";
import { executeNotebook } from "../../kernel-lib/course/execute";
import type { Notebook } from "../../kernel-lib/course/nbformat";
import { FakeKernel, type FakeKernelOptions } from "./fakekernel";

/** A notebook of these code cells; one that begins with `!` is tagged raises-exception. */
function notebookOf(...sources: string[]): Notebook {
  const cells = sources.map((source, index) => ({
    cell_type: "code" as const,
    id: `cell-${index}`,
    metadata: source.startsWith("!") ? { tags: ["raises-exception"] } : {},
    source: source.replace(/^!/, ""),
    execution_count: null,
    outputs: [],
  }));
  return { nbformat: 4, nbformat_minor: 5, metadata: {}, cells };
}

async function statesOf(sources: string[], options: FakeKernelOptions = {}, timeout = 1000): Promise<string[]> {
  const { runs } = await executeNotebook(notebookOf(...sources), new FakeKernel(options), { timeout });
  return runs.map(({ state, reason }) => (reason === undefined ? state : `${state}: ${reason}`));
}

describe("running a notebook", () => {
  it("gives every cell what it shows and the number of its execution", async () => {
    const notebook = notebookOf("state.x = 1; print('one')", "print(state.x + 1); show({ 'text/plain': 'chart' })");
    const { notebook: shown, runs } = await executeNotebook(notebook, new FakeKernel());
    expect(runs.map(({ state }) => state)).toEqual(["ran", "ran"]);
    expect(shown.cells).toMatchObject([
      { execution_count: 1, outputs: [{ name: "stdout", text: "one\n" }] },
      { execution_count: 2, outputs: [{ text: "2\n" }, { data: { "text/plain": "chart" } }] },
    ]);
  });

  it("ends at a cell that fails untagged, and says of the rest that it did not run", async () => {
    expect(await statesOf(["print(1)", "throw new TypeError('no')", "print(2)"])).toEqual([
      "ran",
      "failed: TypeError: no",
      "not run: a cell above ended the run",
    ]);
  });

  it("goes on after a cell that must fail, and says where one does not", async () => {
    const states = await statesOf(["!throw new Error('yes')", "!print(1)", "print(2)"]);
    expect(states).toEqual(["ran", "did not fail: it is tagged raises-exception, but nothing was thrown", "ran"]);
  });

  it("never takes an aborted cell for one that ran", async () => {
    const states = await statesOf(["!throw new Error('yes')", "print(1)", "print(2)"], { abortsAfterError: true });
    expect(states).toEqual(["ran", "aborted: the kernel skipped it", "not run: a cell above ended the run"]);
    expect(await statesOf(["!throw 1"], { aborts: 1 })).toEqual(["aborted: the kernel skipped it"]);
  });

  it("interrupts a cell that takes too long", async () => {
    expect(await statesOf(["await forever()", "print(1)"], {}, 20)).toEqual([
      "timed out: it took longer than 0.02 s",
      "not run: a cell above ended the run",
    ]);
    expect(await statesOf(["!await forever()"], {}, 20)).toEqual(["timed out: it took longer than 0.02 s"]);
  });

  it("tells when the kernel dies", async () => {
    expect(await statesOf(["print(1)", "await die()", "print(2)"])).toEqual([
      "ran",
      "kernel died: the kernel died (SIGKILL)",
      "not run: a cell above ended the run",
    ]);
  });
});
