/** Owns the history of a DaemonSet: which of its revisions there are, and which are forgotten (pkg/controller/daemon/update.go). */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import { hashLabel } from "./daemonpods";
import { templateHash } from "./hash";
import { forgetOldest, type Keeping, revisionOf, revisionsOf } from "./history";
import { daemonSetController as by } from "./names";

type DaemonSet = Kinds["DaemonSet"];

const keeping: Keeping = {
  by,
  label: hashLabel,
  // Its pods have the same hash.
  hashOf: ({ spec }, _, collisions) => templateHash(spec.template, collisions),
};

export class DaemonHistory {
  readonly #store: Store;
  /** The generation of each set whose history is as it should be: a set is looked at for every pod of it. */
  readonly #kept = new Map<string, number | undefined>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** A set's history is to be looked at again, or the set is gone. */
  look(uid: string): void {
    this.#kept.delete(uid);
  }

  /** The set's template has a revision, and no more old ones than `revisionHistoryLimit` stay that no pod has. */
  keep(set: DaemonSet): void {
    const { uid, generation } = set.metadata;
    if (this.#kept.has(uid) && this.#kept.get(uid) === generation) return;
    const known = revisionsOf(this.#store, set, by);
    const current = revisionOf(this.#store, set, known, keeping);
    const old = known.filter(({ metadata }) => metadata.name !== current.metadata.name);
    if (old.length <= (set.spec.revisionHistoryLimit ?? 10)) {
      this.#kept.set(uid, generation);
      return;
    }
    const pods = this.#store.list("Pod", { owner: uid });
    const live = new Set(pods.map(({ metadata }) => metadata.labels?.[hashLabel]));
    const idle = old.filter(({ metadata }) => !live.has(metadata.labels?.[hashLabel]));
    forgetOldest(this.#store, set, idle, old.length, by);
  }
}
