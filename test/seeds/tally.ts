/** Owns what is said of many runs: which failed and how to run them again, the shares of each part, and whether all holds. */

import type { Verdict } from "./run";
import { describeSituation, type Part, parts } from "./situation";
import type { Result, Task } from "./workers";

/** In at least so many of a hundred seeds a request fails without the part. */
export type Bounds = Readonly<Record<Part, number>>;

/** As measured, with room for what a change of the simulator moves. */
export const bounds: Bounds = { probe: 95, prestop: 60, grace: 95, surge: 70, margin: 80, keepalive: 90 };

/** Below so many seeds a part's share says nothing; of all these parts together requests must fail in half of the seeds. */
const fewest = 10;
/** How many failing seeds are told in full. */
const told = 10;

export class Tally {
  readonly #wanted: number;
  readonly #suite: boolean;
  readonly #results: Result[] = [];

  /** @param suite the failures of runs with a part left out are counted, and only their share is judged */
  constructor(wanted: number, suite: boolean) {
    this.#wanted = wanted;
    this.#suite = suite;
  }

  add(result: Result): void {
    this.#results.push(result);
  }

  progress(seconds: number): string {
    const done = this.#results.length;
    const left = done === 0 ? 0 : (seconds / done) * (this.#wanted - done);
    const failing = this.#results.filter((result) => this.#isFailing(result)).length;
    return `${done} of ${this.#wanted} runs, ${failing} failing, ${Math.round(seconds)} s, ${Math.round(left)} s to go`;
  }

  /** Whether another tenth is done. */
  get atTenth(): boolean {
    const tenth = (done: number): number => Math.floor((done * 10) / this.#wanted);
    return tenth(this.#results.length) > tenth(this.#results.length - 1);
  }

  holds(least: Bounds): boolean {
    const shares = parts.every((part) => this.#shareHolds(part, least[part]));
    return !this.#results.some((result) => this.#isFailing(result)) && shares && this.#fewHold();
  }

  /** @param seconds how long all of it took */
  text(seconds: number, least: Bounds): string {
    const failing = this.#results
      .filter((result) => this.#isFailing(result))
      .sort((one, other) => one.task.seed - other.task.seed);
    const lines = failing.slice(0, told).flatMap((result) => describeFailure(result));
    if (failing.length > told) {
      lines.push(
        `and ${failing.length - told} more: ${failing
          .slice(told)
          .map(({ task }) => wordsOf(task))
          .join(", ")}`,
      );
    }
    lines.push(...this.#recipe());
    if (this.#suite) lines.push(...parts.flatMap((part) => this.#share(part, least[part])), ...this.#userspace());
    const cpu = this.#results.reduce((sum, each) => sum + each.cpu, 0);
    const each = (cpu / this.#results.length).toFixed(2);
    lines.push(`${this.#results.length} runs in ${seconds.toFixed(0)} s, ${each} s of CPU each`);
    return `${lines.join("\n")}\n`;
  }

  #recipe(): readonly string[] {
    return ["iptables", "ipvs", "nftables"].flatMap((mode) => {
      const runs = this.#verdicts(({ situation }) => situation.mode === mode && situation.without === undefined);
      return runs.length === 0 ? [] : [`the full recipe, ${mode.padEnd(9)} ${countsOf(runs)}`];
    });
  }

  #share(part: Part, least: number): readonly string[] {
    const runs = this.#verdicts(({ situation }) => situation.without === part);
    if (runs.length === 0) return [];
    const holds = this.#shareHolds(part, least) ? "" : "   DOES NOT HOLD";
    return [`without ${part.padEnd(10)} ${shareOf(runs)} (at least ${least} %) ${countsOf(runs)}${holds}`];
  }

  #shareHolds(part: Part, least: number): boolean {
    if (!this.#suite) return true;
    const runs = this.#verdicts(({ situation }) => situation.without === part);
    return runs.length < fewest || percentFailing(runs) >= least;
  }

  #fewHold(): boolean {
    if (!this.#suite) return true;
    const each = parts.map((part) => this.#verdicts(({ situation }) => situation.without === part));
    const few = each.filter(({ length }) => length < fewest).flat();
    return few.length === 0 || percentFailing(few) >= 50;
  }

  #userspace(): readonly string[] {
    const runs = this.#verdicts(({ situation }) => situation.mode === "userspace" && situation.without === undefined);
    return runs.length === 0 ? [] : [`apart: userspace     ${shareOf(runs)} ${countsOf(runs)}`];
  }

  #verdicts(wanted: (verdict: Verdict) => boolean): readonly Verdict[] {
    return this.#results.flatMap(({ verdict }) => (verdict && wanted(verdict) ? [verdict] : []));
  }

  #isFailing({ verdict, task }: Result): boolean {
    if (!verdict || verdict.broken.length > 0) return true;
    const allowed = this.#suite && (task.without !== undefined || task.mode === "userspace");
    return verdict.failed > 0 && !allowed;
  }
}

function percentFailing(runs: readonly Verdict[]): number {
  return (runs.filter(({ failed }) => failed > 0).length * 100) / runs.length;
}

function shareOf(runs: readonly Verdict[]): string {
  const failing = runs.filter(({ failed }) => failed > 0).length;
  return `requests fail in ${failing} of ${runs.length} seeds = ${Math.round(percentFailing(runs))} %`;
}

function countsOf(runs: readonly Verdict[]): string {
  const sum = (of: (verdict: Verdict) => number): string =>
    runs.reduce((total, verdict) => total + of(verdict), 0).toLocaleString("en-US");
  const failed = sum((verdict) => verdict.failed);
  return `${runs.length} seeds, ${sum((it) => it.requests)} requests, ${failed} failed; ${sum((it) => it.ends)} ends, ${sum((it) => it.between)} connections before proxies knew`;
}

function describeFailure({ task, verdict, error }: Result): readonly string[] {
  const lines = [`${wordsOf(task)}`];
  if (verdict) {
    const { situation, failed, requests, firstFailure, broken } = verdict;
    lines.push(`  ${describeSituation(situation)}`);
    if (failed > 0) lines.push(`  ${failed} of ${requests} requests failed; the first: ${firstFailure}`);
    lines.push(...broken.slice(0, 5).map((sentence) => `  does not hold: ${sentence}`));
  }
  if (error !== undefined) lines.push(`  ${error.split("\n").slice(0, 6).join("\n  ")}`);
  return [...lines, `  run it again: npm run test:seeds -- ${optionsOf(task)}`];
}

function wordsOf({ seed, without, mode }: Task): string {
  return `seed ${seed}${without === undefined ? "" : ` without ${without}`}${mode === undefined ? "" : ` in ${mode}`}`;
}

function optionsOf({ seed, without, mode }: Task): string {
  const words = [`--seed ${seed}`, without && `--without ${without}`, mode && `--mode ${mode}`];
  return words.filter((word) => word !== undefined).join(" ");
}
