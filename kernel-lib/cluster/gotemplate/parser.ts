/** Owns the reading of Go templates into trees, with text/template's own complaints. */
import { TemplateProblem, type Token, type TokenKind, tokensOf } from "./lexer";
import type { Command, Node, Operand, Pipeline, Tree } from "./tree";

/** A template that cannot be parsed: `template: FILE:LINE: …`. */
export class ParseError extends Error {}

/**
 * Parses a file: the tree of the file itself, and those that it defines.
 * @param functions the names that may be called
 * @throws ParseError
 */
export function parseTemplate(file: string, source: string, functions: (name: string) => boolean): readonly Tree[] {
  try {
    return new Parser(file, source, functions).parse();
  } catch (error) {
    if (!(error instanceof TemplateProblem)) throw error;
    const line = 1 + (source.slice(0, error.at).match(/\n/g)?.length ?? 0);
    throw new ParseError(`template: ${file}:${line}: ${error.message}`);
  }
}

type Ending = "end" | "else" | "eof";
const deepest = 1000;

class Parser {
  readonly #file: string;
  readonly #source: string;
  readonly #known: (name: string) => boolean;
  readonly #tokens: readonly Token[];
  readonly #trees: Tree[] = [];
  readonly #variables: string[] = ["$"];
  #at = 0;
  #loops = 0;
  #depth = 0;

  constructor(file: string, source: string, functions: (name: string) => boolean) {
    this.#file = file;
    this.#source = source;
    this.#known = functions;
    this.#tokens = tokensOf(source);
  }

  parse(): readonly Tree[] {
    const { nodes, ending, token } = this.#list();
    if (ending !== "eof") throw new TemplateProblem(`unexpected {{${ending}}}`, token.at);
    this.#trees.unshift({ name: this.#file, file: this.#file, source: this.#source, body: nodes });
    return this.#trees;
  }

  get #token(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #take(): Token {
    const token = this.#token;
    if (this.#at < this.#tokens.length - 1) this.#at++;
    return token;
  }

  #skipSpace(): Token {
    while (this.#token.kind === "space") this.#at++;
    return this.#token;
  }

  #expect(kind: TokenKind, context: string): Token {
    const token = this.#skipSpace();
    if (token.kind !== kind) throw unexpected(token, context);
    return this.#take();
  }

  /** Nodes up to `{{end}}`, `{{else}}` or the end of the file. */
  #list(): { readonly nodes: readonly Node[]; readonly ending: Ending; readonly token: Token } {
    if (++this.#depth > deepest) throw new TemplateProblem("max expression depth exceeded", this.#token.at);
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#take();
      if (token.kind === "end") return this.#close({ nodes, ending: "eof", token });
      if (token.kind === "text") {
        nodes.push({ is: "text", text: token.text });
        continue;
      }
      const word = this.#skipSpace();
      if (word.kind === "word" && (word.text === "end" || word.text === "else")) {
        this.#take();
        if (word.text === "end") this.#expect("close", "end");
        return this.#close({ nodes, ending: word.text, token });
      }
      const node = this.#action(word);
      if (node) nodes.push(node);
    }
  }

  #close<T>(result: T): T {
    this.#depth--;
    return result;
  }

  #action(word: Token): Node | undefined {
    if (word.kind !== "word") return this.#print();
    switch (word.text) {
      case "if":
      case "with":
      case "range":
        this.#take();
        return this.#control(word.text);
      case "define":
      case "block":
        this.#take();
        return this.#define(word);
      case "template":
        this.#take();
        return this.#template();
      case "break":
      case "continue":
        this.#take();
        this.#expect("close", `{{${word.text}}}`);
        if (this.#loops === 0) throw new TemplateProblem(`{{${word.text}}} outside {{range}}`, word.at);
        return { is: word.text };
      default:
        return this.#print();
    }
  }

  #print(): Node {
    const pipeline = this.#pipeline("command", "close");
    return { is: "print", pipeline };
  }

  #control(is: "if" | "with" | "range"): Node {
    const scope = this.#variables.length;
    const pipeline = this.#pipeline(is, "close");
    if (is === "range") this.#loops++;
    const { nodes: body, ending, token } = this.#list();
    if (is === "range") this.#loops--;
    let otherwise: readonly Node[] = [];
    if (ending === "else") {
      const chained = this.#skipSpace();
      if (is !== "range" && chained.kind === "word" && chained.text === is) {
        this.#take();
        otherwise = [this.#control(is)];
      } else {
        this.#expect("close", "else");
        const rest = this.#list();
        if (rest.ending !== "end")
          throw new TemplateProblem(
            rest.ending === "eof" ? "unexpected EOF" : "expected end; found {{else}}",
            rest.token.at,
          );
        otherwise = rest.nodes;
      }
    } else if (ending === "eof") throw new TemplateProblem("unexpected EOF", token.at);
    this.#variables.length = scope;
    return { is, pipeline, body, otherwise };
  }

  #define(word: Token): Node | undefined {
    const name = unquote(this.#expect("string", `${word.text} clause`));
    let pipeline: Pipeline | undefined;
    if (word.text === "block") pipeline = this.#pipeline("block clause", "close");
    else {
      if (this.#depth > 1) throw unexpected({ kind: "word", text: "define", at: word.at }, "command");
      this.#expect("close", "define clause");
    }
    const outer = this.#variables.splice(0);
    this.#variables.push("$");
    const { nodes, ending, token } = this.#list();
    this.#variables.splice(0, this.#variables.length, ...outer);
    if (ending !== "end")
      throw new TemplateProblem(
        ending === "eof" ? "unexpected EOF" : `unexpected {{else}} in ${word.text} clause`,
        token.at,
      );
    this.#trees.push({ name, file: this.#file, source: this.#source, body: nodes });
    if (word.text === "define") return undefined;
    return {
      is: "template",
      name,
      pipeline,
      at: word.at,
      shown: `{{template ${JSON.stringify(name)} ${pipeline?.shown ?? ""}}}`,
    };
  }

  #template(): Node {
    const named = this.#expect("string", "template clause");
    const name = unquote(named);
    const bare = this.#skipSpace().kind === "close";
    const pipeline = bare ? undefined : this.#pipeline("template clause", "close");
    if (bare) this.#take();
    const shown = `{{template ${JSON.stringify(name)}${pipeline ? ` ${pipeline.shown}` : ""}}}`;
    return { is: "template", name, pipeline, at: named.at, shown };
  }

  #pipeline(context: string, end: "close" | ")"): Pipeline {
    const first = this.#skipSpace();
    const { names, declares } = this.#declaration(context);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#skipSpace();
      if (token.kind === end) {
        this.#take();
        break;
      }
      if (token.kind === "close" || token.kind === ")" || token.kind === "end") throw unexpected(token, context);
      commands.push(this.#command());
    }
    if (commands.length === 0) throw new TemplateProblem(`missing value for ${context}`, first.at);
    for (const command of commands.slice(1)) {
      const [head] = command.words;
      if (head?.is === "literal")
        throw new TemplateProblem(`non executable command in pipeline stage ${commands.indexOf(command) + 1}`, head.at);
    }
    if (declares) this.#variables.push(...names);
    const body = commands.map(({ shown }) => shown).join(" | ");
    const shown = names.length > 0 ? `${names.join(", ")} ${declares ? ":=" : "="} ${body}` : body;
    return { variables: names, declares, commands, at: first.at, shown };
  }

  #declaration(context: string): { readonly names: readonly string[]; readonly declares: boolean } {
    const start = this.#at;
    const names: string[] = [];
    while (this.#skipSpace().kind === "variable") {
      names.push(this.#take().text);
      const after = this.#skipSpace();
      if (after.kind === "declare" || after.kind === "assign") {
        this.#take();
        const unknown = names.find((name) => after.kind === "assign" && !this.#variables.includes(name));
        if (unknown !== undefined) throw new TemplateProblem(`undefined variable ${JSON.stringify(unknown)}`, after.at);
        return { names, declares: after.kind === "declare" };
      }
      if (after.kind !== "comma" || context !== "range" || names.length > 1) break;
      this.#take();
    }
    this.#at = start;
    return { names: [], declares: false };
  }

  #command(): Command {
    const { at } = this.#skipSpace();
    const words: Operand[] = [];
    for (;;) {
      this.#skipSpace();
      const operand = this.#operand();
      if (operand) words.push(operand);
      const token = this.#token;
      if (token.kind === "space") {
        if (this.#tokens[this.#at + 1]?.kind === "pipe") this.#take();
        else continue;
      }
      if (this.#token.kind === "pipe") {
        this.#take();
        const next = this.#skipSpace();
        if (next.kind === "close" || next.kind === ")") throw new TemplateProblem("missing value for command", next.at);
        break;
      }
      if (token.kind === "close" || token.kind === ")") break;
      if (operand === undefined || token.kind !== "(") throw unexpected(token, "operand");
    }
    if (words.length === 0) throw new TemplateProblem("empty command", at);
    return { words, at, shown: words.map(({ shown }) => shown).join(" ") };
  }

  #operand(): Operand | undefined {
    const token = this.#token;
    switch (token.kind) {
      case "identifier":
        this.#take();
        if (!this.#known(token.text))
          throw new TemplateProblem(`function ${JSON.stringify(token.text)} not defined`, token.at);
        return { is: "function", name: token.text, at: token.at, shown: token.text };
      case "dot":
        this.#take();
        return { is: "dot", fields: [], at: token.at, shown: "." };
      case "field":
        return this.#fields({ is: "dot", at: token.at, shown: "" });
      case "variable":
        this.#take();
        if (!this.#variables.includes(token.text))
          throw new TemplateProblem(`undefined variable ${JSON.stringify(token.text)}`, token.at);
        return this.#fields({ is: "variable", name: token.text, at: token.at, shown: token.text });
      case "string":
      case "character":
      case "number":
      case "word":
        return this.#literal(token);
      case "(": {
        this.#take();
        const pipeline = this.#pipeline("parenthesized pipeline", ")");
        return this.#fields({ is: "pipeline", pipeline, at: token.at, shown: `(${pipeline.shown})` });
      }
      default:
        return undefined;
    }
  }

  /** Reads `.a.b` behind a value. Errors point at the second link of a chain, as Go's do. */
  #fields(
    base:
      | { readonly is: "dot"; readonly at: number; readonly shown: string }
      | { readonly is: "variable"; readonly name: string; readonly at: number; readonly shown: string }
      | { readonly is: "pipeline"; readonly pipeline: Pipeline; readonly at: number; readonly shown: string },
  ): Operand {
    const fields: string[] = [];
    let { at } = base;
    const anchor = base.is === "dot" ? 1 : 0;
    while (this.#token.kind === "field") {
      const token = this.#take();
      if (fields.length === anchor) at = token.at;
      fields.push(token.text.slice(1));
    }
    return { ...base, fields, at, shown: `${base.shown}${fields.map((name) => `.${name}`).join("")}` };
  }

  #literal(token: Token): Operand | undefined {
    const shown = token.text;
    const make = (value: string | number | boolean | null): Operand => ({ is: "literal", value, at: token.at, shown });
    switch (token.kind) {
      case "string":
        this.#take();
        return make(unquote(token));
      case "character":
        this.#take();
        return make(unquote({ ...token, text: `"${token.text.slice(1, -1)}"` }).codePointAt(0) ?? 0);
      case "number":
        this.#take();
        return make(Number(token.text.replaceAll("_", "")));
      default:
        if (token.text !== "true" && token.text !== "false" && token.text !== "nil") return undefined;
        this.#take();
        return make(token.text === "nil" ? null : token.text === "true");
    }
  }
}

function unexpected(token: Token, context: string): TemplateProblem {
  const shown = token.kind === "end" ? "EOF" : token.kind === "word" ? `<${token.text}>` : JSON.stringify(token.text);
  return new TemplateProblem(token.kind === "end" ? "unexpected EOF" : `unexpected ${shown} in ${context}`, token.at);
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" };

function unquote(token: Token): string {
  if (token.text.startsWith("`")) return token.text.slice(1, -1);
  return token.text
    .slice(1, -1)
    .replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/g, (_, code: string) => {
      if (/^[xuU]/.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
      if (/^[0-7]{3}$/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
      return escapes[code] ?? code;
    });
}
