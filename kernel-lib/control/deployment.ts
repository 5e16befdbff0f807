/**
 * Owns rollouts: a Deployment's ReplicaSets, one per template, and how many pods each has (pkg/controller/deployment).
 */
import type { Again, Controller } from "../api/controller";
import { same } from "../api/equal";
import { recordEvent } from "../api/events";
import type { Draft, Kinds } from "../api/kinds";
import { controllerOf, type Key, keyFor, keyOf, ownedBy } from "../api/meta";
import { parseTime } from "../api/time";
import { second } from "../sim/clock";
import type { Context } from "./context";
import { conditionsOf, deploymentStatus } from "./deploymentstatus";
import { templateHash } from "./hash";
import { deploymentController as by, desiredAnnotation, hashLabel, maxAnnotation, revisionAnnotation } from "./names";
import { isActive } from "./pods";
import { type Bounds, boundsOf, downTo, proportions, upTo } from "./rolling";

type Deployment = Kinds["Deployment"];
type ReplicaSet = Kinds["ReplicaSet"];

interface Sets {
  readonly current: ReplicaSet;
  readonly old: readonly ReplicaSet[];
}

export function deploymentControllerOf({ sim, store }: Context): Controller {
  function ownerKeys(object: ReplicaSet | undefined): readonly Key[] {
    const owner = object && controllerOf(object);
    return owner?.kind === "Deployment" ? [keyFor(object?.metadata.namespace, owner.name)] : [];
  }

  /** The ReplicaSet of the template as it is now, made if there is none (but not while paused); and all others. */
  function sets(deployment: Deployment): Sets | undefined {
    const all = store.list("ReplicaSet", { owner: deployment.metadata.uid });
    const newest = [...all].sort((a, b) => revisionOf(b) - revisionOf(a))[0];
    const found = all.find((set) => sameTemplate(set, deployment)) ?? (deployment.spec.paused ? newest : undefined);
    if (!found && deployment.spec.paused) return undefined;
    const old = all.filter((set) => set !== found);
    const revision = Math.max(0, ...old.map(revisionOf)) + 1;
    const current = found ? renew(found, deployment, revision) : make(deployment, old, revision);
    return { current, old };
  }

  function make(deployment: Deployment, old: readonly ReplicaSet[], revision: number): ReplicaSet {
    const { metadata, spec } = deployment;
    const hash = templateHash(spec.template, deployment.status.collisionCount);
    const labels = { ...spec.template.metadata?.labels, [hashLabel]: hash };
    const bounds = boundsOf(deployment);
    const replicas = startWith(deployment, old, bounds);
    const draft: Draft<"ReplicaSet"> = {
      kind: "ReplicaSet",
      metadata: {
        name: `${metadata.name}-${hash}`,
        namespace: metadata.namespace ?? "default",
        labels,
        annotations: {
          ...copied(metadata.annotations),
          ...sizes(deployment, bounds),
          [revisionAnnotation]: String(revision),
        },
        ownerReferences: [ownedBy(deployment)],
      },
      spec: {
        replicas,
        ...(spec.minReadySeconds !== undefined && { minReadySeconds: spec.minReadySeconds }),
        selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [hashLabel]: hash } },
        template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
      },
      status: { replicas: 0 },
    };
    const made = store.create("ReplicaSet", draft, by);
    setRevision(deployment, revision);
    if (replicas > 0) tell(deployment, `Scaled up replica set ${made.metadata.name} from 0 to ${replicas}`);
    return made;
  }

  /** A ReplicaSet that is current again gets the newest revision. */
  function renew(set: ReplicaSet, deployment: Deployment, least: number): ReplicaSet {
    const revision = Math.max(revisionOf(set), least);
    setRevision(deployment, revision);
    return annotate(set, deployment, {
      ...copied(deployment.metadata.annotations),
      [revisionAnnotation]: String(revision),
    });
  }

  function annotate(set: ReplicaSet, deployment: Deployment, more: Readonly<Record<string, string>>): ReplicaSet {
    const annotations = { ...set.metadata.annotations, ...sizes(deployment, boundsOf(deployment)), ...more };
    return store.update(
      "ReplicaSet",
      keyOf(set),
      (now) => ({ ...now, metadata: { ...now.metadata, annotations } }),
      by,
    );
  }

  function setRevision(deployment: Deployment, revision: number): void {
    const change = (now: Deployment): Deployment => {
      const annotations = { ...now.metadata.annotations, [revisionAnnotation]: String(revision) };
      return { ...now, metadata: { ...now.metadata, annotations } };
    };
    store.update("Deployment", keyOf(deployment), change, by);
  }

  function resize(deployment: Deployment, set: ReplicaSet, replicas: number): void {
    const before = set.spec.replicas ?? 0;
    if (replicas === before) return;
    store.update("ReplicaSet", keyOf(set), (now) => ({ ...now, spec: { ...now.spec, replicas } }), by);
    annotate(set, deployment, {});
    const word = replicas > before ? "up" : "down";
    tell(deployment, `Scaled ${word} replica set ${set.metadata.name} from ${before} to ${replicas}`);
  }

  function tell(deployment: Deployment, message: string): void {
    recordEvent(sim, store, { about: deployment, type: "Normal", reason: "ScalingReplicaSet", message, component: by });
  }

  /** `kubectl scale` in the middle of a rollout: every ReplicaSet gets its share. */
  function scaleAll(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): boolean {
    const active = [current, ...old].filter((set) => (set.spec.replicas ?? 0) > 0);
    const wanted = deployment.spec.replicas ?? 1;
    const stale = active.filter((set) => set.metadata.annotations?.[desiredAnnotation] !== String(wanted));
    if (stale.length === 0) return false;
    const only = active[0];
    if (active.length === 1 && only) resize(deployment, only, wanted);
    else for (const [set, replicas] of proportions(deployment, active)) resize(deployment, set, replicas);
    for (const set of [current, ...old]) annotate(store.get("ReplicaSet", keyOf(set)) ?? set, deployment, {});
    return active.length > 1;
  }

  function recreate(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): void {
    const running = old.filter((set) => (set.spec.replicas ?? 0) > 0);
    for (const set of running) resize(deployment, set, 0);
    const left = old
      .flatMap((set) => store.list("Pod", { owner: set.metadata.uid }))
      .filter((pod) => isActive(pod) || pod.metadata.deletionTimestamp);
    if (running.length === 0 && left.length === 0) resize(deployment, current, deployment.spec.replicas ?? 1);
  }

  function roll(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): void {
    const bounds = boundsOf(deployment);
    const larger = upTo(deployment, current, old, bounds);
    if (larger !== (current.spec.replicas ?? 0)) resize(deployment, current, larger);
    else for (const [set, replicas] of downTo(current, old, bounds)) resize(deployment, set, replicas);
  }

  /** Old ReplicaSets without pods beyond revisionHistoryLimit go. */
  function forget(deployment: Deployment, old: readonly ReplicaSet[]): void {
    const empty = old.filter((set) => (set.spec.replicas ?? 0) === 0 && set.status.replicas === 0);
    const surplus = empty.length - (deployment.spec.revisionHistoryLimit ?? 10);
    const oldest = [...empty].sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, surplus));
    for (const set of oldest) store.delete("ReplicaSet", keyOf(set), by);
  }

  function writeStatus(key: Key, current: ReplicaSet, old: readonly ReplicaSet[]): Again | undefined {
    const deployment = store.get("Deployment", key);
    if (!deployment) return undefined;
    const now = store.get("ReplicaSet", keyOf(current)) ?? current;
    const all = [now, ...old.flatMap((set) => store.get("ReplicaSet", keyOf(set)) ?? [])];
    const counts = deploymentStatus(deployment, now, all);
    const conditions = conditionsOf(deployment, counts, now, sim.clock.now);
    const status = { ...counts, ...(conditions.length > 0 && { conditions }) };
    store.setStatus("Deployment", key, status, by);
    const progressing = conditions.find((condition) => condition.type === "Progressing");
    if (progressing?.reason !== "ReplicaSetUpdated" && progressing?.reason !== "NewReplicaSetCreated") return undefined;
    const since = parseTime(progressing.lastUpdateTime ?? "") ?? sim.clock.now;
    const deadline = since + (deployment.spec.progressDeadlineSeconds ?? 600) * second;
    return { after: Math.max(0, deadline - sim.clock.now) + second, kind: "background" };
  }

  function reconcile(key: Key): Again | undefined {
    const deployment = store.get("Deployment", key);
    if (!deployment || deployment.metadata.deletionTimestamp !== undefined) return undefined;
    const found = sets(deployment);
    if (!found) return undefined;
    const { current, old } = found;
    const busy = scaleAll(deployment, current, old);
    const [now, rest] = [fresh(current), old.map(fresh)];
    if (!busy && !deployment.spec.paused) {
      if (deployment.spec.strategy?.type === "Recreate") recreate(deployment, now, rest);
      else roll(deployment, now, rest);
      forget(deployment, rest);
    }
    return writeStatus(key, now, rest);
  }

  function fresh(set: ReplicaSet): ReplicaSet {
    return store.get("ReplicaSet", keyOf(set)) ?? set;
  }

  return {
    name: by,
    watches: {
      Deployment: (key) => [key],
      ReplicaSet: (_key, now, before) => [...new Set([...ownerKeys(now), ...ownerKeys(before)])],
      Pod: (_key, now, before) => (now ? [] : recreated(before)),
    },
    reconcile,
  };

  /** Only Recreate waits for pods to be gone. */
  function recreated(pod: Kinds["Pod"] | undefined): readonly Key[] {
    const owner = pod && controllerOf(pod);
    if (owner?.kind !== "ReplicaSet") return [];
    return ownerKeys(store.get("ReplicaSet", keyFor(pod?.metadata.namespace, owner.name)));
  }
}

/** Templates of ReplicaSets that were found to be those of a Deployment: neither is ever changed, only replaced. */
const sameTemplates = new WeakMap<object, object>();

function sameTemplate(set: ReplicaSet, deployment: Deployment): boolean {
  const { template } = set.spec;
  if (template && sameTemplates.get(template) === deployment.spec.template) return true;
  const is = hasSameTemplate(set, deployment);
  if (is && template) sameTemplates.set(template, deployment.spec.template);
  return is;
}

function hasSameTemplate(set: ReplicaSet, deployment: Deployment): boolean {
  const { [hashLabel]: _hash, ...labels } = set.spec.template?.metadata?.labels ?? {};
  const { metadata, ...rest } = set.spec.template ?? {};
  return same(
    { ...rest, metadata: { ...metadata, labels } },
    {
      ...deployment.spec.template,
      metadata: { ...deployment.spec.template.metadata, labels: deployment.spec.template.metadata?.labels ?? {} },
    },
  );
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[revisionAnnotation] ?? 0);
}

function sizes(deployment: Deployment, bounds: Bounds): Readonly<Record<string, string>> {
  const wanted = deployment.spec.replicas ?? 1;
  return { [desiredAnnotation]: String(wanted), [maxAnnotation]: String(wanted + bounds.surge) };
}

/** A new ReplicaSet of a rollout starts with what the surge allows; alone, or on Recreate, see `recreate`. */
function startWith(deployment: Deployment, old: readonly ReplicaSet[], bounds: Bounds): number {
  const wanted = deployment.spec.replicas ?? 1;
  const others = old.reduce((sum, set) => sum + (set.spec.replicas ?? 0), 0);
  if (deployment.spec.strategy?.type === "Recreate") return others > 0 ? 0 : wanted;
  return Math.max(0, Math.min(wanted, wanted + bounds.surge - others));
}

const notCopied = [
  "kubectl.kubernetes.io/last-applied-configuration",
  revisionAnnotation,
  desiredAnnotation,
  maxAnnotation,
];

function copied(annotations: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations ?? {}).filter(([name]) => !notCopied.includes(name)));
}
