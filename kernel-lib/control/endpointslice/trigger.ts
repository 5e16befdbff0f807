/** Owns the memory of what changed last for a Service, written into its slices (util/trigger_time_tracker.go). */
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import { readyCondition } from "../pods";

interface Seen {
  service: string;
  /** When each pod's readiness last changed. */
  readonly pods: Map<Key, string>;
}

export class TriggerTimes {
  readonly #seen = new Map<Key, Seen>();

  /**
   * The earliest change since the last call (RFC 3339); undefined if nothing with a time changed.
   * @param pods those that changed, as they are now; undefined: gone
   */
  of(
    key: Key,
    service: Kinds["Service"],
    pods: Iterable<readonly [Key, Kinds["Pod"] | undefined]>,
  ): string | undefined {
    const { creationTimestamp } = service.metadata;
    const known = this.#seen.get(key);
    const seen = known ?? { service: creationTimestamp, pods: new Map<Key, string>() };
    this.#seen.set(key, seen);
    let earliest = creationTimestamp > seen.service ? creationTimestamp : undefined;
    seen.service = creationTimestamp;
    for (const [pod, now] of pods) {
      const time = (now && readyCondition(now)?.lastTransitionTime) ?? "";
      const before = seen.pods.get(pod) ?? "";
      if (time) seen.pods.set(pod, time);
      else seen.pods.delete(pod);
      if (time > before && (earliest === undefined || time < earliest)) earliest = time;
    }
    return known ? earliest : creationTimestamp;
  }

  forget(key: Key): void {
    this.#seen.delete(key);
  }
}
