/** Owns the life of one pod on a node: its sandbox, its containers through their stages, and its end. */

import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import type { ProcessRunner } from "../apps/app";
import { isPullFailure, type PullFailure } from "../apps/image";
import { formatIp } from "../net/address";
import { second, type Time, type Timer } from "../sim/clock";
import type { Random } from "../sim/random";
import type { Cni, PortMapping } from "./cni/cni";
import { Container } from "./container";
import { type ContainerHost, containerSpec } from "./containerspec";
import { EnvError } from "./env";
import type { NodeFigures } from "./figures";
import type { NodeImages, Pulled } from "./images";
import type { PodNet } from "./node";
import { crashNote, decidePull, failedNote, type Note, pulledNote, pullFailureText } from "./pull";
import { Sandbox } from "./sandbox";
import { afterEnd, backOffAfter, type Life, newLife, type Stage, stages } from "./stages";
import { phaseOf, podStatus } from "./status";
import { MountError, PodVolumes } from "./volumes";

type Pod = Kinds["Pod"];

/** The stages that the worker goes through without looking up from its work. */
const firstTurn: ReadonlySet<Stage> = new Set(["waiting", "pulling", "creating", "starting"]);

/** What a pod's worker has of its kubelet. */
export interface PodHost extends ContainerHost {
  readonly cni: Cni;
  readonly runner: ProcessRunner;
  readonly images: NodeImages;
  readonly figures: NodeFigures;
  readonly random: Random;
  /** The pod is gone from the node. */
  removed(worker: PodWorker): void;
}

/** One pod, by its uid: a pod of the same name that comes later has a worker of its own. */
export class PodWorker {
  readonly key: Key;
  readonly uid: string;
  readonly lives: readonly Life[];
  readonly #host: PodHost;
  readonly #startTime: Time;
  readonly #timers = new Map<Life, { cancel(): void }>();
  #pod: Pod;
  readonly #volumes: PodVolumes;
  #sandbox: Sandbox;
  #before: Sandbox | undefined;
  #looked = false;
  #removal: Timer | undefined;
  #graceTimer: Timer | undefined;
  #graceEnds: Time | undefined;
  #ending = false;
  #removing = false;
  #over = false;

  constructor(host: PodHost, pod: Pod) {
    this.#host = host;
    this.#pod = pod;
    this.key = keyOf(pod);
    this.uid = pod.metadata.uid;
    this.#startTime = host.sim.clock.now;
    this.lives = [
      ...(pod.spec.initContainers ?? []).map((spec) => newLife(spec, true)),
      ...pod.spec.containers.map((spec) => newLife(spec, false)),
    ];
    this.#volumes = new PodVolumes(host.sim.clock, host.files);
    this.#sandbox = this.#newSandbox(0);
    this.#report();
  }

  #newSandbox(attempt: number): Sandbox {
    const { sim, node, cni, figures, numbers } = this.#host;
    const { key, uid } = this;
    const parts = {
      ...{ sim, node, cni, figures, numbers, key, uid, attempt },
      hostNetwork: this.#pod.spec.hostNetwork ?? false,
      portMappings: portMappingsOf(this.#pod),
      newId: () => this.#hex(64),
      warn: (reason: string, message: string) => this.#tell({ type: "Warning", reason, message }),
      ready: () => {
        this.#beginNext();
        this.#report();
      },
    };
    return new Sandbox(parts, figures.podAdmission);
  }

  /** The pod's namespace, once it has one. */
  get net(): PodNet | undefined {
    const { connected } = this.#sandbox;
    const hostNetwork = this.#pod.spec.hostNetwork ?? false;
    return connected && { key: this.key, uid: this.uid, ...connected, hostNetwork };
  }

  /** The newest start of each container, init containers first. */
  get containers(): readonly Container[] {
    return this.lives.flatMap((life) => life.container ?? life.previous ?? []);
  }

  /** The pod as it was last seen. */
  get pod(): Pod {
    return this.#pod;
  }

  /** Its sandboxes that have begun, the newest first: one, and the one before it that was stopped. */
  get sandboxes(): readonly Sandbox[] {
    return [this.#sandbox, this.#before].filter((one): one is Sandbox => one?.pause !== undefined);
  }

  /**
   * Takes its sandbox down from outside (`crictl stopp`, the death of the pause process): its containers are killed, its
   * address is given back. The kubelet notices and makes a new one.
   */
  stopSandbox(): void {
    if (this.#ending || this.#over || this.#sandbox.pause === undefined || this.#sandbox.stopped !== undefined) return;
    this.#sandbox.remove();
    for (const { container } of this.lives) container?.signal("SIGKILL");
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    const { sim, figures } = this.#host;
    this.#removal?.cancel();
    this.#removal = sim.clock.after(figures.notice, () => this.#renewSandbox());
  }

  /** computePodActions in pkg/kubelet/kuberuntime: without a sandbox everything begins anew, init containers too. */
  #renewSandbox(): void {
    const phase = phaseOf(this.#pod, this.lives);
    if (this.#ending || this.#over || phase === "Succeeded" || phase === "Failed") return;
    const message = "Pod sandbox changed, it will be killed and re-created.";
    this.#tell({ type: "Normal", reason: "SandboxChanged", message });
    for (const life of this.lives) {
      life.stage = "waiting";
      life.reason = undefined;
      life.message = undefined;
    }
    this.#before = this.#sandbox;
    this.#sandbox = this.#newSandbox(this.#before.attempt + 1);
    this.#report();
  }

  /** The pod as the store now has it. */
  update(pod: Pod): void {
    this.#pod = pod;
    const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
    const grace = deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    if (deletionTimestamp !== undefined) this.terminate(grace * second);
  }

  /** The network plugin is ready now. */
  networkReady(): void {
    this.#sandbox.networkReady();
  }

  // ── The stages of a container ────────────────────────────────────────────────────────────────────────────────────

  /** Init containers one after another; then all others, each as soon as the one before it has been started. */
  #beginNext(): void {
    const init = this.lives.filter((life) => life.init && life.stage !== "done");
    if (init.some((life) => life.stage !== "waiting")) return;
    const next = init[0] ?? this.lives.find((life) => life.stage === "waiting");
    if (next) this.#enter(next, "pulling");
  }

  #enter(life: Life, stage: Stage, why: { readonly reason?: string; readonly message?: string } = {}): void {
    if (this.#over || (this.#ending && stage !== "ended" && stage !== "done")) return;
    this.#timers.get(life)?.cancel();
    this.#timers.delete(life);
    life.stage = stage;
    life.reason = why.reason;
    life.message = why.message;
    const row = stages[stage];
    this.#arrive(life, stage);
    // Arriving may have led further at once: then the timer is not this stage's to set.
    if (life.stage === stage && row.lasts && row.next) {
      const { sim, figures } = this.#host;
      const { next } = row;
      const lasts = row.lasts(figures, life, sim.clock.now);
      const kind = row.background || life.pullFailures + life.crashes > 1 ? "background" : undefined;
      this.#timers.set(
        life,
        sim.clock.after(lasts, () => this.#leave(life, stage, next), kind),
      );
    }
    this.#report();
  }

  /** What a stage does when it begins. */
  #arrive(life: Life, stage: Stage): void {
    const { name, image } = life.spec;
    switch (stage) {
      case "pulling":
        this.#pull(life);
        return;
      case "pull-back-off":
        this.#tell({ type: "Normal", reason: "BackOff", message: `Back-off pulling image "${image}"` }, life);
        this.#tell(failedNote("ImagePullBackOff"), life);
        return;
      case "crash-back-off": {
        const { name: pod, namespace } = this.#pod.metadata;
        const said = crashNote(
          name,
          `${pod}_${namespace}(${this.uid})`,
          backOffAfter(life.crashes - 1, this.#host.figures.crashBackOff),
        );
        life.message = said.waiting;
        this.#tell(said.note, life);
        return;
      }
      case "creating":
        this.#create(life);
        return;
      case "running":
        this.#start(life);
        return;
      case "done":
        if (life.init && life.container?.ending?.exitCode === 0) this.#beginNext();
        return;
    }
  }

  /** What a stage does when its time is over. */
  #leave(life: Life, stage: Stage, next: Stage): void {
    if (stage === "creating") this.#tell({ type: "Normal", reason: "Created", message: "Container created" }, life);
    if (next === "pull-back-off") {
      // What the last pull said stays readable while nothing is pulled (since v1.32).
      const message = `Back-off pulling image "${life.spec.image}": ${life.reason ?? "ErrImagePull"}: ${life.message}`;
      this.#enter(life, next, { message });
      return;
    }
    this.#enter(life, next);
  }

  #pull(life: Life): void {
    const { images } = this.#host;
    const decision = decidePull(life.spec, images);
    for (const note of decision.notes) this.#tell(note, life);
    switch (decision.decision) {
      case "use":
        life.image = decision.image;
        this.#enter(life, "creating");
        return;
      case "pull": {
        const again = life.pullFailures > 0 || life.crashes > 1 ? "background" : undefined;
        const pulled = (result: Pulled | PullFailure): void => this.#pulled(life, result);
        this.#timers.set(life, images.pull(decision.reference, pulled, again));
        return;
      }
      case "refuse":
        life.reason = decision.reason;
        life.message = decision.message;
        this.#beginNext();
        return;
    }
  }

  #pulled(life: Life, result: Pulled | PullFailure): void {
    const { figures, sim } = this.#host;
    const { image = "" } = life.spec;
    if (!isPullFailure(result)) {
      this.#tell(pulledNote(image, result), life);
      life.image = result.image;
      life.pullFailures = 0;
      this.#enter(life, "creating");
      return;
    }
    const message = pullFailureText(result);
    this.#tell({ type: "Warning", reason: "Failed", message: `Failed to pull image "${image}": ${message}` }, life);
    this.#tell(failedNote("ErrImagePull"), life);
    life.pullFailures++;
    life.until = sim.clock.now + backOffAfter(life.pullFailures, figures.imageBackOff);
    this.#enter(life, "pull-failed", { message });
    this.#beginNext();
  }

  #create(life: Life): void {
    const { sim, runner } = this.#host;
    const { image } = life;
    const { connected, pause } = this.#sandbox;
    if (!image || !connected || !pause) return;
    try {
      const at = {
        ...{ host: this.#host, pod: this.#pod, podIps: this.#podIps(), netns: connected.netns, id: this.#hex(64) },
        namespaces: pause.namespaces,
        volume: (name: string) => this.#volumes.tree(this.#pod, name),
      };
      const container: Container = new Container(sim, runner, containerSpec(life.spec, image, at), () =>
        this.#ended(life, container),
      );
      if (life.container) life.restarts++;
      life.previous = life.container ?? life.previous;
      life.container = container;
    } catch (error) {
      if (!(error instanceof EnvError || error instanceof MountError)) throw error;
      const [mount, message] = [error instanceof MountError, error.message];
      this.#tell(mount ? { type: "Warning", reason: "FailedMount", message } : failedNote(message), life);
      this.#enter(life, "config-failed", mount ? { reason: "ContainerCreating" } : { message });
      this.#beginNext();
    }
  }

  #start(life: Life): void {
    const { container } = life;
    if (!container) return;
    const problem = container.start();
    if (problem !== undefined) {
      this.#tell(failedNote(problem), life);
      container.started = 0;
      container.ending = { at: this.#host.sim.clock.now, exitCode: 128, startError: problem };
      this.#ended(life, container);
      return;
    }
    this.#tell({ type: "Normal", reason: "Started", message: "Container started" }, life);
    if (!life.init) this.#beginNext();
  }

  /** Its program has ended. The kubelet notices a moment later, and starts it again if the policy says so. */
  #ended(life: Life, container: Container): void {
    if (life.container !== container || this.#over || (this.#sandbox.stopped !== undefined && !this.#ending)) return;
    const { sim, figures } = this.#host;
    this.#timers.get(life)?.cancel();
    const kind = life.crashes > 0 ? "background" : undefined;
    this.#timers.set(
      life,
      sim.clock.after(figures.notice, () => this.#afterEnd(life, container), this.#ending ? undefined : kind),
    );
  }

  #afterEnd(life: Life, container: Container): void {
    const { figures } = this.#host;
    const { ending } = container;
    if (this.#ending) {
      this.#enter(life, "done");
      this.#finishIfEnded();
      return;
    }
    const next = ending
      ? afterEnd(life, { ...ending, started: container.started }, this.#pod.spec.restartPolicy, figures)
      : undefined;
    if (!next) {
      this.#enter(life, "done");
      this.#finishIfComplete();
      return;
    }
    life.crashes = next.crashes;
    life.until = next.until;
    this.#enter(life, next.stage);
  }

  // ── Ending ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends its containers: a signal, so much time, then SIGKILL. A shorter grace than before counts. */
  terminate(grace: Time): void {
    const { clock } = this.#host.sim;
    const ends = clock.now + grace;
    if (this.#graceEnds !== undefined && this.#graceEnds <= ends) return;
    this.#graceEnds = ends;
    this.#graceTimer?.cancel();
    if (!this.#ending) this.#beginEnd();
    if (this.#over || this.lives.every((life) => life.stage === "done")) return;
    this.#graceTimer = clock.after(grace, () => {
      for (const { container } of this.lives) container?.signal("SIGKILL");
    });
  }

  #beginEnd(): void {
    this.#ending = true;
    this.#sandbox.cancel();
    for (const life of this.lives) {
      const { container } = life;
      if (container?.running) {
        this.#tell({ type: "Normal", reason: "Killing", message: `Stopping container ${life.spec.name}` }, life);
        container.signal(container.spec.image.stopSignal);
      } else if (life.stage !== "done") {
        this.#timers.get(life)?.cancel();
        this.#enter(life, "done");
      }
    }
    this.#finishIfEnded();
  }

  #finishIfEnded(): void {
    if (this.#over || this.#removing || !this.lives.every((life) => life.stage === "done")) return;
    this.#removing = true;
    this.#graceTimer?.cancel();
    const { sim, figures } = this.#host;
    this.#removal?.cancel();
    this.#removal = sim.clock.after(figures.removeSandbox, () => this.#remove());
  }

  /** All containers have ended for good: the sandbox goes, the pod stays to be looked at. */
  #finishIfComplete(): void {
    const phase = phaseOf(this.#pod, this.lives);
    if (phase !== "Succeeded" && phase !== "Failed") return;
    const { sim, figures } = this.#host;
    this.#removal = sim.clock.after(figures.removeSandbox, () => {
      this.#sandbox.remove();
      this.#report();
    });
  }

  #remove(): void {
    const { store } = this.#host;
    this.#over = true;
    this.#sandbox.remove();
    const current = store.get("Pod", this.key);
    if (current?.metadata.uid === this.uid && current.metadata.deletionTimestamp !== undefined) {
      store.delete("Pod", this.key, "kubelet", { grace: 0, uid: this.uid });
    }
    this.#host.removed(this);
  }

  // ── Telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #podIps(): readonly string[] {
    return this.#sandbox.connected?.ips.map(formatIp) ?? [];
  }

  #report(): void {
    const { store, sim, node } = this.#host;
    const current = store.get("Pod", this.key);
    if (this.#over || current?.metadata.uid !== this.uid) return;
    // The pod's worker looks at the runtime after its turn, and a turn lasts until the pulls are over: what the sandbox
    // has is told only then (pkg/kubelet/pod_workers.go).
    this.#looked ||= this.lives.some(({ stage }) => !firstTurn.has(stage));
    const facts = {
      lives: this.lives,
      podIps: this.#looked ? this.#podIps() : [],
      hostIps: node.ips.map(formatIp),
      sandboxReady: this.#looked && this.#sandbox.connected !== undefined,
      startTime: this.#startTime,
      now: sim.clock.now,
    };
    store.update("Pod", this.key, (pod) => ({ ...pod, status: podStatus(pod, facts) }), "kubelet");
  }

  #tell(note: Note, life?: Life): void {
    const { sim, store, node } = this.#host;
    const list = life?.init ? "initContainers" : "containers";
    recordEvent(sim, store, {
      ...note,
      about: this.#pod,
      component: "kubelet",
      host: node.name,
      ...(life && { fieldPath: `spec.${list}{${life.spec.name}}` }),
    });
  }

  #hex(length: number): string {
    let text = "";
    for (let at = 0; at < length; at++) text += this.#host.random.integer(0, 15).toString(16);
    return text;
  }
}

/** The `hostPort`s of a pod's containers. */
function portMappingsOf({ spec }: Pod): readonly PortMapping[] {
  return spec.containers.flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ hostPort, containerPort, protocol = "TCP" }) =>
      hostPort ? [{ hostPort, containerPort, protocol: protocol.toLowerCase() as PortMapping["protocol"] }] : [],
    ),
  );
}
