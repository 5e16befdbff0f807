/** Owns the rewriting of `trap`: what is to be done at a signal or at the end becomes functions, and places that call them. */
import {
  type CommandNode,
  parse,
  type ScriptNode,
  type SimpleCommandNode,
  type StatementNode,
  type WordNode,
} from "just-bash";
import { literalOf, simpleStatement, statementOf } from "./ast";
import { signalOf } from "./signals";

type Node = { [name: string]: unknown };

/** The function that `trap … EXIT` leaves; whoever ends the script calls it. */
export const exitTrapName = "__on_exit";

/** The function of a trapped signal. */
function trapName(signal: string): string {
  return `__trap_${signal}`;
}

/** Whether a text has to do with signals: only then it looks for them. */
export function hasTraps(script: ScriptNode): boolean {
  const found = { yes: false };
  walkCommands(script as unknown as Node, (command) => {
    found.yes ||= literalOf(command.name) === "trap" && signalsOf(command).length > 0;
    return undefined;
  });
  return found.yes;
}

/** What comes after each statement: the traps of the signals that have come meanwhile. It leaves `$?` and `set -e` alone. */
export function hearing(): StatementNode[] {
  return parse(`__trapped "$?" || eval "$(__trapcode)" && :`).statements;
}

/**
 * A `trap` with its commands: for its end and for signals. Undefined: it is left to the command of that name, which lists
 * or complains.
 * @param exits the script has something to do at its end: an `exit` in the commands does that first
 */
export function trapCommand(given: SimpleCommandNode, exits: boolean): CommandNode | undefined {
  const command = literalOf(given.args[0] ?? null) === "--" ? { ...given, args: given.args.slice(1) } : given;
  const body: StatementNode[] = [];
  const end = exitTrap(command);
  if (end) body.push(statementOf(end));
  const signals = signalsOf(command);
  if (signals.length > 0) body.push(...signalTraps(command, signals, exits));
  return body.length > 0 ? { type: "Group", body, redirections: [] } : undefined;
}

/** The signals of a `trap 'commands' SIGNAL…`, `trap - SIGNAL…`, `trap SIGNAL`. */
function signalsOf({ args }: SimpleCommandNode): readonly string[] {
  if (/^-[lp]+$/.test(literalOf(args[0] ?? null) ?? "")) return [];
  const words = (args.length === 1 ? args : args.slice(1)).map(literalOf);
  return words.flatMap((text) => signalOf(text ?? "") ?? []);
}

function signalTraps(command: SimpleCommandNode, signals: readonly string[], exits: boolean): StatementNode[] {
  const [body] = command.args;
  const literal = body && textOf(body);
  if (!body || command.args.length === 1 || literal === "-") return [simpleStatement(["__untrap", ...signals])];
  const keep = simpleStatement(["__trap", "", ...signals]);
  const [keeping] = keep.pipelines[0]?.commands ?? [];
  if (keeping?.type === "SimpleCommand") keeping.args[0] = body;
  if (literal === "") return [keep];
  const functions = signals.flatMap((signal) => {
    const script = parsed(literal) ?? parse(`eval "$(__trapbody ${signal})"`);
    walkCommands(script as unknown as Node, (each) => {
      if (literalOf(each.name) !== "exit") return undefined;
      // Without a number it is what was `$?` before the trap.
      const [status] = parse('exit "$__before"').statements[0]?.pipelines[0]?.commands ?? [];
      const exit = each.args.length === 0 && status?.type === "SimpleCommand" ? status : { ...each };
      return exits ? exitThroughTrap(exit) : exit;
    });
    const [definition] = parse(`${trapName(signal)}() { :; }`).statements;
    const [made] = definition?.pipelines[0]?.commands ?? [];
    if (made?.type === "FunctionDef" && made.body.type === "Group") made.body.body = script.statements;
    return definition ?? [];
  });
  return [...functions, keep];
}

/** The text of a word without expansions, in quotes of either kind. */
function textOf(given: WordNode): string | undefined {
  const [part, more] = given.parts;
  if (part?.type !== "DoubleQuoted" || more) return literalOf(given);
  return literalOf({ type: "Word", parts: part.parts });
}

function parsed(text: string | undefined): ScriptNode | undefined {
  try {
    return text === undefined ? undefined : parse(text);
  } catch {
    return undefined;
  }
}

/** `trap 'commands' EXIT` → its commands are kept for a function; `trap - EXIT` → none. Undefined: nothing of its end. */
function exitTrap(command: SimpleCommandNode): CommandNode | undefined {
  const [body, ...signals] = command.args;
  if (!body || signals.length === 0) return undefined;
  if (!signals.map(literalOf).some((signal) => signal === "EXIT" || signal === "0")) return undefined;
  const [keep, ...rest] = parse(`__trap=:; ${exitTrapName}() { eval "$__trap"; }`).statements;
  const [assigning] = keep?.pipelines[0]?.commands ?? [];
  if (!keep || assigning?.type !== "SimpleCommand") return undefined;
  if (assigning.assignments[0] && literalOf(body) !== "-") assigning.assignments[0].value = body;
  return { type: "Group", body: [keep, ...rest], redirections: [] };
}

/** A script that sets a trap for its end calls it there, and before each `exit`. Changes the script in place; true if so. */
export function callExitTrap(script: ScriptNode): boolean {
  const seen = { trap: false };
  walkCommands(script as unknown as Node, (command) => {
    seen.trap ||= literalOf(command.name) === "trap" && exitTrap(command) !== undefined;
    return undefined;
  });
  if (!seen.trap) return false;
  walkCommands(script as unknown as Node, (command) =>
    literalOf(command.name) === "exit" ? exitThroughTrap(command) : undefined,
  );
  script.statements = [
    ...parse(`${exitTrapName}() { :; }`).statements,
    ...script.statements,
    ...parse(`__code=$?; __status "$__code" && :; ${exitTrapName}; (exit $__code)`).statements,
  ];
  return true;
}

/** Visits the simple commands of a script, and puts what is given in their place. What is in `$( )` or `( )` is its own shell. */
function walkCommands(node: Node, visit: (command: SimpleCommandNode) => CommandNode | undefined): void {
  for (const [name, value] of Object.entries(node)) {
    if (isNode(value)) walkCommands(value, visit);
    if (!Array.isArray(value)) continue;
    for (const [at, each] of value.entries()) {
      if (!isNode(each) || each.type === "Subshell" || each.type === "CommandSubstitution") continue;
      const isCommand = name === "commands" && each.type === "SimpleCommand";
      const other = isCommand ? visit(each as unknown as SimpleCommandNode) : undefined;
      if (other) value[at] = other;
      else walkCommands(each, visit);
    }
  }
}

function exitThroughTrap(command: SimpleCommandNode): CommandNode {
  const [keep, ...rest] = parse(`__code=$?; __status "$__code" && :; ${exitTrapName}; exit $__code`).statements;
  const [assigning] = keep?.pipelines[0]?.commands ?? [];
  const [code] = command.args;
  if (assigning?.type === "SimpleCommand" && assigning.assignments[0] && code) assigning.assignments[0].value = code;
  return { type: "Group", body: keep ? [keep, ...rest] : rest, redirections: [] };
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
