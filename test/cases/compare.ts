/** Owns how a case's expectation and what came out are compared: as data, in a fixed order, with a line that tells. */
import type { Kinds } from "../../kernel-lib/api/kinds";

/** The objects of one kind among a case's. */
export function only<K extends keyof Kinds>(objects: unknown, kind: K): Kinds[K][] {
  const list = (objects ?? []) as readonly { readonly kind: string }[];
  return list.filter((object) => object.kind === kind) as unknown as Kinds[K][];
}

/** A value as text: keys sorted; what is empty text or null counts as absent, as Go's JSON has it. */
export function compact(value: unknown): string {
  return JSON.stringify(value, (_key, part) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    const filled = Object.entries(part).filter(([, v]) => v !== "" && v !== null && v !== undefined);
    return Object.fromEntries(filled.sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** A line if the two are not the same. */
export function differences(what: string, expected: unknown, got: unknown): readonly string[] {
  const [one, other] = [compact(expected ?? null), compact(got ?? null)];
  return one === other ? [] : [`${what}: expected ${one}, got ${other}`];
}
