/** Owns the printing of YAML as kubectl prints it: sorted keys, go-yaml's quoting and its line breaks (sigs.k8s.io/yaml). */

/** go-yaml breaks plain and quoted text at the first space beyond this column. */
const bestWidth = 80;

/** A JSON value as YAML, ending in a line break. */
export function printYaml(value: unknown): string {
  if (isObject(value) && Object.keys(value).length > 0) return mapping(value, 0);
  if (Array.isArray(value) && value.length > 0) return sequence(value, 0);
  return `${scalar(value, 0, 0)}\n`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mapping(object: Record<string, unknown>, indent: number): string {
  let text = "";
  for (const key of Object.keys(object)
    .filter((name) => object[name] !== undefined)
    .sort(byBytes)) {
    const head = `${" ".repeat(indent)}${scalar(key, indent, 0)}:`;
    text += head + after(object[key], indent, head.length);
  }
  return text;
}

/** What follows `key:`. A list stands at the indent of its key. */
function after(value: unknown, indent: number, column: number): string {
  if (isObject(value) && Object.keys(value).length > 0) return `\n${mapping(value, indent + 2)}`;
  if (Array.isArray(value) && value.length > 0) return `\n${sequence(value, indent)}`;
  return ` ${scalar(value, indent + 2, column + 1)}\n`;
}

function sequence(list: readonly unknown[], indent: number): string {
  let text = "";
  for (const item of list) {
    const dash = `${" ".repeat(indent)}- `;
    if (isObject(item) && Object.keys(item).length > 0) text += dash + mapping(item, indent + 2).slice(indent + 2);
    else if (Array.isArray(item) && item.length > 0) text += dash + sequence(item, indent + 2).slice(indent + 2);
    else text += `${dash}${scalar(item, indent + 2, indent + 2)}\n`;
  }
  return text;
}

/** Go sorts keys by their bytes; UTF-16 order differs only beyond the basic plane. */
function byBytes(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function scalar(value: unknown, indent: number, column: number): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "[]";
  if (typeof value === "object") return "{}";
  if (typeof value !== "string") return String(value);
  if (value.includes("\n") && literalAllowed(value)) return literal(value, indent);
  if (!printable(value) || /[\t\n\u{10000}-\u{10ffff}]/u.test(value)) return doubleQuoted(value, indent, column);
  if (resolves(value)) return doubleQuoted(value, indent, column);
  if (!plainAllowed(value)) return singleQuoted(value, indent, column);
  return broken(value, indent, column);
}

/** Text that YAML 1.1 would read as something else than a string; go-yaml prints it in double quotes. */
function resolves(text: string): boolean {
  if (text === "") return true;
  if (/^(~|null|Null|NULL|true|True|TRUE|false|False|FALSE)$/.test(text)) return true;
  if (/^(y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/.test(text)) return true;
  if (/^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$/.test(text)) return true;
  if (/^\d{4}-\d\d?-\d\d?([Tt ].*)?$/.test(text) && isTimestamp(text)) return true;
  const number = text.replaceAll("_", "");
  if (/^[-+]?(0|[1-9]\d*)$/.test(number) || /^[-+]?0b[01]+$/.test(number) || /^[-+]?0o?[0-7]+$/.test(number))
    return true;
  if (/^[-+]?0x[0-9a-fA-F]+$/.test(number) || /^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/.test(number)) return true;
  // Sexagesimal numbers of YAML 1.1: go-yaml quotes them although it does not read them.
  return /^[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$/.test(text);
}

function isTimestamp(text: string): boolean {
  return /^\d{4}-\d\d?-\d\d?($| \d\d?:\d\d?:\d\d?(\.\d+)?$|[Tt]\d\d?:\d\d?:\d\d?(\.\d+)?(Z|[-+]\d\d:\d\d)$)/.test(text);
}

function plainAllowed(text: string): boolean {
  if (/^[\s]|[\s]$/.test(text) || /^(---|\.\.\.)/.test(text)) return false;
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text)) return false;
  if (/^[-?:]($|\s)/.test(text)) return false;
  // go-yaml's own rule: these anywhere forbid plain text in block context too.
  return !/: |:$| #|\t/.test(text) && !/^[?:-]$/.test(text);
}

function printable(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that YAML cannot print are what is asked for
  return !/[\u0000-\u0008\u000b-\u001f\u007f-\u0084\u0086-\u009f\ufeff\ud800-\udfff\ufffe\uffff]/.test(
    text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ""),
  );
}

function literalAllowed(text: string): boolean {
  return printable(text) && !/\t| \n|[ ]$|[\u{10000}-\u{10ffff}]/u.test(text);
}

function literal(text: string, indent: number): string {
  const hint = /^[ \n]/.test(text) ? "2" : "";
  const chomp = text.endsWith("\n\n") || text === "\n" ? "+" : text.endsWith("\n") ? "" : "-";
  const margin = " ".repeat(Math.max(indent, 2));
  const lines = text.replace(/\n$/, "").split("\n");
  return `|${hint}${chomp}\n${lines.map((line) => (line === "" ? "" : margin + line)).join("\n")}`;
}

/** Breaks at the first single space beyond the best width, as yaml_emitter_write_plain_scalar does. */
function broken(text: string, indent: number, column: number): string {
  let out = "";
  let at = column;
  const margin = Math.max(indent, 2);
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? "";
    const single = text[index - 1] !== " " && text[index + 1] !== " ";
    if (character === " " && single && at > bestWidth && index > 0 && index < text.length - 1) {
      out += `\n${" ".repeat(margin)}`;
      at = margin;
      continue;
    }
    out += character;
    at++;
  }
  return out;
}

function singleQuoted(text: string, indent: number, column: number): string {
  return `'${broken(text.replaceAll("'", "''"), indent, column + 1)}'`;
}

const escapes: Readonly<Record<string, string>> = {
  "\0": "\\0",
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\x1b": "\\e",
  '"': '\\"',
  "\\": "\\\\",
  "\u0085": "\\N",
  "\u00a0": "\\_",
  "\u2028": "\\L",
  "\u2029": "\\P",
};

function doubleQuoted(text: string, indent: number, column: number): string {
  let out = "";
  let at = column + 1;
  const margin = Math.max(indent, 2);
  const characters = [...text];
  for (const [index, character] of characters.entries()) {
    let written = escapes[character] ?? character;
    const code = character.codePointAt(0) ?? 0;
    if (code > 0xffff) written = `\\U${hex(code, 8)}`;
    else if (written === character && !printable(character)) {
      written = code <= 0xff ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
    }
    const spaced = character === " " && characters[index - 1] !== " ";
    if (spaced && at > bestWidth && index > 0 && index < characters.length - 1) {
      out += `\n${" ".repeat(margin)}${characters[index + 1] === " " ? "\\" : ""}`;
      at = margin;
      continue;
    }
    out += written;
    at += written.length;
  }
  return `"${out}"`;
}

function hex(code: number, width: number): string {
  return code.toString(16).toUpperCase().padStart(width, "0");
}
