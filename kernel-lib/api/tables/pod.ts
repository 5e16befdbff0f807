/** Owns a pod's row: readiness, restarts, and the one word that says how it is (printers.go: printPod). */
import type { Time } from "../../sim/clock";
import type { Kinds } from "../kinds";
import { ageOf, humanDuration, parseTime } from "../time";
import type { Cell } from "./table";

type Pod = Kinds["Pod"];
type Status = NonNullable<Pod["status"]["containerStatuses"]>[number];

const none = "<none>";

export function podCells(pod: Pod, now: Time): readonly Cell[] {
  const { spec, status } = pod;
  const statuses = status.containerStatuses ?? [];
  const restartable = (spec.initContainers ?? []).filter((container) => container.restartPolicy === "Always");
  const init = status.initContainerStatuses ?? [];
  const sidecars = init.filter(({ name }) => restartable.some((c) => c.name === name));
  // While a pod is being initialized, its init containers' restarts are what counts.
  const isInitializing = initReason(pod) !== undefined && !isInitialized(pod);
  const mine = isInitializing ? [] : statuses.filter((s) => s.ready && s.state?.running);
  const ready = mine.length + sidecars.filter((s) => s.started && s.ready).length;
  const gates = spec.readinessGates ?? [];
  const open = gates.filter((gate) => {
    return status.conditions?.some((c) => c.type === gate.conditionType && c.status === "True");
  });
  return [
    pod.metadata.name,
    `${ready}/${spec.containers.length + restartable.length}`,
    podStatus(pod),
    restarts(isInitializing ? init : [...statuses, ...sidecars], now),
    ageOf(pod.metadata.creationTimestamp, now),
    status.podIPs?.[0]?.ip ?? none,
    spec.nodeName || none,
    status.nominatedNodeName || none,
    gates.length > 0 ? `${open.length}/${gates.length}` : none,
  ];
}

function restarts(statuses: readonly Status[], now: Time): string {
  const count = statuses.reduce((sum, status) => sum + status.restartCount, 0);
  const ends = statuses.flatMap((status) => parseTime(status.lastState?.terminated?.finishedAt ?? "") ?? []);
  if (count === 0 || ends.length === 0) return String(count);
  return `${count} (${humanDuration(now - Math.max(...ends))} ago)`;
}

/** `Running`, `ContainerCreating`, `CrashLoopBackOff`, `Init:0/1`, `Terminating` …: the STATUS column. */
export function podStatus(pod: Pod): string {
  const { status } = pod;
  let reason = status.reason || status.phase || "Unknown";
  if (status.conditions?.some((c) => c.type === "PodScheduled" && c.reason === "SchedulingGated")) {
    reason = "SchedulingGated";
  }
  const starting = initReason(pod);
  if (starting !== undefined) reason = starting;
  if (starting === undefined || isInitialized(pod)) {
    reason = mainReason(pod, reason);
  }
  if (pod.metadata.deletionTimestamp === undefined) return reason;
  if (status.reason === "NodeLost") return "Unknown";
  return status.phase === "Failed" || status.phase === "Succeeded" ? reason : "Terminating";
}

function isInitialized({ status }: Pod): boolean {
  return status.conditions?.some((c) => c.type === "Initialized" && c.status === "True") ?? false;
}

/** The first init container that is not yet done decides. */
function initReason(pod: Pod): string | undefined {
  const containers = pod.spec.initContainers ?? [];
  for (const [at, status] of (pod.status.initContainerStatuses ?? []).entries()) {
    const { terminated, waiting } = status.state ?? {};
    const sidecar = containers.find((c) => c.name === status.name)?.restartPolicy === "Always";
    if (terminated && terminated.exitCode === 0) continue;
    if (sidecar && status.started) continue;
    if (terminated) return `Init:${endWord(terminated)}`;
    if (waiting?.reason && waiting.reason !== "PodInitializing") return `Init:${waiting.reason}`;
    return `Init:${at}/${containers.length}`;
  }
  return undefined;
}

function mainReason(pod: Pod, before: string): string {
  let reason = before;
  let running = false;
  for (const { state, ready } of [...(pod.status.containerStatuses ?? [])].reverse()) {
    if (state?.waiting?.reason) reason = state.waiting.reason;
    else if (state?.terminated) reason = endWord(state.terminated);
    else if (ready && state?.running) running = true;
  }
  if (reason !== "Completed" || !running) return reason;
  const isReady = pod.status.conditions?.some((c) => c.type === "Ready" && c.status === "True");
  return isReady ? "Running" : "NotReady";
}

function endWord(end: NonNullable<NonNullable<Status["state"]>["terminated"]>): string {
  if (end.reason) return end.reason;
  return end.signal ? `Signal:${end.signal}` : `ExitCode:${end.exitCode}`;
}
