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

/** The status as it now is; what others own in it (QoS class, the scheduler's condition) stays. */
export function podStatus(pod: Pod, facts: PodFacts): PodStatus {
  const { lives, podIps, hostIps } = facts;
  const init = lives.filter((life) => life.init).map(containerStatus);
  const main = lives.filter((life) => !life.init).map(containerStatus);
  const phase = phaseOf(pod, lives);
  return {
    ...pod.status,
    phase,
    conditions: conditions(pod, facts, phase),
    hostIP: hostIps[0] ?? "",
    hostIPs: hostIps.map((ip) => ({ ip })),
    ...(podIps[0] !== undefined && { podIP: podIps[0], podIPs: podIps.map((ip) => ({ ip })) }),
    startTime: rfc3339(facts.startTime),
    ...(init.length > 0 && { initContainerStatuses: init }),
    containerStatuses: main.sort((one, other) => (one.name < other.name ? -1 : 1)),
  } as PodStatus;
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
  const main = facts.lives.filter((life) => !life.init);
  const unready = main.filter((life) => life.stage !== "running").map((life) => life.spec.name);
  const initLeft = facts.lives.filter((life) => life.init && life.stage !== "done").map((life) => life.spec.name);
  const over = phase === "Succeeded" || phase === "Failed";
  const ready = over
    ? { reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed" }
    : { reason: "ContainersNotReady", message: `containers with unready status: [${unready.join(" ")}]` };
  const isReady = unready.length === 0;
  const initialized = initLeft.length === 0;
  const notInitialized = {
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: [${initLeft.join(" ")}]`,
  };
  const wanted: { type: string; status: boolean; reason?: string; message?: string }[] = [
    { type: "PodReadyToStartContainers", status: facts.sandboxReady },
    { type: "Initialized", status: initialized, ...(!initialized && notInitialized) },
    { type: "Ready", status: isReady, ...(!isReady && ready) },
    { type: "ContainersReady", status: isReady, ...(!isReady && ready) },
  ];
  const before = pod.status.conditions ?? [];
  const mine = wanted.map(({ type, status, ...why }): Condition => {
    const old = before.find((condition) => condition.type === type);
    const text = status ? "True" : "False";
    const since = old?.status === text && old.lastTransitionTime ? old.lastTransitionTime : rfc3339(facts.now);
    return { type, status: text, lastTransitionTime: since, ...why } as Condition;
  });
  return [...mine, ...before.filter((condition) => !wanted.some(({ type }) => type === condition.type))];
}

function containerStatus(life: Life): ContainerStatus {
  const { spec, container, previous } = life;
  const running = life.stage === "running";
  // A container that is made anew shows how the one before it ended, until it runs.
  const current = container?.started !== undefined ? container : (previous ?? container);
  const state = stateOf(life, current);
  const last = state.terminated ? (current === previous ? undefined : previous) : current?.ending ? current : previous;
  const shown = current?.started !== undefined ? current : undefined;
  return {
    name: spec.name,
    state,
    lastState: last?.ending ? { terminated: terminated(last) } : {},
    ready: running || (life.init && life.stage === "done" && exitCode(life) === 0),
    restartCount: life.restarts,
    image: life.image && shown ? life.image.reference : (spec.image ?? ""),
    imageID: life.image && shown ? life.image.id : "",
    ...(shown && { containerID: `containerd://${shown.facts.id}` }),
    started: running,
    ...(spec.resources && Object.keys(spec.resources).length > 0 && { resources: spec.resources }),
    ...mounts(spec),
  } as ContainerStatus;
}

function mounts(spec: SpecContainer) {
  if (!spec.volumeMounts?.length) return {};
  const volumeMounts = spec.volumeMounts.map(({ name, mountPath, readOnly }) => {
    return { mountPath, name, ...(readOnly && { readOnly, recursiveReadOnly: "Disabled" }) };
  });
  return { volumeMounts };
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
