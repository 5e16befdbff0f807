/** Owns equality of plain data: two objects that would print the same JSON. */

/** True if both hold the same data; an absent field equals an undefined one. Shared parts cost nothing. */
export function same(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one)) {
    if (!Array.isArray(other) || one.length !== other.length) return false;
    for (let at = 0; at < one.length; at++) if (one[at] !== other[at] && !same(one[at], other[at])) return false;
    return true;
  }
  if (Array.isArray(other)) return false;
  const left = one as Record<string, unknown>;
  const right = other as Record<string, unknown>;
  const keys = Object.keys(left);
  for (const key of keys) {
    const [a, b] = [left[key], right[key]];
    if (a !== b && !same(a, b)) return false;
  }
  for (const key of Object.keys(right)) if (right[key] !== undefined && left[key] === undefined) return false;
  return true;
}
