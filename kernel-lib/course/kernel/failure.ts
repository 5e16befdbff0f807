/** Owns how a failed cell is told: name, message, and a traceback that quotes the cell's own line. */
import { inspect } from "node:util";
import type { Diagnostic } from "tslab/dist/converter";
import type { Failure } from "./jobs";

/** Finds the source of the cell with a number. */
export type SourceOf = (label: number) => string | undefined;

const causeLimit = 5;
const place = /Cell (\d+):(\d+):(\d+)/;

/** What an interrupted cell ends with. */
export const interrupted: Failure = {
  ename: "Interrupted",
  evalue: "the cell was interrupted",
  traceback: ["Interrupted: the cell was interrupted"],
};

/** Tells what a cell threw. */
export function thrownFailure(error: unknown, sourceOf: SourceOf): Failure {
  if (!isError(error)) {
    const evalue = inspect(error);
    return { ename: "Uncaught", evalue, traceback: [`Uncaught ${evalue}`] };
  }
  const stack = stackOf(error);
  const traceback = [...stack.split("\n"), ...causes(error)];
  const quoted = quoteFirstPlace(stack, sourceOf);
  return { ename: nameOf(error), evalue: String(error.message), traceback: [...traceback, ...quoted] };
}

/** An error as text for stderr: what nobody caught. */
export function uncaughtText(error: unknown): string {
  if (!isError(error)) return `Uncaught ${inspect(error)}\n`;
  return `Uncaught ${[stackOf(error), ...causes(error)].join("\n")}\n`;
}

/** Tells what TypeScript has against a cell: every diagnostic with its line. */
export function typeFailure(diagnostics: readonly Diagnostic[], label: number, source: string): Failure {
  const groups = grouped(diagnostics);
  const first = groups[0]?.[0];
  const traceback = groups.flatMap((group, index) => {
    const [head, ...details] = group;
    if (!head) return [];
    const line = head.start.line + 1;
    const column = head.start.character + 1;
    const where = head.fileName === undefined ? `Cell ${label}` : head.fileName;
    const text = [head.messageText, ...details.map((detail) => `  ${detail.messageText}`)].join("\n");
    const length = head.end.line === head.start.line ? head.end.character - head.start.character : 1;
    const lines = head.fileName === undefined ? quote(source, line, column, length) : [];
    return [...(index > 0 ? [""] : []), `${where}:${line}:${column} - error TS${head.code}: ${text}`, ...lines];
  });
  return { ename: `TS${first?.code ?? 0}`, evalue: first?.messageText ?? "", traceback };
}

/** tslab flattens the explanations of a diagnostic into more diagnostics at the same place: put them together again. */
function grouped(diagnostics: readonly Diagnostic[]): Diagnostic[][] {
  const groups: Diagnostic[][] = [];
  for (const diagnostic of diagnostics) {
    const head = groups.at(-1)?.[0];
    if (head && head.start.offset === diagnostic.start.offset && head.end.offset === diagnostic.end.offset) {
      groups.at(-1)?.push(diagnostic);
    } else {
      groups.push([diagnostic]);
    }
  }
  return groups;
}

function quoteFirstPlace(stack: string, sourceOf: SourceOf): string[] {
  const frames = stack.split("\n").filter((line) => /^ {4}at /.test(line));
  for (const frame of frames) {
    const found = place.exec(frame);
    const source = found && sourceOf(Number(found[1]));
    if (found && source !== undefined && source !== null) {
      return ["", found[0], ...quote(source, Number(found[2]), Number(found[3]), 1)];
    }
  }
  return [];
}

/** A line of a cell, with carets under the place. Columns and lines count from 1. */
function quote(source: string, line: number, column: number, length: number): string[] {
  const text = source.split(/\r?\n/)[line - 1];
  if (text === undefined) return [];
  const number = String(line);
  const indent = text.slice(0, column - 1).replace(/[^\t]/g, " ");
  const carets = "^".repeat(Math.max(1, Math.min(length, text.length - column + 1)));
  return [`> ${number} | ${text}`, `  ${" ".repeat(number.length)} | ${indent}${carets}`];
}

function causes(error: Error): string[] {
  const lines: string[] = [];
  let cause: unknown = error.cause;
  for (let depth = 0; cause !== undefined && depth < causeLimit; depth++) {
    lines.push(...`Caused by: ${isError(cause) ? stackOf(cause) : inspect(cause)}`.split("\n"));
    cause = isError(cause) ? cause.cause : undefined;
  }
  if (error instanceof AggregateError) {
    for (const each of error.errors)
      lines.push(...`Together with: ${isError(each) ? stackOf(each) : inspect(each)}`.split("\n"));
  }
  return lines;
}

function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

/** The stack, without the compiled line that Node's vm puts before it. */
function stackOf(error: Error): string {
  const { stack } = error;
  if (typeof stack !== "string" || stack === "") return `${nameOf(error)}: ${error.message}`;
  return stack.replace(/^\S+:\d+\n[^\n]*\n *\^+\n\n?/, "");
}

function nameOf(error: Error): string {
  return typeof error.name === "string" && error.name !== "" ? error.name : "Error";
}
