/** Owns the description of kinds that have none of their own: every field, as kubectl's generic describer shows them. */
import type { KubeObject } from "../../../api/kinds";
import { metadataLines } from "./describe";
import { type Line, line } from "./lines";

/** Metadata that stands at the top, or is nobody's business. */
const skipped = new Set([
  ".metadata.name",
  ".metadata.namespace",
  ".metadata.labels",
  ".metadata.annotations",
  ".metadata.managedFields",
]);

export function describeAny(object: KubeObject): Line[] {
  const named = metadataLines(object, true).map(({ level, cells }) =>
    cells[0] === "Namespace:" ? line(level, "Namespace:", object.metadata.namespace ?? "") : { level, cells },
  );
  return [...named, ...fieldLines(object as unknown as Readonly<Record<string, unknown>>, 0, "")];
}

function fieldLines(object: Readonly<Record<string, unknown>>, level: number, path: string): Line[] {
  const fields = Object.keys(object).sort((one, other) => (one < other ? -1 : 1));
  return fields.flatMap((field): Line[] => {
    const value = object[field];
    const here = `${path}.${field}`;
    if (skipped.has(here)) return [];
    const title = `${titleOf(field)}:`;
    if (Array.isArray(value)) {
      const items = value.flatMap((item) =>
        isObject(item) ? fieldLines(item, level + 1, here) : [line(level + 1, String(item))],
      );
      return [line(level, title), ...items];
    }
    if (isObject(value)) return [line(level, title), ...fieldLines(value, level + 1, here)];
    return value === undefined ? [] : [line(level, title, value === null ? "<nil>" : String(value))];
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const acronyms = new Set(["API", "URL", "UID", "OSB", "GUID"]);

/** `apiVersion` → `API Version`, `podIPs` → `Pod I Ps` (smartLabelFor over camelcase.Split). */
function titleOf(field: string): string {
  const words = field.match(/[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z]+|[A-Z]+|[a-z]+|\d+|[^a-zA-Z\d]+/g) ?? [field];
  return words
    .map((word) =>
      acronyms.has(word.toUpperCase()) ? word.toUpperCase() : word.charAt(0).toUpperCase() + word.slice(1),
    )
    .join(" ");
}
