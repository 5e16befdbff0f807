/** Owns the rewriting of a shell line before it runs: what just-bash takes from the host is taken from us instead. */
import { type CommandNode, parse, type ScriptNode, type SimpleCommandNode, type StatementNode } from "just-bash";
import { literalOf, simpleStatement, statementOf, word } from "./ast";
import { openMark, terminalPaths } from "./filesystem";
import { hearing, trapCommand } from "./traps";

/** A hidden first argument of a command of ours that is connected to the terminal: `i` reads there, `o` writes there. */
export const terminalMark = "\u0001terminal:";

/** Variables that bash computes, and the commands of ours that give their values. */
const computed: Readonly<Record<string, string>> = {
  RANDOM: "__random",
  SECONDS: "__seconds",
  EPOCHSECONDS: "__epochseconds",
  EPOCHREALTIME: "__epochrealtime",
  "!": "__lastjob",
};

/** Words that bash runs itself, done by commands of ours. */
const renamed: Readonly<Record<string, string>> = { wait: "__wait", history: "__history" };

/** What the rewriting needs to know, and where it leaves what it took out. */
export interface Rewriting {
  /** Commands of ours that write to the terminal as they go, or read from it. */
  readonly streaming: ReadonlySet<string>;
  /** Statements that were followed by `&`; `__background N` runs them. */
  readonly background: StatementNode[];
  /** What a command's name stands for (`alias k=kubectl`). */
  readonly aliases: ReadonlyMap<string, string>;
  /** Functions that were defined. */
  readonly functions: Map<string, CommandNode>;
  /** Whether it may have to do with signals: then it looks after each statement whether one has come. */
  readonly hears: boolean;
  /** What is to be done at its end is told before each `exit`. */
  readonly exits: boolean;
  /** It is all that its shell runs: with `exec` that is over. */
  readonly whole: boolean;
}

type Node = { [name: string]: unknown };

/** Rewrites a script in place. `terminal`: its output goes to the terminal, as it comes. */
export function rewrite(script: ScriptNode, rewriting: Rewriting, terminal: boolean): ScriptNode {
  values(script as unknown as Node);
  script.statements = statements(script.statements, rewriting, { input: terminal, output: terminal });
  return script;
}

interface Ends {
  readonly input: boolean;
  readonly output: boolean;
}

const neither: Ends = { input: false, output: false };

function statements(list: readonly StatementNode[], rewriting: Rewriting, ends: Ends): StatementNode[] {
  const all = list.map((statement) => {
    const rewritten = {
      ...statement,
      pipelines: statement.pipelines.map((pipeline) => {
        const last = pipeline.commands.length - 1;
        const commands = pipeline.commands.map((command, at) =>
          one(command, rewriting, { input: ends.input && at === 0, output: ends.output && at === last }),
        );
        return pipeline.timed ? timed({ ...pipeline, commands }) : { ...pipeline, commands };
      }),
    };
    if (!statement.background) return rewritten;
    rewriting.background.push({ ...rewritten, background: false });
    return simpleStatement(["__background", String(rewriting.background.length - 1)]);
  });
  return rewriting.hears ? all.flatMap((statement) => [statement, ...hearing()]) : all;
}

type Pipeline = StatementNode["pipelines"][number];

/** `time pipeline`: measured by our clock, not the host's. */
function timed(pipeline: Pipeline): Pipeline {
  const plain = { ...pipeline, timed: false, timePosix: false };
  const inner: StatementNode = { type: "Statement", pipelines: [plain], operators: [], background: false };
  const end = simpleStatement(["__timeend"]);
  const [command] = end.pipelines[0]?.commands ?? [];
  if (command?.type === "SimpleCommand") {
    command.args = [{ type: "Word", parts: [{ type: "ParameterExpansion", parameter: "?", operation: null }] }];
  }
  const group: CommandNode = { type: "Group", body: [simpleStatement(["__timestart"]), inner, end], redirections: [] };
  return { ...plain, negated: false, commands: [group] };
}

/** Rewrites one command; what is inside a compound is connected to the terminal if the compound is. */
function one(command: CommandNode, rewriting: Rewriting, ends: Ends): CommandNode {
  const inner = "redirections" in command && command.redirections.length > 0 ? neither : ends;
  const inside = (list: readonly StatementNode[]): StatementNode[] => statements(list, rewriting, inner);
  switch (command.type) {
    case "SimpleCommand":
      return simple(command, rewriting, ends);
    case "FunctionDef": {
      // Where a caller's output goes is not known here. So there are two: one for calls whose output is collected, and a
      // twin for calls at the terminal, in which what is inside is connected to it.
      const twin = twinOf(command.name);
      const copy = JSON.parse(JSON.stringify(command.body)) as typeof command.body;
      const collected = { ...command, body: one(command.body, rewriting, neither) as typeof command.body };
      rewriting.functions.set(command.name, collected);
      rewriting.functions.set(twin, { ...collected, name: twin });
      const both = { input: true, output: true };
      const connected = { ...command, name: twin, body: one(copy, rewriting, both) as typeof command.body };
      rewriting.functions.set(twin, connected);
      return { type: "Group", body: [statementOf(collected), statementOf(connected)], redirections: [] };
    }
    case "If":
      return {
        ...command,
        clauses: command.clauses.map((clause) => ({
          condition: inside(clause.condition),
          body: inside(clause.body),
        })),
        elseBody: command.elseBody && inside(command.elseBody),
      };
    case "While":
    case "Until":
      return { ...command, condition: inside(command.condition), body: inside(command.body) };
    case "Subshell":
      return { ...command, body: statements(command.body, { ...rewriting, hears: false }, inner) };
    case "For":
    case "CStyleFor":
    case "Group":
      return { ...command, body: inside(command.body) };
    case "Case":
      return { ...command, items: command.items.map((item) => ({ ...item, body: inside(item.body) })) };
    default:
      return command;
  }
}

function simple(given: SimpleCommandNode, rewriting: Rewriting, ends: Ends): CommandNode {
  const command = withoutAlias(given, rewriting.aliases);
  const name = literalOf(command.name);
  if (command.name === null) return command;
  if (name === undefined) return simple(splitName(command), rewriting, ends);
  const twin =
    ends.output && ends.input && command.redirections.length === 0 ? rewriting.functions.get(name) : undefined;
  if (twin && rewriting.functions.has(twinOf(name))) return { ...command, name: word(twinOf(name)) };
  if (name === "trap") {
    const left = trapCommand(command, rewriting.exits);
    if (left) {
      values(left as unknown as Node);
      return one(left, { ...rewriting, hears: false }, neither);
    }
  }
  if (name === "exec" && rewriting.whole && command.args.length > 0) {
    const there = statementOf(simpleOutput(command, rewriting, ends));
    const body = [simpleStatement(["__exec"]), there, ...parse('exit "$?"').statements];
    return { type: "Group", body, redirections: [] };
  }
  return simpleOutput(command, rewriting, ends);
}

/** Connects a command to the terminal where its output goes there. */
function simpleOutput(command: SimpleCommandNode, rewriting: Rewriting, ends: Ends): CommandNode {
  const name = literalOf(command.name) ?? "";
  const touched = (fd: number): boolean =>
    command.redirections.some((each) => (each.fd ?? (each.operator.startsWith("<") ? 0 : 1)) === fd);
  const output = ends.output && !touched(1);
  const other = Object.hasOwn(renamed, name) ? renamed[name] : undefined;
  const renamedCommand = other ? { ...command, name: word(other) } : command;
  // What is typed comes line by line, as long as the command asks for more.
  if (name === "read" && ends.input && !touched(0)) {
    const typed: Redirection = { type: "Redirection", operator: "<", fd: 0, target: word(terminalPaths.stdin) };
    return { ...command, redirections: [...command.redirections, typed] };
  }
  if (rewriting.streaming.has(name)) {
    const mark = `${ends.input && !touched(0) ? "i" : ""}${output && !touched(2) ? "o" : ""}`;
    const marked = mark ? { ...renamedCommand, args: [word(terminalMark + mark), ...command.args] } : renamedCommand;
    // Only its errors go elsewhere (`2>/dev/null`): what it prints is in its place among what the others print.
    if (!output || !touched(2)) return marked;
    return { ...marked, redirections: [appendTo(1, terminalPaths.stdout), ...command.redirections] };
  }
  if (ends.output && command.redirections.length === 1 && isCopy(command.redirections[0], 1, "2")) {
    return { ...renamedCommand, redirections: [appendTo(1, terminalPaths.stderr)] };
  }
  if (!output) return renamedCommand;
  // bash takes redirections from left to right: ours come first, so that `2>&1` copies the terminal.
  const first = [appendTo(1, terminalPaths.stdout)];
  if (!touched(2)) first.push(appendTo(2, terminalPaths.stderr));
  return { ...renamedCommand, redirections: [...first, ...command.redirections] };
}

/**
 * `$KUBECTL get pods` → `eval "$(printf '%q ' $KUBECTL get pods)"`: just-bash takes what a name expands to for one word,
 * and bash splits it (`"$@"` too).
 */
function splitName(command: SimpleCommandNode): SimpleCommandNode {
  const { name, args } = command;
  const [splitting] = parse(`eval "$(printf '%q ')"`).statements[0]?.pipelines[0]?.commands ?? [];
  const [quoted] = splitting?.type === "SimpleCommand" ? (splitting.args[0]?.parts ?? []) : [];
  const [words] = quoted?.type === "DoubleQuoted" ? quoted.parts : [];
  const printing =
    words?.type === "CommandSubstitution" ? words.body.statements[0]?.pipelines[0]?.commands[0] : undefined;
  if (!name || splitting?.type !== "SimpleCommand" || printing?.type !== "SimpleCommand")
    throw new Error("eval is one simple command");
  printing.args = [...printing.args, name, ...args];
  return { ...command, name: splitting.name, args: splitting.args };
}

/** The name of a function's twin that runs at the terminal. */
function twinOf(name: string): string {
  return `__terminal_${name}`;
}

/** Puts the words of an alias in the place of its name; once, so that `alias ls='ls -l'` ends. */
function withoutAlias(command: SimpleCommandNode, aliases: ReadonlyMap<string, string>): SimpleCommandNode {
  const text = aliases.get(literalOf(command.name) ?? "");
  if (text === undefined) return command;
  const [first] = parse(text).statements[0]?.pipelines[0]?.commands ?? [];
  if (first?.type !== "SimpleCommand") return command;
  return { ...command, name: first.name, args: [...first.args, ...command.args] };
}

type Redirection = SimpleCommandNode["redirections"][number];

/** Marks the path of a file that will be opened for writing; devices are known by their bare names. */
function markOpened(redirection: Redirection): void {
  const { operator, target } = redirection;
  if (target.type !== "Word" || !/^(&?>>?|>\|)$/.test(operator)) return;
  if (literalOf(target)?.startsWith("/dev/")) return;
  redirection.target = { ...target, parts: [...target.parts, { type: "SingleQuoted", value: openMark }] };
}

/** Whether it is `fd>&target`. */
function isCopy(redirection: Redirection | undefined, fd: number, target: string): boolean {
  if (redirection?.operator !== ">&" || redirection.target.type !== "Word") return false;
  return (redirection.fd ?? 1) === fd && literalOf(redirection.target) === target;
}

function appendTo(fd: number, path: string): SimpleCommandNode["redirections"][number] {
  return { type: "Redirection", operator: ">>", fd, target: word(path) };
}

/** Replaces what bash computes, wherever a value stands; commands within `$( )` are rewritten too. */
function values(node: Node): void {
  for (const [name, value] of Object.entries(node)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each === "object" && each !== null) values(each as Node);
    }
    if (name === "redirections" && Array.isArray(value)) for (const each of value) markOpened(each as Redirection);
    if (name === "parts" && Array.isArray(value)) node[name] = value.map((part: Node) => part_(part));
    if (isNode(value)) node[name] = arithmetic(value);
  }
}

function part_(part: Node): Node {
  const command = part.type === "ParameterExpansion" ? commandFor(part.parameter) : undefined;
  if (!command || part.operation) return part;
  const body = { type: "Script", statements: [simpleStatement([command])] };
  return { type: "CommandSubstitution", body, legacy: false };
}

function arithmetic(node: Node): Node {
  const command = node.type === "ArithVariable" ? commandFor(node.name) : undefined;
  return command ? { type: "ArithCommandSubst", command } : node;
}

function commandFor(name: unknown): string | undefined {
  return typeof name === "string" && Object.hasOwn(computed, name) ? computed[name] : undefined;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
