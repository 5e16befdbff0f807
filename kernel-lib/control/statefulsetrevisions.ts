/**
 * Owns the history of a StatefulSet: one ControllerRevision for each template that it had (pkg/controller/history,
 * pkg/controller/statefulset).
 */
import { same } from "../api/equal";
import type { Kinds } from "../api/kinds";
import { controllerOf, keyFor, keyOf, ownedBy } from "../api/meta";
import { matchesSelector } from "../api/selectors";
import type { Store } from "../api/store";
import { templateHash } from "./hash";
import { statefulSetController as by } from "./names";

type StatefulSet = Kinds["StatefulSet"];
type Revision = Kinds["ControllerRevision"];
type Template = StatefulSet["spec"]["template"];

/** What a revision remembers: a patch that brings its template back. */
interface Data {
  readonly spec: { readonly template: Template & { readonly $patch: "replace" } };
}

export interface Revisions {
  /** What pods are made of that are not to be updated yet. */
  readonly current: Revision;
  readonly update: Revision;
  readonly all: readonly Revision[];
}

/** All revisions of a set, the oldest first; those that an earlier set of its kind left behind are adopted. */
function revisionsOf(store: Store, set: StatefulSet): readonly Revision[] {
  const { namespace = "", uid, deletionTimestamp } = set.metadata;
  const own = store.list("ControllerRevision", { owner: uid });
  if (deletionTimestamp !== undefined) return [...own].sort(inOrder);
  const orphans = store.list("ControllerRevision", { namespace }).filter((revision) => {
    return !controllerOf(revision) && matchesSelector(set.spec.selector, revision.metadata.labels ?? {});
  });
  const adopt = (now: Revision): Revision => {
    const ownerReferences = [...(now.metadata.ownerReferences ?? []), ownedBy(set)];
    return { ...now, metadata: { ...now.metadata, ownerReferences } };
  };
  const adopted = orphans.map((orphan) => store.update("ControllerRevision", keyOf(orphan), adopt, by));
  return [...own, ...adopted].sort(inOrder);
}

function inOrder(one: Revision, other: Revision): number {
  return one.revision - other.revision || (one.metadata.name < other.metadata.name ? -1 : 1);
}

/** The set's current and its wanted revision; a new template gets a revision, an old one that is back the newest number. */
export function findRevisions(store: Store, set: StatefulSet): Revisions {
  const known = revisionsOf(store, set);
  const newest = known.at(-1);
  const data = dataOf(set.spec.template);
  const equal = known.filter((revision) => revision.data === data || same(revision.data, data)).at(-1);
  const number = (newest?.revision ?? 0) + 1;
  const update = !equal ? make(store, set, data, number) : equal === newest ? equal : renumber(store, equal, number);
  const all = [...known.filter(({ metadata }) => metadata.name !== update.metadata.name), update];
  const current = all.find(({ metadata }) => metadata.name === set.status.currentRevision) ?? update;
  return { current, update, all };
}

function make(store: Store, set: StatefulSet, data: Data, revision: number): Revision {
  const { name, namespace = "default", annotations } = set.metadata;
  // Another set's revision may have the name: then the hash is made of one number more.
  let hash = templateHash(data);
  const taken = (): boolean => store.get("ControllerRevision", keyFor(namespace, `${name}-${hash}`)) !== undefined;
  for (let collisions = 1; taken(); collisions++) hash = templateHash(data, collisions);
  const draft = {
    kind: "ControllerRevision" as const,
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels: { ...set.spec.template.metadata?.labels, "controller.kubernetes.io/hash": hash },
      ...(annotations && { annotations }),
      ownerReferences: [ownedBy(set)],
    },
    data: data as object,
    revision,
  };
  return store.create("ControllerRevision", draft, by);
}

function renumber(store: Store, { metadata }: Revision, revision: number): Revision {
  return store.update("ControllerRevision", keyOf({ metadata }), (now) => ({ ...now, revision }), by);
}

/** Revisions that no pod has and that are more than `revisionHistoryLimit`: the oldest go. */
export function forgetRevisions(
  store: Store,
  set: StatefulSet,
  revisions: Revisions,
  inUse: ReadonlySet<string>,
): void {
  const { current, update, all } = revisions;
  const idle = all.filter(({ metadata: { name } }) => {
    return name !== current.metadata.name && name !== update.metadata.name && !inUse.has(name);
  });
  const surplus = idle.length - (set.spec.revisionHistoryLimit ?? 10);
  for (const revision of idle.slice(0, Math.max(0, surplus))) store.delete("ControllerRevision", keyOf(revision), by);
}

const patches = new WeakMap<Template, Data>();

/** Objects of the store never change: one patch for a template. */
function dataOf(template: Template): Data {
  const known = patches.get(template);
  if (known) return known;
  const made: Data = { spec: { template: { ...template, $patch: "replace" } } };
  patches.set(template, made);
  return made;
}

const templates = new WeakMap<object, Template>();

/** The template that a revision remembers: always the same object. */
export function templateOf({ data }: Revision): Template {
  const key = data as unknown as Data;
  const known = templates.get(key);
  if (known) return known;
  const { $patch: _patch, ...template } = key.spec.template;
  templates.set(key, template);
  return template;
}
