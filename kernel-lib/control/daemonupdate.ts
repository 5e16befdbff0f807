/** Owns how a DaemonSet's pods are replaced by those of a new template (pkg/controller/daemon/update.go: rollingUpdate). */
import type { Kinds } from "../api/kinds";
import type { Time } from "../sim/clock";
import type { NodeShare } from "./daemonnodes";
import { hashLabel } from "./daemonpods";
import { templateHash } from "./hash";
import { isAvailable, isReady } from "./pods";

type Pod = Kinds["Pod"];
type DaemonSet = Kinds["DaemonSet"];

/** What is done now, to come nearer to the new template. */
export interface UpdateStep {
  readonly remove: readonly Pod[];
  /** Nodes that get a new pod beside their old one. */
  readonly create: readonly string[];
}

/** In pods of the nodes that should have one; percentages round up, and one of the two is at least 1. */
function updateBounds(set: DaemonSet, desired: number): { readonly surge: number; readonly unavailable: number } {
  const { maxSurge = 0, maxUnavailable = 1 } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const part = (value: string | number): number => {
    return typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) * desired) / 100);
  };
  const [surge, unavailable] = [part(maxSurge), part(maxUnavailable)];
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

/** A node's pod of the new template and the one of an older; undefined while it has others to get rid of first. */
function pairOf(pods: readonly Pod[], hash: string): { readonly new?: Pod; readonly old?: Pod } | undefined {
  const [fresh, old] = [pods.filter((pod) => isOf(pod, hash)), pods.filter((pod) => !isOf(pod, hash))];
  const goes = pods.some(({ metadata }) => metadata.deletionTimestamp !== undefined);
  if (goes || fresh.length > 1 || old.length > 1) return undefined;
  return { ...(fresh[0] && { new: fresh[0] }), ...(old[0] && { old: old[0] }) };
}

function isOf({ metadata }: Pod, hash: string): boolean {
  return metadata.labels?.[hashLabel] === hash;
}

/** @param shares those of the nodes that should have a pod */
export function updateStep(set: DaemonSet, shares: readonly NodeShare[], now: Time): UpdateStep {
  const { surge, unavailable } = updateBounds(set, shares.length);
  const available = (pod: Pod): boolean => isAvailable(pod, set.spec.minReadySeconds ?? 0, now);
  const hash = templateHash(set.spec.template);
  return surge > 0 ? surged(shares, hash, surge, available) : replaced(shares, hash, unavailable, available);
}

/** Old pods go first: all that are of no use, and of the others so many as may be missing. */
function replaced(
  shares: readonly NodeShare[],
  hash: string,
  most: number,
  available: (pod: Pod) => boolean,
): UpdateStep {
  let missing = 0;
  const useless: Pod[] = [];
  const candidates: Pod[] = [];
  for (const { pods } of shares) {
    const pair = pairOf(pods, hash);
    // What is there too much or too little of is seen to elsewhere.
    if (!pair || Boolean(pair.new) === Boolean(pair.old)) missing++;
    else if (pair.new) missing += available(pair.new) ? 0 : 1;
    else if (pair.old) (available(pair.old) ? candidates : useless).push(pair.old);
  }
  return { remove: [...useless, ...candidates.slice(0, Math.max(0, most - missing))], create: [] };
}

/** New pods come first, beside old ones, so many as may be too many; an old one goes when its successor is available. */
function surged(
  shares: readonly NodeShare[],
  hash: string,
  most: number,
  available: (pod: Pod) => boolean,
): UpdateStep {
  let surging = 0;
  const remove: Pod[] = [];
  const useless: string[] = [];
  const candidates: string[] = [];
  for (const { node, pods } of shares) {
    const pair = pairOf(pods, hash);
    if (!pair) surging++;
    else if (pair.old && pair.new) {
      if (available(pair.new)) remove.push(pair.old);
      else surging++;
    } else if (pair.old && node) (available(pair.old) ? candidates : useless).push(node.metadata.name);
  }
  return { remove, create: [...useless, ...candidates.slice(0, Math.max(0, most - surging))] };
}

/** The pods of a node that are too many: all but the oldest, or, with a surge, all but one of each template. */
export function surplus(set: DaemonSet, running: readonly Pod[], now: Time): readonly Pod[] {
  const { surge } = updateBounds(set, 1);
  if (surge === 0 || running.length < 2) return running.slice(1);
  const hash = templateHash(set.spec.template);
  const [fresh, old] = [running.filter((pod) => isOf(pod, hash)), running.filter((pod) => !isOf(pod, hash))];
  const [newest, oldest] = [fresh[0], old[0]];
  const done =
    newest && oldest && (!isReady(oldest) || isAvailable(newest, set.spec.minReadySeconds ?? 0, now)) ? [oldest] : [];
  return [...fresh.slice(1), ...old.slice(1), ...done];
}
