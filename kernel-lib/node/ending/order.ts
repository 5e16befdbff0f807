/** Owns who waits for whom when a pod ends: sidecars for the main containers, and each for the sidecar after it. */
import type { Time, Timer } from "../../sim/clock";
import type { Sim } from "../../sim/sim";
import type { Life } from "../stages";

/** Waits for a turn: `go` is called once, at once or later, at the latest after `limit`; gives what takes it back. */
export type Turn = (limit: Time, go: () => void) => () => void;

interface Waiter {
  readonly life: Life;
  readonly go: () => void;
}

/** terminationOrdering (pkg/kubelet/kuberuntime/kuberuntime_termination_order.go); only pods with sidecars have one. */
export class TerminationOrder {
  readonly #sim: Sim;
  /** Those that run still, by container. */
  readonly #running: Set<Life>;
  readonly #lives: readonly Life[];
  readonly #waiting = new Set<Waiter>();

  constructor(sim: Sim, lives: readonly Life[], running: readonly Life[]) {
    this.#sim = sim;
    this.#lives = lives;
    this.#running = new Set(running);
  }

  /** The turn of one container: nobody waits but sidecars. */
  turn(life: Life): Turn {
    return (limit, go) => {
      if (limit <= 0 || this.#free(life)) {
        go();
        return () => {};
      }
      let timer: Timer | undefined;
      const waiter: Waiter = {
        life,
        go: () => {
          this.#waiting.delete(waiter);
          timer?.cancel();
          go();
        },
      };
      timer = this.#sim.clock.after(limit, waiter.go);
      this.#waiting.add(waiter);
      return () => {
        this.#waiting.delete(waiter);
        timer?.cancel();
      };
    };
  }

  /** A container has been stopped. */
  ended(life: Life): void {
    this.#running.delete(life);
    for (const waiter of [...this.#waiting]) if (this.#free(waiter.life)) waiter.go();
  }

  #free(life: Life): boolean {
    if (!isSidecar(life)) return true;
    const after = this.#lives.slice(this.#lives.indexOf(life) + 1);
    const next = after.find(isSidecar);
    return ![...this.#running].some((other) => !other.init || other === next);
  }
}

/** An init container that goes on (`restartPolicy: Always`, KEP-753). */
export function isSidecar({ init, spec }: Life): boolean {
  return init && spec.restartPolicy === "Always";
}

/** Whether nothing but sidecars runs, and nothing is to be started again. */
export function isComplete(lives: readonly Life[]): boolean {
  const over = (life: Life): boolean => life.stage === "done";
  const failed = (life: Life): boolean => over(life) && (life.container ?? life.previous)?.ending?.exitCode !== 0;
  if (lives.some((life) => life.init && !isSidecar(life) && failed(life))) return true;
  return lives.every((life) => isSidecar(life) || over(life));
}
