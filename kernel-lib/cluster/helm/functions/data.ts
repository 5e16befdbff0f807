/** Owns what charts do with lists, maps and defaults: Sprig's functions for them. */
import type { TemplateFunction } from "../../gotemplate/index";
import { equal, type GoMap, goText, isMap, kindOf, truth, typeOf } from "../../gotemplate/values";
import { textOf } from "./text";

function listOf(name: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`Cannot find ${name} on type ${value === null ? "<nil>" : kindOf(value)}`);
}

function mapOf(value: unknown): GoMap {
  if (isMap(value)) return value;
  throw new Error(`wrong type for value; expected map[string]interface {}; got ${typeOf(value)}`);
}

/** Puts what `source` has into `target`, deep; what is there stays unless `over`. */
export function merged(target: GoMap, source: GoMap, over: boolean): GoMap {
  for (const [key, value] of Object.entries(source)) {
    if (key === "__proto__") continue;
    const old = Object.hasOwn(target, key) ? target[key] : undefined;
    if (isMap(old) && isMap(value)) merged(old, value, over);
    else if (over || !truth(old)) target[key] = value;
  }
  return target;
}

function sortedKeys(map: GoMap): readonly string[] {
  return Object.keys(map).sort((one, other) => (one < other ? -1 : 1));
}

const lists: Readonly<Record<string, TemplateFunction>> = {
  list: (...all) => all,
  tuple: (...all) => all,
  first: (list) => listOf("first", list)[0] ?? null,
  last: (list) => listOf("last", list).at(-1) ?? null,
  rest: (list) => listOf("rest", list).slice(1),
  initial: (list) => listOf("initial", list).slice(0, -1),
  append: (list, item) => [...listOf("append", list), item],
  push: (list, item) => [...listOf("push", list), item],
  prepend: (list, item) => [item, ...listOf("prepend", list)],
  concat: (...all) => all.flatMap((list) => listOf("concat", list)),
  reverse: (list) => [...listOf("reverse", list)].reverse(),
  uniq: (list) => listOf("uniq", list).filter((item, at, whole) => whole.findIndex((each) => equal(each, item)) === at),
  without: (list, ...gone) => listOf("without", list).filter((item) => !gone.some((each) => equal(each, item))),
  has: (item, list) =>
    list === null || list === undefined ? false : listOf("has", list).some((each) => equal(each, item)),
  compact: (list) => listOf("compact", list).filter(truth),
  chunk: (size, list) => {
    const count = Number(size);
    if (!(count > 0)) throw new Error("size must be greater than zero");
    const all = listOf("chunk", list);
    return Array.from({ length: Math.ceil(all.length / count) }, (_, at) => all.slice(at * count, (at + 1) * count));
  },
};

const maps: Readonly<Record<string, TemplateFunction>> = {
  dict: (...pairs) => {
    const map: GoMap = {};
    for (let at = 0; at < pairs.length; at += 2)
      if (textOf(pairs[at]) !== "__proto__") map[textOf(pairs[at])] = pairs[at + 1] ?? "";
    return map;
  },
  get: (map, key) => (Object.hasOwn(mapOf(map), textOf(key)) ? mapOf(map)[textOf(key)] : ""),
  set: (map, key, value) => {
    if (textOf(key) !== "__proto__") mapOf(map)[textOf(key)] = value;
    return map;
  },
  unset: (map, key) => {
    delete mapOf(map)[textOf(key)];
    return map;
  },
  hasKey: (map, key) => Object.hasOwn(mapOf(map), textOf(key)),
  pluck: (key, ...all) =>
    all
      .map(mapOf)
      .filter((map) => Object.hasOwn(map, textOf(key)))
      .map((map) => map[textOf(key)]),
  dig: (...args) => {
    const keys = args.slice(0, -2).map(textOf);
    const [otherwise, map] = args.slice(-2);
    let at: unknown = map;
    for (const key of keys) {
      if (!isMap(at) || !Object.hasOwn(at, key)) return otherwise;
      at = at[key];
    }
    return at;
  },
  merge: (target, ...sources) =>
    sources.reduce<GoMap>((map, source) => merged(map, mapOf(source), false), mapOf(target)),
  mergeOverwrite: (target, ...sources) =>
    sources.reduce<GoMap>((map, source) => merged(map, mapOf(source), true), mapOf(target)),
  keys: (...all) => all.flatMap((map) => sortedKeys(mapOf(map))),
  values: (map) => sortedKeys(mapOf(map)).map((key) => mapOf(map)[key]),
  pick: (map, ...keys) => Object.fromEntries(Object.entries(mapOf(map)).filter(([key]) => keys.includes(key))),
  omit: (map, ...keys) => Object.fromEntries(Object.entries(mapOf(map)).filter(([key]) => !keys.includes(key))),
  deepCopy: (value) => copy(value),
  deepEqual: equal,
};

/** A copy that shares nothing; methods stay what they are. */
export function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copy(each)]));
}

const choices: Readonly<Record<string, TemplateFunction>> = {
  default: (...args) => (args.length > 1 && truth(args[1]) ? args[1] : args[0]),
  empty: (value) => !truth(value),
  coalesce: (...all) => all.find(truth) ?? null,
  all: (...all) => all.every(truth),
  any: (...all) => all.some(truth),
  ternary: (yes, no, which) => (which ? yes : no),
  fail: (message) => {
    throw new Error(textOf(message));
  },
  kindOf,
  kindIs: (kind, value) => kindOf(value) === kind,
  typeOf,
  typeIs: (type, value) => typeOf(value) === type,
  typeIsLike: (type, value) => typeOf(value) === type || `*${typeOf(value)}` === type,
};

/** `add`, `until`, `int` …: a number of whatever is given, 0 for what is none. */
export function numberOf(value: unknown): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  const number = typeof value === "number" ? value : Number(textOf(value).trim() || "0");
  return Number.isFinite(number) ? number : 0;
}

function whole(value: unknown): number {
  return Math.trunc(numberOf(value));
}

function steps(from: number, to: number, step: number): readonly number[] {
  if (step === 0 || (to - from) * step <= 0) return [];
  const count = Math.ceil((to - from) / step);
  if (count > 100_000) throw new Error(`a list of ${count} numbers is too long`);
  return Array.from({ length: count }, (_, at) => from + at * step);
}

const numbers: Readonly<Record<string, TemplateFunction>> = {
  int: whole,
  int64: whole,
  float64: numberOf,
  atoi: (text) => (/^[+-]?\d+$/.test(textOf(text)) ? Number(text) : 0),
  toDecimal: (text) => Number.parseInt(textOf(text), 8) || 0,
  add: (...all) => all.reduce<number>((sum, each) => sum + whole(each), 0),
  add1: (value) => whole(value) + 1,
  sub: (one, other) => whole(one) - whole(other),
  mul: (...all) => all.reduce<number>((product, each) => product * whole(each), 1),
  div: (one, other) => {
    if (whole(other) === 0) throw new Error("runtime error: integer divide by zero");
    return Math.trunc(whole(one) / whole(other));
  },
  mod: (one, other) => {
    if (whole(other) === 0) throw new Error("runtime error: integer divide by zero");
    return whole(one) % whole(other);
  },
  addf: (...all) => all.reduce<number>((sum, each) => sum + numberOf(each), 0),
  subf: (first, ...all) => all.reduce<number>((sum, each) => sum - numberOf(each), numberOf(first)),
  mulf: (...all) => all.reduce<number>((product, each) => product * numberOf(each), 1),
  divf: (first, ...all) => all.reduce<number>((sum, each) => sum / numberOf(each), numberOf(first)),
  max: (...all) => Math.max(...all.map(whole)),
  min: (...all) => Math.min(...all.map(whole)),
  floor: (value) => Math.floor(numberOf(value)),
  ceil: (value) => Math.ceil(numberOf(value)),
  round: (value, digits) => Math.round(numberOf(value) * 10 ** whole(digits)) / 10 ** whole(digits),
  until: (count) => steps(0, whole(count), whole(count) < 0 ? -1 : 1),
  untilStep: (from, to, step) => steps(whole(from), whole(to), whole(step)),
  seq: (...args) => {
    const [first = 1, second, third] = args.map(whole);
    const [from, step, to] =
      args.length === 1
        ? [1, first < 1 ? -1 : 1, first]
        : args.length === 2
          ? [first, (second ?? 0) < first ? -1 : 1, second ?? 0]
          : [first, second ?? 1, third ?? 0];
    return steps(from, to + Math.sign(step), step).join(" ");
  },
};

/** `mustX` is X: these either give or fail by themselves. */
function withMust(functions: Readonly<Record<string, TemplateFunction>>): Readonly<Record<string, TemplateFunction>> {
  const musts = Object.entries(functions).map(
    ([name, run]) => [`must${name.charAt(0).toUpperCase()}${name.slice(1)}`, run] as const,
  );
  return { ...Object.fromEntries(musts), ...functions };
}

export const dataFunctions: Readonly<Record<string, TemplateFunction>> = {
  ...withMust(lists),
  ...withMust(maps),
  ...choices,
  ...numbers,
  toStringMap: (map) => Object.fromEntries(Object.entries(mapOf(map)).map(([key, value]) => [key, goText(value)])),
};
