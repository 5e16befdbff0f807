/**
 * Owns work that ends: a Job has pods until enough of them succeeded, or too many failed
 * (pkg/controller/job/job_controller.go).
 */
import type { Again, Controller } from "../api/controller";
import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf } from "../api/meta";
import { rfc3339 } from "../api/time";
import { second, type Time } from "../sim/clock";
import type { Context } from "./context";
import { JobBackOff } from "./jobbackoff";
import {
  indexesText,
  indexOf,
  isFailed,
  isIndexed,
  isTerminating,
  isTracked,
  jobPod,
  parseIndexes,
  trackingFinalizer,
} from "./jobpods";
import {
  type Condition,
  conditionOf,
  deadlineOf,
  failureOf,
  hasFinished,
  newCondition,
  withCondition,
} from "./jobstatus";
import { jobController as by } from "./names";
import { hasEnded, isActive, isReady } from "./pods";
import { deleteFirst } from "./victims";

type Job = Kinds["Job"];
type Pod = Kinds["Pod"];
type Status = { -readonly [F in keyof Job["status"]]: Job["status"][F] };

/** Changes of pods are looked at together, a second after the first (syncJobBatchPeriod). */
const batch = second;
/** Creations and deletions in one go (MaxPodCreateDeletePerSync). */
const most = 500;
/** Keys of pods whose Job is gone, and which still wait to be counted by it. */
const orphaned = "orphan ";

/** What one look at a Job finds, and changes on its way. */
interface Sync {
  readonly job: Job;
  readonly key: Key;
  readonly pods: readonly Pod[];
  readonly active: readonly Pod[];
  readonly succeeded: number;
  readonly succeededIndexes: ReadonlySet<number>;
  /** Ended, and not counted before. */
  readonly news: { readonly succeeded: readonly Pod[]; readonly failed: readonly Pod[] };
  readonly status: Status;
  again: Time | undefined;
}

export function jobControllerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);
  const backOff = new JobBackOff();
  /** When a Job is looked at whose pods changed. */
  const due = new Map<Key, Time>();

  function tell(job: Job, type: "Normal" | "Warning", reason: string, message: string): void {
    recordEvent(sim, store, { about: job, type, reason, message, component: by });
  }

  function look(job: Job, key: Key): Sync {
    const pods = store.list("Pod", { owner: job.metadata.uid });
    const indexed = isIndexed(job);
    const counted = (pod: Pod): boolean => isTracked(pod) && (!indexed || indexOf(job, pod) !== undefined);
    const succeeded = pods.filter((pod) => counted(pod) && pod.status.phase === "Succeeded");
    const failed = pods.filter((pod) => counted(pod) && isFailed(job, pod));
    const succeededIndexes = parseIndexes(job.status.completedIndexes);
    if (indexed) for (const pod of succeeded) succeededIndexes.add(indexOf(job, pod) as number);
    const active = pods.filter(isActive);
    const status: Status = {
      ...job.status,
      ...(job.status.startTime === undefined && !job.spec.suspend && { startTime: rfc3339(sim.clock.now) }),
      ready: active.filter(isReady).length,
      terminating: pods.filter(isTerminating).length,
    };
    const before = indexed ? 0 : (job.status.succeeded ?? 0);
    return {
      ...{ job, key, pods, active, succeededIndexes, status },
      succeeded: indexed ? succeededIndexes.size : before + succeeded.length,
      news: { succeeded, failed },
      again: undefined,
    };
  }

  /** Removes a pod; one that is not to be counted gives up its finalizer first. */
  function remove({ job, status }: Sync, pod: Pod, counts: boolean): void {
    if (!counts) release(pod);
    store.delete("Pod", keyOf(pod), by, { uid: pod.metadata.uid });
    tell(job, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
    if (isReady(pod)) status.ready = (status.ready ?? 0) - 1;
    status.terminating = (status.terminating ?? 0) + 1;
  }

  function release(pod: Pod): void {
    const change = (now: Pod): Pod => {
      const { finalizers = [], ...rest } = now.metadata;
      const left = finalizers.filter((name) => name !== trackingFinalizer);
      return { ...now, metadata: { ...rest, ...(left.length > 0 && { finalizers: left }) } };
    };
    if (isTracked(pod) && store.get("Pod", keyOf(pod))) store.update("Pod", keyOf(pod), change, by);
  }

  /** Makes pods or takes some away; gives how many are active then (manageJob). */
  function manage(sync: Sync): number {
    const { job, active, succeeded, status } = sync;
    const { parallelism = 1, completions, suspend } = job.spec;
    const left = completions === undefined ? undefined : Math.max(0, completions - succeeded);
    const open = left ?? (succeeded > 0 ? active.length : parallelism);
    const wanted = suspend ? 0 : left === undefined ? open : Math.min(left, parallelism);
    const surplus = surplusOf(sync, Math.max(0, active.length - wanted)).slice(0, most);
    for (const pod of surplus) remove(sync, pod, false);
    if (surplus.length > 0 || suspend) return active.length - surplus.length;
    const waited = job.spec.podReplacementPolicy === "Failed" ? (status.terminating ?? 0) : 0;
    const missing = Math.min(wanted - waited - active.length, most);
    if (missing <= 0) return active.length;
    const wait = backOff.remaining(sync.key, sim.clock.now);
    if (wait > 0) {
      soonest(sync, wait);
      return active.length;
    }
    const indexes = isIndexed(job) ? pendingIndexes(sync, missing) : Array.from({ length: missing }, () => undefined);
    for (const index of indexes) {
      const pod = store.create("Pod", jobPod(job, index, random), by);
      tell(job, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
    }
    return active.length + indexes.length;
  }

  /** Counts what ended, lets those pods go, and says how the Job is (trackJobStatusAndRemoveFinalizers). */
  function track(sync: Sync, finished: Condition | undefined): void {
    const { job, key, pods, news, status, succeededIndexes } = sync;
    const failing = finished !== undefined && finished.type !== "SuccessCriteriaMet";
    const released = pods.filter((pod) => {
      return isTracked(pod) && (finished || hasEnded(pod) || isFailed(job, pod) || job.metadata.deletionTimestamp);
    });
    const valid = (pod: Pod): boolean => !isIndexed(job) || indexOf(job, pod) !== undefined;
    // When a Job fails, its pods that were still at work have failed with it.
    const failed = released.filter((pod) => {
      return pod.status.phase !== "Succeeded" && valid(pod) && (failing || isFailed(job, pod));
    });
    const interim = finished && (finished.type === "FailureTarget" || finished.type === "SuccessCriteriaMet");
    if (interim) status.conditions = withCondition(status.conditions ?? [], finished);
    if (isIndexed(job)) {
      status.succeeded = succeededIndexes.size;
      status.completedIndexes = indexesText(succeededIndexes);
    }
    const uids = (list: readonly Pod[]): string[] => list.map(({ metadata }) => metadata.uid);
    const uncounted = { failed: uids(failed), succeeded: isIndexed(job) ? [] : uids(news.succeeded) };
    write(key, { ...status, uncountedTerminatedPods: withoutEmpty(uncounted) });
    for (const pod of released) release(pod);
    if (failed.length > 0) status.failed = (status.failed ?? 0) + failed.length;
    if (!isIndexed(job) && news.succeeded.length > 0)
      status.succeeded = (status.succeeded ?? 0) + news.succeeded.length;
    const last = finished && (status.terminating ?? 0) === 0 ? terminal(finished, sim.clock.now) : undefined;
    if (last) {
      status.conditions = withCondition(status.conditions ?? [], last);
      if (last.type === "Complete") status.completionTime = rfc3339(sim.clock.now);
    }
    write(key, { ...status, uncountedTerminatedPods: {} });
    if (last?.type === "Complete") tell(job, "Normal", "Completed", "Job completed");
    else if (last) tell(job, "Warning", last.reason ?? "", last.message ?? "");
  }

  function write(key: Key, { active, succeeded, failed, completedIndexes, ...rest }: Status): void {
    const counts = {
      ...(active && { active }),
      ...(succeeded && { succeeded }),
      ...(failed && { failed }),
      ...(completedIndexes && { completedIndexes }),
    };
    store.setStatus("Job", key, { ...rest, ...counts }, by);
  }

  /** Says whether the Job is suspended, and when it went on. */
  function sayWhetherSuspended({ job, status }: Sync): void {
    const before = status.conditions ?? [];
    const { now } = sim.clock;
    const wanted = job.spec.suspend
      ? newCondition("Suspended", "True", "JobSuspended", "Job suspended", now)
      : newCondition("Suspended", "False", "JobResumed", "Job resumed", now);
    const after = withCondition(before, wanted);
    if (after === before) return;
    status.conditions = after as Condition[];
    tell(job, "Normal", job.spec.suspend ? "Suspended" : "Resumed", wanted.message ?? "");
    if (!job.spec.suspend) status.startTime = rfc3339(now);
  }

  function run(job: Job, key: Key): Again | undefined {
    const sync = look(job, key);
    const { now } = sim.clock;
    backOff.note(key, sync.news.succeeded, sync.news.failed, now);
    const failed = (job.status.failed ?? 0) + sync.news.failed.length;
    let finished = conditionOf(job, "SuccessCriteriaMet") ?? conditionOf(job, "FailureTarget");
    const end = deadlineOf({ ...job, status: sync.status });
    finished ??= failureOf({ ...job, status: sync.status }, sync.pods, failed, now);
    if (end !== undefined && end > now) soonest(sync, end - now);
    if (finished) {
      for (const pod of sync.active) remove(sync, pod, true);
      sync.status.active = 0;
    } else if (job.metadata.deletionTimestamp === undefined) {
      sync.status.active = manage(sync);
      const enough = job.spec.completions ?? 1;
      if (sync.succeeded >= enough && sync.status.active === 0) {
        const message = "Reached expected number of succeeded pods";
        finished = newCondition("SuccessCriteriaMet", "True", "CompletionsReached", message, now);
      } else sayWhetherSuspended(sync);
    } else sync.status.active = sync.active.length;
    track(sync, finished);
    return sync.again === undefined ? undefined : { after: sync.again, kind: "background" };
  }

  function reconcile(item: Key): Again | undefined {
    if (item.startsWith(orphaned)) {
      const pod = store.get("Pod", item.slice(orphaned.length));
      if (pod && !jobOf(pod)) release(pod);
      return undefined;
    }
    const job = store.get("Job", item);
    if (!job || hasFinished(job)) {
      due.delete(item);
      backOff.forget(item);
      return undefined;
    }
    const at = due.get(item);
    if (at !== undefined && at > sim.clock.now) return { after: at - sim.clock.now };
    due.delete(item);
    return run(job, item);
  }

  function jobOf(pod: Pod): Job | undefined {
    const owner = controllerOf(pod);
    if (owner?.kind !== "Job") return undefined;
    const job = store.get("Job", keyFor(pod.metadata.namespace, owner.name));
    return job?.metadata.uid === owner.uid ? job : undefined;
  }

  function podKeys(key: Key, now: Pod | undefined, before: Pod | undefined): readonly Key[] {
    const one = now ?? before;
    if (!one) return [];
    const owner = controllerOf(one);
    if (owner?.kind !== "Job") return now && isTracked(now) ? [orphaned + key] : [];
    const name = keyFor(one.metadata.namespace, owner.name);
    if (now && isTracked(now) && !jobOf(now)) return [orphaned + key];
    if (!due.has(name)) due.set(name, sim.clock.now + batch);
    return [name];
  }

  function jobKeys(key: Key, now: Job | undefined, before: Job | undefined): readonly Key[] {
    if (now) {
      // What the Job is asked for is looked at at once.
      if (now.metadata.generation !== before?.metadata.generation) due.delete(key);
      return [key];
    }
    const left = store.list("Pod", { owner: before?.metadata.uid ?? "" }).filter(isTracked);
    return [key, ...left.map((pod) => orphaned + keyOf(pod))];
  }

  return { name: by, watches: { Job: jobKeys, Pod: podKeys }, reconcile };
}

/** The sooner of two reasons to look again. */
function soonest(sync: Sync, after: Time): void {
  sync.again = Math.min(sync.again ?? after, after);
}

/** Pods that are too many: first those whose number another one has, then the least useful (activePodsForRemoval). */
function surplusOf({ job, active }: Sync, count: number): readonly Pod[] {
  const seen = new Set<number>();
  const doubled = !isIndexed(job)
    ? []
    : active.filter((pod) => {
        const index = indexOf(job, pod);
        if (index === undefined || seen.has(index)) return true;
        seen.add(index);
        return false;
      });
  const rest = active.filter((pod) => !doubled.includes(pod)).sort(deleteFirst);
  return [...doubled, ...rest.slice(0, Math.max(0, count - doubled.length))];
}

/** The lowest numbers that nobody works on and that are not done. */
function pendingIndexes({ job, active, pods, succeededIndexes }: Sync, count: number): readonly number[] {
  const waited = job.spec.podReplacementPolicy === "Failed" ? pods.filter(isTerminating) : [];
  const taken = new Set([...active, ...waited].map((pod) => indexOf(job, pod)));
  const found: number[] = [];
  for (let index = 0; index < (job.spec.completions ?? 0) && found.length < count; index++) {
    if (!taken.has(index) && !succeededIndexes.has(index)) found.push(index);
  }
  return found;
}

function terminal({ type, reason = "", message = "" }: Condition, now: Time): Condition {
  return newCondition(type === "SuccessCriteriaMet" ? "Complete" : "Failed", "True", reason, message, now);
}

function withoutEmpty<T extends Readonly<Record<string, readonly string[]>>>(lists: T): Partial<T> {
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)) as Partial<T>;
}
