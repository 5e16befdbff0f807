/** Owns the small parts of a shell's syntax tree: words and statements made, and read. */
import type { CommandNode, SimpleCommandNode, StatementNode, WordNode } from "just-bash";

/** The text of a word without expansions; undefined if it has any. */
export function literalOf(given: WordNode | null): string | undefined {
  let text = "";
  for (const part of given?.parts ?? []) {
    if (part.type !== "Literal" && part.type !== "SingleQuoted" && part.type !== "Escaped") return undefined;
    text += part.value;
  }
  return given ? text : undefined;
}

/** A word as it stands. */
export function word(text: string): WordNode {
  return { type: "Word", parts: [{ type: "SingleQuoted", value: text }] };
}

/** A statement of one command. */
export function statementOf(command: CommandNode): StatementNode {
  const pipeline = { type: "Pipeline" as const, commands: [command], negated: false, timed: false, timePosix: false };
  return { type: "Statement", pipelines: [pipeline], operators: [], background: false };
}

/** A statement of one simple command. */
export function simpleStatement(argv: readonly string[]): StatementNode {
  const [name = "", ...args] = argv;
  const command: SimpleCommandNode = {
    type: "SimpleCommand",
    name: word(name),
    args: args.map(word),
    assignments: [],
    redirections: [],
  };
  const pipeline = { type: "Pipeline" as const, commands: [command], negated: false, timed: false, timePosix: false };
  return { type: "Statement", pipelines: [pipeline], operators: [], background: false };
}
