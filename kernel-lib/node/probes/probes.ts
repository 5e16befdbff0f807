/** Owns the probes of one container through all its starts, and what they together say of it. */
import type { Key } from "../../api/meta";
import { millisecond, type Time } from "../../sim/clock";
import type { Sim } from "../../sim/sim";
import type { Container } from "../container";
import type { ExecIn } from "../exec";
import { type ProbeKind, tellLife } from "../lifeevents";
import type { Note } from "../pull";
import type { SpecContainer } from "../stages";
import { doProbe, type ProbeSpec } from "./action";
import type { Asker, Asking, Outcome } from "./ask";
import { type ProbeOwner, ProbeWorker } from "./worker";

/** What a container's probes have of its pod. */
export interface ProbesOwner {
  readonly sim: Sim;
  readonly asker: Asker;
  readonly exec: ExecIn;
  readonly pod: Key;
  readonly uid: string;
  /** `kubelet/node-1`. */
  readonly where: string;
  readonly spec: SpecContainer;
  podIp(): string | undefined;
  tell(note: Note): void;
  /** What the pod's status says of it has changed. */
  changed(): void;
  /** It is to be killed and begun again. */
  failed(kind: "startup" | "liveness"): void;
}

/** From a change until the pod's worker has looked at it: then an unready container is asked again at once. */
const look = 5 * millisecond;

const specs: { readonly [K in ProbeKind]: "startupProbe" | "readinessProbe" | "livenessProbe" } = {
  startup: "startupProbe",
  readiness: "readinessProbe",
  liveness: "livenessProbe",
};

/** Whether a container has any probe. */
export function isProbed({ startupProbe, readinessProbe, livenessProbe }: SpecContainer): boolean {
  return Boolean(startupProbe ?? readinessProbe ?? livenessProbe);
}

export class Probes {
  readonly #owner: ProbesOwner;
  readonly #workers: { readonly [K in ProbeKind]: ProbeWorker | undefined };
  #container: Container | undefined;
  #triggers: { cancel(): void } | undefined;
  #podEnds = false;

  /** From now on their ticks count. */
  constructor(owner: ProbesOwner) {
    this.#owner = owner;
    const worker = (kind: ProbeKind): ProbeWorker | undefined => {
      const spec = owner.spec[specs[kind]];
      return spec && new ProbeWorker(kind, spec, this.#ownerOf());
    };
    this.#workers = { startup: worker("startup"), readiness: worker("readiness"), liveness: worker("liveness") };
  }

  /** Whether the container runs and its startup probe, if it has one, has succeeded. */
  get started(): boolean {
    return this.#container !== undefined && (this.#podEnds || (this.#workers.startup?.good ?? true));
  }

  get ready(): boolean {
    return this.started && (this.#workers.readiness?.good ?? true);
  }

  /**
   * The container runs.
   * @param soon until the kubelet looks at it (its readiness is asked for then)
   * @param waited whether `settle` waits until it is ready
   */
  begin(container: Container, soon: Time, waited: boolean): void {
    this.#container = container;
    for (const worker of this.#all) worker.begin(container.started ?? this.#owner.sim.clock.now, waited);
    if (this.started) this.#start(soon, waited);
    else this.#workers.startup?.resume();
  }

  /**
   * The pod begins to end: what would only kill its containers is asked no more (StopLivenessAndStartup), and nothing waits
   * for a container's start any longer.
   */
  podEnds(): void {
    const { startup, readiness, liveness } = this.#workers;
    startup?.stop();
    liveness?.stop();
    if (this.#container !== undefined && !this.started) readiness?.resume();
    this.#podEnds = true;
  }

  /** The kubelet was started again. */
  kubeletRestarted(): void {
    for (const worker of this.#all) worker.delay(this.#owner.asker.random.integer(0, 999_999) / 1_000_000);
  }

  /** The container runs no more. */
  stop(): void {
    this.#container = undefined;
    this.#triggers?.cancel();
    for (const worker of this.#all) worker.stop();
  }

  get #all(): readonly ProbeWorker[] {
    const { startup, readiness, liveness } = this.#workers;
    return [startup, readiness, liveness].filter((one): one is ProbeWorker => one !== undefined);
  }

  /** Has started: the other probes begin, readiness soon, liveness at its next tick. */
  #start(soon: Time, waited: boolean): void {
    this.#workers.liveness?.resume();
    if (waited) this.#workers.readiness?.wait();
    this.#triggerAfter(soon, waited);
  }

  #triggerAfter(delay: Time, waited: boolean): void {
    const { readiness } = this.#workers;
    if (!readiness) return;
    this.#triggers?.cancel();
    const { clock } = this.#owner.sim;
    this.#triggers = clock.after(delay, () => readiness.trigger(), waited ? "foreground" : "background");
  }

  #ownerOf(): ProbeOwner {
    const { clock } = this.#owner.sim;
    return {
      get now() {
        return clock.now;
      },
      after: (delay, run, kind) => clock.after(delay, run, kind),
      ask: (probe, told) => this.#ask(probe, told),
      heard: (kind, outcome, counts) => this.#heard(kind, outcome, counts),
      changed: (kind) => this.#changed(kind),
    };
  }

  #ask(probe: ProbeSpec, told: (outcome: Outcome) => void): Asking {
    const { asker, exec, spec } = this.#owner;
    const container = this.#container;
    if (!container) throw new Error(`container ${spec.name} is probed and does not run`);
    return doProbe({ asker, exec, spec, container, podIp: this.#owner.podIp() ?? "" }, probe, told);
  }

  #heard(kind: ProbeKind, { result, message }: Outcome, counts: boolean): void {
    const { sim, where, pod, uid, spec } = this.#owner;
    const title = `${kind.charAt(0).toUpperCase()}${kind.slice(1)} probe`;
    const warn = (reason: string, text: string): void => this.#owner.tell({ type: "Warning", reason, message: text });
    if (result === "failure") warn("Unhealthy", `${title} failed: ${message}`);
    else if (result === "warning") warn("ProbeWarning", `${title} warning: ${message}`);
    else if (result === "error") warn("Unhealthy", `${title} errored and resulted in unknown state: ${message}`);
    const success = result === "success" || result === "warning";
    tellLife(sim, where, () => ({
      ...{ of: "probe", pod, uid, container: spec.name, probe: kind, success, told: counts },
      ...(!success && { message }),
    }));
  }

  #changed(kind: ProbeKind): void {
    const { startup, readiness, liveness } = this.#workers;
    if (kind === "readiness") {
      this.#owner.changed();
      if (!readiness?.good) this.#triggerAfter(look, false);
    } else if (kind === "startup" && startup?.good) {
      this.#owner.changed();
      this.#start(look, true);
    } else if (kind === "startup" || !liveness?.good) this.#owner.failed(kind);
  }
}
