/**
 * Owns events: what controllers, scheduler and kubelets tell about objects, repeats counted (client-go tools/record).
 */
import { hour, type Time } from "../sim/clock";
import type { Sim } from "../sim/sim";
import type { Draft, Kinds } from "./kinds";
import { type Key, keyFor } from "./meta";
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

/** What is kept about the events of one store: small, for there may be a million of them. */
interface Recorder {
  /** The keys of the events that may still repeat, by a hash of what they say. */
  readonly said: Map<number, readonly Key[]>;
  /** All of them, the oldest first: one timer waits for the next that is over. */
  readonly ages: { readonly ends: Time; readonly key: Key; readonly hash: number }[];
  /** How many at the beginning of `ages` are gone. */
  gone: number;
}

const recorders = new WeakMap<Store, Recorder>();

function recorderOf(store: Store): Recorder {
  const known = recorders.get(store);
  if (known) return known;
  const recorder: Recorder = { said: new Map(), ages: [], gone: 0 };
  recorders.set(store, recorder);
  return recorder;
}

/** Writes an event, or counts the same one up. Events of cluster-wide objects are in `default`. */
export function recordEvent(sim: Sim, store: Store, note: EventNote): void {
  const namespace = note.about.metadata.namespace ?? "default";
  const recorder = recorderOf(store);
  const time = rfc3339(sim.clock.now);
  const hash = hashOf(note);
  const said = recorder.said.get(hash) ?? [];
  for (const key of said) {
    const event = store.get("Event", key);
    if (!event || !says(event, note, namespace)) continue;
    const count = (now: { count?: number }): number => (now.count ?? 1) + 1;
    store.update("Event", key, (now) => ({ ...now, count: count(now), lastTimestamp: time }), note.component);
    return;
  }
  const event = store.create("Event", draft(sim, note, namespace, time, store), note.component);
  const key = keyFor(namespace, event.metadata.name);
  recorder.said.set(hash, said.length === 0 ? [key] : [...said, key]);
  recorder.ages.push({ ends: sim.clock.now + lifetime, key, hash });
  if (recorder.ages.length - recorder.gone === 1) waitForNext(sim, store, recorder);
}

/** Events are over in the order in which they came: their lifetime is the same. */
function waitForNext(sim: Sim, store: Store, recorder: Recorder): void {
  const next = recorder.ages[recorder.gone];
  if (!next) return;
  const forget = (): void => {
    for (let at = recorder.gone; recorder.ages[at]?.ends === next.ends; at++) {
      forgetEvent(store, recorder, recorder.ages[at] as Recorder["ages"][number]);
      recorder.gone++;
    }
    if (recorder.gone > 1_000 && recorder.gone * 2 > recorder.ages.length) {
      recorder.ages.splice(0, recorder.gone);
      recorder.gone = 0;
    }
    waitForNext(sim, store, recorder);
  };
  sim.clock.after(Math.max(0, next.ends - sim.clock.now), forget, "background");
}

function forgetEvent(store: Store, { said }: Recorder, { key, hash }: Recorder["ages"][number]): void {
  const rest = (said.get(hash) ?? []).filter((other) => other !== key);
  if (rest.length > 0) said.set(hash, rest);
  else said.delete(hash);
  if (store.get("Event", key)) store.delete("Event", key, "event-ttl");
}

/** FNV-1a of what tells one event from another. */
function hashOf({ about, type, reason, message, component, host, fieldPath }: EventNote): number {
  let value = 0x811c9dc5;
  for (const text of [about.metadata.uid, type, reason, message, component, host ?? "", fieldPath ?? ""]) {
    for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
    value = Math.imul(value ^ 0, 0x01000193);
  }
  return value;
}

/** Whether an event says just this (client-go tools/record: getEventKey and the message). */
function says(event: Kinds["Event"], note: EventNote, namespace: string): boolean {
  const { involvedObject: object, source } = event;
  const { about } = note;
  return (
    object.uid === about.metadata.uid &&
    object.name === about.metadata.name &&
    object.kind === about.kind &&
    event.metadata.namespace === namespace &&
    event.message === note.message &&
    event.reason === note.reason &&
    event.type === note.type &&
    source?.component === note.component &&
    source.host === note.host &&
    object.fieldPath === note.fieldPath
  );
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
