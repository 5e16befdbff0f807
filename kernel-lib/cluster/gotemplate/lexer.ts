/** Owns the words of a Go template (text/template/parse): text outside `{{ }}`, and the tokens inside. */

export type TokenKind =
  | "text"
  | "open"
  | "close"
  | "space"
  | "identifier"
  | "field"
  | "variable"
  | "dot"
  | "string"
  | "character"
  | "number"
  | "word"
  | "pipe"
  | "declare"
  | "assign"
  | "comma"
  | "("
  | ")"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Where it begins in the template. */
  readonly at: number;
}

/** A template that cannot be read; the message is Go's, without the name and line in front. */
export class TemplateProblem extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

/** What is no name of a function or variable. */
export const keywords = new Set(
  "block break continue define else end if nil range template true false with".split(" "),
);

/** All tokens of a template; the white space that `{{-` and `-}}` eat is gone. */
export function tokensOf(source: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < source.length) {
    const open = source.indexOf("{{", at);
    const until = open < 0 ? source.length : open;
    const trims = open >= 0 && /^\{\{-\s/.test(source.slice(open, open + 4));
    const text = source.slice(at, until);
    const kept = trims ? text.replace(/[ \t\r\n]+$/, "") : text;
    if (kept !== "") tokens.push({ kind: "text", text: kept, at });
    if (open < 0) break;
    const inside = open + (trims ? 3 : 2);
    const comment = /^\s*\/\*/.exec(trims ? source.slice(inside) : source.slice(inside, inside + 2));
    at = comment ? afterComment(source, inside + comment[0].length, open) : action(source, open, inside, tokens);
  }
  tokens.push({ kind: "end", text: "", at: source.length });
  return tokens;
}

function afterComment(source: string, from: number, open: number): number {
  const end = source.indexOf("*/", from);
  if (end < 0) throw new TemplateProblem("unclosed comment", open);
  const close = /^(\s-)?\}\}/.exec(source.slice(end + 2, end + 8));
  if (!close) throw new TemplateProblem("comment ends before closing delimiter", end);
  return skipSpace(source, end + 2 + close[0].length, close[1] !== undefined);
}

function skipSpace(source: string, from: number, trims: boolean): number {
  let at = from;
  while (trims && /[ \t\r\n]/.test(source[at] ?? "")) at++;
  return at;
}

const patterns: readonly (readonly [TokenKind, RegExp])[] = [
  ["space", /[ \t\r\n]+/y],
  ["string", /"(?:[^"\\\n]|\\.)*"/y],
  ["string", /`[^`]*`/y],
  ["character", /'(?:[^'\\\n]|\\.)+'/y],
  ["declare", /:=/y],
  ["assign", /=/y],
  ["pipe", /\|/y],
  ["comma", /,/y],
  ["(", /\(/y],
  [")", /\)/y],
  ["variable", /\$[\p{L}\p{N}_]*/uy],
  ["field", /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ["number", /[+-]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?)/y],
  ["dot", /\./y],
  ["identifier", /[\p{L}_][\p{L}\p{N}_]*/uy],
];

/** Reads up to `}}`; gives where the text goes on. */
function action(source: string, open: number, from: number, tokens: Token[]): number {
  tokens.push({ kind: "open", text: "{{", at: open });
  let at = from;
  let depth = 0;
  while (at < source.length) {
    const close = /^(\s-)?\}\}/.exec(source.slice(at, at + 5));
    if (close) {
      if (depth > 0) throw new TemplateProblem("unclosed left paren", at);
      tokens.push({ kind: "close", text: "}}", at });
      return skipSpace(source, at + close[0].length, close[1] !== undefined);
    }
    const token = next(source, at, open);
    if (token.kind === "(") depth++;
    else if (token.kind === ")" && --depth < 0) throw new TemplateProblem("unexpected right paren", at);
    tokens.push(token);
    at += token.text.length;
  }
  throw new TemplateProblem("unclosed action", open);
}

function next(source: string, at: number, open: number): Token {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text === undefined) continue;
    if (kind === "number" && /[\p{L}_]/u.test(source[at + text.length] ?? "")) {
      const bad = /^[+-]?[\p{L}\p{N}_.]+/u.exec(source.slice(at))?.[0] ?? text;
      throw new TemplateProblem(`bad number syntax: ${JSON.stringify(bad)}`, at);
    }
    if (kind === "identifier" && keywords.has(text)) return { kind: "word", text, at };
    return { kind, text, at };
  }
  const character = source[at] ?? "";
  if (character === '"') throw new TemplateProblem("unterminated quoted string", open);
  if (character === "`") throw new TemplateProblem("unterminated raw quoted string", open);
  if (character === "'") throw new TemplateProblem("unterminated character constant", open);
  if (character === ":") throw new TemplateProblem("expected :=", at);
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  throw new TemplateProblem(`unrecognized character in action: U+${code} '${character}'`, at);
}
