/** Owns the list of measurements: each part of the house measures itself, and says what it aims at. */
import { benchCheck } from "./check";
import { benchCluster } from "./cluster";
import { benchCni } from "./cni";
import { benchKernel } from "./kernel";
import { benchRealKernel } from "./kernel-net";
import { benchNet } from "./net";
import { benchProxy } from "./proxy";
import { benchScale } from "./scale";
import { benchSeeds } from "./seeds";
import { benchStart } from "./start";
import { benchTermination } from "./termination";

/** One figure. `aim` is in words ("≤ 1.2"); a figure that cannot be measured here says why in `skipped`. */
export interface Measurement {
  readonly name: string;
  readonly value?: number;
  readonly unit: string;
  readonly aim?: string;
  readonly skipped?: string;
}

const parts: Readonly<Record<string, () => Promise<readonly Measurement[]>>> = {
  net: benchNet,
  proxy: benchProxy,
  "real-kernel": benchRealKernel,
  cni: benchCni,
  cluster: benchCluster,
  termination: benchTermination,
  seeds: benchSeeds,
  scale: benchScale,
  kernel: benchKernel,
  check: benchCheck,
  start: benchStart,
};

/** Runs the parts that are named (all, if none is) and prints a line a figure. */
export async function main(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !(name in parts));
  if (unknown.length > 0)
    throw new Error(`no such part: ${unknown.join(", ")} (there are ${Object.keys(parts).join(", ")})`);
  for (const name of names.length > 0 ? names : Object.keys(parts)) {
    for (const { name: what, value, unit, aim, skipped } of (await parts[name]?.()) ?? []) {
      const figure = value === undefined ? `skipped: ${skipped}` : `${round(value)} ${unit}`;
      process.stdout.write(`${name.padEnd(11)} ${what.padEnd(64)} ${figure}${aim ? `   (aim ${aim})` : ""}\n`);
    }
  }
}

function round(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
}
