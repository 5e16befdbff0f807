/** Owns the running of Go templates: trees and data in, text out, errors as text/template words them. */
import type { Command, Node, Operand, Pipeline, Tree } from "./tree";
import { isMap, kindOf, printed, truth, typeOf } from "./values";

/** What a template calls: it throws an Error with a plain message, which becomes `error calling NAME: …`. */
export type TemplateFunction = (...args: unknown[]) => unknown;

/** A run that failed: `template: FILE:LINE:COLUMN: executing "NAME" at <CONTEXT>: …`. */
export class ExecError extends Error {}

/** Named templates with the functions they may call. */
export interface Templates {
  readonly trees: ReadonlyMap<string, Tree>;
  readonly functions: ReadonlyMap<string, TemplateFunction>;
}

const deepest = 1000;
const longestOutput = 16 * 1024 * 1024;

/** Runs a template by its name. @throws ExecError */
export function execute(templates: Templates, name: string, data: unknown, depth = 0): string {
  const tree = templates.trees.get(name);
  if (!tree) throw new ExecError(`template: no template ${JSON.stringify(name)} associated with template "gotpl"`);
  return new Run(templates, tree, data, depth).text();
}

interface Place {
  readonly at: number;
  readonly shown: string;
}

interface Variable {
  readonly name: string;
  value: unknown;
}

class LoopEnd extends Error {
  constructor(readonly how: "break" | "continue") {
    super(how);
  }
}

/** No argument is piped into the command. */
const nothing = Symbol("nothing");

class Run {
  readonly #templates: Templates;
  readonly #tree: Tree;
  readonly #data: unknown;
  readonly #depth: number;
  readonly #variables: Variable[];
  #out = "";

  constructor(templates: Templates, tree: Tree, data: unknown, depth: number) {
    this.#templates = templates;
    this.#tree = tree;
    this.#data = data;
    this.#depth = depth;
    this.#variables = [{ name: "$", value: data }];
  }

  text(): string {
    if (this.#depth > deepest)
      throw new ExecError(`template: ${this.#tree.file}: exceeded maximum template depth (${deepest})`);
    this.#nodes(this.#tree.body, this.#data);
    return this.#out;
  }

  #fail(place: Place, message: string): never {
    const before = this.#tree.source.slice(0, place.at);
    const newline = before.lastIndexOf("\n");
    const line = 1 + (before.match(/\n/g)?.length ?? 0);
    const column = newline < 0 ? place.at : place.at - newline - 1;
    const head = `template: ${this.#tree.file}:${line}:${column}: executing ${JSON.stringify(this.#tree.name)}`;
    throw new ExecError(`${head} at <${place.shown}>: ${message}`);
  }

  #write(text: string): void {
    this.#out += text;
    if (this.#out.length > longestOutput)
      throw new ExecError(`template: ${this.#tree.file}: the output is longer than ${longestOutput} characters`);
  }

  #nodes(nodes: readonly Node[], dot: unknown): void {
    for (const node of nodes) this.#node(node, dot);
  }

  #node(node: Node, dot: unknown): void {
    if (node.is === "text") this.#write(node.text);
    else if (node.is === "template") this.#write(this.#called(node, dot));
    else if (!("pipeline" in node)) throw new LoopEnd(node.is);
    else if (node.is === "range") this.#scoped(() => this.#range(node, dot));
    else if (node.is === "print") {
      const value = this.#pipeline(node.pipeline, dot);
      if (node.pipeline.variables.length === 0) this.#write(printed(value));
    } else {
      this.#scoped(() => {
        const value = this.#pipeline(node.pipeline, dot);
        if (truth(value)) this.#nodes(node.body, node.is === "with" ? value : dot);
        else this.#nodes(node.otherwise, dot);
      });
    }
  }

  #called(node: Extract<Node, { is: "template" }>, dot: unknown): string {
    const tree = this.#templates.trees.get(node.name);
    if (!tree) this.#fail(node, `template ${JSON.stringify(node.name)} not defined`);
    const data = node.pipeline ? this.#pipeline(node.pipeline, dot) : null;
    return new Run(this.#templates, tree, data, this.#depth + 1).text();
  }

  #scoped(run: () => void): void {
    const mark = this.#variables.length;
    try {
      run();
    } finally {
      this.#variables.length = mark;
    }
  }

  #range(node: Extract<Node, { is: "if" | "with" | "range" }>, dot: unknown): void {
    const { pipeline } = node;
    const value = this.#commands(pipeline, dot);
    const entries = entriesOf(value);
    if (!entries) this.#fail(pipeline, `range can't iterate over ${printed(value)}`);
    for (const [key, item] of entries) {
      const mark = this.#variables.length;
      const [first, second] = pipeline.variables;
      if (first !== undefined && second === undefined) this.#set(pipeline, first, item);
      else if (first !== undefined && second !== undefined) {
        this.#set(pipeline, first, key);
        this.#set(pipeline, second, item);
      }
      try {
        this.#nodes(node.body, item);
      } catch (error) {
        if (!(error instanceof LoopEnd)) throw error;
        if (error.how === "break") break;
      } finally {
        this.#variables.length = mark;
      }
    }
    if (entries.length === 0) this.#nodes(node.otherwise, dot);
  }

  #set({ declares }: Pipeline, name: string, value: unknown): void {
    if (declares) {
      this.#variables.push({ name, value });
      return;
    }
    const found = this.#variable(name);
    if (found) found.value = value;
  }

  /** The innermost one of a name. */
  #variable(name: string): Variable | undefined {
    for (let at = this.#variables.length - 1; at >= 0; at--) {
      if (this.#variables[at]?.name === name) return this.#variables[at];
    }
    return undefined;
  }

  #pipeline(pipeline: Pipeline, dot: unknown): unknown {
    const value = this.#commands(pipeline, dot);
    for (const name of pipeline.variables) this.#set(pipeline, name, value);
    return value;
  }

  #commands(pipeline: Pipeline, dot: unknown): unknown {
    let value: unknown = nothing;
    for (const command of pipeline.commands) value = this.#command(command, dot, value);
    return value;
  }

  #command(command: Command, dot: unknown, piped: unknown): unknown {
    const [head, ...rest] = command.words as [Operand, ...Operand[]];
    const many = rest.length > 0 || piped !== nothing;
    switch (head.is) {
      case "function":
        return this.#call(command, head, rest, dot, piped);
      case "literal":
        if (many) this.#fail(head, `can't give argument to non-function ${head.shown}`);
        if (head.value === null) this.#fail(command, "nil is not a command");
        return head.value;
      default: {
        const base = this.#base(head, dot);
        if (head.fields.length === 0) {
          if (many) this.#fail(head, `can't give argument to non-function ${head.shown}`);
          return base;
        }
        const args = many ? this.#arguments(rest, dot, piped) : [];
        return this.#chain(head, base, args, many);
      }
    }
  }

  #base(operand: Operand, dot: unknown): unknown {
    if (operand.is === "dot") return dot;
    if (operand.is === "pipeline") return this.#pipeline(operand.pipeline, dot);
    if (operand.is !== "variable") return undefined;
    const found = this.#variable(operand.name);
    if (!found) this.#fail(operand, `undefined variable: ${operand.name}`);
    return found.value;
  }

  #arguments(operands: readonly Operand[], dot: unknown, piped: unknown): unknown[] {
    const args = operands.map((operand) => this.#argument(operand, dot));
    return piped === nothing ? args : [...args, piped];
  }

  #argument(operand: Operand, dot: unknown): unknown {
    switch (operand.is) {
      case "literal":
        return operand.value;
      case "function":
        return this.#call({ words: [operand], at: operand.at, shown: operand.shown }, operand, [], dot, nothing);
      default:
        return this.#chain(operand, this.#base(operand, dot), [], false);
    }
  }

  /** `.a.b.c`: the last of them may be a method with arguments. */
  #chain(
    operand: Extract<Operand, { readonly fields: readonly string[] }>,
    base: unknown,
    args: unknown[],
    called: boolean,
  ): unknown {
    let value = base;
    for (const [at, name] of operand.fields.entries()) {
      const last = at === operand.fields.length - 1;
      value = this.#field(operand, { owner: value, inner: at > 0 }, name, last ? args : [], last && called);
    }
    return value;
  }

  #field(
    operand: Operand,
    { owner, inner }: { readonly owner: unknown; readonly inner: boolean },
    name: string,
    args: unknown[],
    called: boolean,
  ): unknown {
    if (owner === null || owner === undefined) this.#fail(operand, `nil pointer evaluating interface {}.${name}`);
    // What a map holds has no type of its own to Go.
    const type = inner ? "interface {}" : typeOf(owner);
    if (!isMap(owner)) this.#fail(operand, `can't evaluate field ${name} in type ${type}`);
    const member = Object.hasOwn(owner, name) ? owner[name] : undefined;
    if (typeof member === "function") return this.#tryCall(operand, name, () => (member as TemplateFunction)(...args));
    if (called) this.#fail(operand, `${name} is not a method but has arguments`);
    return member ?? null;
  }

  #call(
    command: Command,
    { name }: { readonly name: string },
    rest: readonly Operand[],
    dot: unknown,
    piped: unknown,
  ): unknown {
    if (name === "and" || name === "or") return this.#lazy(command, name, rest, dot, piped);
    const args = this.#arguments(rest, dot, piped);
    const run = this.#templates.functions.get(name);
    if (!run) this.#fail(command, `${JSON.stringify(name)} is not a defined function`);
    return this.#tryCall(command, name, () => run(...args));
  }

  #tryCall(place: Place, name: string, run: () => unknown): unknown {
    try {
      return run() ?? null;
    } catch (error) {
      if (
        error instanceof LoopEnd ||
        !(error instanceof Error) ||
        error instanceof TypeError ||
        error instanceof RangeError
      )
        throw error;
      if (error instanceof WrongCount) this.#fail(place, `wrong number of args for ${name}: ${error.message}`);
      return this.#fail(place, `error calling ${name}: ${error.message}`);
    }
  }

  /** `and` and `or` look no further than they must. */
  #lazy(command: Command, name: "and" | "or", rest: readonly Operand[], dot: unknown, piped: unknown): unknown {
    const args: (() => unknown)[] = rest.map((operand) => () => this.#argument(operand, dot));
    if (piped !== nothing) args.push(() => piped);
    if (args.length === 0) this.#fail(command, `wrong number of args for ${name}: want at least 1 got 0`);
    let value: unknown = null;
    for (const arg of args) {
      value = arg();
      if (truth(value) === (name === "or")) break;
    }
    return value;
  }
}

/** A function got too few or too many arguments: `want 2 got 1`. */
export class WrongCount extends Error {}

function entriesOf(value: unknown): readonly (readonly [unknown, unknown])[] | undefined {
  if (value === null || value === undefined || value === nothing) return [];
  if (Array.isArray(value)) return value.map((item, at) => [at, item]);
  if (typeof value === "number" && Number.isInteger(value) && value <= 1_000_000) {
    return Array.from({ length: Math.max(0, value) }, (_, at) => [at, at]);
  }
  if (kindOf(value) !== "map" || !isMap(value)) return undefined;
  const keys = Object.keys(value).sort((one, other) => (one < other ? -1 : 1));
  return keys.map((key) => [key, value[key]]);
}
