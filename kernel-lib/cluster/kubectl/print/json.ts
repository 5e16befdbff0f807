/** Owns the printing of JSON and of bare values as Go prints them. */

/** A value as kubectl's JSON printer writes it: sorted keys, four spaces, `<`, `>` and `&` escaped. */
export function printJson(value: unknown): string {
  return `${escapeHtml(JSON.stringify(sorted(value), undefined, 4))}\n`;
}

/** One line of JSON with sorted keys, as encoding/json writes a map. */
export function compactJson(value: unknown): string {
  return escapeHtml(JSON.stringify(sorted(value)) ?? "null");
}

function escapeHtml(json: string): string {
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The same value with the keys of every object in order. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value).sort((one, other) => (one < other ? -1 : one > other ? 1 : 0));
  return Object.fromEntries(keys.map((key) => [key, sorted((value as Record<string, unknown>)[key])]));
}

/** A value as fmt's `%v` writes it: `[map[ip:10.244.3.4]]`, `<nil>`. */
export function goValue(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(goValue).join(" ")}]`;
  if (typeof value === "object") {
    const pairs = Object.entries(sorted(value) as Record<string, unknown>);
    return `map[${pairs.map(([key, each]) => `${key}:${goValue(each)}`).join(" ")}]`;
  }
  return String(value);
}

/** A JSON value as fmt's `%#v` writes it: Go source. */
export function goSyntax(value: unknown): string {
  if (value === null || value === undefined) return "interface {}(nil)";
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  if (typeof value === "object") {
    const pairs = Object.entries(sorted(value) as Record<string, unknown>);
    return `map[string]interface {}{${pairs.map(([key, each]) => `${JSON.stringify(key)}:${goSyntax(each)}`).join(", ")}}`;
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
