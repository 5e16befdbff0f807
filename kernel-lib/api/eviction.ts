/** Owns evictions: a pod goes if its PodDisruptionBudget allows it (pkg/registry/core/pod/storage/eviction.go). */
import type { Time } from "../sim/clock";
import type { DeleteOptions } from "./deletion";
import { withDisruptionAllowed } from "./disruption";
import { forbidden, notFound, StatusError } from "./errors";
import { type Kinds, resourceOf } from "./kinds";
import { type Key, keyOf } from "./meta";
import { matchesSelector } from "./selectors";
import type { Store } from "./store";
import { rfc3339 } from "./time";

type Pod = Kinds["Pod"];
type Budget = Kinds["PodDisruptionBudget"];

/** The body of an Eviction: how the pod is then deleted. */
export interface EvictionOptions extends DeleteOptions {
  readonly dryRun?: boolean;
  readonly by?: string;
}

/** More evictions than these may not wait for the disruption controller to see them. */
const mostDisrupted = 2000;

/**
 * Evicts a pod: its budget is charged, its condition DisruptionTarget says why, and it is deleted as `kubectl delete` does
 * it. A pod that has ended, waits or goes already is no loss to anybody: no budget is asked.
 * @throws StatusError NotFound; TooManyRequests where the budget does not allow it
 */
export function evictPod(store: Store, key: Key, options: EvictionOptions, now: Time): void {
  const pod = store.get("Pod", key);
  if (!pod) throw notFound(resourceOf("Pod"), key.slice(key.indexOf("/") + 1));
  checkNamespace(store, pod);
  if (!needsNoBudget(pod)) charge(store, pod, options, now);
  if (options.dryRun) return;
  const by = options.by ?? "kubectl";
  store.setStatus("Pod", key, targeted(pod, now), by);
  store.delete("Pod", key, by, options);
}

/** The NamespaceLifecycle admission plugin: an eviction is an object too, and cannot be made where all goes. */
function checkNamespace(store: Store, { metadata }: Pod): void {
  const { name, namespace = "" } = metadata;
  if (store.get("Namespace", namespace)?.metadata.deletionTimestamp === undefined) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const { message, details } = forbidden(resourceOf("Pod"), name, why);
  const cause = { reason: "NamespaceTerminating", message: `namespace ${namespace} is being terminated` };
  throw new StatusError("Forbidden", message, { ...details, causes: [{ ...cause, field: "metadata.namespace" }] });
}

function needsNoBudget({ metadata, status }: Pod): boolean {
  return (
    status.phase === "Succeeded" ||
    status.phase === "Failed" ||
    status.phase === "Pending" ||
    metadata.deletionTimestamp !== undefined
  );
}

function charge(store: Store, pod: Pod, options: EvictionOptions, now: Time): void {
  const budgets = budgetsOf(store, pod);
  if (budgets.length > 1) {
    const why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    throw new StatusError("Unknown", why);
  }
  const [budget] = budgets;
  if (!budget) return;
  const { currentHealthy, desiredHealthy } = budget.status;
  const ready = pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
  if (!ready) {
    // It does not count as healthy: without it there are as many as before.
    if (budget.spec.unhealthyPodEvictionPolicy === "AlwaysAllow") return;
    if (currentHealthy >= desiredHealthy && desiredHealthy > 0) return;
  }
  check(budget);
  if (options.dryRun) return;
  const left = budget.status.disruptionsAllowed - 1;
  const disruptedPods = { ...budget.status.disruptedPods, [pod.metadata.name]: rfc3339(now) };
  const status = { ...budget.status, disruptionsAllowed: left, disruptedPods };
  const told = left === 0 ? withDisruptionAllowed(status, now) : status;
  store.setStatus("PodDisruptionBudget", keyOf(budget), told, "kube-apiserver");
}

function check({ metadata, status }: Budget): void {
  const { name, generation = 0 } = metadata;
  if ((status.observedGeneration ?? 0) < generation) {
    throw refusal(`The disruption budget ${name} is still being processed by the server.`, 10);
  }
  const resource = { ...resourceOf("PodDisruptionBudget"), plural: "poddisruptionbudget" };
  if (status.disruptionsAllowed < 0) throw forbidden(resource, name, "pdb disruptions allowed is negative");
  if (Object.keys(status.disruptedPods ?? {}).length > mostDisrupted) {
    const why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
    throw forbidden(resource, name, why);
  }
  if (status.disruptionsAllowed === 0) {
    const { desiredHealthy: wanted, currentHealthy: has } = status;
    throw refusal(`The disruption budget ${name} needs ${wanted} healthy pods and has ${has} currently`);
  }
}

function refusal(cause: string, retryAfterSeconds?: number): StatusError {
  const text = "Cannot evict pod as it would violate the pod's disruption budget.";
  return new StatusError("TooManyRequests", text, {
    causes: [{ reason: "DisruptionBudget", message: cause }],
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

/** The budgets that a pod falls under: an empty selector is all pods, none is no pod. */
function budgetsOf(store: Store, { metadata }: Pod): readonly Budget[] {
  const all = store.list("PodDisruptionBudget", { namespace: metadata.namespace ?? "" });
  return all.filter(({ spec }) => spec.selector && matchesSelector(spec.selector, metadata.labels ?? {}));
}

function targeted({ metadata, status }: Pod, now: Time): Pod["status"] {
  const before = status.conditions?.find(({ type }) => type === "DisruptionTarget");
  const condition = {
    lastProbeTime: null,
    lastTransitionTime: before?.status === "True" ? before.lastTransitionTime : rfc3339(now),
    message: "Eviction API: evicting",
    ...(metadata.generation !== undefined && { observedGeneration: metadata.generation }),
    reason: "EvictionByEvictionAPI",
    status: "True",
    type: "DisruptionTarget",
  } as unknown as NonNullable<Pod["status"]["conditions"]>[number];
  const others = (status.conditions ?? []).filter(({ type }) => type !== "DisruptionTarget");
  return { ...status, conditions: [...others, condition] };
}
