/** Owns the decision whether a delete removes an object now, or marks it and lets others finish. */
import { second, type Time } from "../sim/clock";
import type { KubeObject } from "./kinds";
import type { Meta } from "./meta";
import { parseTime, rfc3339 } from "./time";

/** What happens to the objects that this one owns. */
export type Propagation = "Background" | "Foreground" | "Orphan";

export interface DeleteOptions {
  /** Seconds; only pods have a grace period. Default: the pod's own terminationGracePeriodSeconds. */
  readonly grace?: number;
  readonly propagation?: Propagation;
  /** Delete only the object with this uid. */
  readonly uid?: string;
}

export const foregroundFinalizer = "foregroundDeletion";
export const orphanFinalizer = "orphan";

/**
 * The object with its marks, if something must happen before it can go (a pod's containers stop, the garbage collector
 * works); undefined if it goes now. Source: apiserver registry/generic/registry/store.go, core/pod/strategy.go.
 */
export function markForDeletion(object: KubeObject, options: DeleteOptions, now: Time): KubeObject | undefined {
  const meta = object.metadata as Meta;
  const finalizers = withPropagation(meta.finalizers ?? [], options.propagation);
  const grace = object.kind === "Pod" ? podGrace(object, options.grace) : 0;
  const full = object.kind === "Namespace" && (object.spec.finalizers?.length ?? 0) > 0;
  if (grace === 0 && finalizers.length === 0 && !full) return undefined;
  const running = meta.deletionGracePeriodSeconds;
  const shorter = running !== undefined && meta.deletionTimestamp !== undefined && grace >= running;
  // Who shortens it moves the moment that was told before (BeforeDelete in apiserver/pkg/registry/rest/delete.go).
  const told = parseTime(meta.deletionTimestamp ?? "");
  const begun = told === undefined || running === undefined ? now : told - running * second;
  const times = shorter
    ? {}
    : { deletionTimestamp: rfc3339(begun + grace * second), deletionGracePeriodSeconds: grace };
  const metadata: Meta = {
    ...meta,
    ...times,
    ...(finalizers.length > 0 ? { finalizers } : {}),
  };
  if (object.kind === "Namespace") return { ...object, metadata, status: { ...object.status, phase: "Terminating" } };
  return { ...object, metadata } as KubeObject;
}

function withPropagation(given: readonly string[], propagation: Propagation | undefined): readonly string[] {
  const rest = given.filter((name) => name !== foregroundFinalizer && name !== orphanFinalizer);
  if (propagation === "Foreground") return [...rest, foregroundFinalizer];
  if (propagation === "Orphan") return [...rest, orphanFinalizer];
  return propagation === "Background" ? rest : given;
}

/** A pod that no node has, or that has ended, needs no time to stop. */
function podGrace(pod: Extract<KubeObject, { kind: "Pod" }>, asked: number | undefined): number {
  const phase = pod.status.phase;
  if (!pod.spec.nodeName || phase === "Succeeded" || phase === "Failed") return 0;
  const wanted = asked ?? pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
  // What nobody can have meant is a second (podStrategy.CheckGracefulDelete).
  return wanted < 0 ? 1 : wanted;
}
