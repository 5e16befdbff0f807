/** Owns a chapter's front matter: the YAML between the two `---` lines at its head. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit } from "yaml";
import type { Problem } from "./problem";
import { nearest } from "./suggest";

/** What a chapter follows: a page of documentation, a tutorial. */
export interface Source {
  readonly title: string;
  readonly url: string;
}

/** What a chapter says about itself. */
export interface FrontMatter {
  readonly title: string;
  /** How long one sitting takes, in minutes. */
  readonly minutes: number;
  /** What the reader will be able to do, one sentence each (Markdown). */
  readonly goals: readonly string[];
  readonly sources: readonly Source[];
}

/** The front matter, if it is whole, and the line (from 0) on which the Markdown after it begins. */
export interface FrontMatterResult {
  readonly frontMatter?: FrontMatter;
  readonly bodyLine: number;
  readonly problems: readonly Problem[];
}

const fields = ["title", "minutes", "goals", "sources"] as const;
type Field = (typeof fields)[number];
/** Says at an offset of the YAML what is wrong there. */
type Complain = (offset: number, message: string) => undefined;

/** Reads the front matter of a chapter's text (with LF line ends); every mistake is reported, in YAML's own words. */
export function parseFrontMatter(file: string, text: string): FrontMatterResult {
  const lines = text.split("\n");
  const missing = (message: string): FrontMatterResult => ({ bodyLine: 0, problems: [{ file, line: 1, message }] });
  if (lines[0]?.trimEnd() !== "---") {
    return missing(`a chapter begins with front matter: a line ---, then ${fields.join(", ")}, then a line ---`);
  }
  const end = lines.findIndex((line, index) => index > 0 && line.trimEnd() === "---");
  if (end < 0) return missing("the front matter has no end: a line --- is missing after its last field");

  const counter = new LineCounter();
  const problems: Problem[] = [];
  const complain: Complain = (offset, message) => {
    const { line, col } = counter.linePos(offset);
    problems.push({ file, line: line + 1, column: col, message });
    return undefined;
  };
  const yaml = lines.slice(1, end).join("\n");
  const document = parseDocument(yaml, { lineCounter: counter, prettyErrors: false, strict: true, uniqueKeys: true });
  for (const mistake of [...document.errors, ...document.warnings]) complain(mistake.pos[0], mistake.message);
  visit(document, { Alias: (_, alias) => complain(alias.range?.[0] ?? 0, "front matter has no use for aliases (*)") });
  if (problems.length > 0) return { bodyLine: end + 1, problems };

  const contents: unknown = document.contents;
  if (!isMap<Node, Node | null>(contents)) {
    complain(0, `front matter is a map of fields (${fields.join(", ")}), but this is ${kindOf(document.contents)}`);
    return { bodyLine: end + 1, problems };
  }
  const values = readFields(contents.items, complain);
  for (const field of fields) if (!(field in values)) complain(0, `the field ${field} is missing`);
  if (problems.length > 0) return { bodyLine: end + 1, problems };
  return { frontMatter: values as FrontMatter, bodyLine: end + 1, problems };
}

/** Reads each field by its own rule; unknown ones are named with the nearest known one. */
function readFields(pairs: readonly Pair<Node, Node | null>[], complain: Complain): Partial<FrontMatter> {
  const values: Partial<Record<Field, unknown>> = {};
  for (const { key, value } of pairs) {
    const name = isScalar(key) ? String(key.value) : "?";
    const offset = key.range?.[0] ?? 0;
    const field = fields.find((known) => known === name);
    if (field === undefined) {
      const meant = nearest(name, fields);
      complain(offset, `unknown field ${name}${meant ? `; did you mean ${meant}?` : ""} (known: ${fields.join(", ")})`);
      continue;
    }
    values[field] = readers[field](field, value, offset, complain);
  }
  return values as Partial<FrontMatter>;
}

const readers: Readonly<Record<Field, (name: string, value: Node | null, at: number, complain: Complain) => unknown>> =
  {
    title: readText,
    minutes: (name, value, at, complain) => {
      const number = isScalar(value) ? value.value : undefined;
      if (typeof number === "number" && Number.isInteger(number) && number > 0) return number;
      return complain(placeOf(value, at), `${name} must be a whole number of minutes, but is ${kindOf(value)}`);
    },
    goals: (name, value, at, complain) => {
      if (!isSeq<Node>(value) || value.items.length === 0) {
        return complain(placeOf(value, at), `${name} must be a list of sentences, but is ${kindOf(value)}`);
      }
      return value.items.map((item, index) => readText(`${name}[${index}]`, item, at, complain));
    },
    sources: (name, value, at, complain) => {
      if (isSeq<Node>(value)) return value.items.map((item, i) => readSource(`${name}[${i}]`, item, at, complain));
      return complain(placeOf(value, at), `${name} must be a list of {title, url}, but is ${kindOf(value)}`);
    },
  };

function readText(name: string, value: Node | null, at: number, complain: Complain): string | undefined {
  if (isScalar(value) && typeof value.value === "string" && value.value.trim() !== "") return value.value.trim();
  return complain(placeOf(value, at), `${name} must be text, but is ${kindOf(value)}`);
}

/** A source is `{title, url}`, or an address alone, which then is its own title. */
function readSource(name: string, value: Node, at: number, complain: Complain): Source | undefined {
  if (isScalar(value)) {
    const url = readUrl(name, value, at, complain);
    return url === undefined ? undefined : { title: url, url };
  }
  if (!isMap<Node, Node | null>(value)) {
    return complain(placeOf(value, at), `${name} must be {title, url} or an address, but is ${kindOf(value)}`);
  }
  const here = placeOf(value, at);
  const parts = new Map(value.items.map((pair) => [isScalar(pair.key) ? String(pair.key.value) : "?", pair]));
  for (const [key, pair] of parts) {
    if (key !== "title" && key !== "url") {
      complain(placeOf(pair.key, at), `unknown field ${key} of ${name} (known: title, url)`);
    }
  }
  const read = (field: "title" | "url", reader: typeof readText) => {
    const pair = parts.get(field);
    return pair ? reader(`${name}.${field}`, pair.value, here, complain) : complain(here, `${name} has no ${field}`);
  };
  const [title, url] = [read("title", readText), read("url", readUrl)];
  return title === undefined || url === undefined ? undefined : { title, url };
}

function readUrl(name: string, value: Node | null, at: number, complain: Complain): string | undefined {
  const text = readText(name, value, at, complain);
  if (text === undefined || (/^https?:/.test(text) && URL.canParse(text))) return text;
  return complain(placeOf(value, at), `${name} must be an address that begins with https://, but is ${text}`);
}

/** Where a value stands; where its field stands when there is none. */
function placeOf(value: Node | null, otherwise: number): number {
  return value?.range && value.range[1] > value.range[0] ? value.range[0] : otherwise;
}

/** What a value is, for the end of "… must be X, but is …". */
function kindOf(value: Node | null): string {
  if (isMap(value)) return "a map";
  if (isSeq(value)) return value.items.length === 0 ? "an empty list" : "a list";
  if (isAlias(value)) return "an alias";
  if (!isScalar(value) || value.value === null || value.value === "") return "empty";
  if (typeof value.value === "string") return `the text ${JSON.stringify(value.value)}`;
  return `the ${typeof value.value} ${String(value.value)}`;
}
