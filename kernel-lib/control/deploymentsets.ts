/** Owns a Deployment's ReplicaSets: the one of its template, made if need be, and their revisions (deployment/sync.go). */
import { same } from "../api/equal";
import { recordEvent } from "../api/events";
import type { Draft, Kinds } from "../api/kinds";
import { controllerOf, keyFor, keyOf, ownedBy } from "../api/meta";
import type { Context } from "./context";
import { hasDeadline, withCondition } from "./deploymentstatus";
import { templateHash } from "./hash";
import { deploymentController as by, desiredAnnotation, hashLabel, maxAnnotation, revisionAnnotation } from "./names";
import { byAge, sizeOf, sizesOf, upTo } from "./rolling";

type Deployment = Kinds["Deployment"];
type ReplicaSet = Kinds["ReplicaSet"];

export interface Sets {
  /** Undefined: there is none of the template yet, and none was to be made. */
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

/** A hash that another ReplicaSet has already: counted in the Deployment's status, and tried again with that. */
export class Collision extends Error {}

export class DeploymentSets {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * The ReplicaSets of a Deployment, the current one with the newest revision.
   * @throws Collision
   */
  of(deployment: Deployment, make: boolean): Sets {
    const all = this.#context.store.list("ReplicaSet", { owner: deployment.metadata.uid });
    // The oldest of several: so the same one is found each time.
    const found = [...all].sort(byAge).find((set) => sameTemplate(set, deployment));
    const old = all.filter((set) => set !== found);
    const revision = Math.max(0, ...old.map(revisionOf)) + 1;
    if (found) return { current: this.#renew(found, deployment, revision), old };
    return { current: make ? this.#make(deployment, old, revision) : undefined, old };
  }

  /** How a Deployment's template and its annotations come to its own ReplicaSet. */
  #make(deployment: Deployment, old: readonly ReplicaSet[], revision: number): ReplicaSet {
    const { metadata, spec } = deployment;
    const { store } = this.#context;
    const hash = templateHash(spec.template, deployment.status.collisionCount);
    const name = `${metadata.name}-${hash}`;
    const labels = { ...spec.template.metadata?.labels, [hashLabel]: hash };
    const replicas = upTo(deployment, undefined, old);
    const draft: Draft<"ReplicaSet"> = {
      kind: "ReplicaSet",
      metadata: {
        name,
        namespace: metadata.namespace ?? "default",
        labels,
        annotations: {
          ...copied(metadata.annotations),
          ...sizesOf(deployment),
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
    if (store.get("ReplicaSet", keyFor(metadata.namespace, name))) this.#collide(deployment);
    const made = store.create("ReplicaSet", draft, by);
    if (replicas > 0) this.tellScaled(deployment, name, 0, replicas);
    this.#setRevision(deployment, revision);
    if (hasDeadline(deployment)) this.#note(deployment, "NewReplicaSetCreated", `Created new replica set "${name}"`);
    return made;
  }

  #collide(deployment: Deployment): never {
    const status = { ...deployment.status, collisionCount: (deployment.status.collisionCount ?? 0) + 1 };
    this.#context.store.setStatus("Deployment", keyOf(deployment), status, by);
    throw new Collision();
  }

  /** A ReplicaSet that is current again gets the newest revision, and remembers those that it had. */
  #renew(set: ReplicaSet, deployment: Deployment, least: number): ReplicaSet {
    const { store } = this.#context;
    const had = revisionOf(set);
    const revision = Math.max(had, least);
    const { minReadySeconds } = deployment.spec;
    const annotations = {
      ...set.metadata.annotations,
      ...copied(deployment.metadata.annotations),
      [revisionAnnotation]: String(revision),
      ...(had > 0 && had < least && { [historyAnnotation]: withRevision(set, had) }),
    };
    const renewed = store.update(
      "ReplicaSet",
      keyOf(set),
      (now) => {
        const { minReadySeconds: _old, ...spec } = now.spec;
        return {
          ...now,
          metadata: { ...now.metadata, annotations },
          spec: { ...spec, ...(minReadySeconds !== undefined && { minReadySeconds }) },
        };
      },
      by,
    );
    this.#setRevision(deployment, revision);
    const progressing = deployment.status.conditions?.some(({ type }) => type === "Progressing");
    if (hasDeadline(deployment) && !progressing) {
      this.#note(deployment, "FoundNewReplicaSet", `Found new replica set "${set.metadata.name}"`);
    }
    return renewed;
  }

  #note(deployment: Deployment, reason: string, message: string): void {
    const { sim, store } = this.#context;
    const now = store.get("Deployment", keyOf(deployment));
    if (!now) return;
    const bare = { type: "Progressing", status: "True", reason, message } as const;
    store.setStatus("Deployment", keyOf(deployment), withCondition(now.status, bare, sim.clock.now), by);
  }

  #setRevision(deployment: Deployment, revision: number): void {
    const change = (now: Deployment): Deployment => {
      if (now.metadata.annotations?.[revisionAnnotation] === String(revision)) return now;
      const annotations = { ...now.metadata.annotations, [revisionAnnotation]: String(revision) };
      return { ...now, metadata: { ...now.metadata, annotations } };
    };
    this.#context.store.update("Deployment", keyOf(deployment), change, by);
  }

  /** Changes the size of a ReplicaSet, and tells it; its notes of the Deployment's sizes are renewed in any case. */
  resize(deployment: Deployment, set: ReplicaSet, replicas: number): boolean {
    const { store } = this.#context;
    const before = sizeOf(set);
    const change = (now: ReplicaSet): ReplicaSet => {
      const annotations = { ...now.metadata.annotations, ...sizesOf(deployment) };
      return { ...now, metadata: { ...now.metadata, annotations }, spec: { ...now.spec, replicas } };
    };
    store.update("ReplicaSet", keyOf(set), change, by);
    if (replicas === before) return false;
    this.tellScaled(deployment, set.metadata.name, before, replicas);
    return true;
  }

  /** `Scaled up replica set web-5d4f8c from 1 to 3` */
  tellScaled(about: Deployment, name: string, before: number, now: number): void {
    const { sim, store } = this.#context;
    const message = `Scaled ${now > before ? "up" : "down"} replica set ${name} from ${before} to ${now}`;
    recordEvent(sim, store, { about, type: "Normal", reason: "ScalingReplicaSet", message, component: by });
  }

  /** Old ReplicaSets without pods beyond revisionHistoryLimit go, the oldest revisions first (cleanupDeployment). */
  forget(deployment: Deployment, old: readonly ReplicaSet[]): void {
    const limit = deployment.spec.revisionHistoryLimit ?? noLimit;
    const alive = old.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (limit === noLimit || alive.length <= limit) return;
    const oldest = [...alive].sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, alive.length - limit);
    for (const set of oldest) {
      const unseen = (set.metadata.generation ?? 0) > (set.status.observedGeneration ?? 0);
      if (set.status.replicas !== 0 || sizeOf(set) !== 0 || unseen) continue;
      this.#context.store.delete("ReplicaSet", keyOf(set), by);
    }
  }

  /** Whether pods of other templates are there, be it on their way out (oldPodsRunning). */
  hasOldPods(current: ReplicaSet | undefined, old: readonly ReplicaSet[]): boolean {
    if (old.some(({ status }) => status.replicas > 0)) return true;
    return old.some((set) => {
      if (set.metadata.uid === current?.metadata.uid) return false;
      const pods = this.#context.store.list("Pod", { owner: set.metadata.uid });
      return pods.some(({ status }) => status.phase !== "Failed" && status.phase !== "Succeeded");
    });
  }
}

/** Every old ReplicaSet is kept (math.MaxInt32). */
const noLimit = 2 ** 31 - 1;

const historyAnnotation = "deployment.kubernetes.io/revision-history";
/** In characters (maxRevHistoryLengthInChars). */
const longestHistory = 2000;

/** The revisions that a ReplicaSet had before, the oldest dropped where they would be too many. */
function withRevision({ metadata }: ReplicaSet, revision: number): string {
  const before = metadata.annotations?.[historyAnnotation];
  const all = before ? [...before.split(","), String(revision)] : [String(revision)];
  while (all.length > 1 && all.join(",").length > longestHistory) all.shift();
  return all.join(",");
}

/** The key of the Deployment that controls a ReplicaSet. */
export function deploymentOf(set: ReplicaSet | undefined): string | undefined {
  const owner = set && controllerOf(set);
  return owner?.kind === "Deployment" ? keyFor(set?.metadata.namespace, owner.name) : undefined;
}

export function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[revisionAnnotation] ?? 0) || 0;
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

const notCopied = [
  "kubectl.kubernetes.io/last-applied-configuration",
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
];

function copied(annotations: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations ?? {}).filter(([name]) => !notCopied.includes(name)));
}
