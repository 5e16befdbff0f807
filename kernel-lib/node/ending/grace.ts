/** Owns how long a container is given to end: whose word counts, and what is the least. */
import type { Kinds } from "../../api/kinds";
import { second, type Time } from "../../sim/clock";
import type { SpecContainer } from "../stages";

type Pod = Kinds["Pod"];

/** Why one container of a pod that lives on is killed (containerKillReason in pkg/kubelet/kuberuntime). */
export type KillReason = "StartupProbe" | "LivenessProbe" | "FailedPostStartHook" | "Unknown";

/** A kill that is wanted. */
export interface KillOrder {
  readonly reason: KillReason;
  /** What the event says. */
  readonly message: string;
  /** Default: what `graceOf` says for the reason. */
  readonly grace?: Time | undefined;
}

/** From the stop signal to SIGKILL it is never less than this (minimumGracePeriodInSeconds, kuberuntime_manager.go). */
export const minimumGrace: Time = 2 * second;

/** A pod's worker gives no less than this, also where it was deleted with 0 (calculateEffectiveGracePeriod, pod_workers.go). */
export const leastGrace: Time = second;

/** The grace of one container (setTerminationGracePeriod, kuberuntime_container.go): a probe's own word counts for its kills. */
export function graceOf({ metadata, spec }: Pod, container: SpecContainer, reason: KillReason): Time {
  if (metadata.deletionGracePeriodSeconds !== undefined) return metadata.deletionGracePeriodSeconds * second;
  const probe =
    reason === "StartupProbe"
      ? container.startupProbe
      : reason === "LivenessProbe"
        ? container.livenessProbe
        : undefined;
  const seconds = probe?.terminationGracePeriodSeconds ?? spec.terminationGracePeriodSeconds;
  return seconds === undefined ? minimumGrace : seconds * second;
}

/** The grace of a pod that is deleted: what the API server wrote, else its own wish; at least a second. */
export function podGrace({ metadata, spec }: Pod): Time {
  const seconds = metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30;
  return Math.max(seconds * second, leastGrace);
}
