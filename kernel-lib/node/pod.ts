/** Owns the life of one pod on a node: its sandbox, its containers, what is told of them, and its end. */

import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import type { ProcessRunner } from "../apps/app";
import { formatIp } from "../net/address";
import { second, type Time, type Timer } from "../sim/clock";
import { hexDigits, type Random } from "../sim/random";
import type { Cni, PortMapping } from "./cni/cni";
import type { Container } from "./container";
import { type ContainerHost, isPlain } from "./containerspec";
import type { NodeFigures } from "./figures";
import type { NodeImages } from "./images";
import { Lives, type LivesOwner } from "./lives";
import type { PodNet } from "./node";
import type { Note } from "./pull";
import { Sandbox } from "./sandbox";
import type { Life, Stage } from "./stages";
import { PodReports, phaseOf } from "./status";
import { PodVolumes } from "./volumes";

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
  /** The node's own addresses as text. */
  readonly hostIps: readonly string[];
  /** The machine is off: nothing is told to anybody. */
  isOff(): boolean;
  /** The pod is gone from the node. */
  removed(worker: PodWorker): void;
}

/** One pod, by its uid: a pod of the same name that comes later has a worker of its own. */
export class PodWorker implements LivesOwner {
  readonly key: Key;
  readonly uid: string;
  readonly host: PodHost;
  readonly volumes: PodVolumes;
  readonly lazy: boolean;
  readonly #lives: Lives;
  readonly #reports = new PodReports();
  readonly #startTime: Time;
  #pod: Pod;
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
    this.host = host;
    this.#pod = pod;
    this.key = keyOf(pod);
    this.uid = pod.metadata.uid;
    this.#startTime = host.sim.clock.now;
    this.lazy = host.node.later.asleep && isPlain(pod);
    this.volumes = new PodVolumes(host.sim.clock, host.files);
    this.#lives = new Lives(this);
    this.#sandbox = this.#newSandbox(0);
    this.changed();
  }

  #newSandbox(attempt: number): Sandbox {
    const { sim, node, cni, figures, numbers } = this.host;
    const { key, uid, lazy } = this;
    const parts = {
      sim,
      node,
      cni,
      figures,
      numbers,
      key,
      uid,
      attempt,
      lazy,
      hostNetwork: this.#pod.spec.hostNetwork ?? false,
      portMappings: portMappingsOf(this.#pod),
      newId: () => this.hex(64),
      warn: (reason: string, message: string) => this.tell({ type: "Warning", reason, message }),
      ready: () => {
        this.#lives.beginNext();
        this.changed();
      },
    };
    return new Sandbox(parts, figures.podAdmission);
  }

  /** Its containers, init containers first. */
  get lives(): readonly Life[] {
    return this.#lives.all;
  }

  /** The pod's namespace, once it has one. */
  get net(): PodNet | undefined {
    const { connected } = this.#sandbox;
    if (!connected) return undefined;
    const { netns, ips } = connected;
    return { key: this.key, uid: this.uid, netns, ips, hostNetwork: this.#pod.spec.hostNetwork ?? false };
  }

  /** The newest start of each container, init containers first. */
  get containers(): readonly Container[] {
    return this.lives.flatMap((life) => life.container ?? life.previous ?? []);
  }

  /** The pod as it was last seen. */
  get pod(): Pod {
    return this.#pod;
  }

  /** The newest one. */
  get sandbox(): Sandbox {
    return this.#sandbox;
  }

  get ending(): boolean {
    return this.#ending;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Its sandboxes that have begun, the newest first: one, and the one before it that was stopped. */
  get sandboxes(): readonly Sandbox[] {
    return [this.#sandbox, this.#before].filter((one): one is Sandbox => one?.begun === true);
  }

  /**
   * Takes its sandbox down from outside (`crictl stopp`, the death of the pause process): its containers are killed, its
   * address is given back. The kubelet notices and makes a new one.
   */
  stopSandbox(): void {
    if (this.#ending || this.#over || !this.#sandbox.begun || this.#sandbox.stopped !== undefined) return;
    this.#sandbox.remove();
    for (const { container } of this.lives) container?.signal("SIGKILL");
    this.#lives.cancel();
    const { sim, figures } = this.host;
    this.#removal?.cancel();
    this.#removal = sim.clock.after(figures.notice, () => this.#renewSandbox());
  }

  /** The machine goes off: whatever ran is gone at once, and nobody is told. */
  halt(): void {
    this.#removal?.cancel();
    this.#graceTimer?.cancel();
    if (this.#over) return;
    this.#sandbox.remove();
    for (const { container } of this.lives) container?.signal("SIGKILL");
    this.#lives.cancel();
  }

  /** The machine is on again: what should run begins anew, what was deleted meanwhile goes. */
  resume(): void {
    if (this.#over) return;
    if (!this.#ending) {
      this.#renewSandbox();
      return;
    }
    this.#removing = true;
    this.#remove();
  }

  /** computePodActions in pkg/kubelet/kuberuntime: without a sandbox everything begins anew, init containers too. */
  #renewSandbox(): void {
    const phase = phaseOf(this.#pod, this.lives);
    if (this.#ending || this.#over || phase === "Succeeded" || phase === "Failed") return;
    const message = "Pod sandbox changed, it will be killed and re-created.";
    this.tell({ type: "Normal", reason: "SandboxChanged", message });
    this.#lives.beginAnew();
    this.#before = this.#sandbox;
    this.#sandbox = this.#newSandbox(this.#before.attempt + 1);
    this.changed();
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

  // ── Ending ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends its containers: a signal, so much time, then SIGKILL. A shorter grace than before counts. */
  terminate(grace: Time): void {
    const { clock } = this.host.sim;
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
    this.#lives.end();
    this.#finishIfEnded();
  }

  /** A container has ended for good. */
  done(): void {
    if (this.#ending) this.#finishIfEnded();
    else this.#finishIfComplete();
  }

  #finishIfEnded(): void {
    if (this.#over || this.#removing || !this.lives.every((life) => life.stage === "done")) return;
    this.#removing = true;
    this.#graceTimer?.cancel();
    const { sim, figures } = this.host;
    this.#removal?.cancel();
    this.#removal = sim.clock.after(figures.removeSandbox, () => this.#remove());
  }

  /** All containers have ended for good: the sandbox goes, the pod stays to be looked at. */
  #finishIfComplete(): void {
    const phase = phaseOf(this.#pod, this.lives);
    if (phase !== "Succeeded" && phase !== "Failed") return;
    const { sim, figures } = this.host;
    this.#removal = sim.clock.after(figures.removeSandbox, () => {
      this.#sandbox.remove();
      this.changed();
    });
  }

  #remove(): void {
    const { store } = this.host;
    if (this.host.isOff()) return;
    this.#over = true;
    this.#sandbox.remove();
    const current = store.get("Pod", this.key);
    if (current?.metadata.uid === this.uid && current.metadata.deletionTimestamp !== undefined) {
      store.delete("Pod", this.key, "kubelet", { grace: 0, uid: this.uid });
    }
    this.host.removed(this);
  }

  // ── Telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

  podIps(): readonly string[] {
    return this.#sandbox.connected?.ips.map(formatIp) ?? [];
  }

  /** Writes the pod's status as it is now. */
  changed(): void {
    const { store, sim, hostIps } = this.host;
    const current = store.get("Pod", this.key);
    if (this.#over || this.host.isOff() || current?.metadata.uid !== this.uid) return;
    // The pod's worker looks at the runtime after its turn, and a turn lasts until the pulls are over: what the sandbox
    // has is told only then (pkg/kubelet/pod_workers.go).
    this.#looked ||= this.lives.some(({ stage }) => !firstTurn.has(stage));
    const facts = {
      lives: this.lives,
      podIps: this.#looked ? this.podIps() : [],
      hostIps,
      sandboxReady: this.#looked && this.#sandbox.connected !== undefined,
      startTime: this.#startTime,
      now: sim.clock.now,
    };
    const status = this.#reports.next(current, facts);
    if (status !== current.status) store.setStatus("Pod", this.key, status, "kubelet");
  }

  tell(note: Note, life?: Life): void {
    const { sim, store, node } = this.host;
    if (this.host.isOff()) return;
    const fieldPath = life && `spec.${life.init ? "initContainers" : "containers"}{${life.spec.name}}`;
    const { type, reason, message } = note;
    const about = this.#pod;
    recordEvent(sim, store, { about, type, reason, message, component: "kubelet", host: node.name, fieldPath });
  }

  hex(length: number): string {
    return hexDigits(this.host.random, length);
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
