/** Owns the notion of "the cell that this code belongs to", across awaits, timers and callbacks. */
import { AsyncLocalStorage } from "node:async_hooks";

/** One execution, from its request to the last thing that it ever prints. */
export interface Cell {
  readonly id: number;
  /** The number beside the cell. */
  readonly label: number;
  readonly source: string;
  /** Set by an interrupt: code of this execution that wakes up later must not go on. */
  readonly abort: AbortController;
  /** What has been printed and shown: see `output.ts` for the limits. */
  characters: number;
  messages: number;
  cut: boolean;
  /** What the executor handed over: the last expression's value, or what was thrown. */
  value?: { readonly of: unknown };
  thrown?: { readonly error: unknown };
}

const storage = new AsyncLocalStorage<Cell>();
const emptyStack = asyncStackClearer();
let latest: Cell | undefined;
/** Set when code was torn away, and Node's stack of contexts may not be what it was. */
let torn = false;

/** A cell that has printed nothing yet. */
export function newCell(id: number, label: number, source: string): Cell {
  return { id, label, source, abort: new AbortController(), characters: 0, messages: 0, cut: false };
}

/** Runs a function as part of a cell; whatever it starts belongs to the cell too. */
export function runInCell<T>(cell: Cell, run: () => T): T {
  latest = cell;
  if (torn) emptyStack();
  torn = false;
  return storage.run(cell, run);
}

/** The cell that the running code belongs to; where that cannot be told (a native callback), the latest one. */
export function currentCell(): Cell | undefined {
  return storage.getStore() ?? latest;
}

/**
 * Stops following contexts until the next cell runs: for code that is about to be torn away.
 *
 * While contexts are followed, Node keeps a stack of them and aborts if a callback leaves it unbalanced, which is what a
 * function does that ends in the middle of it. Where nobody follows, Node does not look; and before somebody follows
 * again, `runInCell` empties what was left, as Node itself does after an uncaught exception.
 */
export function forgetContexts(): void {
  storage.disable();
  emptyStack();
  torn = true;
}

/** Node's own way to empty the stack; nothing where a Node keeps its contexts elsewhere. */
function asyncStackClearer(): () => void {
  const { noDeprecation } = process as { noDeprecation?: boolean };
  try {
    (process as { noDeprecation?: boolean }).noDeprecation = true;
    const { binding } = process as unknown as { binding(name: string): { clearAsyncIdStack?: () => void } };
    const { clearAsyncIdStack } = binding.call(process, "async_wrap");
    return clearAsyncIdStack ?? (() => {});
  } catch {
    return () => {};
  } finally {
    (process as { noDeprecation?: boolean }).noDeprecation = noDeprecation ?? false;
  }
}
