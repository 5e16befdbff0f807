/** Owns JSON as files hold it: where a broken text breaks, where a value stands, and one way to write it. */
import { isNode, LineCounter, parseDocument } from "yaml";
import { type Problem, SourceError } from "./problem";

/**
 * The value of a JSON text.
 * @throws SourceError with the line and column of the first letter that JSON does not allow
 */
export function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const { offset, message } = firstMistake(text);
    const before = text.slice(0, offset).split("\n");
    const place = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
    throw new SourceError([{ file, ...place, message: `this is not JSON: ${message}` }]);
  }
}

/** A mistake at a value of a JSON text, found by its path (`["cells", 3, "source"]`). */
export function problemAt(file: string, text: string, path: readonly (string | number)[], message: string): Problem {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  for (let length = path.length; length >= 0; length--) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (!isNode(node) || !node.range) continue;
    const { line, col } = counter.linePos(node.range[0]);
    return { file, line, column: col, message };
  }
  return { file, line: 1, message };
}

/** JSON as Python's `json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)` writes it. */
export function writeJson(value: unknown, indent = "\n"): string {
  const inner = `${indent} `;
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return items.length === 0 ? "[]" : `[${items.map((item) => inner + writeJson(item, inner)).join(",")}${indent}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([left], [right]) => compareCodePoints(left, right))
    .map(([name, field]) => `${inner}${JSON.stringify(name)}: ${writeJson(field, inner)}`);
  return fields.length === 0 ? "{}" : `{${fields.join(",")}${indent}}`;
}

/** The order of Python's strings: by code point, where JavaScript compares UTF-16 units. */
function compareCodePoints(left: string, right: string): number {
  const [a, b] = [Array.from(left), Array.from(right)];
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i]?.codePointAt(0) ?? 0) - (b[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const whitespace = /[ \t\r\n]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON's own rule
const plainLetters = /[^"\\\u0000-\u001f]*/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const otherScalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** What may stand at a place of a JSON text. */
type Expected = "a value" | "a value or ]" | "a name" | "a name or }" | ", or the closing bracket";

/** Where a text stops being JSON (RFC 8259), and what was allowed there. Node's own message often says neither. */
function firstMistake(text: string): { offset: number; message: string } {
  const cursor = new Cursor(text);
  const closers: string[] = [];
  let expected: Expected = "a value";
  const mistake = (what: string = expected) => {
    const letter = text.charAt(cursor.offset);
    return {
      offset: cursor.offset,
      message: `${what} is expected, not ${letter ? JSON.stringify(letter) : "the end"}`,
    };
  };
  for (;;) {
    cursor.take(whitespace);
    const closer = closers.at(-1);
    if (expected === ", or the closing bracket") {
      if (closer === undefined) return mistake("the end");
      if (cursor.letter(",")) expected = closer === "}" ? "a name" : "a value";
      else if (cursor.letter(closer)) closers.pop();
      else return mistake(`, or ${closer}`);
    } else if (expected.endsWith(` or ${closer}`) && cursor.letter(closer ?? "")) {
      closers.pop();
      expected = ", or the closing bracket";
    } else if (expected.startsWith("a name")) {
      if (!cursor.text()) return mistake();
      cursor.take(whitespace);
      if (!cursor.letter(":")) return mistake(":");
      expected = "a value";
    } else if (cursor.letter("{")) {
      closers.push("}");
      expected = "a name or }";
    } else if (cursor.letter("[")) {
      closers.push("]");
      expected = "a value or ]";
    } else if (cursor.text() || cursor.take(otherScalar)) expected = ", or the closing bracket";
    else return mistake();
  }
}

/** A place in a text, and the ways to move on from it. */
class Cursor {
  offset = 0;

  constructor(private readonly source: string) {}

  /** Moves over what a sticky pattern finds here; whether that was anything. */
  take(pattern: RegExp): boolean {
    pattern.lastIndex = this.offset;
    const length = pattern.exec(this.source)?.[0].length ?? 0;
    this.offset += length;
    return length > 0;
  }

  letter(letter: string): boolean {
    if (this.source.charAt(this.offset) !== letter) return false;
    this.offset++;
    return true;
  }

  /** A JSON string. In a broken one it stands at the letter that breaks it. */
  text(): boolean {
    if (!this.letter('"')) return false;
    do this.take(plainLetters);
    while (this.take(escaped));
    return this.letter('"');
  }
}
