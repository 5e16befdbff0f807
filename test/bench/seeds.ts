/** Measures the suite of seeds: what one run of it costs, and what its thousand seeds come to on two processors. */
import { suiteOf } from "../seeds/tasks";
import { perform } from "../seeds/workers";
import type { Measurement } from "./main";

/** A worker's first runs are slower, until the engine knows the code. */
const warmUp = 6;
const measured = 12;

export async function benchSeeds(): Promise<readonly Measurement[]> {
  let sum = 0;
  for (let seed = 1; seed <= warmUp + measured; seed++) {
    const { cpu, verdict, error } = await perform({ seed });
    if (!verdict) throw new Error(error ?? `seed ${seed} has no verdict`);
    if (verdict.failed > 0 || verdict.broken.length > 0) throw new Error(`seed ${seed} does not hold`);
    if (seed > warmUp) sum += cpu;
  }
  const mean = sum / measured;
  const runs = suiteOf(Array.from({ length: 1_000 }, (_, at) => at + 1)).length;
  return [
    { name: "one run of the suite of seeds (CPU), mean of twelve", value: mean, unit: "s", aim: "≤ 1.1" },
    {
      name: `1,000 seeds, ${runs} runs, on two processors, reckoned from it`,
      value: (runs * mean) / 2 / 60,
      unit: "min",
      aim: "≤ 10",
    },
  ];
}
