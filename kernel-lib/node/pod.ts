/** Owns the life of one pod on a node: its sandbox, its containers through their stages, and its end. */

import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import type { ProcessRunner } from "../apps/app";
import { isPullFailure, type PullFailure } from "../apps/image";
import { formatIp, type Ip } from "../net/address";
import type { Netns } from "../net/netns";
import { second, type Time, type Timer } from "../sim/clock";
import type { Random } from "../sim/random";
import { type Cni, CniError } from "./cni/cni";
import { Container } from "./container";
import { type ContainerHost, containerSpec } from "./containerspec";
import { EnvError } from "./env";
import type { NodeFigures } from "./figures";
import { fullReference, goDuration, type NodeImages, type Pulled } from "./images";
import type { PodNet } from "./node";
import { backOffAfter, type Life, newLife, type Stage, stages } from "./stages";
import { phaseOf, podStatus } from "./status";

type Pod = Kinds["Pod"];

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
  #net: { readonly netns: Netns; readonly ips: readonly Ip[] } | undefined;
  #setUp: Timer | undefined;
  #sandboxTries = 0;
  #waitsForNetwork = false;
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
    this.#report();
    this.#setUp = host.sim.clock.after(host.figures.podAdmission, () => this.#sandbox());
  }

  /** The pod's namespace, once it has one. */
  get net(): PodNet | undefined {
    if (!this.#net) return undefined;
    const { netns, ips } = this.#net;
    return { key: this.key, uid: this.uid, netns, ips, hostNetwork: this.#pod.spec.hostNetwork ?? false };
  }

  /** The newest start of each container, init containers first. */
  get containers(): readonly Container[] {
    return this.lives.flatMap((life) => life.container ?? life.previous ?? []);
  }

  /** The pod as the store now has it. */
  update(pod: Pod): void {
    this.#pod = pod;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.terminate(
        (pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30) * second,
      );
    }
  }

  /** The network plugin is ready now: a pod that waited for it goes on. */
  networkReady(): void {
    if (!this.#waitsForNetwork) return;
    this.#waitsForNetwork = false;
    this.#sandbox();
  }

  // ── Beginning ────────────────────────────────────────────────────────────────────────────────────────────────────

  #sandbox(): void {
    const { cni, node, sim, figures } = this.#host;
    if (this.#ending) return;
    if (!this.#pod.spec.hostNetwork && !cni.ready(node)) {
      this.#waitsForNetwork = true;
      if (this.#sandboxTries++ === 0) this.#event("Warning", "NetworkNotReady", networkNotReady);
      return;
    }
    this.#setUp = sim.clock.after(
      figures.sandbox,
      () => this.#connect(),
      this.#sandboxTries > 1 ? "background" : undefined,
    );
  }

  #connect(): void {
    const { cni, node, sim, figures } = this.#host;
    if (this.#pod.spec.hostNetwork) {
      this.#net = { netns: node.netns, ips: [node.ip] };
    } else {
      const netns = node.network.netns(this.key);
      try {
        this.#net = { netns, ips: cni.addPod({ key: this.key, uid: this.uid, netns }, node) };
      } catch (error) {
        node.network.deleteNetns(netns);
        if (!(error instanceof CniError)) throw error;
        this.#sandboxTries++;
        const id = this.#hex(64);
        const why = `plugin type="${error.plugin}" failed (add): ${error.message}`;
        const message = `failed to setup network for sandbox "${id}": ${why}`;
        this.#event(
          "Warning",
          "FailedCreatePodSandBox",
          `Failed to create pod sandbox: rpc error: code = Unknown desc = ${message}`,
        );
        this.#setUp = sim.clock.after(figures.sandboxRetry, () => this.#sandbox(), "background");
        return;
      }
    }
    this.#setUp = undefined;
    this.#beginNext();
    this.#report();
  }

  /** Init containers one after another; then all others, each as soon as the one before it has been started. */
  #beginNext(): void {
    const init = this.lives.filter((life) => life.init && life.stage !== "done");
    if (init.some((life) => life.stage !== "waiting")) return;
    const next = init[0] ?? this.lives.find((life) => life.stage === "waiting");
    if (next) this.#enter(next, "pulling");
  }

  // ── The stages of a container ────────────────────────────────────────────────────────────────────────────────────

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
        this.#event("Normal", "BackOff", `Back-off pulling image "${image}"`, life);
        this.#event("Warning", "Failed", "Error: ImagePullBackOff", life);
        return;
      case "crash-back-off": {
        const pod = `${this.#pod.metadata.name}_${this.#pod.metadata.namespace}`;
        const wait = goDuration(backOffAfter(life.crashes - 1, this.#host.figures.crashBackOff));
        life.message = `back-off ${wait} restarting failed container=${name} pod=${pod}(${this.uid})`;
        this.#event(
          "Warning",
          "BackOff",
          `Back-off restarting failed container ${name} in pod ${pod}(${this.uid})`,
          life,
        );
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
    if (stage === "creating") this.#event("Normal", "Created", "Container created", life);
    if (stage === "starting") this.#event("Normal", "Started", "Container started", life);
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
    const { image = "", imagePullPolicy } = life.spec;
    const full = fullReference(image);
    if ("problem" in full) {
      this.#event("Warning", "InspectFailed", full.problem, life);
      this.#event("Warning", "Failed", "Error: InvalidImageName", life);
      this.#beginNext();
      life.reason = "InvalidImageName";
      life.message = full.problem;
      return;
    }
    const present = images.get(full.reference);
    const policy = imagePullPolicy ?? (full.reference.endsWith(":latest") ? "Always" : "IfNotPresent");
    if (policy === "Never" && !present) {
      const message = `Container image "${image}" is not present with pull policy of Never`;
      this.#event("Warning", "ErrImageNeverPull", message, life);
      this.#event("Warning", "Failed", "Error: ErrImageNeverPull", life);
      this.#beginNext();
      life.reason = "ErrImageNeverPull";
      life.message = message;
      return;
    }
    if (present && policy !== "Always") {
      this.#event(
        "Normal",
        "Pulled",
        `Container image "${image}" already present on machine and can be accessed by the pod`,
        life,
      );
      life.image = present;
      this.#enter(life, "creating");
      return;
    }
    this.#event("Normal", "Pulling", `Pulling image "${image}"`, life);
    const again = life.pullFailures > 0 || life.crashes > 1 ? "background" : undefined;
    this.#timers.set(
      life,
      images.pull(full.reference, (result) => this.#pulled(life, result), again),
    );
  }

  #pulled(life: Life, result: Pulled | PullFailure): void {
    const { figures, sim } = this.#host;
    const { image } = life.spec;
    if (!isPullFailure(result)) {
      const { took, tookWithWaiting } = result;
      const times = `in ${goDuration(took)} (${goDuration(tookWithWaiting)} including waiting)`;
      this.#event(
        "Normal",
        "Pulled",
        `Successfully pulled image "${image}" ${times}. Image size: ${result.image.size} bytes.`,
        life,
      );
      life.image = result.image;
      life.pullFailures = 0;
      this.#enter(life, "creating");
      return;
    }
    // The kubelet strips a code that says nothing (pkg/kubelet/cri remote image service).
    const message =
      result.code === "Unknown" ? result.message : `rpc error: code = ${result.code} desc = ${result.message}`;
    this.#event("Warning", "Failed", `Failed to pull image "${image}": ${message}`, life);
    this.#event("Warning", "Failed", "Error: ErrImagePull", life);
    life.pullFailures++;
    life.until = sim.clock.now + backOffAfter(life.pullFailures, figures.imageBackOff);
    this.#enter(life, "pull-failed", { message });
    this.#beginNext();
  }

  #create(life: Life): void {
    const { sim, runner } = this.#host;
    const { image } = life;
    if (!image || !this.#net) return;
    try {
      const { netns } = this.#net;
      const at = { host: this.#host, pod: this.#pod, podIps: this.#podIps(), netns, id: this.#hex(64) };
      const container: Container = new Container(sim, runner, containerSpec(life.spec, image, at), () =>
        this.#ended(life, container),
      );
      life.previous = life.container ?? life.previous;
      life.container = container;
    } catch (error) {
      if (!(error instanceof EnvError)) throw error;
      this.#event("Warning", "Failed", `Error: ${error.message}`, life);
      this.#enter(life, "config-failed", { message: error.message });
      this.#beginNext();
    }
  }

  #start(life: Life): void {
    const { container } = life;
    if (!container) return;
    const problem = container.start();
    if (problem !== undefined) {
      this.#event("Warning", "Failed", `Error: ${problem}`, life);
      container.started = 0;
      container.ending = { at: this.#host.sim.clock.now, exitCode: 128, startError: problem };
      this.#ended(life, container);
      return;
    }
    if (!life.init) this.#beginNext();
  }

  /** Its program has ended. The kubelet notices a moment later, and starts it again if the policy says so. */
  #ended(life: Life, container: Container): void {
    if (life.container !== container || this.#over) return;
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
    if (!ending || !this.#restarts(life, ending.exitCode)) {
      this.#enter(life, "done");
      this.#finishIfComplete();
      return;
    }
    const ran = ending.at - (container.started ?? ending.at);
    if (ran > figures.crashForgiven && ending.startError === undefined) life.crashes = 0;
    life.crashes++;
    life.restarts++;
    // The first restart comes at once; from then on each waits twice as long as the one before.
    if (life.crashes === 1) {
      this.#enter(life, "pulling");
      return;
    }
    life.until = ending.at + backOffAfter(life.crashes - 1, figures.crashBackOff);
    if (ending.startError === undefined) {
      this.#enter(life, "ended");
      return;
    }
    this.#enter(life, "crash-back-off");
  }

  #restarts(life: Life, exitCode: number): boolean {
    const policy = life.init && this.#pod.spec.restartPolicy === "Always" ? "OnFailure" : this.#pod.spec.restartPolicy;
    return policy === "Never" ? false : policy === "OnFailure" ? exitCode !== 0 : true;
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
    this.#setUp?.cancel();
    for (const life of this.lives) {
      const { container } = life;
      if (container?.running) {
        this.#event("Normal", "Killing", `Stopping container ${life.spec.name}`, life);
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
    this.#setUp?.cancel();
    this.#setUp = sim.clock.after(figures.removeSandbox, () => this.#remove());
  }

  /** All containers have ended for good: the sandbox goes, the pod stays to be looked at. */
  #finishIfComplete(): void {
    const phase = phaseOf(this.#pod, this.lives);
    if (phase !== "Succeeded" && phase !== "Failed") return;
    const { sim, figures } = this.#host;
    this.#setUp = sim.clock.after(figures.removeSandbox, () => {
      this.#setUp = undefined;
      this.#disconnect();
      this.#report();
    });
  }

  #disconnect(): void {
    const { cni, node } = this.#host;
    const net = this.#net;
    if (!net) return;
    this.#net = undefined;
    if (net.netns === node.netns) return;
    cni.deletePod({ key: this.key, uid: this.uid }, node);
    node.network.deleteNetns(net.netns);
  }

  #remove(): void {
    const { store } = this.#host;
    this.#over = true;
    this.#disconnect();
    const current = store.get("Pod", this.key);
    if (current?.metadata.uid === this.uid && current.metadata.deletionTimestamp !== undefined) {
      store.delete("Pod", this.key, "kubelet", { grace: 0, uid: this.uid });
    }
    this.#host.removed(this);
  }

  // ── Telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #podIps(): readonly string[] {
    return this.#net?.ips.map(formatIp) ?? [];
  }

  #report(): void {
    const { store, sim, node } = this.#host;
    const current = store.get("Pod", this.key);
    if (this.#over || current?.metadata.uid !== this.uid) return;
    const facts = {
      lives: this.lives,
      podIps: this.#podIps(),
      hostIp: formatIp(node.ip),
      sandboxReady: this.#net !== undefined,
      startTime: this.#startTime,
      now: sim.clock.now,
    };
    store.update("Pod", this.key, (pod) => ({ ...pod, status: podStatus(pod, facts) }), "kubelet");
  }

  #event(type: "Normal" | "Warning", reason: string, message: string, life?: Life): void {
    const { sim, store, node } = this.#host;
    const list = life?.init ? "initContainers" : "containers";
    recordEvent(sim, store, {
      about: this.#pod,
      type,
      reason,
      message,
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

const networkNotReady =
  "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
