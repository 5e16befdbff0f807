/** Owns asking for everything that can happen: a run with chance in it, repeated for every sequence of choices. */

/** An index into `weights`. */
export type Choose = (weights: readonly number[]) => number;

/** One of the things that can happen. */
export interface Possibility<Outcome> {
  readonly outcome: Outcome;
  /** The product of the shares of the choices that led here; all possibilities' sum is 1. */
  readonly probability: number;
  readonly choices: readonly number[];
}

/** More possibilities than this are a mistake of the asker. */
const possibilityLimit = 1_000_000;

/**
 * Runs `run` once for every sequence of choices that it can meet, in order, and gives each outcome with its probability.
 * `run` must depend on nothing but its choices. A choice of weight 0 is never taken.
 */
export function explore<Outcome>(run: (choose: Choose) => Outcome): readonly Possibility<Outcome>[] {
  const found: Possibility<Outcome>[] = [];
  let script: number[] | undefined = [];
  while (script) {
    if (found.length >= possibilityLimit) throw new RangeError(`more than ${possibilityLimit} possibilities`);
    const planned: readonly number[] = script;
    const choices: number[] = [];
    const offered: (readonly number[])[] = [];
    let probability = 1;
    const outcome = run((weights) => {
      const choice = planned[choices.length] ?? following(weights, -1);
      if (choice === undefined) throw new RangeError("a choice among weights that are all 0");
      choices.push(choice);
      offered.push([...weights]);
      probability *= (weights[choice] ?? 0) / weights.reduce((sum, weight) => sum + weight, 0);
      return choice;
    });
    found.push({ outcome, probability, choices });
    script = next(choices, offered);
  }
  return found;
}

/** The next sequence: the last choice that had another one after it takes that, and what came later is dropped. */
function next(choices: readonly number[], offered: readonly (readonly number[])[]): number[] | undefined {
  for (let at = choices.length - 1; at >= 0; at--) {
    const other = following(offered[at] ?? [], choices[at] ?? 0);
    if (other !== undefined) return [...choices.slice(0, at), other];
  }
  return undefined;
}

function following(weights: readonly number[], index: number): number | undefined {
  for (let other = index + 1; other < weights.length; other++) if ((weights[other] ?? 0) > 0) return other;
  return undefined;
}
