/** Owns what is wrong with a text that a person wrote: where it stands, and the words it is said in. */

/** One mistake; lines and columns count from 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
  readonly message: string;
}

/** Everything that is wrong with one text (or several), one `file:line:column: message` a line. */
export class SourceError extends Error {
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(problemText).join("\n"));
    this.name = "SourceError";
  }
}

/** A mistake as compilers write it, so that editors and terminals make a link of it. */
export function problemText(problem: Problem): string {
  const column = problem.column === undefined ? "" : `:${problem.column}`;
  return `${problem.file}:${problem.line}${column}: ${problem.message}`;
}
