/** Owns the end of Jobs that have finished and are to go by themselves (pkg/controller/ttlafterfinished). */
import type { Again, Controller } from "../api/controller";
import { type Key, keyOf } from "../api/meta";
import { parseTime } from "../api/time";
import { second } from "../sim/clock";
import type { Context } from "./context";
import { conditionOf } from "./jobstatus";
import { ttlAfterFinishedController as by } from "./names";

export function ttlAfterFinishedControllerOf({ sim, store }: Context): Controller {
  function reconcile(key: Key): Again | undefined {
    const job = store.get("Job", key);
    const seconds = job?.spec.ttlSecondsAfterFinished;
    if (!job || seconds === undefined || job.metadata.deletionTimestamp !== undefined) return undefined;
    const finished = conditionOf(job, "Complete") ?? conditionOf(job, "Failed");
    const at = parseTime(finished?.lastTransitionTime ?? "");
    if (at === undefined) return undefined;
    const left = at + seconds * second - sim.clock.now;
    if (left > 0) return { after: left, kind: "background" };
    store.delete("Job", keyOf(job), by, { propagation: "Foreground", uid: job.metadata.uid });
    return undefined;
  }

  return {
    name: by,
    watches: { Job: (key, now) => (now?.spec.ttlSecondsAfterFinished === undefined ? [] : [key]) },
    reconcile,
  };
}
