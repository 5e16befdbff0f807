/** Owns the memory of what changed last for a Service, written into its slices (util/trigger_time_tracker.go). */
import type { Kinds } from "../../api/kinds";
import { type Key, keyOf } from "../../api/meta";
import { readyCondition } from "../pods";

interface Seen {
  readonly service: string;
  readonly pods: ReadonlyMap<Key, string>;
}

export class TriggerTimes {
  readonly #seen = new Map<Key, Seen>();

  /** The earliest change since the last call (RFC 3339); undefined if nothing with a time changed. */
  of(key: Key, service: Kinds["Service"], pods: readonly Kinds["Pod"][]): string | undefined {
    const before = this.#seen.get(key);
    const times = new Map(pods.map((pod) => [keyOf(pod), readyCondition(pod)?.lastTransitionTime ?? ""]));
    this.#seen.set(key, { service: service.metadata.creationTimestamp, pods: times });
    const changed: string[] = [];
    if (before?.service !== service.metadata.creationTimestamp) changed.push(service.metadata.creationTimestamp);
    for (const [pod, time] of times) if (time > (before?.pods.get(pod) ?? before?.service ?? "")) changed.push(time);
    return changed.sort()[0];
  }

  forget(key: Key): void {
    this.#seen.delete(key);
  }
}
