/** Owns what Go's text/template and fmt think of values: truth, type, order, and how they are printed. */

export type GoMap = Record<string, unknown>;

export function isMap(value: unknown): value is GoMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether `if` takes it: not false, 0, nil, or an empty text, list or map. */
export function truth(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** reflect.Kind, as sprig's `kindOf` says it. Numbers come from JSON, so they are float64. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "invalid";
  if (Array.isArray(value)) return "slice";
  if (typeof value === "object") return "map";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return "float64";
  return typeof value === "function" ? "func" : "string";
}

/** Go's name of the type. */
export function typeOf(value: unknown): string {
  const kind = kindOf(value);
  if (kind === "map") return "map[string]interface {}";
  if (kind === "slice") return "[]interface {}";
  return kind === "invalid" ? "<nil>" : kind;
}

/** A value as a template prints it. */
export function printed(value: unknown): string {
  if (value === null || value === undefined) return "<no value>";
  return goText(value);
}

/** fmt's `%v`. */
export function goText(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (isMap(value)) {
    const keys = Object.keys(value).sort((one, other) => (one < other ? -1 : 1));
    return `map[${keys.map((key) => `${key}:${goText(value[key])}`).join(" ")}]`;
  }
  return typeof value === "number" ? numberText(value) : String(value);
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value).replace(/e([+-])(\d)$/, "e$10$2");
}

/** strconv.Quote. */
export function goQuote(text: string): string {
  const escapes: Readonly<Record<string, string>> = {
    "\x07": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that Go escapes are what is asked for
  const body = text.replace(/["\\\u0000-\u001f\u007f]/g, (character) => {
    if (character === '"' || character === "\\") return `\\${character}`;
    return escapes[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${body}"`;
}

/** Deep equality of JSON values. */
export function equal(one: unknown, other: unknown): boolean {
  if (one === other || ((one ?? null) === null && (other ?? null) === null)) return true;
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((each, at) => equal(each, other[at]));
  if (!isMap(one) || !isMap(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && equal(one[key], other[key]))
  );
}

/** fmt.Sprintf, with the verbs that templates use. */
export function sprintf(format: string, args: readonly unknown[]): string {
  let next = 0;
  const text = format.replace(
    /%([-+# 0]*)(\d+|\*)?(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      if (next >= args.length) return `%!${verb}(MISSING)`;
      const body = formatted(verb, args[next++], flags, precision === undefined ? undefined : Number(precision));
      const size = Number(width ?? 0);
      if (flags.includes("-")) return body.padEnd(size);
      return flags.includes("0") && !/[sqv]/.test(verb) ? zeroPadded(body, size) : body.padStart(size);
    },
  );
  if (next >= args.length) return text;
  const extra = args.slice(next).map((arg) => `${typeOf(arg)}=${goText(arg)}`);
  return `${text}%!(EXTRA ${extra.join(", ")})`;
}

function zeroPadded(text: string, size: number): string {
  return text.startsWith("-") ? `-${text.slice(1).padStart(size - 1, "0")}` : text.padStart(size, "0");
}

function formatted(verb: string, value: unknown, flags: string, precision: number | undefined): string {
  const wrong = (): string => `%!${verb}(${value === null ? "<nil>" : `${typeOf(value)}=${goText(value)}`})`;
  const sign = flags.includes("+") && typeof value === "number" && value >= 0 ? "+" : "";
  switch (verb) {
    case "v":
      return sign + goText(value);
    case "s":
      if (value === null || value === undefined || typeof value === "number" || typeof value === "boolean")
        return wrong();
      return precision === undefined ? goText(value) : goText(value).slice(0, precision);
    case "q":
      return typeof value === "string" ? goQuote(value) : wrong();
    case "t":
      return typeof value === "boolean" ? String(value) : wrong();
    case "T":
      return typeOf(value);
    case "d":
      return typeof value === "number" && Number.isInteger(value) ? sign + String(value) : wrong();
    case "f":
    case "g":
    case "e":
      if (typeof value !== "number") return wrong();
      return (
        sign +
        (verb === "f"
          ? value.toFixed(precision ?? 6)
          : verb === "e"
            ? value.toExponential(precision ?? 6)
            : numberText(value))
      );
    case "x":
    case "X":
    case "o":
    case "b": {
      if (typeof value !== "number" || !Number.isInteger(value))
        return typeof value === "string" && /x/i.test(verb) ? hexOf(value) : wrong();
      const digits = value.toString(verb === "o" ? 8 : verb === "b" ? 2 : 16);
      return verb === "X" ? digits.toUpperCase() : digits;
    }
    case "c":
      return typeof value === "number" ? String.fromCodePoint(value) : wrong();
    default:
      return wrong();
  }
}

function hexOf(text: string): string {
  return [...new TextEncoder().encode(text)].map((octet) => octet.toString(16).padStart(2, "0")).join("");
}
