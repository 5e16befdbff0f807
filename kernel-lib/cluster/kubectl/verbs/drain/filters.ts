/** Owns which pods of a node a drain takes, and which keep it from draining at all (kubectl pkg/drain/filters.go). */
import type { Kinds } from "../../../../api/kinds";
import { controllerOf, keyFor } from "../../../../api/meta";
import { parseTime } from "../../../../api/time";
import { second } from "../../../../sim/clock";
import type { Context } from "../../context";

type Pod = Kinds["Pod"];

/** What went wrong with a node's pods, worded as k8s.io/apimachinery's Aggregate words several errors. */
export class DrainErrors extends Error {
  constructor(readonly errors: readonly string[]) {
    const all = [...new Set(errors)];
    super(all.length === 1 ? (all[0] ?? "") : `[${all.join(", ")}]`);
  }
}

interface Chosen {
  readonly pods: readonly Pod[];
  /** What is done though somebody may not expect it; `""` if there is none. */
  readonly warnings: string;
}

/** What becomes of a pod: an error keeps the node from draining. */
interface Verdict {
  readonly goes: boolean;
  readonly warning?: string;
  readonly error?: string;
}

const goes: Verdict = { goes: true };
const stays: Verdict = { goes: false };

/** The pods of a node that go, in the order of the server's list. @throws DrainErrors */
export function choosePods(context: Context, node: string): Chosen {
  const labelSelector = context.flags.text("pod-selector");
  const fieldSelector = `spec.nodeName=${node}`;
  const all = context.api.list("Pod", { fieldSelector, ...(labelSelector && { labelSelector }) });
  const pods: Pod[] = [];
  const warnings = new Map<string, string[]>();
  const errors = new Map<string, string[]>();
  for (const pod of all) {
    const verdict = judge(context, pod);
    if (verdict.goes) pods.push(pod);
    const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
    for (const [list, text] of [[warnings, verdict.warning] as const, [errors, verdict.error] as const]) {
      if (text !== undefined) list.set(text, [...(list.get(text) ?? []), name]);
    }
  }
  const told = (lists: ReadonlyMap<string, readonly string[]>): string[] => {
    return [...lists].map(([text, names]) => `${text}: ${names.join(", ")}`);
  };
  if (errors.size > 0) {
    throw new DrainErrors(told(errors).map((text) => (/^cannot delete/i.test(text) ? text : `cannot delete ${text}`)));
  }
  return { pods, warnings: told(warnings).join("; ") };
}

/** The filters in their order; the first that keeps the pod decides, of the others the last one's warning stays. */
function judge(context: Context, pod: Pod): Verdict {
  let verdict = goes;
  for (const filter of [skipDeleted, daemons, mirrors, localStorage, unmanaged]) {
    verdict = filter(context, pod);
    if (!verdict.goes) break;
  }
  return verdict;
}

function hasEnded({ status }: Pod): boolean {
  return status.phase === "Succeeded" || status.phase === "Failed";
}

function skipDeleted(context: Context, pod: Pod): Verdict {
  return isLongDeleted(context, pod) ? stays : goes;
}

/** `--skip-wait-for-delete-timeout`: it should have been gone for more than so many seconds. */
export function isLongDeleted({ call, flags }: Context, { metadata }: Pod): boolean {
  const seconds = flags.number("skip-wait-for-delete-timeout") ?? 0;
  const deleted = parseTime(metadata.deletionTimestamp ?? "");
  if (seconds <= 0 || deleted === undefined) return false;
  return Math.trunc((call.cluster.sim.clock.now - deleted) / second) > seconds;
}

function daemons({ api, flags }: Context, pod: Pod): Verdict {
  const owner = controllerOf(pod);
  if (owner?.kind !== "DaemonSet" || hasEnded(pod)) return goes;
  if (!api.store.get("DaemonSet", keyFor(pod.metadata.namespace, owner.name))) {
    const gone = `daemonsets.apps "${owner.name}" not found`;
    return flags.is("force") ? { goes: true, warning: gone } : { goes: false, error: gone };
  }
  if (flags.is("ignore-daemonsets")) return { goes: false, warning: "ignoring DaemonSet-managed Pods" };
  return { goes: false, error: "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)" };
}

function mirrors(_context: Context, { metadata }: Pod): Verdict {
  return metadata.annotations?.["kubernetes.io/config.mirror"] === undefined ? goes : stays;
}

function localStorage({ flags }: Context, pod: Pod): Verdict {
  const { volumes = [] } = pod.spec;
  if (!volumes.some((volume) => volume.emptyDir) || hasEnded(pod)) return goes;
  if (flags.is("delete-emptydir-data")) return { goes: true, warning: "deleting Pods with local storage" };
  return { goes: false, error: "Pods with local storage (use --delete-emptydir-data to override)" };
}

function unmanaged({ flags }: Context, pod: Pod): Verdict {
  if (hasEnded(pod) || controllerOf(pod)) return goes;
  if (flags.is("force")) return { goes: true, warning: "deleting Pods that declare no controller" };
  return { goes: false, error: "cannot delete Pods that declare no controller (use --force to override)" };
}
