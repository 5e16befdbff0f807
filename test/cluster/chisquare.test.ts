/** Owns what the chi-square test promises: the shares of its distribution as the tables print them. */
import { describe, expect, it } from "vitest";
import { chiSquare, chiSquareText } from "../../kernel-lib/cluster/chisquare";

/** Two counts with a given statistic, or more with the same in each. */
function withStatistic(statistic: number, degrees: number) {
  const off = Math.sqrt((statistic * 1000) / 2);
  const expected = Array.from({ length: degrees + 1 }, () => 1000);
  return chiSquare(
    expected.map((count, at) => (at === 0 ? count + off : at === 1 ? count - off : count)),
    expected,
  );
}

describe("chi-square", () => {
  // Abramowitz and Stegun, table 26.8: the statistics that chance exceeds in 95, 50, 5, 1 and 0.1 of 100 runs.
  it.each([
    [1, [0.003932, 0.454937, 3.84146, 6.6349, 10.8276]],
    [2, [0.102587, 1.38629, 5.99147, 9.21034, 13.8155]],
    [10, [3.9403, 9.34182, 18.307, 23.2093, 29.5883]],
    [100, [77.9295, 99.3341, 124.342, 135.807, 149.449]],
  ])("with %i degrees of freedom agrees with the printed table", (degrees, statistics) => {
    for (const [at, p] of [0.95, 0.5, 0.05, 0.01, 0.001].entries()) {
      const found = withStatistic(statistics[at] ?? 0, degrees);
      expect(found?.degrees).toBe(degrees);
      expect((found?.p ?? 0) / p).toBeCloseTo(1, 3);
    }
  });

  it("knows when there is nothing to compare, and when the impossible happened", () => {
    expect(chiSquare([7], [7])).toBeUndefined();
    expect(chiSquare([3, 0], [3, 0])).toBeUndefined();
    expect(chiSquare([3, 1], [4, 0])).toMatchObject({ statistic: Number.POSITIVE_INFINITY, p: 0 });
    expect(chiSquare([5, 5], [5, 5])).toEqual({ statistic: 0, degrees: 1, p: 1 });
  });

  it("says so in words", () => {
    expect(chiSquareText({ statistic: 1.2345, degrees: 2, p: 0.5394 })).toBe(
      "χ² = 1.23 with 2 degrees of freedom, p = 0.54",
    );
    expect(chiSquareText({ statistic: 0, degrees: 1, p: 1 })).toBe("χ² = 0 with 1 degree of freedom, p > 0.9999");
    expect(chiSquareText({ statistic: Number.POSITIVE_INFINITY, degrees: 1, p: 0 })).toContain("∞");
  });
});
