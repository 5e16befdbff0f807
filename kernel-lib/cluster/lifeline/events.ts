/** Owns what the journal says of a pod's life: hooks, signals, probes, containers, and those who must learn of its end. */
import type { LifeEvent } from "../../node/lifeevents";
import type { Time } from "../../sim/clock";
import type { PodRecord } from "./lanes";

/** Events of one pod; those of proxies and balancers are of Services. */
export type OfPod = Extract<LifeEvent, { readonly pod: string }>;

/** Notes an event of this pod. */
export function readEvent(record: PodRecord, event: OfPod, at: Time): void {
  switch (event.of) {
    case "probe": {
      const { probe, success, told, message } = event;
      const why = !success && message ? `: ${message}` : "";
      const effect = told ? (success ? " (counts as passed now)" : " (counts as failed now)") : "";
      record.note("kubelet", "probe", `${probe} probe ${success ? "succeeds" : "fails"}${effect}${why}`, at);
      return;
    }
    case "hook": {
      const { hook, state, container, message } = event;
      const actor = `kubelet/${container}`;
      if (state === "begun") record.set(actor, hook, at);
      else if (record.isIn(actor) === hook) record.set(actor, undefined, at);
      record.note("kubelet", "hook", `${hook} ${state}${message ? `: ${message}` : ""}`, at);
      return;
    }
    case "signal":
      record.note("kubelet", "signal", event.signal, at);
      return;
    case "container": {
      const { state, container, exitCode } = event;
      const actor = `container/${container}`;
      record.set(actor, state === "started" ? "running" : undefined, at);
      record.note(
        actor,
        "container",
        state === "started" ? "started" : `ended, exit code ${exitCode ?? "unknown"}`,
        at,
      );
      return;
    }
    case "pod":
      record.note("kubelet", "API", event.state === "told" ? "hears that it is to end" : "nothing of it is left", at);
      return;
  }
}
