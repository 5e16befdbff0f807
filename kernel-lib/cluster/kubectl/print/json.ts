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

/** In which order the fields of Go's API types stand, as far as kubectl makes such objects itself. */
const goFields =
  "kind apiVersion metadata spec immutable data name image command args containerPort protocol port targetPort nodePort ports env value namespace creationTimestamp labels annotations replicas selector template strategy containers clusterIP type externalIPs sessionAffinity loadBalancerIP externalName resources imagePullPolicy stdin stdinOnce tty restartPolicy dnsPolicy status".split(
    " ",
  );

/** JSON of an object that kubectl holds as one of Go's types: its fields in the order of that type. */
export function printTypedJson(value: unknown): string {
  return `${escapeHtml(JSON.stringify(inGoOrder(value), undefined, 4))}\n`;
}

function inGoOrder(value: unknown, inMap = false): unknown {
  if (Array.isArray(value)) return value.map((each) => inGoOrder(each));
  if (typeof value !== "object" || value === null) return value;
  if (inMap) return sorted(value);
  const place = (key: string): number => {
    const at = goFields.indexOf(key);
    return at < 0 ? goFields.length : at;
  };
  const keys = Object.keys(value).sort((one, other) => place(one) - place(other));
  const maps = new Set(["labels", "annotations", "data", "matchLabels"]);
  const field = (key: string): unknown => (value as Record<string, unknown>)[key];
  // A Service's selector is a map; a Deployment's is a struct.
  const isMap = (key: string): boolean =>
    maps.has(key) || (key === "selector" && !Object.hasOwn(Object(field(key)), "matchLabels"));
  return Object.fromEntries(keys.map((key) => [key, inGoOrder(field(key), isMap(key))]));
}
