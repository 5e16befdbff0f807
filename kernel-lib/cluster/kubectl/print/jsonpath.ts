/** Owns kubectl's JSONPath templates (k8s.io/client-go util/jsonpath): `{.items[*].metadata.name}`, range, filters. */
import { compactJson } from "./json";

type Value = unknown;

/** One step into a value. */
type Step =
  | { readonly step: "field"; readonly name: string }
  | { readonly step: "wildcard" }
  | { readonly step: "recursive" }
  | {
      readonly step: "slice";
      readonly from?: number;
      readonly to?: number;
      readonly by?: number;
      readonly single: boolean;
    }
  | { readonly step: "union"; readonly of: readonly (readonly Step[])[] }
  | { readonly step: "filter"; readonly left: readonly Step[]; readonly operator: string; readonly right: Operand };

type Operand = { readonly path: readonly Step[] } | { readonly value: Value } | undefined;

type Part =
  | { readonly part: "text"; readonly text: string }
  | { readonly part: "path"; readonly steps: readonly Step[] }
  | { readonly part: "range"; readonly steps: readonly Step[]; readonly body: readonly Part[] };

/** A template or a path is wrong, or a value is not there; the message is client-go's. */
export class JsonPathError extends Error {
  constructor(
    message: string,
    /** The template is wrong, whatever it is filled with. */
    readonly parsing = false,
  ) {
    super(message);
  }
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof JsonPathError ? new JsonPathError(error.message, true) : error;
  }
}

/** Fills a template; a field that is missing prints nothing, as kubectl's `-o jsonpath` allows it. */
export function fillTemplate(template: string, root: Value): string {
  const list = parsed(() => parseTemplate(template));
  return parts(list, root, root);
}

/** All values that the paths of a template lead to, those in ranges included. */
export function valuesOf(template: string, root: Value): readonly Value[] {
  const list = parsed(() => parseTemplate(template));
  const all = (some: readonly Part[], current: Value): readonly Value[] =>
    some.flatMap((part) => {
      if (part.part === "text") return [];
      const values = walk(part.steps, [current], root);
      return part.part === "path" ? values : values.flatMap((value) => all(part.body, value));
    });
  return all(list, root);
}

/** The values that a relaxed path (`.spec.ports[0]`, `{.x}`, `x.y`) leads to; none if a field is missing. */
export function findValues(path: string, root: Value): readonly Value[] {
  if (path === "") return [];
  return walk(parsePath(relaxed(path)), [root], root);
}

/** get.RelaxedJSONPathExpression: `x.y`, `.x.y` and `{x.y}` all mean `{.x.y}`. */
function relaxed(path: string): string {
  const match = /^\{\.?([^{}]+)\}$|^\.?([^{}]+)$/.exec(path);
  if (!match) {
    throw new JsonPathError(
      `unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'`,
    );
  }
  return `.${match[1] ?? match[2] ?? ""}`;
}

function parts(list: readonly Part[], root: Value, current: Value): string {
  let text = "";
  for (const part of list) {
    if (part.part === "text") text += part.text;
    else if (part.part === "path") text += walk(part.steps, [current], root).map(show).join(" ");
    else for (const value of walk(part.steps, [current], root)) text += parts(part.body, root, value);
  }
  return text;
}

function show(value: Value): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? compactJson(value) : String(value);
}

function parseTemplate(template: string): readonly Part[] {
  const stack: { parts: Part[]; steps: readonly Step[] }[] = [{ parts: [], steps: [] }];
  const top = (): { parts: Part[]; steps: readonly Step[] } => stack.at(-1) ?? { parts: [], steps: [] };
  let at = 0;
  while (at < template.length) {
    const open = template.indexOf("{", at);
    if (open < 0) break;
    if (open > at) top().parts.push({ part: "text", text: template.slice(at, open) });
    const close = closing(template, open);
    const inside = template.slice(open + 1, close).trim();
    at = close + 1;
    if (inside === "end") {
      const range = stack.pop();
      if (!range || stack.length === 0) throw new JsonPathError("not in range, nothing to end");
      top().parts.push({ part: "range", steps: range.steps, body: range.parts });
    } else if (/^range(\s|$)/.test(inside)) stack.push({ parts: [], steps: parsePath(inside.slice(5).trim()) });
    else if (/^["']/.test(inside)) top().parts.push({ part: "text", text: unquote(inside) });
    else for (const path of pathsOf(inside)) top().parts.push({ part: "path", steps: parsePath(path) });
  }
  if (at < template.length) top().parts.push({ part: "text", text: template.slice(at) });
  while (stack.length > 1) {
    // A range without an end goes to the end, and what is in it is filled once more from outside, as in client-go.
    const { steps, parts: body } = stack.pop() as { parts: Part[]; steps: readonly Step[] };
    top().parts.push({ part: "range", steps, body }, ...body);
  }
  return top().parts;
}

/** The paths of an action, which stand apart by spaces outside of brackets. */
function pathsOf(inside: string): readonly string[] {
  const paths = [""];
  let depth = 0;
  for (const [at, character] of [...inside].entries()) {
    if (character === "[") depth++;
    else if (character === "]") depth--;
    if (depth === 0 && /\s/.test(character) && /^\s+[.$@[]/.test(inside.slice(at))) paths.push("");
    else paths[paths.length - 1] += character;
  }
  return paths.filter((path) => path !== "").length === 0 ? [""] : paths.filter((path) => path !== "");
}

function closing(template: string, open: number): number {
  let quoted = "";
  for (let at = open + 1; at < template.length; at++) {
    const character = template[at] ?? "";
    if (quoted) {
      if (character === "\\") at++;
      else if (character === quoted) quoted = "";
    } else if (character === '"' || character === "'") quoted = character;
    else if (character === "}") return at;
  }
  throw new JsonPathError(/\[[^\]]*$/.test(template.slice(open)) ? "unterminated array" : "unclosed action");
}

function unquote(text: string): string {
  const quotedBy = text[0] ?? "";
  if (text.length < 2 || !text.endsWith(quotedBy)) throw new JsonPathError("unterminated quoted string");
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", "\\": "\\" };
  return text.slice(1, -1).replace(/\\(.)/g, (_, character: string) => escapes[character] ?? character);
}

function parsePath(text: string): readonly Step[] {
  const steps: Step[] = [];
  let rest = text;
  if (/^[$@]/.test(rest)) rest = rest.slice(1);
  while (rest !== "") {
    if (rest.startsWith("..")) {
      steps.push({ step: "recursive" });
      rest = rest.slice(1);
      if (rest === "." || rest.startsWith(".[")) rest = rest.slice(1);
      continue;
    }
    if (rest.startsWith("[")) {
      const end = bracketEnd(rest);
      steps.push(bracket(rest.slice(1, end).trim()));
      rest = rest.slice(end + 1);
      continue;
    }
    const match = /^\.?((?:\\.|[^.[\]\\{}'"|!=<>&()\s])+)/.exec(rest);
    if (match) {
      const name = (match[1] ?? "").replace(/\\(.)/g, "$1");
      steps.push(name === "*" ? { step: "wildcard" } : { step: "field", name });
      rest = rest.slice(match[0].length);
      continue;
    }
    if (rest === ".") break;
    throw unrecognized(rest);
  }
  return steps;
}

function unrecognized(rest: string): JsonPathError {
  const code = (rest.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return new JsonPathError(`unrecognized character in action: U+${code} '${rest[0]}'`);
}

function bracketEnd(text: string): number {
  let depth = 0;
  let quoted = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (quoted) {
      if (character === quoted) quoted = "";
    } else if (character === '"' || character === "'") quoted = character;
    else if (character === "[") depth++;
    else if (character === "]" && --depth === 0) return at;
  }
  throw new JsonPathError("unterminated array");
}

function bracket(inside: string): Step {
  const filter = /^\?\(([\s\S]*)\)$/.exec(inside);
  if (filter) return parseFilter((filter[1] ?? "").trim());
  if (inside === "*") return { step: "wildcard" };
  const quoted = /^(['"])([\s\S]*)\1$/.exec(inside);
  // What is quoted is a path again: a dot in a key needs its backslash here, too.
  if (quoted && !/['"],/.test(inside)) return { step: "union", of: [parsePath(`.${quoted[2] ?? ""}`)] };
  if (inside.includes(",")) return { step: "union", of: inside.split(",").map((each) => [bracket(each.trim())]) };
  const slice = /^(-?\d*)(?::(-?\d*))?(?::(-?\d*))?$/.exec(inside);
  if (!slice || inside === "") throw new JsonPathError(`invalid array index ${inside}`);
  const [, from, to, by] = slice;
  const single = !inside.includes(":");
  return {
    step: "slice",
    single,
    ...(from && { from: Number(from) }),
    ...(to && { to: Number(to) }),
    ...(by && { by: Number(by) }),
  };
}

function parseFilter(text: string): Step {
  const match = /^([\s\S]*?)\s*(==|!=|<=|>=|<|>)\s*([\s\S]*)$/.exec(text);
  if (!match) return { step: "filter", left: parsePath(text), operator: "exists", right: undefined };
  const right = match[3] ?? "";
  let operand: Operand;
  if (/^['"]/.test(right)) operand = { value: unquote(right) };
  else if (/^[@$.]/.test(right)) operand = { path: parsePath(right) };
  else if (/^(true|false)$/.test(right)) operand = { value: right === "true" };
  else operand = { value: number(right) };
  return { step: "filter", left: parsePath(match[1] ?? ""), operator: match[2] ?? "==", right: operand };
}

function number(text: string): number {
  const [, digits, rest = ""] = /^([-+]?[\d.]*)\s*([\s\S]*)$/.exec(text) ?? [];
  if (rest !== "") throw unrecognized(rest);
  return Number(digits);
}

function walk(steps: readonly Step[], start: readonly Value[], root: Value): readonly Value[] {
  let values = start;
  for (const step of steps) {
    // A union is all that its first path leads to, then all of the second.
    if (step.step === "union") {
      const from = values;
      values = step.of.flatMap((path) => walk(path, from, root));
    } else values = values.flatMap((value) => take(step, value, root));
  }
  return values;
}

function take(step: Exclude<Step, { step: "union" }>, value: Value, root: Value): readonly Value[] {
  switch (step.step) {
    case "field": {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, step.name)) return [];
      return [(value as Record<string, Value>)[step.name]];
    }
    case "wildcard":
      return children(value);
    case "recursive":
      return descendants(value);
    case "slice":
      return slice(step, value);
    case "filter":
      return (Array.isArray(value) ? value : children(value)).filter((each) => passes(step, each, root));
  }
}

function children(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value;
  if (typeof value !== "object" || value === null) return [];
  return Object.keys(value)
    .sort()
    .map((key) => (value as Record<string, Value>)[key]);
}

function descendants(value: Value): readonly Value[] {
  return typeof value === "object" && value !== null ? [value, ...children(value).flatMap(descendants)] : [];
}

function slice(step: Extract<Step, { step: "slice" }>, value: Value): readonly Value[] {
  if (!Array.isArray(value)) return [];
  const { length } = value;
  const place = (index: number): number => (index < 0 ? index + length : index);
  if (step.single) {
    const index = place(step.from ?? 0);
    if (index < 0 || index >= length) {
      throw new JsonPathError(`array index out of bounds: index ${step.from ?? 0}, length ${length}`);
    }
    return [value[index]];
  }
  const by = step.by ?? 1;
  if (by <= 0) throw new JsonPathError("step must be > 0");
  const range = value.slice(place(step.from ?? 0), step.to === undefined ? length : place(step.to));
  return range.filter((_, index) => index % by === 0);
}

function passes(step: Extract<Step, { step: "filter" }>, value: Value, root: Value): boolean {
  const left = walk(step.left, [value], root)[0];
  if (step.operator === "exists") return left !== undefined;
  const right = step.right && ("path" in step.right ? walk(step.right.path, [value], root)[0] : step.right.value);
  if (left === undefined || right === undefined) return false;
  switch (step.operator) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    case "<":
      return (left as number) < (right as number);
    case "<=":
      return (left as number) <= (right as number);
    case ">":
      return (left as number) > (right as number);
    default:
      return (left as number) >= (right as number);
  }
}
