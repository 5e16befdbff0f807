/** Owns the scheduler: every pod without a node gets the best one that may have it (pkg/scheduler). */
import type { Again, Controller } from "../../api/controller";
import { recordEvent } from "../../api/events";
import type { Kinds } from "../../api/kinds";
import { type Key, keyOf } from "../../api/meta";
import { rfc3339 } from "../../api/time";
import type { Context } from "../context";
import { scheduler as by } from "../names";
import { isActive } from "../pods";
import { ServiceSelectors } from "../selected";
import { mayHave, pinnedTo, whyNot } from "./filter";
import { enoughOf, type NodeInfo, SchedulerNodes } from "./nodes";
import { scores } from "./score";
import { SpreadCounts } from "./spread";
import { askedBy } from "./usage";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];
type Condition = NonNullable<Pod["status"]["conditions"]>[number];
type Writable<T> = { -readonly [K in keyof T]: T[K] };

export function schedulerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);
  const nodes = new SchedulerNodes(store);
  const waiting = new Set<Key>();
  const spread = new SpreadCounts(store, new ServiceSelectors(store));
  /** Where the next look at the nodes begins: not all are looked at if there are many. */
  let start = 0;

  function see(key: Key, now: Pod | undefined, before: Pod | undefined): readonly Key[] {
    nodes.seePod(now, before);
    spread.see(now, before);
    const mine =
      now && !now.spec.nodeName && now.spec.schedulerName === by && now.metadata.deletionTimestamp === undefined;
    if (mine) waiting.add(key);
    else waiting.delete(key);
    const freed = !now || !isActive(now) ? [...waiting] : [];
    return mine ? [key] : freed;
  }

  /** Enough of the nodes that the pod may have, by their places. */
  function fitting(pod: Pod, all: readonly NodeInfo[]): readonly number[] {
    const asked = askedBy(pod, false);
    const only = pinnedTo(pod);
    if (only !== undefined) {
      const info = nodes.get(only);
      return info && mayHave(pod, info, asked) ? [info.at] : [];
    }
    const columns = nodes.columns();
    const { plain } = columns;
    const choosy = Boolean(pod.spec.nodeSelector ?? pod.spec.affinity);
    const enough = enoughOf(all.length);
    const found: number[] = [];
    let looked = 0;
    for (let at = start % all.length; looked < all.length && found.length < enough; looked++) {
      const simple = !choosy && plain[at] === 1;
      if (simple ? columns.hasRoom(at, asked) : mayHave(pod, all[at] as NodeInfo, asked)) found.push(at);
      if (++at === all.length) at = 0;
    }
    start = (start + looked) % all.length;
    return found;
  }

  function choose(pod: Pod, candidates: readonly number[], all: readonly NodeInfo[]): Node {
    const siblings = spread.of(pod);
    const columns = nodes.columns();
    for (const [name, count] of siblings ?? []) columns.siblings[nodes.get(name)?.at ?? -1] = count;
    const marks = scores(pod, askedBy(pod, true), candidates, { all, columns, spreads: siblings !== undefined });
    columns.siblings.fill(0);
    let best = Number.NEGATIVE_INFINITY;
    let ties = 0;
    for (const mark of marks) {
      ties = mark > best ? 1 : mark === best ? ties + 1 : ties;
      if (mark > best) best = mark;
    }
    let left = ties === 1 ? 0 : random.integer(0, ties - 1);
    const chosen = candidates.find((_, at) => marks[at] === best && left-- === 0) as number;
    return (all[chosen] as NodeInfo).node;
  }

  function reconcile(key: Key): Again | undefined {
    const pod = store.get("Pod", key);
    if (!pod || !waiting.has(key)) return undefined;
    const all = nodes.all();
    const candidates = all.length === 0 ? [] : fitting(pod, all);
    if (candidates.length > 0) bind(pod, choose(pod, candidates, all));
    else refuse(pod, all.length, reasonsAgainst(pod, all));
    return undefined;
  }

  function bind(pod: Pod, node: Node): void {
    const time = rfc3339(sim.clock.now);
    const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: time };
    const change = ({ apiVersion, kind, metadata, spec: unbound, status: waiting }: Pod): Pod => {
      const [spec, status]: [Writable<Pod["spec"]>, Writable<Pod["status"]>] = [{ ...unbound }, { ...waiting }];
      spec.nodeName = node.metadata.name;
      status.conditions = replaced(waiting.conditions, scheduled as unknown as Condition);
      return { apiVersion, kind, metadata, spec, status };
    };
    store.update("Pod", keyOf(pod), change, by);
    const message = `Successfully assigned ${keyOf(pod)} to ${node.metadata.name}`;
    recordEvent(sim, store, { about: pod, type: "Normal", reason: "Scheduled", message, component: by });
  }

  function refuse(pod: Pod, total: number, reasons: ReadonlyMap<string, number>): void {
    const list = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort();
    const helpless = `preemption: 0/${total} nodes are available: ${total} Preemption is not helpful for scheduling.`;
    const message =
      total === 0
        ? "no nodes available to schedule pods"
        : `0/${total} nodes are available: ${list.join(", ")}. no new claims to deallocate, ${helpless}`;
    const before = pod.status.conditions?.find(({ type }) => type === "PodScheduled");
    if (before?.message === message) return;
    const unschedulable = {
      ...{ type: "PodScheduled", status: "False", reason: "Unschedulable", message },
      lastProbeTime: null as unknown as string,
      lastTransitionTime: before?.lastTransitionTime ?? rfc3339(sim.clock.now),
      ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    };
    store.update(
      "Pod",
      keyOf(pod),
      (now) => ({ ...now, status: { ...now.status, conditions: replaced(now.status.conditions, unschedulable) } }),
      by,
    );
    recordEvent(sim, store, { about: pod, type: "Warning", reason: "FailedScheduling", message, component: by });
  }

  return {
    name: by,
    watches: {
      Pod: see,
      Node: (name, now, before) => {
        nodes.seeNode(name, now);
        return sameForPods(now, before) ? [] : [...waiting];
      },
    },
    reconcile,
  };
}

/** Whether a change of a node makes no pod fit that did not: heartbeats do not. */
function sameForPods(now: Node | undefined, before: Node | undefined): boolean {
  if (!now || !before) return false;
  const room = now.status.allocatable === before.status.allocatable && now.status.capacity === before.status.capacity;
  return room && now.spec === before.spec && now.metadata.labels === before.metadata.labels;
}

/** How many nodes the pod may not have, by the reason. */
function reasonsAgainst(pod: Pod, all: readonly NodeInfo[]): ReadonlyMap<string, number> {
  const asked = askedBy(pod, false);
  const reasons = new Map<string, number>();
  for (const { node, room, used } of all) {
    const reason = whyNot(pod, node, room, used.asked, asked);
    if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return reasons;
}

function replaced(conditions: readonly Condition[] | undefined, condition: Condition): readonly Condition[] {
  return [...(conditions ?? []).filter(({ type }) => type !== condition.type), condition];
}
