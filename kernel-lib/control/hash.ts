/** Owns the hash of a pod template: the same template, the same ReplicaSet. */

/** The letters of Kubernetes' safe names (k8s.io/apimachinery pkg/util/rand: SafeEncodeString). */
const letters = "bcdfghjklmnpqrstvwxz2456789";

/**
 * FNV-1a, 32 bits, of the template's canonical JSON and of the collision count, its decimal digits safe-encoded: the
 * shape of upstream's `pod-template-hash` (pkg/controller/controller_utils.go: ComputeHash), not its value.
 */
export function templateHash(template: object, collisions = 0): string {
  const known = collisions > 0 ? undefined : hashes.get(template);
  if (known !== undefined) return known;
  const hash = hashOf(template, collisions);
  if (collisions === 0) hashes.set(template, hash);
  return hash;
}

/** Objects of the store never change: a template is read once. */
const hashes = new WeakMap<object, string>();

function hashOf(template: object, collisions: number): string {
  const text = canonical(template) + (collisions > 0 ? String(collisions) : "");
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return [...String(value >>> 0)].map((digit) => letters[digit.charCodeAt(0) % letters.length]).join("");
}

/** JSON with sorted keys, so that the order in which fields were written does not matter. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const object = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(object).filter((key) => object[key] !== undefined);
  return `{${keys
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(object[key])}`)
    .join(",")}}`;
}
