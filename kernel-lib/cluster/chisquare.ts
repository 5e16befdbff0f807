/** Owns the chi-square test: whether counts differ more from what was expected than chance would make them. */

export interface ChiSquare {
  /** The sum of (observed − expected)² / expected; infinite where something happened that could not. */
  readonly statistic: number;
  /** One less than there are outcomes that can happen. */
  readonly degrees: number;
  /** How often chance alone gives a statistic of at least this: near 0, the counts are no such chance's; near 1, they are more even than one. */
  readonly p: number;
}

/**
 * Pearson's test of counts against expected counts, in the same order.
 * @returns undefined where there is nothing to compare: only one thing could happen, and did
 */
export function chiSquare(observed: readonly number[], expected: readonly number[]): ChiSquare | undefined {
  let statistic = 0;
  let degrees = -1;
  for (const [at, count] of observed.entries()) {
    const wanted = expected[at] ?? 0;
    if (wanted > 0) {
      degrees++;
      statistic += (count - wanted) ** 2 / wanted;
    } else if (count > 0) statistic = Number.POSITIVE_INFINITY;
  }
  if (degrees < 1 && statistic === 0) return undefined;
  return { statistic, degrees: Math.max(degrees, 0), p: exceeded(statistic, degrees) };
}

/** The test in words: `χ² = 1.23 with 2 degrees of freedom, p = 0.54`. */
export function chiSquareText({ statistic, degrees, p }: ChiSquare): string {
  if (statistic === Number.POSITIVE_INFINITY) return "χ² = ∞: something happened that was not expected at all";
  const freedom = degrees === 1 ? "1 degree" : `${degrees} degrees`;
  const chance = p < 0.0001 ? "p < 0.0001" : p > 0.9999 ? "p > 0.9999" : `p = ${p.toPrecision(2)}`;
  return `χ² = ${Number(statistic.toPrecision(3))} with ${freedom} of freedom, ${chance}`;
}

/** The share of a chi-square distribution above a statistic: Q(degrees / 2, statistic / 2). */
function exceeded(statistic: number, degrees: number): number {
  if (statistic === Number.POSITIVE_INFINITY || degrees < 1) return 0;
  if (statistic <= 0) return 1;
  const a = degrees / 2;
  const x = statistic / 2;
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  return x < a + 1 ? 1 - scale * lowerSeries(a, x) : scale * upperFraction(a, x);
}

const precision = 1e-15;
const terms = 100_000;

/** Σ xⁿ / (a (a+1) … (a+n)) (Abramowitz and Stegun 6.5.29). */
function lowerSeries(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let n = 1; n < terms && term > sum * precision; n++) {
    term *= x / (a + n);
    sum += term;
  }
  return sum;
}

/** The continued fraction of Abramowitz and Stegun 6.5.31, from its front (Lentz's way). */
function upperFraction(a: number, x: number): number {
  const tiny = 1e-300;
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let value = d;
  for (let n = 1; n < terms; n++) {
    const factor = -n * (n - a);
    b += 2;
    d = 1 / (factor * d + b || tiny);
    c = b + factor / c || tiny;
    value *= d * c;
    if (Math.abs(d * c - 1) < precision) break;
  }
  return value;
}

/** ln Γ(x) for x > 0: Stirling's series, after stepping up to where it is exact enough. */
function logGamma(x: number): number {
  let shift = 0;
  let at = x;
  for (; at < 12; at++) shift += Math.log(at);
  const square = at * at;
  const series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / square) / square) / square) / at;
  return (at - 0.5) * Math.log(at) - at + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
