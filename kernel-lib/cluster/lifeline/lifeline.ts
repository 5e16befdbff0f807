/** Owns the record of how pods live and end, as plain data: who was in which state when, and what happened. */
import type { Key } from "../../api/meta";
import type { Time } from "../../sim/clock";

/**
 * Who acts or is acted on: `pod` (the API object), `ready` (its condition Ready), `kubelet`, `container/NAME`,
 * `endpoint/SERVICE`, `kube-proxy/NODE`, `balancer/NODE`.
 */
export type Actor = string;

/** A state that lasted. */
export interface LifeSpan {
  readonly actor: Actor;
  /**
   * Of `pod`: its phase, or `Terminating`; of `ready`: the condition's status; of `kubelet`: the hook that runs; of a container:
   * `running`; of an endpoint: its conditions that hold (`ready, serving`), or `not ready`; of a proxy: `sends to it`, or
   * `sends to it (terminating)` where it has no other; of a balancer: `sends to the node`.
   */
  readonly state: string;
  readonly from: Time;
  /** Undefined: it still lasts. */
  readonly to?: Time;
}

/** What kind of moment it is. */
export type MomentKind = "API" | "hook" | "signal" | "probe" | "container" | "proxy";

/** Something that happened at one moment. */
export interface LifeMoment {
  readonly at: Time;
  readonly actor: Actor;
  readonly kind: MomentKind;
  /** In a few words: `SIGTERM`, `preStop ended`. */
  readonly what: string;
}

/** All of one pod; in the order of time. */
export interface PodLife {
  /** `namespace/name`. */
  readonly pod: Key;
  readonly uid: string;
  readonly node?: string;
  /** When its end was asked for (deletion or eviction), and when nothing of it was left in the API. */
  readonly deleted?: Time;
  readonly gone?: Time;
  readonly spans: readonly LifeSpan[];
  readonly moments: readonly LifeMoment[];
}

/** The record of some pods; shows itself as a table of what happened when. */
export interface Lifeline {
  /** What was looked for: `pods app=nginx`. */
  readonly name: string;
  readonly began: Time;
  readonly ended: Time;
  /** In the order in which they were first seen. */
  readonly pods: readonly PodLife[];
}
