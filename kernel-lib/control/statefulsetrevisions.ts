/** Owns which revisions a StatefulSet is between: the one that its pods have, and the one that they should get. */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import { templateHash } from "./hash";
import { forgetOldest, type Keeping, type Revision, revisionOf, revisionsOf } from "./history";
import { statefulSetController as by } from "./names";

type StatefulSet = Kinds["StatefulSet"];

export interface Revisions {
  /** What pods are made of that are not to be updated yet. */
  readonly current: Revision;
  readonly update: Revision;
  readonly all: readonly Revision[];
}

const keeping: Keeping = {
  by,
  label: "controller.kubernetes.io/hash",
  hashOf: (_, data, collisions) => templateHash(data, collisions),
};

/** The set's current and its wanted revision. */
export function findRevisions(store: Store, set: StatefulSet): Revisions {
  const known = revisionsOf(store, set, by);
  const update = revisionOf(store, set, known, keeping);
  const all = [...known.filter(({ metadata }) => metadata.name !== update.metadata.name), update];
  const current = all.find(({ metadata }) => metadata.name === set.status.currentRevision) ?? update;
  return { current, update, all };
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
  forgetOldest(store, set, idle, idle.length, by);
}
