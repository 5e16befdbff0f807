/** Owns the values that a chart is filled with: its own, those of files, and those of `--set`. */
import { type GoMap, isMap } from "../gotemplate/values";
import type { Flag, Flags } from "../kubectl/flags";
import { resolvePath } from "../shell/filesystem";
import { type Call, Failed } from "../shell/tool";
import { type Chart, yamlMap } from "./chart";
import { copy } from "./functions/data";

export const valueFlags: readonly Flag[] = [
  { name: "values", short: "f", type: "list" },
  { name: "set", type: "list" },
  { name: "set-string", type: "list" },
  { name: "set-json", type: "list" },
  { name: "set-file", type: "list" },
];

/** What the command line says: files first, then `--set-json`, `--set`, `--set-string`, `--set-file`. @throws Failed */
export function givenValues(call: Call, flags: Flags): GoMap {
  let values: GoMap = {};
  for (const path of flags.texts("values").flatMap((text) => text.split(","))) {
    const text = path === "-" ? call.stdin : call.place.files.read(resolvePath(call.folder, path));
    if (text === undefined) throw new Failed(`open ${path}: no such file or directory`);
    values = overlaid(values, yamlMap(text, `failed to parse ${path}`));
  }
  for (const text of flags.texts("set-json")) setJson(values, text);
  for (const text of flags.texts("set")) setAll(values, text, typed, "--set");
  for (const text of flags.texts("set-string")) setAll(values, text, (value) => value, "--set-string");
  for (const text of flags.texts("set-file")) {
    setAll(
      values,
      text,
      (path) => {
        const content = call.place.files.read(resolvePath(call.folder, path));
        if (content === undefined)
          throw new Failed(`failed parsing --set-file data: open ${path}: no such file or directory`);
        return content;
      },
      "--set-file",
    );
  }
  return values;
}

/** A chart's values with those of the user over them; a null takes a default away (chartutil.CoalesceValues). */
export function coalesced(chart: Chart, given: GoMap): GoMap {
  const values = withDefaults(copy(given) as GoMap, chart.values);
  for (const part of chart.dependencies) {
    const name = part.metadata.name;
    const own = isMap(values[name]) ? (values[name] as GoMap) : {};
    const global = { ...(isMap(own.global) ? own.global : {}), ...(isMap(values.global) ? values.global : {}) };
    values[name] = coalesced(part, Object.keys(global).length > 0 ? { ...own, global } : own);
  }
  return values;
}

function withDefaults(given: GoMap, defaults: GoMap): GoMap {
  const result: GoMap = {};
  for (const [key, value] of Object.entries(given)) if (value !== null) result[key] = value;
  for (const [key, value] of Object.entries(defaults)) {
    const now = Object.hasOwn(given, key) ? given[key] : undefined;
    if (now === null) continue;
    if (now === undefined) result[key] = copy(value);
    else if (isMap(now) && isMap(value)) result[key] = withDefaults(now, value);
  }
  return result;
}

function overlaid(under: GoMap, over: GoMap): GoMap {
  const result = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const old = result[key];
    result[key] = isMap(old) && isMap(value) ? overlaid(old, value) : value;
  }
  return result;
}

/** strvals: `true`, `null` and whole numbers are what they look like. */
function typed(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  if (text === "null") return null;
  return /^-?(0|[1-9]\d*)$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : text;
}

function setJson(values: GoMap, text: string): void {
  const fail = (why: string): never => {
    throw new Failed(`failed parsing --set-json data: ${why}`);
  };
  const read = (json: string): unknown => {
    try {
      return JSON.parse(json);
    } catch (error) {
      return fail(error instanceof Error ? error.message : "invalid JSON");
    }
  };
  if (text.trim().startsWith("{")) {
    Object.assign(values, overlaid(values, read(text) as GoMap));
    return;
  }
  const equals = text.indexOf("=");
  if (equals < 0) fail(`key ${JSON.stringify(text)} has no value`);
  put(values, stepsOf(text.slice(0, equals)), read(text.slice(equals + 1)));
}

/** `a.b=1,c[0].d=x,list={1,2}`; a backslash takes the meaning of the next character away (pkg/strvals). */
function setAll(values: GoMap, text: string, value: (text: string) => unknown, flag: string): void {
  for (const pair of cut(text, ",")) {
    const [key = "", ...rest] = cut(pair, "=");
    if (pair === "" && text === "") continue;
    if (rest.length === 0) throw new Failed(`failed parsing ${flag} data: key ${JSON.stringify(key)} has no value`);
    const given = rest.join("=");
    const list = /^\{([\s\S]*)\}$/.exec(given);
    const parsed = list
      ? list[1] === ""
        ? []
        : cut(list[1] ?? "", ",").map((item) => value(unescaped(item)))
      : value(unescaped(given));
    put(values, stepsOf(key), parsed);
  }
}

/** Cuts at a character that stands outside braces and behind no backslash. */
function cut(text: string, at: string): readonly string[] {
  const parts = [""];
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === "\\") {
      parts[parts.length - 1] += character + text.charAt(++index);
      continue;
    }
    if (character === "{") depth++;
    else if (character === "}") depth--;
    if (character === at && depth === 0 && !(at === "=" && parts.length > 1)) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}

function unescaped(text: string): string {
  return text.replace(/\\([\s\S])/g, "$1");
}

function stepsOf(key: string): readonly (string | number)[] {
  return cut(key, ".").flatMap((part) => {
    const [, name = "", indexes = ""] = /^((?:\\[\s\S]|[^[\\])*)((?:\[\d+\])*)$/.exec(part) ?? [];
    if (name === "" && indexes === "") throw new Failed(`failed parsing --set data: error parsing index: ${part}`);
    const list = [...indexes.matchAll(/\[(\d+)\]/g)].map(([, index]) => Number(index));
    if (list.some((index) => index > 65_536))
      throw new Failed(
        `failed parsing --set data: index of ${list[0]} is greater than maximum supported index of 65536`,
      );
    return name === "" ? list : [unescaped(name), ...list];
  });
}

function put(values: GoMap, [first, ...rest]: readonly (string | number)[], value: unknown): void {
  if (first === undefined || first === "__proto__") return;
  let target: GoMap | unknown[] = values;
  let key: string | number = first;
  for (const next of rest) {
    if (next === "__proto__") return;
    const holder = target as Record<string | number, unknown>;
    const fits = typeof next === "number" ? Array.isArray(holder[key]) : isMap(holder[key]);
    if (!fits) holder[key] = typeof next === "number" ? [] : {};
    target = holder[key] as GoMap | unknown[];
    key = next;
  }
  if (Array.isArray(target)) for (let at = target.length; at < Number(key); at++) target[at] = null;
  (target as Record<string | number, unknown>)[key] = value;
}
