/** Owns a set's history: one ControllerRevision for each template that it had (pkg/controller/history). */
import { same } from "../api/equal";
import type { Kinds } from "../api/kinds";
import { controllerOf, keyFor, keyOf, ownedBy } from "../api/meta";
import { matchesSelector } from "../api/selectors";
import type { Store } from "../api/store";

export type Revision = Kinds["ControllerRevision"];
export type Template = Kinds["StatefulSet"]["spec"]["template"];
/** What keeps its history so. */
export type Historic = Kinds["StatefulSet"] | Kinds["DaemonSet"];

/** What a revision remembers: a patch that brings its template back. */
interface Data {
  readonly spec: { readonly template: Template & { readonly $patch: "replace" } };
}

/** How one kind of sets keeps its history. */
export interface Keeping {
  /** The controller. */
  readonly by: string;
  /** The label of a revision's hash. */
  readonly label: string;
  hashOf(set: Historic, data: object, collisions: number): string;
}

/** All revisions of a set, the oldest first; those that an earlier set of its kind left behind are adopted. */
export function revisionsOf(store: Store, set: Historic, by: string): readonly Revision[] {
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

/** The revision of the set's template: a new template gets one, an old one that is back the newest number. */
export function revisionOf(store: Store, set: Historic, known: readonly Revision[], keeping: Keeping): Revision {
  const newest = known.at(-1);
  const data = dataOf(set.spec.template);
  const equal = known.filter((revision) => revision.data === data || same(revision.data, data)).at(-1);
  const number = (newest?.revision ?? 0) + 1;
  if (!equal) return make(store, set, data, number, keeping);
  if (equal === newest) return equal;
  return store.update("ControllerRevision", keyOf(equal), (now) => ({ ...now, revision: number }), keeping.by);
}

function make(store: Store, set: Historic, data: Data, revision: number, { by, label, hashOf }: Keeping): Revision {
  const { name, namespace = "default", annotations } = set.metadata;
  // Another set's revision may have the name: then the hash is made of one number more.
  let hash = hashOf(set, data, 0);
  const taken = (): boolean => store.get("ControllerRevision", keyFor(namespace, `${name}-${hash}`)) !== undefined;
  for (let collisions = 1; taken(); collisions++) hash = hashOf(set, data, collisions);
  const draft = {
    kind: "ControllerRevision" as const,
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels: { ...set.spec.template.metadata?.labels, [label]: hash },
      ...(annotations && { annotations }),
      ownerReferences: [ownedBy(set)],
    },
    data: data as object,
    revision,
  };
  return store.create("ControllerRevision", draft, by);
}

/** Of revisions that nothing needs any more those that are more than `revisionHistoryLimit`: the oldest go. */
export function forgetOldest(
  store: Store,
  set: Historic,
  idle: readonly Revision[],
  surplus: number,
  by: string,
): void {
  const most = surplus - (set.spec.revisionHistoryLimit ?? 10);
  for (const revision of idle.slice(0, Math.max(0, most))) store.delete("ControllerRevision", keyOf(revision), by);
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
