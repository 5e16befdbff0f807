/** Owns reading JSON as Go does it: where a text or a type is wrong, the error is in encoding/json's words. */

/** An object of a configuration, unchecked but for being one. */
export type JsonObject = { readonly [key: string]: unknown };

export class JsonError extends Error {}

/** Reads JSON. @throws JsonError such as `invalid character '}' looking for beginning of object key string` */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new JsonError(complaint(text));
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As `%T` names what encoding/json makes of a value. */
export function goType(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return "[]interface {}";
  const names: Readonly<Record<string, string>> = { boolean: "bool", number: "float64", string: "string" };
  return names[typeof value] ?? "map[string]interface {}";
}

interface GoTypes {
  readonly string: string;
  readonly bool: boolean;
  readonly int: number;
}

/**
 * A field of a Go struct; undefined where it is missing or null.
 * @param struct the Go type, as errors name it
 * @throws JsonError `json: cannot unmarshal string into Go struct field NetConf.isGateway of type bool`
 */
export function field<T extends keyof GoTypes>(
  from: JsonObject,
  name: string,
  type: T,
  struct = "NetConf",
): GoTypes[T] | undefined {
  const value = from[name];
  if (value === undefined || value === null) return undefined;
  const wanted = type === "int" ? "number" : type === "bool" ? "boolean" : "string";
  if (typeof value === wanted && (type !== "int" || Number.isInteger(value))) return value as GoTypes[T];
  throw wrongType(value, `${struct}.${name}`, type);
}

/** The same for a field that must be an object, or a list. */
export function objectField(from: JsonObject, name: string, struct: string): JsonObject | undefined {
  const value = from[name];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw wrongType(value, name, struct);
  return value;
}

export function listField(from: JsonObject, name: string, struct: string): readonly unknown[] {
  const value = from[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrongType(value, name, struct);
  return value;
}

function wrongType(value: unknown, where: string, type: string): JsonError {
  const kind = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  const what = kind === "number" && type === "int" ? `number ${String(value)}` : kind;
  return new JsonError(`json: cannot unmarshal ${what} into Go struct field ${where} of type ${type}`);
}

/** What Go's scanner says of the first character that cannot be (encoding/json/scanner.go). */
function complaint(text: string): string {
  const scan = new Scan(text);
  scan.value("looking for beginning of value");
  scan.blanks();
  if (!scan.over) scan.wrong("after top-level value");
  return scan.said ?? "unexpected end of JSON input";
}

class Scan {
  readonly #text: string;
  #at = 0;
  said: string | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  get over(): boolean {
    return this.said !== undefined || this.#at >= this.#text.length;
  }

  wrong(context: string): void {
    const letter = this.#text[this.#at];
    if (letter === undefined) {
      this.said ??= "unexpected end of JSON input";
      return;
    }
    const shown = letter === "'" ? `'\\''` : letter === '"' ? `'"'` : `'${JSON.stringify(letter).slice(1, -1)}'`;
    this.said ??= `invalid character ${shown} ${context}`;
  }

  blanks(): void {
    while (!this.over && " \t\r\n".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  value(context: string): void {
    this.blanks();
    if (this.said !== undefined) return;
    const letter = this.#text[this.#at];
    if (letter === "{") this.#object();
    else if (letter === "[") this.#array();
    else if (letter === '"') this.#string();
    else if (letter !== undefined && /[-0-9]/.test(letter)) this.#number();
    else if (letter === "t" || letter === "f" || letter === "n") this.#literal(letter);
    else this.wrong(context);
  }

  #object(): void {
    this.#at++;
    this.blanks();
    if (this.#take("}")) return;
    for (;;) {
      this.blanks();
      if (this.#text[this.#at] !== '"') {
        this.wrong("looking for beginning of object key string");
        return;
      }
      this.#string();
      this.blanks();
      if (!this.#take(":")) {
        this.wrong("after object key");
        return;
      }
      this.value("looking for beginning of value");
      this.blanks();
      if (this.said !== undefined || this.#take("}")) return;
      if (!this.#take(",")) {
        this.wrong("after object key:value pair");
        return;
      }
    }
  }

  #array(): void {
    this.#at++;
    this.blanks();
    if (this.#take("]")) return;
    for (;;) {
      this.value("looking for beginning of value");
      this.blanks();
      if (this.said !== undefined || this.#take("]")) return;
      if (!this.#take(",")) {
        this.wrong("after array element");
        return;
      }
    }
  }

  #string(): void {
    for (this.#at++; !this.over; this.#at++) {
      const letter = this.#text[this.#at] ?? "";
      if (letter === '"') {
        this.#at++;
        return;
      }
      if (letter < " ") {
        this.wrong("in string literal");
        return;
      }
      if (letter !== "\\") continue;
      this.#at++;
      if (!'"\\/bfnrtu'.includes(this.#text[this.#at] ?? "?")) {
        this.wrong("in string escape code");
        return;
      }
    }
    this.wrong("");
  }

  #number(): void {
    const found = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/.exec(this.#text.slice(this.#at))?.[0];
    if (found === undefined) {
      this.#at++;
      this.wrong("in numeric literal");
    } else this.#at += found.length;
  }

  #literal(first: "t" | "f" | "n"): void {
    const word = { t: "true", f: "false", n: "null" }[first];
    for (const letter of word) {
      if (this.#text[this.#at] !== letter) {
        this.wrong(`in literal ${word} (expecting '${letter}')`);
        return;
      }
      this.#at++;
    }
  }

  #take(letter: string): boolean {
    if (this.#text[this.#at] !== letter) return false;
    this.#at++;
    return true;
  }
}
