/**
 * Owns events: what controllers, scheduler and kubelets tell about objects, repeats counted (client-go tools/record).
 */
import { hour } from "../sim/clock";
import type { Sim } from "../sim/sim";
import type { Draft } from "./kinds";
import { keyFor } from "./meta";
import type { Store } from "./store";
import { rfc3339 } from "./time";

export interface EventNote {
  /** The object it is about. */
  readonly about: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: {
      readonly name: string;
      readonly namespace?: string;
      readonly uid: string;
      readonly resourceVersion: string;
    };
  };
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  /** `kubelet`, `default-scheduler`, `deployment-controller`. */
  readonly component: string;
  /** The node, where one speaks. */
  readonly host?: string;
  /** A part of the object: `spec.containers{nginx}`. */
  readonly fieldPath?: string;
}

/** Events are kept for an hour, as the API server keeps them (--event-ttl). */
const lifetime = hour;

/** Names of the events that may still repeat, per store: the same note again raises the count of the first. */
const known = new WeakMap<Store, Map<string, string>>();

/** Writes an event, or counts the same one up. Events of cluster-wide objects are in `default`. */
export function recordEvent(sim: Sim, store: Store, note: EventNote): void {
  const { about } = note;
  const namespace = about.metadata.namespace ?? "default";
  const names = known.get(store) ?? new Map<string, string>();
  known.set(store, names);
  const parts = [about.metadata.uid, note.type, note.reason, note.message, note.component, note.host, note.fieldPath];
  const same = [about.kind, namespace, about.metadata.name, ...parts].join("\u0000");
  const time = rfc3339(sim.clock.now);
  const name = names.get(same);
  if (name !== undefined && store.get("Event", keyFor(namespace, name))) {
    const count = (event: { count?: number }): number => (event.count ?? 1) + 1;
    store.update(
      "Event",
      keyFor(namespace, name),
      (event) => ({ ...event, count: count(event), lastTimestamp: time }),
      note.component,
    );
    return;
  }
  const event = store.create("Event", draft(sim, note, namespace, time, store), note.component);
  names.set(same, event.metadata.name);
  const forget = (): void => {
    if (names.get(same) === event.metadata.name) names.delete(same);
    const key = keyFor(namespace, event.metadata.name);
    if (store.get("Event", key)) store.delete("Event", key, "event-ttl");
  };
  sim.clock.after(lifetime, forget, "background");
}

function draft(sim: Sim, note: EventNote, namespace: string, time: string, store: Store): Draft<"Event"> {
  const { about } = note;
  const suffix = (BigInt(sim.clock.now) * 1000n + BigInt(store.version % 1000)).toString(16);
  return {
    kind: "Event",
    metadata: { name: `${about.metadata.name}.${suffix}`, namespace },
    involvedObject: {
      apiVersion: about.apiVersion,
      kind: about.kind,
      name: about.metadata.name,
      ...(about.metadata.namespace !== undefined && { namespace: about.metadata.namespace }),
      resourceVersion: about.metadata.resourceVersion,
      uid: about.metadata.uid,
      ...(note.fieldPath !== undefined && { fieldPath: note.fieldPath }),
    },
    reason: note.reason,
    message: note.message,
    source: { component: note.component, ...(note.host !== undefined && { host: note.host }) },
    reportingComponent: note.component,
    reportingInstance: note.host ?? "",
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
    type: note.type,
  };
}
