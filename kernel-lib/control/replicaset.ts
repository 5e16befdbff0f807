/** Owns the number of pods: a ReplicaSet has as many as it asks for (pkg/controller/replicaset). */
import type { Again, Controller } from "../api/controller";
import { forbidden, StatusError } from "../api/errors";
import { recordEvent } from "../api/events";
import { type Draft, type Kinds, resourceOf } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf } from "../api/meta";
import { matchesLabels, matchesSelector } from "../api/selectors";
import { rfc3339 } from "../api/time";
import type { Time } from "../sim/clock";
import type { Context } from "./context";
import { replicaSetController as by } from "./names";
import { PodCounts, type Tally } from "./podcounts";
import { isActive, isReady, isTerminating, untilAvailable } from "./pods";
import { podFrom } from "./template";
import { victims } from "./victims";

type Pod = Kinds["Pod"];
type ReplicaSet = Kinds["ReplicaSet"];

/** Creations and deletions in one go (BurstReplicas). */
const burst = 500;

export function replicaSetControllerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);
  const counts = new PodCounts();

  function ownerKeys(_key: Key, now: Pod | undefined, before: Pod | undefined): readonly Key[] {
    counts.see(now, before);
    const owner = now && controllerOf(now);
    // Nearly always it is the same owner's as before.
    if (owner?.kind === "ReplicaSet" && now?.metadata.ownerReferences === before?.metadata.ownerReferences) {
      return [keyFor(now?.metadata.namespace, owner.name)];
    }
    const keys = [now, before].flatMap((pod) => {
      const owner = pod && controllerOf(pod);
      if (owner) return owner.kind === "ReplicaSet" ? keyFor(pod.metadata.namespace, owner.name) : [];
      return pod ? orphansOwners(pod) : [];
    });
    return [...new Set(keys)];
  }

  /** A pod that nobody owns may fit a ReplicaSet's selector. */
  function orphansOwners(pod: Pod): readonly Key[] {
    if (!pod.metadata.labels) return [];
    const sets = store.list("ReplicaSet", { namespace: pod.metadata.namespace ?? "" });
    return sets.filter((set) => matchesSelector(set.spec.selector, pod.metadata.labels ?? {})).map(keyOf);
  }

  /** The set's own pods, adopting orphans that fit and letting go those that no longer do. */
  function claim(set: ReplicaSet): readonly Pod[] {
    const mine = store.list("Pod", { owner: set.metadata.uid });
    const fits = (pod: Pod): boolean => matchesSelector(set.spec.selector, pod.metadata.labels ?? {});
    const orphans =
      set.metadata.deletionTimestamp === undefined
        ? store
            .list("Pod", { namespace: set.metadata.namespace ?? "", selector: set.spec.selector })
            .filter((pod) => !controllerOf(pod) && isActive(pod))
        : [];
    const adopted = orphans.map((pod) => own(pod, set));
    const released = mine.filter((pod) => !fits(pod) && pod.metadata.deletionTimestamp === undefined);
    for (const pod of released) disown(pod, set);
    return [...mine.filter(fits), ...adopted].filter(isActive);
  }

  function own(pod: Pod, set: ReplicaSet): Pod {
    const { apiVersion, kind, metadata } = set;
    const owner = {
      apiVersion,
      blockOwnerDeletion: true,
      controller: true,
      kind,
      name: metadata.name,
      uid: metadata.uid,
    };
    const change = (now: Pod): Pod => {
      return {
        ...now,
        metadata: { ...now.metadata, ownerReferences: [...(now.metadata.ownerReferences ?? []), owner] },
      };
    };
    return store.update("Pod", keyOf(pod), change, by);
  }

  function disown(pod: Pod, set: ReplicaSet): void {
    const change = (now: Pod): Pod => {
      const { ownerReferences = [], ...rest } = now.metadata;
      const owners = ownerReferences.filter((owner) => owner.uid !== set.metadata.uid);
      return { ...now, metadata: { ...rest, ...(owners.length > 0 && { ownerReferences: owners }) } };
    };
    store.update("Pod", keyOf(pod), change, by);
  }

  function create(set: ReplicaSet): void {
    const draft = podFrom(set, set.spec.template ?? {}, random);
    checkServiceAccount(store, draft);
    const pod = store.create("Pod", draft, by);
    tell(set, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
  }

  function remove(set: ReplicaSet, pod: Pod): void {
    store.delete("Pod", keyOf(pod), by, { uid: pod.metadata.uid });
    tell(set, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
  }

  function tell(about: ReplicaSet, type: "Normal" | "Warning", reason: string, message: string): void {
    recordEvent(sim, store, { about, type, reason, message, component: by });
  }

  /** The pods that go: a node with more pods of the same Deployment gives first (getIndirectlyRelatedPods). */
  function tooMany(set: ReplicaSet, pods: readonly Pod[], count: number): readonly Pod[] {
    const owner = controllerOf(set);
    const related = owner
      ? store
          .list("ReplicaSet", { owner: owner.uid })
          .flatMap((each) => store.list("Pod", { owner: each.metadata.uid }))
      : pods;
    const perNode = new Map<string, number>();
    for (const pod of related.filter(isActive)) {
      const node = pod.spec.nodeName ?? "";
      perNode.set(node, (perNode.get(node) ?? 0) + 1);
    }
    return victims(pods, count, (pod) => perNode.get(pod.spec.nodeName ?? "") ?? 0, sim.clock.now);
  }

  /**
   * Brings the number of pods nearer to what is asked for (manageReplicas). What was made or deleted is in the store at
   * once, so there are no expectations to wait for, as upstream has them for its caches.
   * @returns what the API server said against it, if it did
   */
  function manage(set: ReplicaSet, pods: readonly Pod[]): StatusError | undefined {
    const missing = (set.spec.replicas ?? 1) - pods.length;
    if (missing < 0) for (const pod of tooMany(set, pods, Math.min(-missing, burst))) remove(set, pod);
    const error = slowStart(Math.min(missing, burst), () => create(set));
    if (error) tell(set, "Warning", "FailedCreate", `Error creating: ${error.message}`);
    return error;
  }

  function tallyOf(set: ReplicaSet): Counts {
    const mine = store.list("Pod", { owner: set.metadata.uid });
    const pods = mine.filter((pod) => isActive(pod) && matchesSelector(set.spec.selector, pod.metadata.labels ?? {}));
    const seconds = set.spec.minReadySeconds ?? 0;
    const labels = set.spec.template?.metadata?.labels ?? {};
    const waits = pods.flatMap((pod) => untilAvailable(pod, seconds, sim.clock.now) ?? []);
    const ready = pods.filter(isReady).length;
    return {
      active: pods.length,
      ready,
      available: ready - waits.length,
      labeled: pods.filter((pod) => matchesLabels(labels, pod.metadata.labels ?? {})).length,
      terminating: mine.filter(isTerminating).length,
      ...(waits.length > 0 && { wait: Math.min(...waits) }),
    };
  }

  function writeStatus(set: ReplicaSet, counts: Counts, error?: StatusError): Again | undefined {
    const { active, ready, available, labeled, terminating, wait } = counts;
    const status: { -readonly [K in keyof Status]: Status[K] } = { replicas: active };
    if (labeled > 0) status.fullyLabeledReplicas = labeled;
    if (ready > 0) status.readyReplicas = ready;
    if (available > 0) status.availableReplicas = available;
    status.terminatingReplicas = terminating;
    if (set.metadata.generation !== undefined) status.observedGeneration = set.metadata.generation;
    const conditions = failures(set, error);
    if (conditions.length > 0) status.conditions = conditions;
    store.setStatus("ReplicaSet", keyOf(set), status, by);
    return wait === undefined ? undefined : { after: wait };
  }

  /** `ReplicaFailure` for as long as pods cannot be made. */
  function failures({ status }: ReplicaSet, error: StatusError | undefined): readonly Condition[] {
    const others = (status.conditions ?? []).filter(({ type }) => type !== "ReplicaFailure");
    if (!error) return others;
    const before = status.conditions?.find(({ type }) => type === "ReplicaFailure");
    if (before) return status.conditions ?? [];
    const lastTransitionTime = rfc3339(sim.clock.now);
    const { message } = error;
    return [...others, { lastTransitionTime, message, reason: "FailedCreate", status: "True", type: "ReplicaFailure" }];
  }

  /** All that there is to do for a set that has as many pods as it should: to say how they are. */
  function counted(set: ReplicaSet): Counts | undefined {
    if (set.spec.minReadySeconds) return undefined;
    const { uid, namespace = "" } = set.metadata;
    const tally = counts.of({ uid, namespace }, set.spec.selector, set.spec.template?.metadata?.labels ?? {});
    return tally?.active === (set.spec.replicas ?? 1) ? { ...tally, available: tally.ready } : undefined;
  }

  function reconcile(key: Key): Again | undefined {
    const set = store.get("ReplicaSet", key);
    if (!set) return undefined;
    const tally = counted(set);
    if (tally) return writeStatus(set, tally);
    const pods = claim(set);
    const error = set.metadata.deletionTimestamp === undefined ? manage(set, pods) : undefined;
    const latest = store.get("ReplicaSet", key) ?? set;
    const again = writeStatus(latest, tallyOf(latest), error);
    // The queue tries it again, later and later.
    if (error) throw error;
    return again;
  }

  return { name: by, watches: { ReplicaSet: (key) => [key], Pod: ownerKeys }, reconcile };
}

/** What a ReplicaSet says of its pods, and how long until one more is available. */
interface Counts extends Tally {
  readonly available: number;
  readonly wait?: Time;
}

/** What v1.36 says beyond the type package. */
type Status = ReplicaSet["status"] & { readonly terminatingReplicas?: number };
type Condition = NonNullable<Status["conditions"]>[number];

/**
 * Does something so many times, in batches of 1, 2, 4, …: what always fails has then not been tried many times
 * (slowStartBatch).
 * @returns the first error of the batch that was the last one
 */
function slowStart(count: number, act: () => void): StatusError | undefined {
  for (let [left, batch] = [count, 1]; left > 0; left -= batch, batch *= 2) {
    let failure: StatusError | undefined;
    for (let nth = 0; nth < Math.min(batch, left); nth++) {
      try {
        act();
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        failure ??= error;
      }
    }
    if (failure) return failure;
  }
  return undefined;
}

/** The ServiceAccount admission plugin: a pod of a template is refused like any other. */
function checkServiceAccount(store: Context["store"], { metadata, spec }: Draft<"Pod">): void {
  const { namespace = "default", generateName = "" } = metadata;
  const account = spec.serviceAccountName ?? "default";
  if (store.get("ServiceAccount", keyFor(namespace, account))) return;
  const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`;
  throw forbidden(resourceOf("Pod"), generateName, why);
}
