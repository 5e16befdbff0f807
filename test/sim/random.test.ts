/** Owns what chance promises: a seed and a name decide it, and each stream is fair. */
import { describe, expect, it } from "vitest";
import { Random } from "../../kernel-lib/sim/random";

function numbers(random: Random): number[] {
  return Array.from({ length: 5 }, () => random.float());
}

describe("a random stream", () => {
  it("repeats with its seed and differs with another", () => {
    expect(numbers(new Random(5))).toEqual(numbers(new Random(5)));
    expect(numbers(new Random(5))).not.toEqual(numbers(new Random(6)));
  });

  it("forks by name alone: what its parent has drawn does not matter", () => {
    const used = new Random(5);
    numbers(used);
    expect(numbers(used.fork("kube-proxy/node-1"))).toEqual(numbers(new Random(5).fork("kube-proxy/node-1")));
    expect(numbers(used.fork("kube-proxy/node-1"))).not.toEqual(numbers(used.fork("kube-proxy/node-2")));
  });

  it("chooses by weight", () => {
    const random = new Random(1).fork("weights");
    const counts = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) {
      const index = random.choose([1, 0, 2]);
      counts[index] = (counts[index] as number) + 1;
    }
    expect(counts[1]).toBe(0);
    // Five standard deviations around 10,000 of 30,000.
    expect(Math.abs((counts[0] as number) - 10_000)).toBeLessThan(5 * Math.sqrt((30_000 * 2) / 9));
  });

  it("names things in Kubernetes' letters", () => {
    expect(new Random(3).suffix()).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });
});
