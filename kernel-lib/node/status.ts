/** Owns what the kubelet reports of a pod: phase, conditions, container statuses, addresses. */
import type { Kinds } from "../api/kinds";
import { rfc3339 } from "../api/time";
import type { Time } from "../sim/clock";
import type { Container } from "./container";
import { isSidecar } from "./ending/order";
import { isStarted, type Life, type SpecContainer, type Stage, stages } from "./stages";

type Pod = Kinds["Pod"];
export type PodStatus = Pod["status"];
type Condition = NonNullable<PodStatus["conditions"]>[number];
type ContainerStatus = NonNullable<PodStatus["containerStatuses"]>[number];
type State = NonNullable<ContainerStatus["state"]>;

/** What a report is made from. */
export interface PodFacts {
  /** Of the pod as the kubelet has last seen it. */
  readonly generation: number | undefined;
  readonly lives: readonly Life[];
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
  readonly sandboxReady: boolean;
  readonly startTime: Time;
  readonly now: Time;
  /** All its containers have stopped, and none is started again. */
  readonly terminal: boolean;
  /** The kubelet itself has ended it. */
  readonly failed?: { readonly reason: string; readonly message: string };
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
function sourcesOf({ generation, lives, podIps, sandboxReady, terminal, failed }: PodFacts): readonly unknown[] {
  const from: unknown[] = [generation, sandboxReady, podIps[0], podIps[1], terminal, failed];
  for (const life of lives) {
    const { stage, reason, message, container, previous, image, probes } = life;
    const started = container?.started !== undefined ? container : undefined;
    // Whether it is pulled, made or being started is not told.
    from.push(beginning.has(stage) ? "creating" : stage, reason, message, restartsOf(life));
    from.push(started, started?.ending, previous, started || previous ? image : undefined);
    if (probes) from.push(probes.started, probes.ready);
  }
  return from;
}

/** One that is made anew counts once it has been started. */
function restartsOf({ restarts, container, previous }: Life): number {
  return container?.started === undefined && previous !== undefined && container !== undefined
    ? restarts - 1
    : restarts;
}

/** A container on its way to a start. */
const beginning: ReadonlySet<Stage> = new Set(["pulling", "creating", "starting", "post-start"]);

function equal(one: readonly unknown[], other: readonly unknown[]): boolean {
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return one.length === other.length;
}

// There are many of these: their parts are put in one by one, for an object put together by `...` costs several times as much.

function podStatus(pod: Pod, facts: PodFacts): PodStatus {
  const { lives, podIps, hostIps, terminal, failed } = facts;
  const init: ContainerStatus[] = [];
  const main: ContainerStatus[] = [];
  const first = pod.spec.initContainers?.length ? "PodInitializing" : "ContainerCreating";
  // Without init containers there is nothing that a pod could wait for (hasPodInitialized in status_manager.go).
  const wasBegun = !pod.spec.initContainers?.length || hasBegun(lives);
  for (const life of lives) {
    const list = life.init ? init : main;
    const before = life.init ? pod.status.initContainerStatuses : pod.status.containerStatuses;
    list.push(containerStatus(life, first, terminal && wasBegun, before));
  }
  const phase = failed && terminal ? "Failed" : phaseOf(pod, lives, terminal);
  const status: Writable<PodStatus> = { ...pod.status };
  status.phase = phase;
  // KEP-5067: which spec it is that the kubelet has seen.
  if (facts.generation !== undefined) status.observedGeneration = facts.generation;
  if (failed) {
    status.reason = failed.reason;
    status.message = failed.message;
  }
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

/** Whether a container that is no init container was ever started: then the pod has been initialized. */
function hasBegun(lives: readonly Life[]): boolean {
  return lives.some((life) => !life.init && (life.container?.started ?? life.previous) !== undefined);
}

/**
 * getPhase in pkg/kubelet/kubelet_pods.go.
 * @param terminal all containers have stopped, and none is started again: then how they ended is all that counts
 */
export function phaseOf(
  pod: Pod,
  lives: readonly Life[],
  terminal = false,
): "Pending" | "Running" | "Succeeded" | "Failed" {
  const policy = pod.spec.restartPolicy ?? "Always";
  let initLeft = 0;
  let sidecarsLeft = 0;
  let running = 0;
  let waiting = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const life of lives) {
    const runs = life.stage === "running";
    const code = runs ? undefined : exitCode(life);
    if (isSidecar(life)) {
      if (runs) running++;
      else if (code === undefined) waiting++;
      if (runs ? !isStarted(life) : code === undefined) sidecarsLeft++;
    } else if (life.init) {
      if (code === undefined) initLeft++;
      else if (code !== 0 && (policy === "Never" || life.stage === "done")) return "Failed";
    } else if (runs) running++;
    else if (code === undefined && !terminal) waiting++;
    else {
      stopped++;
      if (code === 0) succeeded++;
    }
  }
  if (terminal) return stopped === succeeded ? "Succeeded" : "Failed";
  if (initLeft > 0 || waiting > 0 || (sidecarsLeft > 0 && !hasBegun(lives))) return "Pending";
  if (running > 0 || policy === "Always") return "Running";
  if (stopped === succeeded) return "Succeeded";
  return policy === "Never" ? "Failed" : "Running";
}

function exitCode(life: Life): number | undefined {
  return (life.container?.ending ?? life.previous?.ending)?.exitCode;
}

/** pkg/kubelet/status/generate.go. */
function conditions(pod: Pod, { generation, lives, sandboxReady, now }: PodFacts, phase: string): readonly Condition[] {
  const unready: string[] = [];
  const initLeft: string[] = [];
  for (const life of lives) {
    const { init, spec } = life;
    if ((!init || isSidecar(life)) && !isReady(life)) unready.push(spec.name);
    if (init && !(isSidecar(life) ? isStarted(life) : isReady(life))) initLeft.push(spec.name);
  }
  const over = phase === "Succeeded" ? "PodCompleted" : phase === "Failed" ? "PodFailed" : undefined;
  const allReady: Verdict = over
    ? { is: false, reason: over }
    : listed(unready, "ContainersNotReady", "containers with unready status");
  const initialized: Verdict =
    phase === "Succeeded"
      ? { is: true, reason: "PodCompleted" }
      : hasBegun(lives)
        ? { is: true }
        : listed(initLeft, "ContainersNotInitialized", "containers with incomplete status");
  const before = pod.status.conditions ?? [];
  const seen = { generation, time: rfc3339(now) };
  const mine = [
    conditionOf("PodReadyToStartContainers", { is: sandboxReady }, before, seen),
    conditionOf("Initialized", initialized, before, seen),
    conditionOf("Ready", allReady.is ? gatesOf(pod) : allReady, before, seen),
    conditionOf("ContainersReady", allReady, before, seen),
    conditionOf("PodScheduled", { is: true }, before, seen),
  ];
  for (const other of before) if (!ofType(mine, other.type)) mine.push(other);
  return mine;
}

/** Whether something is so, and why. */
interface Verdict {
  readonly is: boolean;
  readonly reason?: string;
  readonly message?: string;
}

/** So, unless a container is listed. */
function listed(names: readonly string[], reason: string, what: string): Verdict {
  return names.length === 0 ? { is: true } : { is: false, reason, message: `${what}: [${names.join(" ")}]` };
}

/** What others have to say before a pod is ready (KEP-580). */
function gatesOf({ spec, status }: Pod): Verdict {
  if (!spec.readinessGates?.length) return { is: true };
  const closed = spec.readinessGates.flatMap(({ conditionType }) => {
    const gate = status.conditions?.find(({ type }) => type === conditionType);
    if (!gate) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (gate.status === "True") return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`];
  });
  return closed.length === 0
    ? { is: true }
    : { is: false, reason: "ReadinessGatesNotReady", message: closed.join(", ") };
}

/** One condition; since when it is so stays from before. */
function conditionOf(
  type: string,
  verdict: Verdict,
  before: readonly Condition[],
  { generation, time }: { readonly generation: number | undefined; readonly time: string },
): Condition {
  const { is, reason, message } = verdict;
  const old = ofType(before, type);
  const status = is ? "True" : "False";
  const lastTransitionTime = old?.status === status && old.lastTransitionTime ? old.lastTransitionTime : time;
  if (old && says(old, verdict, lastTransitionTime, generation)) return old;
  // Pods that are started together have the same ones: they share them.
  const newest = newestOf.get(type);
  if (newest && says(newest, verdict, lastTransitionTime, generation)) return newest;
  const condition: Writable<Condition> = { type, status, lastTransitionTime };
  (condition as { lastProbeTime?: string | null }).lastProbeTime = null;
  if (generation !== undefined) condition.observedGeneration = generation;
  if (reason !== undefined) condition.reason = reason;
  if (message !== undefined) condition.message = message;
  newestOf.set(type, condition);
  return condition;
}

function ofType(conditions: readonly Condition[], type: string): Condition | undefined {
  for (const condition of conditions) if (condition.type === type) return condition;
  return undefined;
}

function says(condition: Condition, { is, reason, message }: Verdict, since: string, generation: number | undefined) {
  return (
    condition.status === (is ? "True" : "False") &&
    condition.lastTransitionTime === since &&
    condition.observedGeneration === generation &&
    condition.reason === reason &&
    condition.message === message
  );
}

/** The condition of each type that was made last. */
const newestOf = new Map<string, Condition>();

/** An init container is ready once it has succeeded, a sidecar and any other while it runs and its probes say so. */
function isReady(life: Life): boolean {
  if (life.init && !isSidecar(life)) return life.stage === "done" && exitCode(life) === 0;
  return life.stage === "running" && (life.probes?.ready ?? true);
}

/**
 * @param first why it waits that was never started
 * @param lost whether one of which nothing is known has failed: its pod has ended
 * @param before the statuses as they are: what cannot change is taken from there
 */
function containerStatus(
  life: Life,
  first: string,
  lost: boolean,
  before: readonly ContainerStatus[] | undefined,
): ContainerStatus {
  const { spec, container, previous } = life;
  // A container that is made anew shows how the one before it ended, until it runs.
  const current = container?.started !== undefined ? container : (previous ?? container);
  const state = stateOf(life, current, first, lost);
  const last = state.terminated ? (current === previous ? undefined : previous) : current?.ending ? current : previous;
  const shown = current?.started !== undefined ? current : undefined;
  const status: Writable<ContainerStatus> = {
    name: spec.name,
    state,
    lastState: last?.ending ? { terminated: terminated(last) } : {},
    ready: isReady(life),
    restartCount: restartsOf(life),
    image: life.image && shown ? life.image.reference : (spec.image ?? ""),
    imageID: life.image && shown ? life.image.id : "",
  };
  if (shown) status.containerID = `containerd://${shown.facts.id}`;
  status.started = isStarted(life);
  if (spec.resources?.requests) status.allocatedResources = spec.resources.requests;
  if (shown) status.resources = spec.resources ?? none;
  if (spec.volumeMounts?.length) status.volumeMounts = mountsIn(before, spec.name) ?? spec.volumeMounts.map(mounted);
  return status;
}

const none = {};

function mountsIn(statuses: readonly ContainerStatus[] | undefined, name: string): ContainerStatus["volumeMounts"] {
  for (const status of statuses ?? []) if (status.name === name) return status.volumeMounts;
  return undefined;
}

function mounted({ name, mountPath, readOnly }: NonNullable<SpecContainer["volumeMounts"]>[number]) {
  return readOnly ? { mountPath, name, readOnly, recursiveReadOnly: "Disabled" } : { mountPath, name };
}

function stateOf(life: Life, current: Container | undefined, first: string, lost: boolean): State {
  const row = stages[life.stage];
  if (life.stage === "running" && current?.started !== undefined) {
    return { running: { startedAt: rfc3339(current.started) } };
  }
  const beginsAgain = life.stage === "waiting" || beginning.has(life.stage);
  if (current?.ending && life.reason === undefined && (row.waiting === undefined || beginsAgain)) {
    return { terminated: terminated(current) };
  }
  if (lost && !current?.ending) return { terminated: unknownEnd };
  const usual = life.stage === "waiting" || row.waiting === "ContainerCreating" ? first : row.waiting;
  const reason = life.reason ?? usual ?? first;
  return { waiting: { reason, ...(life.message !== undefined && { message: life.message }) } };
}

/** TerminatePod in pkg/kubelet/status/status_manager.go. */
const unknownEnd = {
  exitCode: 137,
  reason: "ContainerStatusUnknown",
  message: "The container could not be located when the pod was terminated",
  startedAt: null,
  finishedAt: null,
} as unknown as NonNullable<State["terminated"]>;

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
