/** Owns what a stack trace looks like: positions in cells as the learner wrote them, without our and Node's frames. */
import { join, sep } from "node:path";
import type { Position } from "./compiler";

/** Finds a position in a cell's source, and the number that the learner sees beside that cell. */
export type Locate = (id: number, line: number, column: number) => (Position & { readonly label: number }) | undefined;

const inCell = /kubebook-cell-(\d+):(\d+):(\d+)/;
/** How many frames are looked at (a library may be deep, and the cell's own line is at its end), and how many told. */
const captured = 50;
const told = 10;

/**
 * Makes every `error.stack` of this process name cells (`Cell 3:2:7`).
 * @param locate where a compiled position comes from.
 * @param hidden folders whose frames are left out.
 */
export function installStackTraces(locate: Locate, hidden: readonly string[]): void {
  const folders = hidden.map((folder) => join(folder, sep));
  Error.stackTraceLimit = captured;
  Error.prepareStackTrace = (error, callSites) => {
    const frames = callSites.map(String).flatMap((frame) => tell(frame, locate, folders));
    return [title(error), ...frames.slice(0, told).map((frame) => `    at ${frame}`)].join("\n");
  };
}

function tell(frame: string, locate: Locate, hidden: readonly string[]): string[] {
  const found = inCell.exec(frame);
  if (found) {
    const position = locate(Number(found[1]), Number(found[2]), Number(found[3]));
    if (!position) return []; // a line that the compiler made
    const place = `Cell ${position.label}:${position.line}:${position.column}`;
    // Names of an earlier cell are called as members of tslab's exports, which is a Proxy.
    const text = frame.replace(inCell, place).replace(/^(async )?Proxy\./, "$1");
    // The function that the executor wraps a cell in has no name of the learner's.
    return [text.replace(/^(?:async )?(?:eval|Object\.<anonymous>|<anonymous>) \((Cell [\d:]+)\)$/, "$1")];
  }
  if (/\(?node:|<anonymous>\)?$|evalmachine\./.test(frame) && !frame.startsWith("async Promise.")) return [];
  if (hidden.some((folder) => frame.includes(folder))) return [];
  return [frame.replace(/(\(|^| )(?:file:\/\/)?[^( ]*[\\/]node_modules[\\/]/, "$1")];
}

/** The first line, as Node writes it: with the code of Node's own errors. */
function title(error: unknown): string {
  try {
    const { code, name, message } = error as { code?: unknown; name?: unknown; message?: unknown };
    if (typeof code === "string" && code.startsWith("ERR_")) return `${name} [${code}]: ${message}`;
    return Error.prototype.toString.call(error);
  } catch {
    return "Error";
  }
}
