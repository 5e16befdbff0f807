/** Owns the scheduler: every pod without a node gets the best one that may have it (pkg/scheduler). */
import type { Again, Controller } from "../../api/controller";
import { recordEvent } from "../../api/events";
import type { Kinds } from "../../api/kinds";
import { controllerOf, type Key, keyFor, keyOf } from "../../api/meta";
import { matchesLabels, matchesSelector } from "../../api/selectors";
import { rfc3339 } from "../../api/time";
import type { Context } from "../context";
import { scheduler as by } from "../names";
import { isActive } from "../pods";
import { ServiceSelectors } from "../selected";
import { whyNot } from "./filter";
import { scores } from "./score";
import { askedBy, NodeUsage } from "./usage";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];
type Condition = NonNullable<Pod["status"]["conditions"]>[number];

export function schedulerOf({ sim, store }: Context): Controller {
  const random = sim.random.fork(by);
  const usage = new NodeUsage();
  const waiting = new Set<Key>();
  const selectors = new ServiceSelectors(store);

  function see(key: Key, now: Pod | undefined, before: Pod | undefined): readonly Key[] {
    usage.see(now, before);
    const mine =
      now && !now.spec.nodeName && now.spec.schedulerName === by && now.metadata.deletionTimestamp === undefined;
    if (mine) waiting.add(key);
    else waiting.delete(key);
    const freed = !now || !isActive(now) ? [...waiting] : [];
    return mine ? [key] : freed;
  }

  /** How many pods of the same Services, or of the same ReplicaSet, each node has. */
  function siblings(pod: Pod): { readonly counts: ReadonlyMap<string, number>; readonly selected: boolean } {
    const namespace = pod.metadata.namespace ?? "";
    const labels = pod.metadata.labels ?? {};
    const keys = selectors.matching(namespace, labels);
    const pairs = keys.map((key) => store.get("Service", key)?.spec.selector ?? {});
    const owner = controllerOf(pod);
    const set = owner?.kind === "ReplicaSet" ? store.get("ReplicaSet", keyFor(namespace, owner.name)) : undefined;
    const counts = new Map<string, number>();
    if (pairs.length === 0 && !set) return { counts, selected: false };
    const wanted = { ...Object.assign({}, ...pairs), ...set?.spec.selector.matchLabels } as Record<string, string>;
    for (const other of store.list("Pod", { namespace, labels: wanted })) {
      if (!other.spec.nodeName || other.metadata.deletionTimestamp !== undefined) continue;
      const theirs = other.metadata.labels ?? {};
      if (!pairs.every((pair) => matchesLabels(pair, theirs))) continue;
      if (set && !matchesSelector(set.spec.selector, theirs)) continue;
      counts.set(other.spec.nodeName, (counts.get(other.spec.nodeName) ?? 0) + 1);
    }
    return { counts, selected: true };
  }

  function choose(pod: Pod, nodes: readonly Node[]): Node {
    const { counts, selected } = siblings(pod);
    const candidates = nodes.map((node) => ({ node, usage: usage.of(node.metadata.name).guessed }));
    const marks = scores(pod, askedBy(pod, true), candidates, counts, selected);
    const best = Math.max(...marks);
    const ties = nodes.filter((_, at) => marks[at] === best);
    return ties[ties.length === 1 ? 0 : random.integer(0, ties.length - 1)] as Node;
  }

  function reconcile(key: Key): Again | undefined {
    const pod = store.get("Pod", key);
    if (!pod || !waiting.has(key)) return undefined;
    const asked = askedBy(pod, false);
    const reasons = new Map<string, number>();
    const nodes = store.list("Node");
    const fitting = nodes.filter((node) => {
      const reason = whyNot(pod, node, usage.of(node.metadata.name).asked, asked);
      if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      return reason === undefined;
    });
    if (fitting.length === 0) refuse(pod, nodes.length, reasons);
    else bind(pod, choose(pod, fitting));
    return undefined;
  }

  function bind(pod: Pod, node: Node): void {
    const time = rfc3339(sim.clock.now);
    const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: time };
    store.update(
      "Pod",
      keyOf(pod),
      (now) => ({
        ...now,
        spec: { ...now.spec, nodeName: node.metadata.name },
        status: { ...now.status, conditions: replaced(now.status.conditions, scheduled as unknown as Condition) },
      }),
      by,
    );
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
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message,
      lastTransitionTime: before?.lastTransitionTime ?? rfc3339(sim.clock.now),
    };
    store.update(
      "Pod",
      keyOf(pod),
      (now) => ({ ...now, status: { ...now.status, conditions: replaced(now.status.conditions, unschedulable) } }),
      by,
    );
    recordEvent(sim, store, { about: pod, type: "Warning", reason: "FailedScheduling", message, component: by });
  }

  return { name: by, watches: { Pod: see, Node: () => [...waiting] }, reconcile };
}

function replaced(conditions: readonly Condition[] | undefined, condition: Condition): readonly Condition[] {
  return [...(conditions ?? []).filter(({ type }) => type !== condition.type), condition];
}
