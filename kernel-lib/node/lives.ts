/** Owns the containers of one pod on their way through the stages: pulled, made, started, and again when they end. */
import type { Kinds } from "../api/kinds";
import { isPullFailure, type PullFailure } from "../apps/image";
import type { Netns } from "../net/netns";
import type { Time } from "../sim/clock";
import { Container } from "./container";
import { type ContainerPlace, containerSpec, executableOf } from "./containerspec";
import { EnvError } from "./env";
import type { Pulled } from "./images";
import type { PodHost } from "./pod";
import { crashNote, decidePull, failedNote, type Note, pulledNote, pullFailureText } from "./pull";
import type { Sandbox } from "./sandbox";
import { serviceEnv } from "./serviceenv";
import { afterEnd, backOffAfter, type Life, newLife, type Stage, stages } from "./stages";
import { MountError, type PodVolumes } from "./volumes";

type Pod = Kinds["Pod"];

/** What the containers have of their pod. */
export interface LivesOwner {
  readonly host: PodHost;
  readonly uid: string;
  readonly volumes: PodVolumes;
  /** What only shows when somebody looks may be put off. */
  readonly lazy: boolean;
  /** As it was last seen. */
  readonly pod: Pod;
  readonly sandbox: Sandbox;
  /** Its containers end, and are not begun again. */
  readonly ending: boolean;
  /** Nothing happens any more. */
  readonly over: boolean;
  podIps(): readonly string[];
  /** Something that the pod's status shows has changed. */
  changed(): void;
  tell(note: Note, life?: Life): void;
  /** A container has ended for good. */
  done(): void;
  /** So many hexadecimal digits. */
  hex(length: number): string;
}

export class Lives {
  /** Init containers first. */
  readonly all: readonly Life[];
  readonly #owner: LivesOwner;

  constructor(owner: LivesOwner) {
    this.#owner = owner;
    const { spec } = owner.pod;
    this.all = [
      ...(spec.initContainers ?? []).map((one) => newLife(one, true)),
      ...spec.containers.map((one) => newLife(one, false)),
    ];
  }

  /** Init containers one after another; then all others, each as soon as the one before it has been started. */
  beginNext(): void {
    const init = this.all.filter((life) => life.init && life.stage !== "done");
    if (init.some((life) => life.stage !== "waiting")) return;
    const next = init[0] ?? this.all.find((life) => life.stage === "waiting");
    if (next) this.#enter(next, "pulling");
  }

  /** Nothing that waits happens any more. */
  cancel(): void {
    for (const life of this.all) cancelTimer(life);
  }

  /** All are before their first start again. */
  beginAnew(): void {
    for (const life of this.all) {
      life.stage = "waiting";
      life.reason = undefined;
      life.message = undefined;
    }
  }

  /** The pod ends: nothing is begun any more. How its containers are stopped is its owner's. */
  end(): void {
    this.cancel();
  }

  /** All have stopped. */
  finish(): void {
    for (const life of this.all) life.stage = "done";
  }

  #enter(life: Life, stage: Stage, why: { readonly reason?: string; readonly message?: string } = {}): void {
    const { host, over, ending } = this.#owner;
    if (over || (ending && stage !== "ended" && stage !== "done")) return;
    cancelTimer(life);
    life.stage = stage;
    life.reason = why.reason;
    life.message = why.message;
    const row = stages[stage];
    this.#arrive(life, stage);
    // Arriving may have led further at once: then neither the timer nor the word is this stage's.
    if (life.stage !== stage) return;
    if (row.lasts && row.next) {
      const { sim, figures } = host;
      const { next } = row;
      const lasts = row.lasts(figures, life, sim.clock.now);
      const kind = row.background || life.pullFailures + life.crashes > 1 ? "background" : undefined;
      this.#after(life, lasts, () => this.#leave(life, stage, next), kind);
    }
    if (stage === "running") this.#look(life);
    else this.#owner.changed();
  }

  /** What has been started is told when the kubelet next looks; what has ended by then was never seen to run. */
  #look(life: Life): void {
    const { sim, figures } = this.#owner.host;
    sim.clock.after(figures.look, () => {
      if (life.stage === "running") this.#owner.changed();
    });
  }

  #after(life: Life, delay: Time, run: () => void, kind: "background" | undefined): void {
    life.timer = this.#owner.host.sim.clock.after(delay, run, kind);
  }

  /** What a stage does when it begins. */
  #arrive(life: Life, stage: Stage): void {
    const { pod, uid, host } = this.#owner;
    const { name, image } = life.spec;
    switch (stage) {
      case "pulling":
        this.#pull(life);
        return;
      case "pull-back-off":
        this.#owner.tell({ type: "Normal", reason: "BackOff", message: `Back-off pulling image "${image}"` }, life);
        this.#owner.tell(failedNote("ImagePullBackOff"), life);
        return;
      case "crash-back-off": {
        const { name: podName, namespace } = pod.metadata;
        const wait = backOffAfter(life.crashes - 1, host.figures.crashBackOff);
        const said = crashNote(name, `${podName}_${namespace}(${uid})`, wait);
        life.message = said.waiting;
        this.#owner.tell(said.note, life);
        return;
      }
      case "creating":
        this.#create(life);
        return;
      case "running":
        this.#start(life);
        return;
      case "done":
        if (life.init && life.container?.ending?.exitCode === 0) this.beginNext();
        return;
    }
  }

  /** What a stage does when its time is over. */
  #leave(life: Life, stage: Stage, next: Stage): void {
    if (stage === "creating") {
      this.#owner.tell({ type: "Normal", reason: "Created", message: "Container created" }, life);
    }
    if (next === "pull-back-off") {
      // What the last pull said stays readable while nothing is pulled (since v1.32).
      const message = `Back-off pulling image "${life.spec.image}": ${life.reason ?? "ErrImagePull"}: ${life.message}`;
      this.#enter(life, next, { message });
      return;
    }
    this.#enter(life, next);
  }

  #pull(life: Life): void {
    const { images } = this.#owner.host;
    const decision = decidePull(life.spec, images);
    for (const note of decision.notes) this.#owner.tell(note, life);
    switch (decision.decision) {
      case "use":
        life.image = decision.image;
        this.#enter(life, "creating");
        return;
      case "pull": {
        const again = life.pullFailures > 0 || life.crashes > 1 ? "background" : undefined;
        const pulled = (result: Pulled | PullFailure): void => this.#pulled(life, result);
        life.timer = images.pull(decision.reference, pulled, again);
        return;
      }
      case "refuse":
        life.reason = decision.reason;
        life.message = decision.message;
        this.beginNext();
        return;
    }
  }

  #pulled(life: Life, result: Pulled | PullFailure): void {
    const { figures, sim } = this.#owner.host;
    const { image = "" } = life.spec;
    if (!isPullFailure(result)) {
      this.#owner.tell(pulledNote(image, result), life);
      life.image = result.image;
      life.pullFailures = 0;
      this.#enter(life, "creating");
      return;
    }
    const message = pullFailureText(result);
    const failed = `Failed to pull image "${image}": ${message}`;
    this.#owner.tell({ type: "Warning", reason: "Failed", message: failed }, life);
    this.#owner.tell(failedNote("ErrImagePull"), life);
    life.pullFailures++;
    life.until = sim.clock.now + backOffAfter(life.pullFailures, figures.imageBackOff);
    this.#enter(life, "pull-failed", { message });
    this.beginNext();
  }

  #create(life: Life): void {
    const owner = this.#owner;
    const { sim, runner, store, node } = owner.host;
    const { image } = life;
    const { sandbox } = owner;
    if (!image || !sandbox.connected || !sandbox.begun) return;
    // What is mounted may be a configuration that it cannot live with: that must be seen at once.
    // Every pod has its account's token, which no program here reads.
    const plain = !life.spec.volumeMounts?.some(({ mountPath }) => !mountPath.startsWith("/var/run/secrets/"));
    const later = owner.lazy && image.quiet && plain && node.later.asleep ? node.later : undefined;
    try {
      if (!later) node.later.catchUp();
      const [id, services] = [owner.hex(64), serviceEnv(store, owner.pod)];
      const facts = { name: life.spec.name, id, image, executable: executableOf(life.spec, image), later };
      const make = () => containerSpec(life.spec, image, this.#place(sandbox, id, services));
      const container: Container = new Container(sim, runner, facts, make, () => this.#ended(life, container));
      if (life.container) life.restarts++;
      life.previous = life.container ?? life.previous;
      life.container = container;
    } catch (error) {
      if (!(error instanceof EnvError || error instanceof MountError)) throw error;
      const [mount, message] = [error instanceof MountError, error.message];
      owner.tell(mount ? { type: "Warning", reason: "FailedMount", message } : failedNote(message), life);
      this.#enter(life, "config-failed", mount ? { reason: "ContainerCreating" } : { message });
      this.beginNext();
    }
  }

  #place(sandbox: Sandbox, id: string, services: ContainerPlace["services"]): ContainerPlace {
    const { host, pod, volumes } = this.#owner;
    const { connected, pause } = sandbox;
    if (!connected || !pause) throw new Error(`the sandbox of ${this.#owner.uid} is gone`);
    return {
      ...{ host, pod, podIps: this.#owner.podIps(), id, services, namespaces: pause.namespaces },
      get netns(): Netns {
        return connected.netns;
      },
      volume: (name: string) => volumes.tree(this.#owner.pod, name),
    };
  }

  #start(life: Life): void {
    const { container } = life;
    if (!container) return;
    const problem = container.start();
    if (problem !== undefined) {
      this.#owner.tell(failedNote(problem), life);
      container.started = 0;
      container.ending = { at: this.#owner.host.sim.clock.now, exitCode: 128, startError: problem };
      this.#ended(life, container);
      return;
    }
    this.#owner.tell({ type: "Normal", reason: "Started", message: "Container started" }, life);
    if (!life.init) this.beginNext();
  }

  /** Its program has ended. The kubelet notices a moment later, and starts it again if the policy says so. */
  #ended(life: Life, container: Container): void {
    const { over, sandbox, ending, host } = this.#owner;
    if (life.container !== container || over || ending || sandbox.stopped !== undefined) return;
    life.timer?.cancel();
    if (host.sim.clock.now - (container.started ?? 0) <= host.figures.look) life.stage = "starting";
    const kind = life.crashes > 0 ? "background" : undefined;
    this.#after(life, host.figures.notice, () => this.#afterEnd(life, container), kind);
  }

  #afterEnd(life: Life, container: Container): void {
    const { host, pod } = this.#owner;
    const { ending } = container;
    const next = ending
      ? afterEnd(life, { ...ending, started: container.started }, pod.spec.restartPolicy, host.figures)
      : undefined;
    if (!next) {
      this.#enter(life, "done");
      this.#owner.done();
      return;
    }
    life.crashes = next.crashes;
    life.until = next.until;
    this.#enter(life, next.stage);
  }
}

function cancelTimer(life: Life): void {
  life.timer?.cancel();
  life.timer = undefined;
}
