/** Owns what charts do with texts: Sprig's string functions. */
import type { TemplateFunction } from "../../gotemplate/index";
import { goQuote, goText } from "../../gotemplate/values";

/** Sprig's strval: a text of anything. */
export function textOf(value: unknown): string {
  return value === null || value === undefined ? "" : goText(value);
}

/** Sprig's strslice: a list of texts, without nils. */
export function textsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.filter((each) => each !== null && each !== undefined).map(textOf);
  return value === null || value === undefined ? [] : [textOf(value)];
}

/** A Go regular expression as JavaScript's; `(?i)` and `(?s)` in front become flags. */
export function regex(pattern: unknown, flags = ""): RegExp {
  const [, modes = "", rest = ""] = /^(?:\(\?([imsU]+)\))?([\s\S]*)$/.exec(textOf(pattern)) ?? [];
  try {
    return new RegExp(rest.replaceAll("(?P<", "(?<"), `${flags}${modes.replace(/[^ims]/g, "")}u`);
  } catch {
    throw new Error(`error parsing regexp: \`${textOf(pattern)}\``);
  }
}

/** `$1` and `${1}` as Go means them; everything else stands for itself. */
function expanded(template: string, groups: readonly (string | undefined)[]): string {
  return template.replace(/\$\$|\$\{(\w+)\}|\$(\w+)/g, (whole, braced?: string, bare?: string) =>
    whole === "$$" ? "$" : (groups[Number(braced ?? bare)] ?? ""),
  );
}

function indented(spaces: unknown, text: unknown): string {
  const pad = " ".repeat(Math.max(0, Number(spaces)));
  return pad + textOf(text).replaceAll("\n", `\n${pad}`);
}

function words(text: string): readonly string[] {
  return text.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g) ?? [];
}

/** By name; the text comes last, so that one can be piped into the next. */
export const textFunctions: Readonly<Record<string, TemplateFunction>> = {
  toString: textOf,
  toStrings: textsOf,
  trim: (text) => textOf(text).trim(),
  trimAll: (cut, text) => trimmed(textOf(text), textOf(cut), true, true),
  trimPrefix: (prefix, text) =>
    textOf(text).startsWith(textOf(prefix)) ? textOf(text).slice(textOf(prefix).length) : textOf(text),
  trimSuffix: (suffix, text) =>
    textOf(suffix) !== "" && textOf(text).endsWith(textOf(suffix))
      ? textOf(text).slice(0, -textOf(suffix).length)
      : textOf(text),
  upper: (text) => textOf(text).toUpperCase(),
  lower: (text) => textOf(text).toLowerCase(),
  title: (text) =>
    textOf(text).replace(
      /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    ),
  untitle: (text) =>
    textOf(text).replace(/(^|\s)(\p{L})/gu, (_, before: string, letter: string) => before + letter.toLowerCase()),
  swapcase: (text) =>
    [...textOf(text)].map((each) => (each === each.toUpperCase() ? each.toLowerCase() : each.toUpperCase())).join(""),
  repeat: (count, text) => {
    const times = Math.max(0, Number(count));
    if (times * textOf(text).length > 1_000_000) throw new Error("strings: Repeat output length overflow");
    return textOf(text).repeat(times);
  },
  substr: (from, to, text) => {
    const [start, end] = [Number(from), Number(to)];
    const whole = textOf(text);
    if (start < 0) return whole.slice(0, end);
    return end < 0 || end > whole.length ? whole.slice(start) : whole.slice(start, end);
  },
  nospace: (text) => textOf(text).replace(/\s/g, ""),
  trunc: (count, text) => {
    const size = Number(count);
    const whole = textOf(text);
    if (size < 0 && whole.length + size > 0) return whole.slice(whole.length + size);
    return size >= 0 && whole.length > size ? whole.slice(0, size) : whole;
  },
  abbrev: (width, text) =>
    textOf(text).length <= Number(width) || Number(width) < 4
      ? textOf(text)
      : `${textOf(text).slice(0, Number(width) - 3)}...`,
  contains: (part, text) => textOf(text).includes(textOf(part)),
  hasPrefix: (part, text) => textOf(text).startsWith(textOf(part)),
  hasSuffix: (part, text) => textOf(text).endsWith(textOf(part)),
  quote: (...all) =>
    all
      .filter((each) => each !== null && each !== undefined)
      .map((each) => goQuote(textOf(each)))
      .join(" "),
  squote: (...all) =>
    all
      .filter((each) => each !== null && each !== undefined)
      .map((each) => `'${textOf(each)}'`)
      .join(" "),
  cat: (...all) =>
    all
      .filter((each) => each !== null && each !== undefined)
      .map(textOf)
      .join(" "),
  indent: indented,
  nindent: (spaces, text) => `\n${indented(spaces, text)}`,
  replace: (old, now, text) => textOf(text).replaceAll(textOf(old), () => textOf(now)),
  plural: (one, many, count) => (Number(count) === 1 ? one : many),
  snakecase: (text) =>
    words(textOf(text))
      .map((word) => word.toLowerCase())
      .join("_"),
  kebabcase: (text) =>
    words(textOf(text))
      .map((word) => word.toLowerCase())
      .join("-"),
  camelcase: (text) =>
    words(textOf(text))
      .map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase())
      .join(""),
  initials: (text) =>
    textOf(text)
      .split(/\s+/)
      .map((word) => word.charAt(0))
      .join(""),
  wrap: (width, text) => wrapped(Number(width), textOf(text), "\n"),
  wrapWith: (width, line, text) => wrapped(Number(width), textOf(text), textOf(line)),
  join: (separator, list) => textsOf(list).join(textOf(separator)),
  splitList: (separator, text) => textOf(text).split(textOf(separator)),
  split: (separator, text) =>
    Object.fromEntries(
      textOf(text)
        .split(textOf(separator))
        .map((part, at) => [`_${at}`, part]),
    ),
  splitn: (separator, count, text) => {
    const parts = textOf(text).split(textOf(separator));
    const most = Math.max(1, Number(count));
    const rest =
      parts.length > most ? [...parts.slice(0, most - 1), parts.slice(most - 1).join(textOf(separator))] : parts;
    return Object.fromEntries(rest.map((part, at) => [`_${at}`, part]));
  },
  sortAlpha: (list) => [...textsOf(list)].sort((one, other) => (one < other ? -1 : one > other ? 1 : 0)),
  regexMatch: (pattern, text) => regex(pattern).test(textOf(text)),
  mustRegexMatch: (pattern, text) => regex(pattern).test(textOf(text)),
  regexFind: (pattern, text) => regex(pattern).exec(textOf(text))?.[0] ?? "",
  regexFindAll: (pattern, text, count) =>
    limited(
      [...textOf(text).matchAll(regex(pattern, "g"))].map(([found]) => found),
      count,
    ),
  regexReplaceAll: (pattern, text, by) =>
    textOf(text).replace(regex(pattern, "g"), (...found: unknown[]) =>
      expanded(textOf(by), found.slice(0, -2) as string[]),
    ),
  regexReplaceAllLiteral: (pattern, text, by) => textOf(text).replace(regex(pattern, "g"), () => textOf(by)),
  regexSplit: (pattern, text, count) => limited(textOf(text).split(regex(pattern)), count),
  regexQuoteMeta: (text) => textOf(text).replace(/[\\.+*?()|[\]{}^$]/g, "\\$&"),
};

function limited(list: readonly string[], count: unknown): readonly string[] {
  return Number(count) < 0 ? list : list.slice(0, Number(count));
}

function trimmed(text: string, cut: string, left: boolean, right: boolean): string {
  let [from, to] = [0, text.length];
  while (left && from < to && cut.includes(text.charAt(from))) from++;
  while (right && to > from && cut.includes(text.charAt(to - 1))) to--;
  return text.slice(from, to);
}

function wrapped(width: number, text: string, line: string): string {
  let out = "";
  let column = 0;
  for (const word of text.split(" ")) {
    if (column > 0 && column + 1 + word.length > width) {
      out += line;
      column = 0;
    } else if (out !== "") {
      out += " ";
      column++;
    }
    out += word;
    column += word.length;
  }
  return out;
}
