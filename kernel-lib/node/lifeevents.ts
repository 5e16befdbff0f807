/** Owns what the journal says of a pod's life and of those who must learn of its end: plain data, one line an event. */
import type { Key } from "../api/meta";
import type { Signal } from "../apps/app";
import type { Time } from "../sim/clock";
import type { Sim } from "../sim/sim";

export type ProbeKind = "startup" | "readiness" | "liveness";
export type HookKind = "postStart" | "preStop";

interface OfContainer {
  /** `namespace/name`. */
  readonly pod: Key;
  readonly uid: string;
  readonly container: string;
}

/** The `detail` of a journal line whose `what` is `life`. */
export type LifeEvent =
  /** `told`: what the probe means for the container has changed by it. */
  | (OfContainer & {
      readonly of: "probe";
      readonly probe: ProbeKind;
      readonly success: boolean;
      readonly told: boolean;
      readonly message?: string;
    })
  | (OfContainer & {
      readonly of: "hook";
      readonly hook: HookKind;
      readonly state: "begun" | "ended" | "failed" | "cut off";
      readonly message?: string;
    })
  | (OfContainer & { readonly of: "signal"; readonly signal: Signal })
  | (OfContainer & { readonly of: "container"; readonly state: "started" | "ended"; readonly exitCode?: number })
  /** `told`: the kubelet has heard that it is to end; `removed`: nothing of it is left on the node. */
  | { readonly of: "pod"; readonly pod: Key; readonly uid: string; readonly state: "told" | "removed" }
  /** The rules for these Services are in the node's kernel now; `asOf`: as the API server had each at that moment. */
  | {
      readonly of: "proxy";
      readonly node: string;
      readonly mode: string;
      readonly services: readonly Key[];
      readonly asOf: Readonly<Record<Key, Time>>;
    }
  /** A load balancer's health check of a node, where it changed what the balancer does. */
  | {
      readonly of: "balancer";
      readonly balancer: string;
      readonly service: Key;
      readonly node: string;
      readonly healthy: boolean;
    };

/** The `what` of these lines. */
export const lifeWord = "life";

/** Writes one event, if anybody reads. @param where who it happened to: `kubelet/node-1`, `kube-proxy/node-2` */
export function tellLife(sim: Sim, where: string, event: () => LifeEvent): void {
  if (!sim.journal.reads(lifeWord)) return;
  const detail = event();
  sim.journal.write({ at: sim.clock.now, where, about: detail.of, what: lifeWord, detail });
}
