/** Owns how long a Job waits after its pods failed before it makes others (pkg/controller/job/backoff_utils.go). */
import type { Kinds } from "../api/kinds";
import type { Key } from "../api/meta";
import { parseTime } from "../api/time";
import { second, type Time } from "../sim/clock";
import { readyCondition } from "./pods";

type Pod = Kinds["Pod"];

/** Ten seconds, doubled with every failure since the last success, at most ten minutes. */
const backOff = { first: 10 * second, longest: 600 * second };

interface Failures {
  readonly count: number;
  /** Of the last one. */
  readonly at: Time;
}

export class JobBackOff {
  readonly #failures = new Map<Key, Failures>();

  forget(job: Key): void {
    this.#failures.delete(job);
  }

  /** Counts pods whose end was not counted before; a success begins the count anew. */
  note(job: Key, succeeded: readonly Pod[], failed: readonly Pod[], now: Time): void {
    if (succeeded.length === 0 && failed.length === 0) return;
    const success = Math.max(-1, ...succeeded.map((pod) => finishedAt(pod, now)));
    const later = failed.map((pod) => finishedAt(pod, now)).filter((time) => time > success);
    const known = succeeded.length === 0 ? this.#failures.get(job) : undefined;
    const count = (known?.count ?? 0) + later.length;
    if (count === 0) this.#failures.delete(job);
    else this.#failures.set(job, { count, at: Math.max(known?.at ?? 0, ...later) });
  }

  /** How long no pod may be made yet; 0: it may. */
  remaining(job: Key, now: Time): Time {
    const known = this.#failures.get(job);
    if (!known) return 0;
    const delay = Math.min(backOff.first * 2 ** (known.count - 1), backOff.longest);
    return Math.max(0, known.at + delay - now);
  }
}

/** When the last of a pod's containers ended, or else when it was last ready, or was told to end (getFinishedTime). */
function finishedAt(pod: Pod, now: Time): Time {
  const ends = (pod.status.containerStatuses ?? []).map(({ state }) => parseTime(state?.terminated?.finishedAt ?? ""));
  const known = ends.flatMap((end) => end ?? []);
  if (known.length > 0 && known.length === ends.length) return Math.max(...known);
  const ready = readyCondition(pod);
  const unready = ready?.status === "False" ? parseTime(ready.lastTransitionTime ?? "") : undefined;
  if (unready !== undefined) return unready;
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata;
  const gone = parseTime(deletionTimestamp ?? "");
  if (gone !== undefined) return gone - deletionGracePeriodSeconds * second;
  return parseTime(creationTimestamp) ?? now;
}
