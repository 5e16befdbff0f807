/** Owns kube-proxy's figures about its syncs: when, how long, how many; metrics and health are answered from them. */
import { millisecond, second, type Time } from "../../sim/clock";

/** Upper bounds of the histogram: 1 ms, doubled 14 times (pkg/proxy/metrics). */
export const syncBuckets: readonly Time[] = Array.from({ length: 15 }, (_, index) => millisecond * 2 ** index);

/** A histogram of times. */
export class Histogram {
  readonly counts = syncBuckets.map(() => 0);
  count = 0;
  sum: Time = 0;

  observe(value: Time): void {
    this.count++;
    this.sum += value;
    for (const [index, bound] of syncBuckets.entries()) {
      if (value <= bound) this.counts[index] = (this.counts[index] ?? 0) + 1;
    }
  }
}

/** What one start of kube-proxy counted. */
export class SyncFigures {
  readonly started: Time;
  readonly all = new Histogram();
  readonly full = new Histogram();
  readonly partial = new Histogram();
  /** Services that were written again, over all syncs. */
  changes = 0;
  lastSync: Time | undefined;
  lastQueued: Time;
  /** Since when a sync is asked for that has not been done. */
  #pending: Time | undefined;

  constructor(started: Time) {
    this.started = started;
    this.lastQueued = started;
  }

  queued(now: Time): void {
    this.lastQueued = now;
    this.#pending ??= now;
  }

  synced(now: Time, took: Time, full: boolean, changes: number): void {
    this.lastSync = now;
    this.#pending = undefined;
    this.changes += changes;
    this.all.observe(took);
    (full ? this.full : this.partial).observe(took);
  }

  /** Whether what was asked for has been done in time (pkg/proxy/healthcheck/proxy_health.go). */
  isHealthy(now: Time, timeout: Time = 60 * second): boolean {
    return this.#pending === undefined || now - this.#pending <= timeout;
  }
}
