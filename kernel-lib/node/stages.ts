/** Owns the life of a container as a table: what each stage shows, how long it lasts, and whether anybody waits for it. */
import type { Kinds } from "../api/kinds";
import type { Image } from "../apps/image";
import { millisecond, second, type Time } from "../sim/clock";
import type { Container } from "./container";
import type { NodeFigures } from "./figures";
import type { Probes } from "./probes/probes";
import type { BackOff } from "./restarts";

export type SpecContainer = Kinds["Pod"]["spec"]["containers"][number];

/**
 * ```
 * waiting ─► pulling ─► creating ─► starting ─► post-start ─► running ─► ended ─► done
 *              │ ▲         │                                              │ ▲
 *              ▼ │         ▼                                              ▼ │
 *        pull-failed   config-failed                                crash-back-off ─► pulling
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
  | "post-start"
  | "running"
  | "ended"
  | "crash-back-off"
  | "done";

/** One container of a pod, through all its starts. */
export interface Life {
  /** Its image may be changed while it lives. */
  spec: SpecContainer;
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
  /** What its restarts wait for; undefined: it was not started again yet. */
  backOff: BackOff | undefined;
  /** It is killed, or was, to be started again. */
  killed: boolean;
  /** Its probes; most have none. */
  probes: Probes | undefined;
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
  starting: { waiting: "ContainerCreating", lasts: (figures) => figures.startContainer, next: "post-start" },
  "post-start": { waiting: "ContainerCreating" },
  running: {},
  ended: { lasts: () => nextLook, background: true, next: "crash-back-off" },
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
    backOff: undefined,
    killed: false,
    probes: undefined,
    until: 0,
    timer: undefined,
  };
}

/** Whether it runs and has passed its startup probe: what comes after a sidecar waits for this. */
export function isStarted({ stage, probes }: Life): boolean {
  return stage === "running" && (probes?.started ?? true);
}

/** Why it waited stays to be read until it runs: the turn that starts it tells nothing in between (reason_cache.go). */
export function saysStill({ reason }: Life, next: Stage): boolean {
  if (reason !== "ImagePullBackOff" && reason !== "CrashLoopBackOff") return false;
  return next === "creating" || next === "starting" || next === "post-start";
}
