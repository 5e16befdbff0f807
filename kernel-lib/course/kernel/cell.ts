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
let latest: Cell | undefined;

/** A cell that has printed nothing yet. */
export function newCell(id: number, label: number, source: string): Cell {
  return { id, label, source, abort: new AbortController(), characters: 0, messages: 0, cut: false };
}

/** Runs a function as part of a cell; whatever it starts belongs to the cell too. */
export function runInCell<T>(cell: Cell, run: () => T): T {
  latest = cell;
  return storage.run(cell, run);
}

/** The cell that the running code belongs to; where that cannot be told (a native callback), the latest one. */
export function currentCell(): Cell | undefined {
  return storage.getStore() ?? latest;
}
