/** Owns how a drain gets rid of pods: evictions that are asked for again, and waiting (kubectl pkg/drain/drain.go). */

import { StatusError } from "../../../../api/errors";
import type { Kinds } from "../../../../api/kinds";
import { keyOf } from "../../../../api/meta";
import { millisecond, second, type Time } from "../../../../sim/clock";
import { formatDuration } from "../../../../sim/duration";
import type { Context } from "../../context";
import { durationOf } from "../../flags";
import { dryRunOf } from "../dryrun";
import { DrainErrors, isLongDeleted } from "./filters";

type Pod = Kinds["Pod"];

/** Ctrl-C. */
export class Stopped extends Error {}

/** From a request to its answer: meanwhile the other pods are asked for. */
const answerTime = 5 * millisecond;
const retryPause = 5 * second;
const pollPause = second;
/** client-go asks so often by itself where the server names a time (rest.Request, `Retry-After`). */
const ownRetries = 10;

/** One pod on its way: what is done next with it, and when. Upstream each has a goroutine. */
interface Going {
  readonly pod: Pod;
  next: Time;
  evicted: boolean;
  /** How often client-go has repeated the request by itself, saying nothing. */
  retries: number;
}

/** How a pod's way ended; undefined: it goes on at its `next`. */
interface End {
  readonly error?: string;
}

/** `--timeout`; none: as long as it takes. */
interface Limit {
  readonly end: Time;
  readonly text: string;
}

function limitOf({ call, flags }: Context): Limit | undefined {
  const timeout = durationOf(flags.text("timeout") ?? "0");
  return timeout === 0 ? undefined : { end: call.cluster.sim.clock.now + timeout, text: formatDuration(timeout) };
}

/** Evicts pods, each until it is gone. @throws DrainErrors, Stopped */
export async function evictPods(context: Context, pods: readonly Pod[]): Promise<void> {
  const { clock } = context.call.cluster.sim;
  const limit = limitOf(context);
  const errors: string[] = [];
  let going: readonly Going[] = asStarted(pods).map((pod) => ({ pod, next: clock.now, evicted: false, retries: 0 }));
  const stuck = stuckEnd(context);
  while (going.length > 0) {
    await sleepUntil(context, Math.min(...going.map((each) => each.next)));
    stuck(going);
    going = going.filter((each) => {
      if (each.next > clock.now) return true;
      const end = each.evicted ? poll(context, each, limit) : evict(context, each, limit);
      if (end?.error !== undefined) errors.push(end.error);
      return end === undefined;
    });
  }
  if (errors.length > 0) throw new DrainErrors(errors);
}

/**
 * Where nobody can press Ctrl-C (a notebook's cell), a drain is ended that only repeats itself: all pods that are left have
 * been refused for as long as a command may watch. @throws Stopped
 */
function stuckEnd({ call, err }: Context): (going: readonly Going[]) => void {
  const { clock } = call.cluster.sim;
  let [since, left] = [clock.now, 0];
  return (going) => {
    const limit = call.terminal?.patience;
    if (going.length !== left || going.some(({ evicted }) => evicted)) [since, left] = [clock.now, going.length];
    if (limit === undefined || clock.now - since < limit) return;
    err(`^C (a minute has passed; ${call.terminal?.advice})\n`);
    throw new Stopped();
  };
}

/** Each pod has a goroutine of its own: Go runs the one started last first, then the others in their order. */
function asStarted(pods: readonly Pod[]): readonly Pod[] {
  return [...pods.slice(-1), ...pods.slice(0, -1)];
}

async function sleepUntil({ call }: Context, time: Time): Promise<void> {
  const left = time - call.cluster.sim.clock.now;
  if (call.process.stopped || (left > 0 && !(await call.process.sleep(left)))) throw new Stopped();
}

function evict(context: Context, each: Going, limit: Limit | undefined): End | undefined {
  const { api, call, flags } = context;
  const { now } = call.cluster.sim.clock;
  const { name, namespace = "" } = each.pod.metadata;
  const dryRun = dryRunOf(flags) === "server";
  if (each.retries === 0) {
    context.out(`evicting pod ${namespace}/${name}${dryRun ? " (server dry run)" : ""}\n`);
    if (limit && now >= limit.end) {
      return { error: `error when evicting pods/"${name}" -n "${namespace}": global timeout reached: ${limit.text}` };
    }
  }
  try {
    api.evict(namespace, name, { ...graceOf(context), dryRun, by: "kubectl-drain" });
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return refused(context, each, error);
  }
  if (dryRun) return {};
  each.evicted = true;
  each.next = now + answerTime;
  return undefined;
}

function refused(context: Context, each: Going, error: StatusError): End | undefined {
  const { now } = context.call.cluster.sim.clock;
  const { name, namespace } = each.pod.metadata;
  const { retryAfterSeconds, causes } = error.details;
  if (error.reason === "NotFound") return {};
  if (error.reason === "TooManyRequests" && retryAfterSeconds && each.retries < ownRetries) {
    each.retries++;
    each.next = now + retryAfterSeconds * second;
    return undefined;
  }
  each.retries = 0;
  each.next = now + retryPause;
  if (error.reason === "TooManyRequests") {
    const what = `error when evicting pods/"${name}" -n "${namespace}"`;
    context.err(`${what} (will retry after 5s): ${error.message}\n`);
    return undefined;
  }
  const ending = error.reason === "Forbidden" && causes?.some(({ reason }) => reason === "NamespaceTerminating");
  if (!ending) return { error: `error when evicting pods/"${name}" -n "${namespace}": ${error.message}` };
  if (context.api.store.get("Pod", keyOf(each.pod))?.metadata.deletionTimestamp !== undefined) {
    each.evicted = true;
    each.next = now;
    return undefined;
  }
  const what = `error when evicting pod "${name}" from terminating namespace "${namespace}"`;
  context.err(`${what} (will retry after 5s): ${error.message}\n`);
  return undefined;
}

/** waitForDelete, for one pod: it looks every second. */
function poll(context: Context, each: Going, limit: Limit | undefined): End | undefined {
  const { now } = context.call.cluster.sim.clock;
  const { name, namespace } = each.pod.metadata;
  if (isGone(context, each.pod, "evicted")) return {};
  if (limit && now >= limit.end) {
    // The request of the poll is what the deadline cuts off first.
    const what = `error when waiting for pod "${name}" in namespace "${namespace}" to terminate`;
    return { error: `${what}: context deadline exceeded` };
  }
  each.next = now + pollPause;
  return undefined;
}

/** Whether nobody need wait for a pod any longer; says so. */
function isGone(context: Context, pod: Pod, done: "evicted" | "deleted"): boolean {
  const { name, uid } = pod.metadata;
  const now = context.api.store.get("Pod", keyOf(pod));
  if (now?.metadata.uid !== uid) {
    context.out(`pod/${name} ${done}\n`);
    return true;
  }
  if (!isLongDeleted(context, now)) return false;
  const seconds = context.flags.number("skip-wait-for-delete-timeout");
  context.out(`pod "${name}" has DeletionTimestamp older than ${seconds} seconds, skipping\n`);
  return true;
}

function graceOf({ flags }: Context): { readonly grace?: number } {
  const grace = flags.number("grace-period") ?? -1;
  return grace >= 0 ? { grace } : {};
}

/** `--disable-eviction`: all are deleted, then waited for. @throws DrainErrors, Stopped */
export async function deletePods(context: Context, pods: readonly Pod[]): Promise<void> {
  const { api, call, flags } = context;
  const { clock } = call.cluster.sim;
  const limit = limitOf(context);
  const dryRun = dryRunOf(flags) === "server";
  for (const { metadata } of pods) {
    try {
      api.delete("Pod", metadata.namespace ?? "", metadata.name, { ...graceOf(context), dryRun, by: "kubectl-drain" });
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      if (error.reason !== "NotFound") throw new DrainErrors([error.message]);
    }
  }
  for (let left = dryRun ? [] : pods; ; await sleepUntil(context, clock.now + pollPause)) {
    left = left.filter((pod) => !isGone(context, pod, "deleted"));
    if (left.length === 0) return;
    if (limit && clock.now >= limit.end) throw new DrainErrors(["timed out waiting for the condition"]);
  }
}
