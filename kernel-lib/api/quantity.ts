/** Owns quantities: `100m`, `128Mi`, `2` as numbers (k8s.io/apimachinery pkg/api/resource). */

const factors: Readonly<Record<string, number>> = {
  "": 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A quantity in its base unit (cores, bytes); 0 for what is none. */
export function quantityValue(text: string | undefined): number {
  const match = /^([+-]?[\d.]+)([a-zA-Z]*)([+-]?\d*)$/.exec(text ?? "0");
  if (!match) return 0;
  const [, digits, suffix = "", exponent] = match;
  if (exponent && (suffix === "e" || suffix === "E")) return Number(digits) * 10 ** Number(exponent);
  return Number(digits) * (factors[suffix] ?? 0);
}
