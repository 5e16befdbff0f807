/** Owns reading what somebody wrote for us: YAML or JSON with the line of every word, and checks that name what is wrong. */
import { type Document, isNode, LineCounter, parseAllDocuments, visit } from "yaml";

/** What somebody wrote cannot be used. The message begins with file and line where they are known. */
export class InputError extends Error {}

/** The way to a value: `["flows", 0, "destPort"]`. */
export type Path = readonly (string | number)[];

/** A text that was read: its documents as plain values, and where their parts stand. */
export interface Input {
  readonly documents: readonly Value[];
}

const sizeLimit = 256 * 1024 * 1024;
const aliasLimit = 100;

/** Reads YAML or JSON, several documents too. @throws InputError with file and line */
export function readInput(text: string, file: string): Input {
  if (text.length > sizeLimit) throw new InputError(`${file}: larger than 256 MiB`);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text.replace(/^\uFEFF/, ""), { lineCounter: lines });
  if (!Array.isArray(documents)) return { documents: [] };
  const values = documents.flatMap((document): readonly Value[] => {
    const value = plain(document, file, lines);
    return value === null || value === undefined ? [] : [new Value(value, [], { file, document, lines })];
  });
  return { documents: values };
}

function plain(document: Document.Parsed, file: string, lines: LineCounter): unknown {
  const at = (offset: number): string => `${file}:${lines.linePos(offset).line}`;
  const [problem] = document.errors;
  if (problem) {
    const [what = ""] = problem.message.split(/ at line \d+/);
    throw new InputError(`${at(problem.pos[0])}: ${what.charAt(0).toLowerCase()}${what.slice(1)}`);
  }
  visit(document, {
    Alias: (_, alias, path) => {
      const named = alias.resolve(document);
      if (named && path.includes(named))
        throw new InputError(`${at(alias.range?.[0] ?? 0)}: an alias within what it names`);
    },
    Pair: (_, { key }) => {
      const word = isNode(key) ? key.toJSON() : key;
      if (word === "__proto__") throw new InputError(`${at((isNode(key) && key.range?.[0]) || 0)}: the key __proto__`);
    },
  });
  try {
    return document.toJS({ maxAliasCount: aliasLimit });
  } catch (error) {
    if (error instanceof ReferenceError) throw new InputError(`${at(document.range[0])}: ${error.message}`);
    throw error;
  }
}

interface Source {
  readonly file: string;
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

/** A value with where it stands. Each reading either gives what was asked for or throws an InputError that says where. */
export class Value {
  constructor(
    readonly value: unknown,
    readonly path: Path,
    readonly source: Source,
  ) {}

  /** The line (from 1) where it stands, or of the nearest thing around it that stands anywhere. */
  get line(): number {
    const { document, lines } = this.source;
    for (let length = this.path.length; length >= 0; length--) {
      const node = length === 0 ? document.contents : document.getIn(this.path.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  }

  /** `cases[0].flows[2].destPort` */
  get where(): string {
    return this.path
      .map((step, at) => (typeof step === "number" ? `[${step}]` : at === 0 ? step : `.${step}`))
      .join("");
  }

  fail(what: string): never {
    const where = this.where;
    throw new InputError(`${this.source.file}:${this.line}: ${where === "" ? "" : `${where}: `}${what}`);
  }

  get exists(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  /** The field of a mapping; its value may be missing. */
  at(name: string): Value {
    const fields = (typeof this.value === "object" ? (this.value ?? {}) : {}) as Readonly<Record<string, unknown>>;
    return new Value(Object.hasOwn(fields, name) ? fields[name] : undefined, [...this.path, name], this.source);
  }

  /** A mapping with no other fields than these. */
  mapping(known: readonly string[]): this {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value)) {
      this.fail(`must be a mapping, not ${describe(this.value)}`);
    }
    for (const name of Object.keys(this.value)) {
      if (known.includes(name)) continue;
      new Value(this.value, [...this.path, name], this.source).fail(`is not known here; known are ${known.join(", ")}`);
    }
    return this;
  }

  list(): readonly Value[] {
    if (!Array.isArray(this.value)) return this.fail(`must be a list, not ${describe(this.value)}`);
    return this.value.map((each, at) => new Value(each, [...this.path, at], this.source));
  }

  text(): string {
    return typeof this.value === "string" ? this.value : this.fail(`must be a text, not ${describe(this.value)}`);
  }

  bool(): boolean {
    return typeof this.value === "boolean"
      ? this.value
      : this.fail(`must be true or false, not ${describe(this.value)}`);
  }

  port(): number {
    const { value } = this;
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
    return this.fail(`must be a port from 1 to 65535, not ${describe(value)}`);
  }

  /** One of these words. */
  oneOf<T extends string>(words: readonly T[]): T {
    const found = words.find((word) => word === this.value);
    return found ?? this.fail(`must be one of ${words.join(", ")}, not ${describe(this.value)}`);
  }
}

function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 60
    ? Array.isArray(value)
      ? "a list"
      : typeof value === "object"
        ? "a mapping"
        : "a long text"
    : text;
}
