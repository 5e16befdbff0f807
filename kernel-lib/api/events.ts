/**
 * Owns events: what controllers, scheduler and kubelets tell about objects, repeats counted (client-go tools/record).
 */
import { hour, second, type Time } from "../sim/clock";
import type { Sim } from "../sim/sim";
import { Correlator, combined, type Told } from "./eventcorrelator";
import type { Draft, Kinds } from "./kinds";
import { type Key, keyOf } from "./meta";
import type { Store } from "./store";
import { flat } from "./text";
import { parseTime, rfc3339 } from "./time";

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
  readonly host?: string | undefined;
  /** A part of the object: `spec.containers{nginx}`. */
  readonly fieldPath?: string | undefined;
}

type Event = Kinds["Event"];
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Events are kept for an hour, as the API server keeps them (--event-ttl). */
const lifetime = hour;

/** What is kept about the events of one store: little for each, for there may be a million of them. */
interface Recorder {
  /** Events that may still repeat, as they were made, by a hash of what they say: nearly always one. */
  readonly said: Map<number, Event | readonly Event[]>;
  /** All of them, the oldest first, and when each is over: one timer waits for the next. */
  readonly made: Event[];
  readonly ends: Time[];
  /** How many at the beginning are gone. */
  gone: number;
  readonly correlator: Correlator;
}

const recorders = new WeakMap<Store, Recorder>();

function recorderOf(store: Store): Recorder {
  const known = recorders.get(store);
  if (known) return known;
  const recorder: Recorder = { said: new Map(), made: [], ends: [], gone: 0, correlator: new Correlator() };
  recorders.set(store, recorder);
  return recorder;
}

/**
 * Writes an event, or counts the same one up; similar ones are put together, and of what is told too often nothing is written
 * (EventCorrelate). Events of cluster-wide objects are in `default`.
 */
export function recordEvent(sim: Sim, store: Store, note: EventNote): void {
  const recorder = recorderOf(store);
  const { correlator } = recorder;
  const { now } = sim.clock;
  const told = toldOf(note);
  const similar = correlator.similarTo(told, now);
  if (similar) {
    const whole = { ...note, message: combined(note.message) };
    const all = { ...told, message: "" };
    if (!correlator.accepts(told, now)) {
      correlator.miss(all, now);
      return;
    }
    const missed = correlator.caughtUp(all);
    if (similar.event !== undefined && store.get("Event", similar.event))
      again(sim, store, similar.event, whole, missed);
    else similar.event = keyOf(written(sim, store, recorder, whole, missed));
    return;
  }
  const namespace = note.about.metadata.namespace ?? "default";
  const hash = hashOf(note);
  const said = listOf(recorder.said.get(hash));
  const before = said.find((event) => says(event, note, namespace) && store.get("Event", keyOf(event)));
  if (!correlator.accepts(told, now)) {
    correlator.miss(told, now);
    return;
  }
  const missed = correlator.caughtUp(told);
  if (before) {
    again(sim, store, keyOf(before), note, missed);
    return;
  }
  const event = written(sim, store, recorder, note, missed);
  recorder.said.set(hash, said.length === 0 ? event : [...said, event]);
}

function toldOf({ about, component, host = "", type, reason, message }: EventNote): Told {
  return { uid: about.metadata.uid, component, host, type, reason, message };
}

type Missed = ReturnType<Correlator["caughtUp"]>;

/** An event that is there comes again. */
function again(sim: Sim, store: Store, key: Key, { message, component }: EventNote, missed: Missed): void {
  const lastTimestamp = rfc3339(sim.clock.now);
  const more = 1 + (missed?.count ?? 0);
  store.update("Event", key, (now) => ({ ...now, message, count: (now.count ?? 1) + more, lastTimestamp }), component);
}

/** A new one. */
function written(sim: Sim, store: Store, recorder: Recorder, note: EventNote, missed: Missed): Event {
  const namespace = note.about.metadata.namespace ?? "default";
  const made = draft(sim, note, namespace, rfc3339(sim.clock.now), store);
  const counted = missed ? { ...made, count: 1 + missed.count, firstTimestamp: rfc3339(missed.first) } : made;
  const event = store.create("Event", counted, note.component);
  recorder.made.push(event);
  recorder.ends.push(sim.clock.now + lifetime);
  if (recorder.made.length - recorder.gone === 1) waitForNext(sim, store, recorder);
  return event;
}

function listOf(events: Event | readonly Event[] | undefined): readonly Event[] {
  return events === undefined ? [] : "length" in events ? events : [events];
}

/** Events are over in the order in which they came: their lifetime is the same. */
function waitForNext(sim: Sim, store: Store, recorder: Recorder): void {
  const { made, ends } = recorder;
  const next = ends[recorder.gone];
  if (next === undefined) return;
  const forget = (): void => {
    for (; ends[recorder.gone] === next; recorder.gone++) {
      forgetWhenOver(sim, store, recorder, made[recorder.gone] as Event);
    }
    if (recorder.gone > 1_000 && recorder.gone * 2 > made.length) {
      made.splice(0, recorder.gone);
      ends.splice(0, recorder.gone);
      recorder.gone = 0;
    }
    waitForNext(sim, store, recorder);
  };
  sim.clock.after(Math.max(0, next - sim.clock.now), forget, "background");
}

/** Each write is the beginning of a new lifetime (the registry's TTLFunc). */
function forgetWhenOver(sim: Sim, store: Store, recorder: Recorder, event: Event): void {
  const { lastTimestamp = "" } = store.get("Event", keyOf(event)) ?? {};
  const left = (parseTime(lastTimestamp) ?? 0) + lifetime - sim.clock.now;
  // Timestamps are of whole seconds.
  if (left <= second) {
    forgetEvent(store, recorder, event);
    recorder.correlator.forget(event.source?.component ?? "", event.involvedObject.uid ?? "", sim.clock.now);
  } else sim.clock.after(left, () => forgetWhenOver(sim, store, recorder, event), "background");
}

function forgetEvent(store: Store, { said }: Recorder, event: Event): void {
  const hash = hashOf(noteOf(event));
  const rest = listOf(said.get(hash)).filter((other) => other !== event);
  if (rest.length > 0) said.set(hash, rest);
  else said.delete(hash);
  if (store.get("Event", keyOf(event))) store.delete("Event", keyOf(event), "event-ttl");
}

/** What of a note the hash is made of, read from the event again. */
function noteOf({ involvedObject: { uid = "", fieldPath }, type, reason, message, source }: Event): Hashed {
  const [component, host] = [source?.component ?? "", source?.host];
  return {
    about: { metadata: { uid } },
    ...{ type: type ?? "", reason: reason ?? "", message: message ?? "", component },
    ...(host !== undefined && { host }),
    ...(fieldPath !== undefined && { fieldPath }),
  };
}

interface Hashed {
  readonly about: { readonly metadata: { readonly uid: string } };
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly component: string;
  readonly host?: string | undefined;
  readonly fieldPath?: string | undefined;
}

/** FNV-1a of what tells one event from another. */
function hashOf({ about, type, reason, message, component, host, fieldPath }: Hashed): number {
  let value = mixed(0x811c9dc5, about.metadata.uid);
  value = mixed(mixed(mixed(value, type), reason), message);
  return mixed(mixed(mixed(value, component), host ?? ""), fieldPath ?? "");
}

function mixed(before: number, text: string): number {
  let value = before;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return Math.imul(value, 0x01000193);
}

/** Whether an event says just this (client-go tools/record: getEventKey and the message). */
function says(event: Event, note: EventNote, namespace: string): boolean {
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
  const suffix = hexOf(sim.clock.now, store.version % 1000);
  // Fields that may be absent are put in afterwards: that costs less than putting an object together by `...`.
  const involvedObject: Writable<Event["involvedObject"]> = {
    apiVersion: about.apiVersion,
    kind: about.kind,
    name: about.metadata.name,
  };
  if (about.metadata.namespace !== undefined) involvedObject.namespace = about.metadata.namespace;
  involvedObject.resourceVersion = about.metadata.resourceVersion;
  involvedObject.uid = about.metadata.uid;
  if (note.fieldPath !== undefined) involvedObject.fieldPath = note.fieldPath;
  return {
    kind: "Event",
    metadata: { name: flat(`${about.metadata.name}.${suffix}`), namespace },
    involvedObject,
    reason: note.reason,
    message: flat(note.message),
    source: sourceOf(note),
    reportingComponent: note.component,
    reportingInstance: note.host ?? "",
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
    type: note.type,
  };
}

/** `time * 1000 + more` in hexadecimal digits; too large for a number, so in two parts. */
function hexOf(time: Time, more: number): string {
  const half = 2 ** 24;
  const [high, low] = [Math.floor(time / half), time % half];
  const sum = low * 1000 + more;
  const upper = high * 1000 + Math.floor(sum / half);
  // The upper part stays the same for seconds.
  if (upper !== newestUpper.value) newestUpper = { value: upper, text: upper.toString(16) };
  return newestUpper.text + (half + (sum % half)).toString(16).slice(1);
}

let newestUpper = { value: Number.NaN, text: "" };

let newestSource: NonNullable<Event["source"]> = {};

/** Those of one kubelet's turn share theirs. */
function sourceOf({ component, host }: EventNote): NonNullable<Event["source"]> {
  if (newestSource.component !== component || newestSource.host !== host) {
    newestSource = { component, ...(host !== undefined && { host }) };
  }
  return newestSource;
}
