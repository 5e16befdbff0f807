/** Owns the functions that every Go template has (text/template/funcs.go). */
import { type TemplateFunction, WrongCount } from "./execute";
import { goQuote, goText, isMap, kindOf, sprintf, truth, typeOf } from "./values";

/** Fails as Go does unless there are so many arguments. */
export function counted(args: readonly unknown[], least: number, most = least): void {
  if (args.length < least || args.length > most) {
    const want =
      least === most ? `want ${least}` : args.length < least ? `want at least ${least}` : `want at most ${most}`;
    throw new WrongCount(`${want} got ${args.length}`);
  }
}

function basicKind(value: unknown): string {
  const kind = kindOf(value);
  if (kind === "map" || kind === "slice" || kind === "func")
    throw new Error(`non-comparable type ${goText(value)}: ${typeOf(value)}`);
  return kind;
}

function same(one: unknown, other: unknown): boolean {
  const [left, right] = [basicKind(one), basicKind(other)];
  if (left === "invalid" || right === "invalid") return left === right;
  if (left !== right) throw new Error("incompatible types for comparison");
  return one === other;
}

function less(one: unknown, other: unknown): boolean {
  const [left, right] = [basicKind(one), basicKind(other)];
  if (left === "invalid" || right === "invalid" || left === "bool") throw new Error("invalid type for comparison");
  if (left !== right) throw new Error("incompatible types for comparison");
  return (one as number) < (other as number);
}

function indexed(value: unknown, key: unknown): unknown {
  if (value === null || value === undefined) throw new Error("index of untyped nil");
  if (Array.isArray(value) || typeof value === "string") {
    if (typeof key !== "number") throw new Error(`cannot index slice/array with type ${typeOf(key)}`);
    if (key < 0 || key >= value.length) throw new Error(`index out of range: ${key}`);
    return typeof value === "string" ? value.charCodeAt(key) : value[key];
  }
  if (!isMap(value)) throw new Error(`can't index item of type ${typeOf(value)}`);
  if (typeof key !== "string") throw new Error(`value has type ${typeOf(key)}; should be string`);
  return Object.hasOwn(value, key) ? value[key] : null;
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return new TextEncoder().encode(value).length;
  if (Array.isArray(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  throw new Error(value === null ? "len of nil pointer" : `len of type ${typeOf(value)}`);
}

/** fmt.Sprint: spaces only between values that are no texts. */
function sprint(args: readonly unknown[]): string {
  return args
    .map((arg, at) =>
      at > 0 && typeof arg !== "string" && typeof args[at - 1] !== "string" ? ` ${goText(arg)}` : goText(arg),
    )
    .join("");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
  "\0": "\uFFFD",
};

/** By name; `and` and `or` are the engine's own. */
export const builtins: Readonly<Record<string, TemplateFunction>> = {
  and: () => null,
  or: () => null,
  not: (...args) => {
    counted(args, 1);
    return !truth(args[0]);
  },
  eq: (first, ...rest) => {
    if (rest.length === 0) throw new Error("missing argument for comparison");
    return rest.some((each) => same(first, each));
  },
  ne: (...args) => {
    counted(args, 2);
    return !same(args[0], args[1]);
  },
  lt: (...args) => {
    counted(args, 2);
    return less(args[0], args[1]);
  },
  le: (...args) => {
    counted(args, 2);
    return less(args[0], args[1]) || same(args[0], args[1]);
  },
  gt: (...args) => {
    counted(args, 2);
    return !(less(args[0], args[1]) || same(args[0], args[1]));
  },
  ge: (...args) => {
    counted(args, 2);
    return !less(args[0], args[1]);
  },
  len: (...args) => {
    counted(args, 1);
    return lengthOf(args[0]);
  },
  index: (value, ...keys) => keys.reduce(indexed, value),
  slice: (value, from = 0, to = undefined) => {
    if (typeof value !== "string" && !Array.isArray(value))
      throw new Error(`can't slice item of type ${typeOf(value)}`);
    for (const bound of [from, to ?? 0]) {
      if (typeof bound !== "number" || bound < 0 || bound > value.length)
        throw new Error(`index out of range: ${goText(bound)}`);
    }
    return value.slice(from as number, to as number | undefined);
  },
  print: (...args) => sprint(args),
  println: (...args) => `${args.map(goText).join(" ")}\n`,
  printf: (format, ...args) => {
    if (typeof format !== "string") throw new Error(`expected string; found ${goText(format)}`);
    return sprintf(format, args);
  },
  html: (...args) => sprint(args).replace(/[&<>"'\0]/g, (character) => entities[character] ?? character),
  js: (...args) => goQuote(sprint(args)).slice(1, -1).replaceAll("'", "\\'"),
  urlquery: (...args) => encodeURIComponent(sprint(args)).replaceAll("%20", "+"),
  call: (callee, ...args) => {
    if (typeof callee !== "function") throw new Error(`non-function ${goText(callee)} of type ${typeOf(callee)}`);
    return (callee as TemplateFunction)(...args);
  },
};
