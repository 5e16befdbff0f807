/** Owns whether and when a container that has ended is started again: policies, rules, and a back-off that grows. */
import type { Time } from "../sim/clock";
import type { Ending } from "./container";
import type { NodeFigures } from "./figures";
import type { Life, Stage } from "./stages";

/** What one container's restarts have come to (client-go's flowcontrol.Backoff). */
export interface BackOff {
  /** So long after its end it is not started. */
  readonly wait: Time;
  /** Of the newest restart. */
  readonly at: Time;
}

/** The wait after so many failures in a row: doubled each time, up to the longest. */
export function backOffAfter(failures: number, limits: { readonly first: Time; readonly longest: Time }): Time {
  return Math.min(limits.first * 2 ** Math.max(failures - 1, 0), limits.longest);
}

/** What v1.36 has of a container and the type package has not (KEP-5307). */
interface Ruled {
  readonly restartPolicyRules?: readonly {
    readonly action: string;
    readonly exitCodes?: { readonly operator: string; readonly values?: readonly number[] };
  }[];
}

/**
 * Whether a container that ended so is started again (ContainerShouldRestart in pkg/api/v1/pod/util.go): its own rules come
 * first, then its own policy, then its pod's. An init container that succeeded is done, whatever the policy.
 */
export function isRestarted({ spec, init }: Life, exitCode: number, policy = "Always"): boolean {
  const { restartPolicyRules = [] }: typeof spec & Ruled = spec;
  for (const { action, exitCodes } of restartPolicyRules) {
    if (action !== "Restart" || !exitCodes) continue;
    if ((exitCodes.values ?? []).includes(exitCode) === (exitCodes.operator === "In")) return true;
  }
  const own = spec.restartPolicy ?? (init && policy === "Always" ? "OnFailure" : policy);
  return own === "Always" || (own === "OnFailure" && exitCode !== 0);
}

/** What comes after the end of a container that is to run again. */
export interface Restart {
  readonly stage: Stage;
  readonly until: Time;
}

/**
 * When a container that has ended is started again; undefined: never. What it was killed for by its kubelet counts a start
 * late: the worker that kills and starts in one turn knows of its end only what was before (doBackOff in
 * pkg/kubelet/kuberuntime, with the pod's status from the turn's beginning).
 */
export function afterEnd(
  life: Life,
  ending: Ending,
  policy: string | undefined,
  now: Time,
  figures: NodeFigures,
): Restart | undefined {
  if (!isRestarted(life, ending.exitCode, policy)) return undefined;
  const known = life.killed ? life.previous?.ending?.at : ending.at;
  const { backOff } = life;
  if (known === undefined || !backOff || isForgiven(backOff, known, figures) || now - known >= backOff.wait) {
    return { stage: "pulling", until: now };
  }
  const until = ending.at + backOff.wait;
  return { stage: ending.startError === undefined && !life.killed ? "ended" : "crash-back-off", until };
}

/** A long good run is a new beginning. */
function isForgiven({ at }: BackOff, ended: Time, { crashForgiven }: NodeFigures): boolean {
  return ended - at > crashForgiven;
}

/** A container is started again: the next wait is twice as long. */
export function restarted(life: Life, now: Time, figures: NodeFigures): void {
  const known = life.killed ? life.previous?.ending?.at : life.container?.ending?.at;
  const { backOff } = life;
  const forgiven = backOff !== undefined && known !== undefined && isForgiven(backOff, known, figures);
  life.crashes = (forgiven ? 0 : life.crashes) + 1;
  if (known !== undefined) {
    const { first, longest } = figures.crashBackOff;
    life.backOff = { wait: backOff && !forgiven ? Math.min(2 * backOff.wait, longest) : first, at: now };
  }
  life.killed = false;
}
