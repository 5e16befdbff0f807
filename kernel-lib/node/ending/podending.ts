/** Owns the end of a pod's containers: all at once, sidecars after the others, and again when there is less time. */
import type { Time } from "../../sim/clock";
import type { Container } from "../container";
import type { Life } from "../stages";
import type { EndingPod } from "./hooks";
import { Killing } from "./killing";
import { isSidecar, TerminationOrder } from "./order";

/** killContainersWithSyncResult (pkg/kubelet/kuberuntime/kuberuntime_container.go). */
export class PodEnding {
  readonly #pod: EndingPod;
  readonly #lives: readonly Life[];
  readonly #stopped: () => void;
  #killings: readonly Killing[];
  #left = 0;
  #grace: Time;

  /**
   * @param before how containers were being killed one by one until now
   * @param stopped told once, and never from inside a call: no container runs any more
   */
  constructor(pod: EndingPod, lives: readonly Life[], grace: Time, before: readonly Killing[], stopped: () => void) {
    this.#pod = pod;
    this.#lives = lives;
    this.#stopped = stopped;
    this.#grace = grace;
    this.#killings = before;
    this.#begin(false);
  }

  /** Deleted again: only a shorter grace than before counts, and hooks run anew in it (UpdatePod in pod_workers.go). */
  shorten(grace: Time): void {
    if (grace >= this.#grace || this.#left === 0) return;
    this.#grace = grace;
    this.#begin(true);
  }

  /** There is nobody left who would care. */
  cancel(): void {
    this.#left = 0;
    for (const killing of this.#killings) killing.cancel();
  }

  #begin(again: boolean): void {
    const { sim } = this.#pod.host;
    const old = this.#killings;
    for (const killing of old) killing.cancel();
    const running = this.#lives.filter(({ container }) => container?.running);
    const order = this.#lives.some(isSidecar) ? new TerminationOrder(sim, this.#lives, running) : undefined;
    this.#left = running.length;
    if (this.#left === 0) sim.clock.after(0, this.#stopped);
    this.#killings = running.flatMap((life) => {
      if (!life.container) return [];
      const done = (): void => {
        order?.ended(life);
        this.#left--;
        if (this.#left === 0) sim.clock.after(0, this.#stopped);
      };
      const before = killingOf(old, life.container);
      const signalled = before?.signalled ?? false;
      const orders = {
        grace: this.#grace,
        turn: order?.turn(life),
        signalled,
        latest: again ? before?.latest : undefined,
      };
      return [new Killing(this.#pod, life, life.container, orders, done)];
    });
    for (const killing of this.#killings) killing.begin();
  }
}

function killingOf(killings: readonly Killing[], wanted: Container): Killing | undefined {
  return killings.find(({ container }) => container === wanted);
}
