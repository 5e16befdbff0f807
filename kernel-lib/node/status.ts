/** Owns what the kubelet reports of a pod: phase, conditions, container statuses, addresses. */
import type { Kinds } from "../api/kinds";
import { rfc3339 } from "../api/time";
import type { Time } from "../sim/clock";
import type { Container } from "./container";
import { type Life, type SpecContainer, stages } from "./stages";

type Pod = Kinds["Pod"];
export type PodStatus = Pod["status"];
type Condition = NonNullable<PodStatus["conditions"]>[number];
type ContainerStatus = NonNullable<PodStatus["containerStatuses"]>[number];
type State = NonNullable<ContainerStatus["state"]>;

/** What a report is made from. */
export interface PodFacts {
  readonly lives: readonly Life[];
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
  readonly sandboxReady: boolean;
  readonly startTime: Time;
  readonly now: Time;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The reports of one pod, one after the other: while nothing of what they say changes, the status is the same object. */
export class PodReports {
  #made: PodStatus | undefined;
  #from: readonly unknown[] = [];

  /** The status as it now is; what others own in it (QoS class, the scheduler's condition) stays. */
  next(pod: Pod, facts: PodFacts): PodStatus {
    const from = sourcesOf(facts);
    if (this.#made !== undefined && this.#made === pod.status && equal(from, this.#from)) return this.#made;
    this.#from = from;
    this.#made = podStatus(pod, facts);
    return this.#made;
  }
}

/** All that a status is made from, but for what is in the pod itself and the moment. */
function sourcesOf({ lives, podIps, sandboxReady }: PodFacts): readonly unknown[] {
  const from: unknown[] = [sandboxReady, podIps[0], podIps[1]];
  for (const { stage, reason, message, container, previous, restarts, image } of lives) {
    const started = container?.started !== undefined ? container : undefined;
    // Whether it is pulled, made or being started is not told.
    from.push(stage === "pulling" || stage === "starting" ? "creating" : stage, reason, message, restarts);
    from.push(started, started?.ending, previous, started || previous ? image : undefined);
  }
  return from;
}

function equal(one: readonly unknown[], other: readonly unknown[]): boolean {
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return one.length === other.length;
}

// There are many of these: their parts are put in one by one, for an object put together by `...` costs several times as much.

function podStatus(pod: Pod, facts: PodFacts): PodStatus {
  const { lives, podIps, hostIps } = facts;
  const init: ContainerStatus[] = [];
  const main: ContainerStatus[] = [];
  for (const life of lives) (life.init ? init : main).push(containerStatus(life));
  const phase = phaseOf(pod, lives);
  const status: Writable<PodStatus> = { ...pod.status };
  status.phase = phase;
  status.conditions = conditions(pod, facts, phase);
  status.hostIP = hostIps[0] ?? "";
  status.hostIPs = hostIps.map((ip) => ({ ip }));
  if (podIps[0] !== undefined) {
    status.podIP = podIps[0];
    status.podIPs = podIps.map((ip) => ({ ip }));
  }
  status.startTime = rfc3339(facts.startTime);
  if (init.length > 0) status.initContainerStatuses = init;
  status.containerStatuses = main.sort((one, other) => (one.name < other.name ? -1 : 1));
  return status;
}

/** getPhase in pkg/kubelet/kubelet_pods.go. */
export function phaseOf(pod: Pod, lives: readonly Life[]): "Pending" | "Running" | "Succeeded" | "Failed" {
  const policy = pod.spec.restartPolicy ?? "Always";
  const init = lives.filter((life) => life.init);
  if (init.some((life) => life.stage === "done" && exitCode(life) !== 0)) return "Failed";
  if (init.some((life) => life.stage !== "done")) return "Pending";
  const main = lives.filter((life) => !life.init);
  const neverRan = main.filter((life) => !life.container?.started && !life.previous);
  if (neverRan.length > 0) return "Pending";
  if (main.some((life) => life.stage === "running") || policy === "Always") return "Running";
  if (main.every((life) => exitCode(life) === 0)) return "Succeeded";
  return policy === "Never" ? "Failed" : "Running";
}

function exitCode(life: Life): number | undefined {
  return (life.container?.ending ?? life.previous?.ending)?.exitCode;
}

function conditions(pod: Pod, facts: PodFacts, phase: string): readonly Condition[] {
  const unready: string[] = [];
  const initLeft: string[] = [];
  for (const { init, stage, spec } of facts.lives) {
    if (!init && stage !== "running") unready.push(spec.name);
    if (init && stage !== "done") initLeft.push(spec.name);
  }
  const over = phase === "Succeeded" || phase === "Failed";
  const ready = unready.length === 0;
  const reason = over ? (phase === "Succeeded" ? "PodCompleted" : "PodFailed") : "ContainersNotReady";
  const message = ready || over ? undefined : `containers with unready status: [${unready.join(" ")}]`;
  const before = pod.status.conditions ?? [];
  const time = rfc3339(facts.now);
  const initialized = initLeft.length === 0;
  const missing = initialized ? undefined : `containers with incomplete status: [${initLeft.join(" ")}]`;
  const mine = [
    conditionOf("PodReadyToStartContainers", facts.sandboxReady, undefined, undefined, before, time),
    conditionOf("Initialized", initialized, "ContainersNotInitialized", missing, before, time),
    conditionOf("Ready", ready, reason, message, before, time),
    conditionOf("ContainersReady", ready, reason, message, before, time),
  ];
  for (const other of before) if (!mine.some(({ type }) => type === other.type)) mine.push(other);
  return mine;
}

/** One condition; since when it is so stays from before. A reason is given where it is not so. */
function conditionOf(
  type: string,
  is: boolean,
  reason: string | undefined,
  message: string | undefined,
  before: readonly Condition[],
  now: string,
): Condition {
  const old = before.find((condition) => condition.type === type);
  const status = is ? "True" : "False";
  const lastTransitionTime = old?.status === status && old.lastTransitionTime ? old.lastTransitionTime : now;
  const [why, more] = is ? [undefined, undefined] : [reason, message];
  if (old?.status === status && old.lastTransitionTime === lastTransitionTime) {
    if (old.reason === why && old.message === more) return old;
  }
  const condition: Writable<Condition> = { type, status, lastTransitionTime };
  if (why !== undefined) condition.reason = why;
  if (more !== undefined) condition.message = more;
  return condition;
}

function containerStatus(life: Life): ContainerStatus {
  const { spec, container, previous } = life;
  const running = life.stage === "running";
  // A container that is made anew shows how the one before it ended, until it runs.
  const current = container?.started !== undefined ? container : (previous ?? container);
  const state = stateOf(life, current);
  const last = state.terminated ? (current === previous ? undefined : previous) : current?.ending ? current : previous;
  const shown = current?.started !== undefined ? current : undefined;
  const status: Writable<ContainerStatus> = {
    name: spec.name,
    state,
    lastState: last?.ending ? { terminated: terminated(last) } : {},
    ready: running || (life.init && life.stage === "done" && exitCode(life) === 0),
    restartCount: life.restarts,
    image: life.image && shown ? life.image.reference : (spec.image ?? ""),
    imageID: life.image && shown ? life.image.id : "",
  };
  if (shown) status.containerID = `containerd://${shown.facts.id}`;
  status.started = running;
  if (spec.resources && Object.keys(spec.resources).length > 0) status.resources = spec.resources;
  if (spec.volumeMounts?.length) status.volumeMounts = spec.volumeMounts.map(mounted);
  return status;
}

function mounted({ name, mountPath, readOnly }: NonNullable<SpecContainer["volumeMounts"]>[number]) {
  return readOnly ? { mountPath, name, readOnly, recursiveReadOnly: "Disabled" } : { mountPath, name };
}

function stateOf(life: Life, current: Container | undefined): State {
  const row = stages[life.stage];
  if (life.stage === "running" && current?.started !== undefined) {
    return { running: { startedAt: rfc3339(current.started) } };
  }
  const beginsAgain =
    life.stage === "waiting" || life.stage === "pulling" || life.stage === "creating" || life.stage === "starting";
  if (current?.ending && (row.waiting === undefined || (beginsAgain && life.reason === undefined))) {
    return { terminated: terminated(current) };
  }
  const first = life.stage === "waiting" && life.init ? "PodInitializing" : "ContainerCreating";
  const reason = life.reason ?? (life.stage === "waiting" ? first : (row.waiting ?? first));
  return { waiting: { reason, ...(life.message !== undefined && { message: life.message }) } };
}

function terminated(container: Container): NonNullable<State["terminated"]> {
  const { started, ending, facts } = container;
  const reason = ending?.startError !== undefined ? "StartError" : ending?.exitCode === 0 ? "Completed" : "Error";
  return {
    exitCode: ending?.exitCode ?? 0,
    reason,
    ...(ending?.startError !== undefined && { message: ending.startError }),
    startedAt: rfc3339(started ?? 0),
    finishedAt: rfc3339(ending?.at ?? 0),
    containerID: `containerd://${facts.id}`,
  };
}
