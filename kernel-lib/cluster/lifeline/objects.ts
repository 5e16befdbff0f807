/** Owns what the API's objects say of a pod's life: its phase, its end, its conditions, and its endpoints'. */
import type { Kinds } from "../../api/kinds";
import type { Change } from "../../api/store";
import { second, type Time } from "../../sim/clock";
import type { PodRecord } from "./lanes";

type Pod = Kinds["Pod"];
type EndpointSlice = Kinds["EndpointSlice"];

/** Notes what a pod's object is now. @param before undefined where it was not known */
export function readPod(record: PodRecord, pod: Pod, before: Pod | undefined, at: Time): void {
  const { metadata, spec, status } = pod;
  record.node = spec.nodeName ?? record.node;
  const ips = status?.podIPs?.flatMap(({ ip }) => ip ?? []) ?? [];
  if (ips.length > 0) record.ips = ips;
  const phase = status?.phase ?? "Pending";
  const asked = metadata.deletionTimestamp !== undefined;
  if (asked && record.deleted === undefined) {
    record.deleted = at;
    const grace = metadata.deletionGracePeriodSeconds ?? 0;
    record.note("pod", "API", `deletionTimestamp set, grace period ${grace} s`, at);
  } else if (asked && metadata.deletionGracePeriodSeconds !== before?.metadata.deletionGracePeriodSeconds) {
    record.note("pod", "API", `grace period now ${metadata.deletionGracePeriodSeconds ?? 0} s`, at);
  }
  if (asked && before && before.status?.phase !== phase) record.note("pod", "API", `phase ${phase}`, at);
  record.set("pod", asked ? "Terminating" : phase, at);
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  if (ready) record.set("ready", ready.status, at);
}

/** Notes that nothing of it is left in the API. */
export function readPodGone(record: PodRecord, at: Time): void {
  // A pod that is deleted without grace is gone at the moment at which it was asked for.
  if (record.deleted === undefined) record.deleted = at;
  record.gone = at;
  record.note("pod", "API", "gone from the API", at);
  record.set("pod", undefined, at);
  record.set("ready", undefined, at);
}

/** Which Service a slice is of; undefined: of none. */
export function serviceNameOf(slice: EndpointSlice): string | undefined {
  return slice.metadata.labels?.["kubernetes.io/service-name"];
}

/**
 * Notes the conditions of a pod's endpoints in a slice.
 * @param others other slices of the Service: an endpoint that moves from one to another is not gone
 */
export function readSlice(
  record: PodRecord,
  { type, object }: Pick<Change<"EndpointSlice">, "type" | "object">,
  others: readonly EndpointSlice[],
  at: Time,
): void {
  const service = serviceNameOf(object);
  if (service === undefined) return;
  const slices = type === "DELETED" ? others : [object, ...others];
  const found = slices
    .flatMap(({ endpoints }) => endpoints)
    .find(({ targetRef }) => targetRef?.kind === "Pod" && targetRef.uid === record.uid);
  record.set(`endpoint/${service}`, found && conditionsText(found.conditions ?? {}), at);
}

type Conditions = NonNullable<EndpointSlice["endpoints"][number]["conditions"]>;

/** Which of the three hold. `ready` that nobody has said means true; `serving` then is as `ready`. */
function conditionsText({ ready = true, serving = ready, terminating = false }: Conditions): string {
  const holding = [ready && "ready", serving && "serving", terminating && "terminating"].filter(Boolean);
  return holding.length > 0 ? holding.join(", ") : "not ready";
}

/** `0.250`: seconds since a moment, as tables and axes have them. */
export function secondsSince(zero: Time, at: Time): number {
  return Math.round((at - zero) / 1_000) / (second / 1_000);
}
