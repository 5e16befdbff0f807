/** Owns the status of PodDisruptionBudgets: how many evictions each allows now (pkg/controller/disruption). */
import type { Again, Controller } from "../api/controller";
import { withCondition, withDisruptionAllowed } from "../api/disruption";
import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf, type LabelSelector } from "../api/meta";
import { matchesSelector } from "../api/selectors";
import { parseTime } from "../api/time";
import { second, type Time } from "../sim/clock";
import type { Context } from "./context";
import { expectedScale, NoScale } from "./disruptionscale";
import { disruptionController as by } from "./names";
import { isReady } from "./pods";

type Pod = Kinds["Pod"];
type Budget = Kinds["PodDisruptionBudget"];

/** How long an evicted pod may stay unmarked before it counts as there again (DeletionTimeout). */
const deletionTimeout = 120 * second;

interface Wanted {
  readonly expected: number;
  readonly desired: number;
  /** Pods that no controller has, where a share of all was asked for. */
  readonly unmanaged: readonly string[];
}

export function disruptionControllerOf({ sim, store }: Context): Controller {
  function tell(about: Budget | Pod, type: "Normal" | "Warning", reason: string, message: string): void {
    recordEvent(sim, store, { about, type, reason, message, component: "controllermanager" });
  }

  /** The budgets whose counts a changed pod can move. */
  function budgetsOf(now: Pod | undefined, before: Pod | undefined): readonly Key[] {
    if (store.count("PodDisruptionBudget") === 0 || (now && before && !isRelevant(now, before))) return [];
    const keys = new Set<Key>();
    for (const pod of [now, before]) {
      if (!pod) continue;
      for (const budget of store.list("PodDisruptionBudget", { namespace: pod.metadata.namespace ?? "" })) {
        if (selects(budget, pod)) keys.add(keyOf(budget));
      }
    }
    return [...keys];
  }

  function wantedOf(budget: Budget, pods: readonly Pod[]): Wanted {
    const { minAvailable, maxUnavailable } = budget.spec;
    if (maxUnavailable === undefined && typeof minAvailable !== "string") {
      const expected = minAvailable === undefined ? 0 : pods.length;
      return { expected, desired: minAvailable ?? 0, unmanaged: [] };
    }
    const { scale, unmanaged } = expectedScale(store, pods);
    if (maxUnavailable === undefined) return { expected: scale, desired: roundedUp(minAvailable, scale), unmanaged };
    return { expected: scale, desired: Math.max(0, scale - roundedUp(maxUnavailable, scale)), unmanaged };
  }

  function reconcile(key: Key): Again | undefined {
    const budget = store.get("PodDisruptionBudget", key);
    if (!budget) return undefined;
    const { namespace = "" } = budget.metadata;
    const { selector } = budget.spec;
    const pods = selector ? store.list("Pod", { namespace, selector }) : [];
    if (pods.length === 0) tell(budget, "Normal", "NoPods", "No matching pods found");
    let wanted: Wanted;
    try {
      wanted = wantedOf(budget, pods);
    } catch (error) {
      if (!(error instanceof NoScale)) throw error;
      failSafe(budget, error.message);
      return undefined;
    }
    if (wanted.unmanaged.length > 0) tell(budget, "Warning", "UnmanagedPods", unmanagedText(selector));
    const { disrupted, recheck } = stillDisrupted(budget, pods);
    const healthy = pods.filter((pod) => {
      const goes = pod.metadata.deletionTimestamp !== undefined || Object.hasOwn(disrupted, pod.metadata.name);
      return !goes && isReady(pod);
    }).length;
    writeStatus(budget, healthy, wanted, disrupted);
    return recheck === undefined ? undefined : { after: recheck - sim.clock.now, kind: "background" };
  }

  /** What eviction was promised to, and is not marked for deletion yet; and when that must be looked at again. */
  function stillDisrupted(
    budget: Budget,
    pods: readonly Pod[],
  ): { readonly disrupted: Readonly<Record<string, string>>; readonly recheck: Time | undefined } {
    const disrupted: Record<string, string> = {};
    let recheck: Time | undefined;
    const promised = budget.status.disruptedPods ?? {};
    for (const pod of pods) {
      const { name, namespace, deletionTimestamp } = pod.metadata;
      const since = promised[name];
      if (deletionTimestamp !== undefined || since === undefined) continue;
      const end = (parseTime(since) ?? 0) + deletionTimeout;
      if (end <= sim.clock.now) {
        // Upstream prints the namespace twice, and so it is read in real clusters.
        const text = `Pod was expected by PDB ${namespace}/${namespace} to be deleted but it wasn't`;
        tell(pod, "Warning", "NotDeleted", text);
        continue;
      }
      recheck = Math.min(recheck ?? end, end);
      disrupted[name] = since;
    }
    return { disrupted, recheck };
  }

  function writeStatus(
    budget: Budget,
    currentHealthy: number,
    { expected, desired }: Wanted,
    disrupted: Readonly<Record<string, string>>,
  ): void {
    const { generation } = budget.metadata;
    const { conditions } = budget.status;
    const status: Budget["status"] = {
      ...(conditions && { conditions }),
      currentHealthy,
      desiredHealthy: desired,
      ...(Object.keys(disrupted).length > 0 && { disruptedPods: disrupted }),
      disruptionsAllowed: expected <= 0 ? 0 : Math.max(0, currentHealthy - desired),
      expectedPods: expected,
      ...(generation !== undefined && { observedGeneration: generation }),
    };
    store.setStatus("PodDisruptionBudget", keyOf(budget), withDisruptionAllowed(status, sim.clock.now), by);
  }

  /** What cannot be counted allows nothing. */
  function failSafe(budget: Budget, why: string): void {
    tell(
      budget,
      "Warning",
      "CalculateExpectedPodCountFailed",
      `Failed to calculate the number of expected pods: ${why}`,
    );
    const status = { ...budget.status, disruptionsAllowed: 0 };
    store.setStatus(
      "PodDisruptionBudget",
      keyOf(budget),
      withCondition(status, false, "SyncFailed", why, sim.clock.now),
      by,
    );
  }

  return {
    name: by,
    watches: {
      PodDisruptionBudget: (key, now) => (now ? [key] : []),
      Pod: (_key, now, before) => budgetsOf(now, before),
    },
    reconcile,
  };
}

function selects({ spec }: Budget, { metadata }: Pod): boolean {
  return spec.selector !== undefined && matchesSelector(spec.selector, metadata.labels ?? {});
}

/** Whether a pod counts otherwise than before. */
function isRelevant(now: Pod, before: Pod): boolean {
  return (
    isReady(now) !== isReady(before) ||
    now.metadata.deletionTimestamp !== before.metadata.deletionTimestamp ||
    now.metadata.labels !== before.metadata.labels ||
    now.metadata.ownerReferences !== before.metadata.ownerReferences
  );
}

/** A number of pods, or a percentage of all, rounded up. */
function roundedUp(value: string | number | undefined, of: number): number {
  return typeof value === "string" ? Math.ceil((Number.parseInt(value, 10) * of) / 100) : (value ?? 0);
}

function unmanagedText(selector: LabelSelector | undefined): string {
  return (
    `Pods selected by this PodDisruptionBudget (selector: ${goText(selector)}) were found to be unmanaged. ` +
    "As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. " +
    'To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
  );
}

/** A selector as Go prints it (the String method of metav1.LabelSelector). */
function goText(selector: LabelSelector | undefined): string {
  const labels = Object.entries(selector?.matchLabels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const map = labels.map(([key, value]) => `${key}: ${value},`).join("");
  const list = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    return `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values.join(" ")}],},`;
  });
  return `&LabelSelector{MatchLabels:map[string]string{${map}},MatchExpressions:[]LabelSelectorRequirement{${list.join("")}},}`;
}
