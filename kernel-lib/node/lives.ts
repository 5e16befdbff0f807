/** Owns the containers of one pod on their way through the stages: pulled, made, started, and again when they end. */
import type { Kinds } from "../api/kinds";
import { keyOf } from "../api/meta";
import type { Netns } from "../net/netns";
import type { Time } from "../sim/clock";
import { Container } from "./container";
import { type ContainerPlace, containerSpec, executableOf } from "./containerspec";
import type { KillOrder } from "./ending/grace";
import { isSidecar } from "./ending/order";
import { EnvError } from "./env";
import { pullImage } from "./imagepull";
import { tellLife } from "./lifeevents";
import { MountError } from "./payload";
import type { PodHost } from "./pod";
import { isProbed, Probes } from "./probes/probes";
import { crashNote, failedNote, type Note } from "./pull";
import { afterEnd, isRestarted, restarted } from "./restarts";
import type { Sandbox } from "./sandbox";
import { serviceEnv } from "./serviceenv";
import { isStarted, type Life, newLife, type Stage, saysStill, stages } from "./stages";
import type { PodVolumes } from "./volumes";

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
  /** Runs a container's postStart hook; `over` is told when it runs well, or why it was killed. */
  postStart(life: Life, container: Container, over: (failure?: string) => void): void;
  /** Kills one container of a pod that lives on; `ended` is told when that is done, its preStop hook too. */
  kill(life: Life, order: KillOrder, ended: () => void): void;
  /** So many hexadecimal digits. */
  hex(length: number): string;
}

export class Lives {
  /** Init containers first. */
  readonly all: readonly Life[];
  readonly #owner: LivesOwner;
  /** Most pods stay as they were made. */
  #respecified = false;

  constructor(owner: LivesOwner) {
    this.#owner = owner;
    const { spec } = owner.pod;
    this.all = [
      ...(spec.initContainers ?? []).map((one) => newLife(one, true)),
      ...spec.containers.map((one) => newLife(one, false)),
    ];
    for (const life of this.all) if (isProbed(life.spec)) life.probes = this.#newProbes(life);
  }

  #newProbes(life: Life): Probes {
    const owner = this.#owner;
    const { pod, uid, host } = owner;
    const { sim, asker, exec, node } = host;
    return new Probes({
      ...{ sim, asker, exec, pod: keyOf(pod), uid, where: `kubelet/${node.name}`, spec: life.spec },
      podIp: () => owner.podIps()[0],
      tell: (note) => owner.tell(note, life),
      changed: () => {
        owner.changed();
        if (life.init) this.beginNext();
      },
      failed: (kind) => this.#probeFailed(life, kind),
    });
  }

  /**
   * Init containers one after another, a sidecar as soon as it has started; then all others, each as soon as the one before
   * it has been started (computePodActions in pkg/kubelet/kuberuntime).
   */
  beginNext(): void {
    for (const life of this.all) {
      if (life.stage === "waiting") {
        this.#enter(life, "pulling");
        return;
      }
      if (life.init ? !isInitialized(life) : isFirstBegun(life)) return;
    }
  }

  /** The pod's spec is another one: what was given a new image begins anew with it. */
  respecified(): void {
    this.#respecified = true;
    for (const life of this.all) this.#takeImage(life);
  }

  /**
   * Another image: what runs is killed and begun again, whatever its policy; what waits to be tried again is tried at once,
   * for back-offs are counted by image and by spec (computePodActions, getStableKey). A turn that is under way ends first.
   */
  #takeImage(life: Life): void {
    const { spec } = this.#owner.pod;
    const all = life.init ? spec.initContainers : spec.containers;
    const wanted = all?.find(({ name }) => name === life.spec.name);
    const waits = life.stage === "waiting" || stages[life.stage].background === true || life.stage === "pull-failed";
    if (!wanted || wanted.image === life.spec.image || !(waits || life.stage === "running") || life.killed) return;
    life.spec = wanted;
    if (life.stage === "waiting") return;
    [life.backOff, life.crashes, life.pullFailures] = [undefined, 0, 0];
    const { container } = life;
    if (waits) this.#enter(life, "pulling");
    else if (!life.init || isSidecar(life)) {
      const title = life.init ? "Init container" : "Container";
      const message = `${title} ${life.spec.name} definition changed, will be restarted`;
      life.killed = true;
      this.#owner.kill(life, { reason: "Unknown", message }, () => {
        life.killed = false;
        if (life.container === container) this.#enter(life, "pulling");
      });
    }
  }

  /** Nothing that waits happens any more. */
  cancel(): void {
    for (const life of this.all) cancelTimer(life);
  }

  /** The kubelet was started again: it asks after its containers, but not after all at once. */
  kubeletRestarted(): void {
    for (const { probes } of this.all) probes?.kubeletRestarted();
  }

  /** All are before their first start again. */
  beginAnew(): void {
    for (const life of this.all) {
      life.stage = "waiting";
      life.reason = undefined;
      life.message = undefined;
      life.killed = false;
    }
  }

  /** The pod ends: nothing is begun any more. How its containers are stopped is its owner's; they are still asked whether they are ready. */
  end(): void {
    this.cancel();
    for (const { probes } of this.all) probes?.podEnds();
  }

  /** All have stopped. */
  finish(): void {
    for (const life of this.all) {
      life.stage = "done";
      life.probes?.stop();
    }
  }

  #enter(life: Life, stage: Stage, why: { readonly reason?: string; readonly message?: string } = {}): void {
    const { host, over, ending } = this.#owner;
    if (over || (ending && stage !== "ended" && stage !== "done")) return;
    cancelTimer(life);
    const stays = why.reason === undefined && saysStill(life, stage);
    life.stage = stage;
    if (!stays) [life.reason, life.message] = [why.reason, why.message];
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
    if (this.#respecified) this.#takeImage(life);
    if (stage === "running") this.#look(life);
    else if (stage !== "post-start") this.#owner.changed();
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
        pullImage(life, this.#owner, {
          enter: (next, why) => this.#enter(life, next, why),
          beginNext: () => this.beginNext(),
        });
        return;
      case "pull-back-off":
        this.#owner.tell({ type: "Normal", reason: "BackOff", message: `Back-off pulling image "${image}"` }, life);
        this.#owner.tell(failedNote("ImagePullBackOff"), life);
        return;
      case "crash-back-off": {
        const { name: podName, namespace } = pod.metadata;
        const wait = life.backOff?.wait ?? host.figures.crashBackOff.first;
        const said = crashNote(name, `${podName}_${namespace}(${uid})`, wait);
        life.message = said.waiting;
        this.#owner.tell(said.note, life);
        return;
      }
      case "creating":
        this.#create(life);
        return;
      case "post-start":
        this.#start(life);
        return;
      case "running":
        if (life.container) life.probes?.begin(life.container, host.figures.notice, life.crashes <= 1);
        if (!life.init || isStarted(life)) this.beginNext();
        return;
      case "done":
        if (life.init) this.beginNext();
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
    const { message = "" } = life;
    if (stage === "crash-back-off") this.#again(life, message);
    else this.#enter(life, next, stage === "pull-back-off" ? { reason: "ImagePullBackOff", message } : {});
  }

  /** A container that has ended is begun again. */
  #again(life: Life, message?: string): void {
    restarted(life, this.#owner.host.sim.clock.now, this.#owner.host.figures);
    this.#enter(life, "pulling", message === undefined ? {} : { reason: "CrashLoopBackOff", message });
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
      volume: (mount) => volumes.tree(this.#owner.pod, mount),
      folders: volumes.folders(this.#owner.uid),
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
    this.#journal(life, "started");
    this.#owner.postStart(life, container, (failure) => this.#hookOver(life, container, failure));
  }

  #hookOver(life: Life, container: Container, failure: string | undefined): void {
    if (life.container !== container || this.#owner.over || this.#owner.ending) return;
    if (failure !== undefined) {
      life.reason = "PostStartHookError";
      life.message = failure;
      this.#owner.changed();
    } else if (container.running) this.#enter(life, "running");
    else if (!life.init) this.beginNext();
  }

  #journal(life: Life, state: "started" | "ended", exitCode?: number): void {
    const { pod, uid, host } = this.#owner;
    tellLife(host.sim, `kubelet/${host.node.name}`, () => ({
      ...{ of: "container", pod: keyOf(pod), uid, container: life.spec.name, state },
      ...(exitCode !== undefined && { exitCode }),
    }));
  }

  /** Its startup or liveness probe has failed: it is killed, and begun again if the policy says so. */
  #probeFailed(life: Life, kind: "startup" | "liveness"): void {
    const { container } = life;
    if (!container?.running || this.#owner.ending || this.#owner.over) return;
    const again = isRestarted(life, 1, this.#owner.pod.spec.restartPolicy) && !life.init;
    const title = life.init ? "Init container" : "Container";
    const message = `${title} ${life.spec.name} failed ${kind} probe${again ? ", will be restarted" : ""}`;
    life.killed = true;
    const order: KillOrder = { reason: kind === "startup" ? "StartupProbe" : "LivenessProbe", message };
    this.#owner.kill(life, order, () => {
      if (life.container === container) this.#afterEnd(life, container);
    });
  }

  /** Its program has ended. The kubelet notices a moment later, and starts it again if the policy says so. */
  #ended(life: Life, container: Container): void {
    const { over, sandbox, ending, host } = this.#owner;
    if (life.container !== container || over) return;
    this.#journal(life, "ended", container.ending?.exitCode);
    // While its pod ends it is still asked whether it is ready, whatever is left of it.
    if (ending) return;
    life.probes?.stop();
    if (sandbox.stopped !== undefined || life.killed) return;
    life.timer?.cancel();
    if (host.sim.clock.now - (container.started ?? 0) <= host.figures.look) life.stage = "starting";
    const kind = life.crashes > 0 ? "background" : undefined;
    this.#after(life, host.figures.notice, () => this.#afterEnd(life, container), kind);
  }

  #afterEnd(life: Life, { ending }: Container): void {
    const { host, pod, ending: podEnds } = this.#owner;
    if (podEnds) return;
    const { now } = host.sim.clock;
    const next = ending ? afterEnd(life, ending, pod.spec.restartPolicy, now, host.figures) : undefined;
    if (!next) {
      this.#enter(life, "done");
      this.#owner.done();
    } else if (next.stage === "pulling") this.#again(life);
    else {
      life.until = next.until;
      life.killed = false;
      const { reason, message } = life;
      this.#enter(life, next.stage, reason === undefined || message === undefined ? {} : { reason, message });
    }
  }
}

/** Whether what comes after an init container may begin. */
function isInitialized(life: Life): boolean {
  return isSidecar(life) ? isStarted(life) : life.stage === "done" && life.container?.ending?.exitCode === 0;
}

/** Whether the kubelet's worker is busy with its first start. */
function isFirstBegun({ stage, reason, container, previous }: Life): boolean {
  if (stage === "pulling") return reason === undefined && container === undefined;
  return (stage === "creating" || stage === "starting" || stage === "post-start") && previous === undefined;
}

function cancelTimer(life: Life): void {
  life.timer?.cancel();
  life.timer = undefined;
}
