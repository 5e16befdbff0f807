/** Owns how one container is killed: its preStop hook, its turn, the stop signal, what is left of grace, and SIGKILL. */
import type { Signal } from "../../apps/app";
import type { Time, Timer } from "../../sim/clock";
import type { Container } from "../container";
import { tellLife } from "../lifeevents";
import type { Life } from "../stages";
import { minimumGrace } from "./grace";
import { type EndingPod, type Hook, runHook } from "./hooks";
import type { Turn } from "./order";

/** How it is to be done. */
export interface KillOrders {
  /** For the hook, the wait for the turn and the program together. */
  readonly grace: Time;
  /** What the event says; `Stopping container web` if it is left out. */
  readonly message?: string | undefined;
  /** Where sidecars wait for others. */
  readonly turn?: Turn | undefined;
  /** It has had its stop signal: the runtime sends it once. */
  readonly signalled?: boolean;
  /** Never later than this is SIGKILL: what an earlier order promised. */
  readonly latest?: Time | undefined;
}

/**
 * killContainer (pkg/kubelet/kuberuntime/kuberuntime_container.go) and StopContainer of the runtime. What the hook and the
 * turn take is counted against grace to the microsecond; the kubelet drops the fractions of a second, so that a real
 * SIGKILL may come up to a second later.
 */
export class Killing {
  readonly life: Life;
  readonly container: Container;
  readonly #pod: EndingPod;
  readonly #orders: KillOrders;
  readonly #begun: Time;
  readonly #done: () => void;
  #signalled: boolean;
  #hook: Hook | undefined;
  #timer: Timer | undefined;
  #leaveTurn: (() => void) | undefined;
  #phase: "before" | "stopping" | "over" = "before";

  /** @param done told once: the hook is over and the container has ended */
  constructor(pod: EndingPod, life: Life, container: Container, orders: KillOrders, done: () => void) {
    this.life = life;
    this.container = container;
    this.#pod = pod;
    this.#orders = orders;
    this.#done = done;
    this.#signalled = orders.signalled ?? false;
    this.#begun = pod.host.sim.clock.now;
  }

  /** Begins; it may be over at once. */
  begin(): void {
    const { life, container } = this;
    const message = this.#orders.message ?? `Stopping container ${life.spec.name}`;
    this.#pod.tell({ type: "Normal", reason: "Killing", message }, life);
    container.whenEnded(() => {
      if (this.#phase === "stopping") this.#finish();
    });
    this.#runHook();
  }

  /** Whether the container has had its stop signal. */
  get signalled(): boolean {
    return this.#signalled;
  }

  /** The moment of SIGKILL, if nothing goes faster. */
  get latest(): Time {
    return Math.min(this.#begun + Math.max(this.#orders.grace, minimumGrace), this.#orders.latest ?? Infinity);
  }

  /** Other orders come, or nobody cares any more. */
  cancel(): void {
    this.#phase = "over";
    this.#timer?.cancel();
    this.#leaveTurn?.();
    this.#hook?.cut();
  }

  #runHook(): void {
    const { grace } = this.#orders;
    if (!this.life.spec.lifecycle?.preStop || grace <= 0) {
      this.#takeTurn();
      return;
    }
    const { clock } = this.#pod.host.sim;
    this.#timer = clock.after(grace, () => {
      this.#hook?.leave();
      this.#takeTurn();
    });
    this.#hook = runHook(this.#pod, this.life, this.container, "preStop", () => {
      this.#timer?.cancel();
      this.#takeTurn();
    });
  }

  /** What is left of grace. */
  #left(): Time {
    return this.#begun + this.#orders.grace - this.#pod.host.sim.clock.now;
  }

  #takeTurn(): void {
    const { turn } = this.#orders;
    if (turn && this.#left() > 0) this.#leaveTurn = turn(this.#left(), () => this.#stop());
    else this.#stop();
  }

  #stop(): void {
    if (this.#phase !== "before") return;
    this.#phase = "stopping";
    if (!this.container.running) {
      this.#finish();
      return;
    }
    const { clock } = this.#pod.host.sim;
    const latest = Math.max(this.#orders.latest ?? Infinity, clock.now);
    const wait = Math.min(Math.max(this.#left(), minimumGrace), latest - clock.now);
    this.#timer = clock.after(wait, () => this.#signal("SIGKILL"));
    if (this.#signalled) return;
    this.#signalled = true;
    this.#signal(this.container.facts.image.stopSignal);
  }

  #signal(signal: Signal): void {
    const { key, uid, host } = this.#pod;
    const container = this.life.spec.name;
    const about = { of: "signal", pod: key, uid, container, signal } as const;
    tellLife(host.sim, `kubelet/${host.node.name}`, () => about);
    this.container.signal(signal);
  }

  #finish(): void {
    this.#phase = "over";
    this.#timer?.cancel();
    this.#done();
  }
}
