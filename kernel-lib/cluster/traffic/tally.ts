/** Owns the sums over requests: how many there were, what became of them, how long they took. */
import { type FailureKind, failureKinds, type TrafficOutcome } from "./outcome";
import type { Latency, TrafficCounts } from "./report";

/** The sums of these requests. */
export function countsOf(outcomes: readonly TrafficOutcome[]): TrafficCounts {
  const byPod: Record<string, number> = {};
  const took: number[] = [];
  const failed: FailureKind[] = [];
  let retried = 0;
  for (const outcome of outcomes) {
    if (outcome.attempts > 1) retried++;
    if (outcome.result !== "ok") {
      failed.push(outcome.result);
      continue;
    }
    const from = outcome.pod ?? outcome.endpoint ?? "";
    byPod[from] = (byPod[from] ?? 0) + 1;
    took.push(outcome.took);
  }
  const ok = outcomes.length - failed.length;
  return {
    ...{ requests: outcomes.length, ok, failed: failed.length, retried },
    ...{ byKind: byKind(failed), byPod, latency: latencyOf(took) },
  };
}

/** How often each kind came up; in one order, those that did not left out. */
export function byKind(failed: readonly FailureKind[]): Readonly<Partial<Record<FailureKind, number>>> {
  const counts: Partial<Record<FailureKind, number>> = {};
  for (const kind of failureKinds) {
    const count = failed.reduce((sum, each) => sum + (each === kind ? 1 : 0), 0);
    if (count > 0) counts[kind] = count;
  }
  return counts;
}

/** By the nearest rank: a percentile is a latency that there was. */
function latencyOf(took: number[]): Latency | undefined {
  if (took.length === 0) return undefined;
  took.sort((one, other) => one - other);
  const at = (share: number): number => took[Math.max(0, Math.ceil(share * took.length) - 1)] ?? 0;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
