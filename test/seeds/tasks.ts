/** Owns which runs are wanted: read from the command's words, and those of the whole suite. */
import { parseArgs } from "node:util";
import type { ModeName } from "../../kernel-lib/node/proxy/mode";
import { aboutOf, type Part, parts } from "./situation";
import type { Task } from "./workers";

export const usage = `usage: npm run test:seeds -- [--seeds N] [--from N] [--seed N] [--without ${parts.join("|")}] [--mode MODE]
  --seeds N        the seeds 1 to N with the full recipe (1000), and every part left out in some of its seeds
  --seed N         this seed only
  --without PART   only seeds with that part of the recipe left out; exit 1 where a request fails
  --mode MODE      kube-proxy's mode instead of the seed's (iptables, ipvs, nftables, userspace)`;

const modes: readonly ModeName[] = ["iptables", "ipvs", "nftables", "userspace"];

export interface Wanted {
  readonly tasks: readonly Task[];
  /** The whole suite: shares are judged, and userspace is shown apart. */
  readonly suite: boolean;
}

/** @throws Error that says which word is wrong */
export function wantedOf(words: readonly string[]): Wanted {
  const { values } = parseArgs({
    args: [...words],
    options: {
      seeds: { type: "string" },
      from: { type: "string" },
      seed: { type: "string" },
      without: { type: "string" },
      mode: { type: "string" },
    },
  });
  const number = (name: "seeds" | "seed" | "from", otherwise: number): number => {
    const value = Number(values[name] ?? otherwise);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name}: ${values[name]} is no whole number from 1`);
    return value;
  };
  const without = parts.find((part) => part === values.without);
  if (values.without !== undefined && !without)
    throw new Error(`--without: ${values.without} is none of ${parts.join(", ")}`);
  const mode = modes.find((name) => name === values.mode);
  if (values.mode !== undefined && !mode) throw new Error(`--mode: ${values.mode} is none of ${modes.join(", ")}`);
  if (values.seed !== undefined) return { tasks: [{ seed: number("seed", 1), without, mode }], suite: false };
  const from = number("from", 1);
  const seeds = Array.from({ length: number("seeds", 1000) }, (_, at) => from + at);
  if (without) return { tasks: seeds.map((seed) => ({ seed, without, mode })), suite: false };
  return { tasks: suiteOf(seeds, mode), suite: true };
}

/** These seeds with the full recipe, some of them with a part left out, and a few in userspace mode. */
export function suiteOf(seeds: readonly number[], mode?: ModeName): readonly Task[] {
  const full = seeds.map((seed): Task => ({ seed, mode }));
  return [...full, ...shareTasks(seeds, mode), ...userspaceTasks(seeds)];
}

/** Of all seeds of the suite so many in a hundred run again with the part left out that they are about. */
const shareOfSeeds = 12;

function shareTasks(seeds: readonly number[], mode: ModeName | undefined): readonly Task[] {
  const wanted = Math.max(1, Math.round((seeds.length * shareOfSeeds) / 100 / parts.length));
  return parts.flatMap((without: Part) => {
    const own = seeds.filter((seed) => aboutOf(seed) === without);
    return own.slice(0, wanted).map((seed): Task => ({ seed, without, mode }));
  });
}

function userspaceTasks(seeds: readonly number[]): readonly Task[] {
  return seeds.slice(0, Math.floor(seeds.length / 50)).map((seed): Task => ({ seed, mode: "userspace" }));
}
