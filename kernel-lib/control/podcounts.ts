/** Owns how many pods each ReplicaSet has: counts kept as pods change, so that a set of thousands is not gone through. */
import type { Kinds } from "../api/kinds";
import { controllerOf, type LabelSelector, type Labels } from "../api/meta";
import { matchesLabels, matchesSelector } from "../api/selectors";
import { isActive, isReady, isTerminating } from "./pods";

type Pod = Kinds["Pod"];

/** The pods of one owner that carry the very same labels object: those of one template do. */
interface Count {
  active: number;
  ready: number;
  terminating: number;
}

/** What a ReplicaSet says of its pods. */
export interface Tally {
  readonly active: number;
  readonly ready: number;
  readonly labeled: number;
  /** On their way out. */
  readonly terminating: number;
}

export class PodCounts {
  readonly #owners = new Map<string, Map<Labels, Count>>();
  /** Active pods that nobody controls, by namespace. */
  readonly #orphans = new Map<string, number>();

  /** Follows every write of a pod. */
  see(now: Pod | undefined, before: Pod | undefined): void {
    if (before) this.#add(before, -1);
    if (now) this.#add(now, 1);
  }

  /**
   * The counts of an owner; undefined if its pods must be gone through, for some do not fit the selector, or there are pods
   * in its namespace that it may adopt.
   */
  of(
    owner: { readonly uid: string; readonly namespace: string },
    selector: LabelSelector,
    template: Labels,
  ): Tally | undefined {
    if (this.#orphans.get(owner.namespace)) return undefined;
    let [active, ready, labeled, terminating] = [0, 0, 0, 0];
    for (const [labels, count] of this.#owners.get(owner.uid) ?? []) {
      if (!matchesSelector(selector, labels)) return undefined;
      active += count.active;
      ready += count.ready;
      terminating += count.terminating;
      if (matchesLabels(template, labels)) labeled += count.active;
    }
    return { active, ready, labeled, terminating };
  }

  #add(pod: Pod, sign: number): void {
    const owner = controllerOf(pod);
    if (!owner) {
      if (!isActive(pod)) return;
      const namespace = pod.metadata.namespace ?? "";
      this.#orphans.set(namespace, (this.#orphans.get(namespace) ?? 0) + sign);
      return;
    }
    if (owner.kind !== "ReplicaSet") return;
    const all = this.#owners.get(owner.uid) ?? new Map<Labels, Count>();
    this.#owners.set(owner.uid, all);
    const labels = pod.metadata.labels ?? noLabels;
    const count = all.get(labels) ?? { active: 0, ready: 0, terminating: 0 };
    if (isActive(pod)) {
      count.active += sign;
      if (isReady(pod)) count.ready += sign;
    } else if (isTerminating(pod)) count.terminating += sign;
    // A pod that is being deleted still belongs to its owner: what it is counted among stays until its last one goes.
    if (count.active === 0 && count.ready === 0 && count.terminating === 0) all.delete(labels);
    else all.set(labels, count);
    if (all.size === 0) this.#owners.delete(owner.uid);
  }
}

const noLabels: Labels = {};
