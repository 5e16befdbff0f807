/** Owns the life of a container as a table: what each stage shows, how long it lasts, and whether anybody waits for it. */
import type { Kinds } from "../api/kinds";
import type { Image } from "../apps/image";
import { millisecond, second, type Time } from "../sim/clock";
import type { Container, Ending } from "./container";
import type { NodeFigures } from "./figures";

export type SpecContainer = Kinds["Pod"]["spec"]["containers"][number];

/**
 * ```
 * waiting ─► pulling ─► creating ─► starting ─► running ─► ended ─► done
 *              │ ▲         │                                │ ▲
 *              ▼ │         ▼                                ▼ │
 *        pull-failed   config-failed                  crash-back-off ─► pulling
 *              ▼ │
 *        pull-back-off
 * ```
 */
export type Stage =
  | "waiting"
  | "pulling"
  | "pull-failed"
  | "pull-back-off"
  | "config-failed"
  | "creating"
  | "starting"
  | "running"
  | "ended"
  | "crash-back-off"
  | "done";

/** One container of a pod, through all its starts. */
export interface Life {
  readonly spec: SpecContainer;
  readonly init: boolean;
  stage: Stage;
  /** What the stage says beside its reason (`state.waiting.message`). */
  message: string | undefined;
  /** The reason, where it is not the stage's own (`ErrImageNeverPull`, `InvalidImageName`). */
  reason: string | undefined;
  image: Image | undefined;
  /** The newest start. */
  container: Container | undefined;
  /** The start before: `state.lastState`, `kubectl logs --previous`. */
  previous: Container | undefined;
  restarts: number;
  /** In a row. */
  pullFailures: number;
  crashes: number;
  /** When the present back-off is over. */
  until: Time;
  /** What ends the present stage. */
  timer: { cancel(): void } | undefined;
}

/** One row of the table. */
export interface StageRow {
  /** `state.waiting.reason`; undefined: the container runs or has ended. */
  readonly waiting?: string;
  /** How long it lasts; undefined: until something happens. */
  readonly lasts?: (figures: NodeFigures, life: Life, now: Time) => Time;
  /** `settle` does not wait for its end: it may never come to rest. */
  readonly background?: boolean;
  /** Where it leads when its time is over. */
  readonly next?: Stage;
}

/** How long a failure is shown as such before the kubelet's next look finds it backing off. */
const nextLook = 2 * second;

export const stages: { readonly [S in Stage]: StageRow } = {
  waiting: { waiting: "ContainerCreating" },
  pulling: { waiting: "ContainerCreating" },
  "pull-failed": { waiting: "ErrImagePull", lasts: () => nextLook, next: "pull-back-off" },
  "pull-back-off": {
    waiting: "ImagePullBackOff",
    lasts: (_figures, life, now) => Math.max(life.until - now, millisecond),
    background: true,
    next: "pulling",
  },
  "config-failed": {
    waiting: "CreateContainerConfigError",
    lasts: (figures) => figures.configRetry,
    background: true,
    next: "pulling",
  },
  creating: { waiting: "ContainerCreating", lasts: (figures) => figures.createContainer, next: "starting" },
  starting: { waiting: "ContainerCreating", lasts: (figures) => figures.startContainer, next: "running" },
  running: {},
  ended: { lasts: () => nextLook, next: "crash-back-off" },
  "crash-back-off": {
    waiting: "CrashLoopBackOff",
    lasts: (_figures, life, now) => Math.max(life.until - now, millisecond),
    background: true,
    next: "pulling",
  },
  done: {},
};

/** A container before its first start. */
export function newLife(spec: SpecContainer, init: boolean): Life {
  return {
    spec,
    init,
    stage: "waiting",
    message: undefined,
    reason: undefined,
    image: undefined,
    container: undefined,
    previous: undefined,
    restarts: 0,
    pullFailures: 0,
    crashes: 0,
    until: 0,
    timer: undefined,
  };
}

/** The wait after so many failures in a row: doubled each time, up to the longest. */
export function backOffAfter(failures: number, limits: { readonly first: Time; readonly longest: Time }): Time {
  return Math.min(limits.first * 2 ** Math.max(failures - 1, 0), limits.longest);
}

/** What comes after the end of a container that is to run again. */
export interface Restart {
  readonly stage: Stage;
  readonly crashes: number;
  readonly until: Time;
}

/**
 * Whether and when a container that has ended is started again; undefined: never. The first restart comes at once; from
 * then on each waits twice as long as the one before. A long good run is a new beginning. Init containers that
 * succeed are done, whatever the policy.
 */
export function afterEnd(
  life: Life,
  ending: Ending & { readonly started: Time | undefined },
  policy: string | undefined,
  figures: NodeFigures,
): Restart | undefined {
  const onlyFailed = policy === "OnFailure" || (life.init && policy !== "Never");
  if (policy === "Never" || (onlyFailed && ending.exitCode === 0)) return undefined;
  const ran = ending.startError === undefined ? ending.at - (ending.started ?? ending.at) : 0;
  const crashes = (ran > figures.crashForgiven ? 0 : life.crashes) + 1;
  if (crashes === 1) return { stage: "pulling", crashes, until: ending.at };
  const until = ending.at + backOffAfter(crashes - 1, figures.crashBackOff);
  return { stage: ending.startError === undefined ? "ended" : "crash-back-off", crashes, until };
}
