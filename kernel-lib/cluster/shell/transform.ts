/** Owns the rewriting of a shell line before it runs: what just-bash takes from the host is taken from us instead. */
import {
  type CommandNode,
  parse,
  type ScriptNode,
  type SimpleCommandNode,
  type StatementNode,
  type WordNode,
} from "just-bash";
import { openMark, terminalPaths } from "./filesystem";

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
  return list.map((statement) => {
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
    case "For":
    case "CStyleFor":
    case "Subshell":
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
  const other = name !== undefined && Object.hasOwn(renamed, name) ? renamed[name] : undefined;
  const renamedCommand = other ? { ...command, name: word(other) } : command;
  if (command.name === null) return renamedCommand;
  if (name === undefined) return simple(splitName(command), rewriting, ends);
  const touched = (fd: number): boolean =>
    command.redirections.some((each) => (each.fd ?? (each.operator.startsWith("<") ? 0 : 1)) === fd);
  const output = ends.output && !touched(1);
  const twin =
    ends.output && ends.input && command.redirections.length === 0 ? rewriting.functions.get(name) : undefined;
  if (twin && rewriting.functions.has(twinOf(name))) return { ...command, name: word(twinOf(name)) };
  if (name === "trap") {
    const left = exitTrap(command);
    if (left) return one(left, rewriting, neither);
  }
  // What is typed comes line by line, as long as the command asks for more.
  if (name === "read" && ends.input && !touched(0)) {
    const typed: Redirection = { type: "Redirection", operator: "<", fd: 0, target: word(terminalPaths.stdin) };
    return { ...command, redirections: [...command.redirections, typed] };
  }
  if (rewriting.streaming.has(name)) {
    const mark = `${ends.input && !touched(0) ? "i" : ""}${output && !touched(2) ? "o" : ""}`;
    return mark ? { ...renamedCommand, args: [word(terminalMark + mark), ...command.args] } : renamedCommand;
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

/** The function that `trap … EXIT` leaves; whoever ends the script calls it. */
export const exitTrapName = "__on_exit";

/** `trap 'commands' EXIT` → its commands are kept for a function; `trap - EXIT` → none. Undefined: another trap. */
function exitTrap(command: SimpleCommandNode): CommandNode | undefined {
  const [body, ...signals] = command.args;
  if (!body || signals.length === 0) return undefined;
  if (!signals.map(literalOf).every((signal) => signal === "EXIT" || signal === "0")) return undefined;
  const [keep, ...rest] = parse(`__trap=:; ${exitTrapName}() { eval "$__trap"; }`).statements;
  const [assigning] = keep?.pipelines[0]?.commands ?? [];
  if (!keep || assigning?.type !== "SimpleCommand") return undefined;
  if (assigning.assignments[0] && literalOf(body) !== "-") assigning.assignments[0].value = body;
  return { type: "Group", body: [keep, ...rest], redirections: [] };
}

/** A script that sets a trap for its end calls it there, and before each `exit`. Changes the script in place. */
export function callExitTrap(script: ScriptNode): void {
  const seen = { trap: false };
  replaceExits(script as unknown as Node, seen, false);
  if (!seen.trap) return;
  replaceExits(script as unknown as Node, seen, true);
  script.statements = [
    ...parse(`${exitTrapName}() { :; }`).statements,
    ...script.statements,
    ...parse(`__code=$?; ${exitTrapName}; (exit $__code)`).statements,
  ];
}

/** Looks for traps, and in a second walk puts the call before every `exit`. What is in `$( )` or `( )` is its own shell. */
function replaceExits(node: Node, seen: { trap: boolean }, replace: boolean): void {
  for (const [name, value] of Object.entries(node)) {
    if (isNode(value)) replaceExits(value, seen, replace);
    if (!Array.isArray(value)) continue;
    for (const [at, each] of value.entries()) {
      if (!isNode(each) || each.type === "Subshell" || each.type === "CommandSubstitution") continue;
      const isCommand = name === "commands" && each.type === "SimpleCommand";
      const command = isCommand ? (each as unknown as SimpleCommandNode) : undefined;
      const said = command ? literalOf(command.name) : undefined;
      if (command && said === "trap" && exitTrap(command)) seen.trap = true;
      if (command && said === "exit" && replace) value[at] = exitThroughTrap(command);
      else replaceExits(each, seen, replace);
    }
  }
}

function exitThroughTrap(command: SimpleCommandNode): CommandNode {
  const [keep, ...rest] = parse(`__code=$?; ${exitTrapName}; exit $__code`).statements;
  const [assigning] = keep?.pipelines[0]?.commands ?? [];
  const [code] = command.args;
  if (assigning?.type === "SimpleCommand" && assigning.assignments[0] && code) assigning.assignments[0].value = code;
  return { type: "Group", body: keep ? [keep, ...rest] : rest, redirections: [] };
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

/** The text of a word without expansions; undefined if it has any. */
export function literalOf(given: WordNode | null): string | undefined {
  let text = "";
  for (const part of given?.parts ?? []) {
    if (part.type !== "Literal" && part.type !== "SingleQuoted" && part.type !== "Escaped") return undefined;
    text += part.value;
  }
  return given ? text : undefined;
}

function word(text: string): WordNode {
  return { type: "Word", parts: [{ type: "SingleQuoted", value: text }] };
}

function statementOf(command: CommandNode): StatementNode {
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
