/** Owns the life of one pod on a node: its sandbox, its containers, what is told of them, and its end. */

import { recordEvent } from "../api/events";
import type { Kinds } from "../api/kinds";
import { type Key, keyOf } from "../api/meta";
import type { ProcessRunner } from "../apps/app";
import { formatIp } from "../net/address";
import type { Time, Timer } from "../sim/clock";
import { hexDigits, type Random } from "../sim/random";
import type { Cni, PortMapping } from "./cni/cni";
import type { Container } from "./container";
import { type ContainerHost, isPlain } from "./containerspec";
import { graceOf, type KillOrder, leastGrace, podGrace } from "./ending/grace";
import { type Hook, runHook } from "./ending/hooks";
import { Killing } from "./ending/killing";
import { isComplete } from "./ending/order";
import { PodEnding } from "./ending/podending";
import type { ExecIn } from "./exec";
import type { NodeFigures } from "./figures";
import type { NodeImages } from "./images";
import { tellLife } from "./lifeevents";
import { Lives, type LivesOwner } from "./lives";
import type { PodNet } from "./node";
import type { Asker } from "./probes/ask";
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
  readonly exec: ExecIn;
  /** From where probes and hooks ask. */
  readonly asker: Asker;
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
  /** Made when there are such: most pods have no hooks, and nothing kills their containers one by one. */
  #hooks: Map<Life, Hook> | undefined;
  #killings: Map<Life, Killing> | undefined;
  #ends: PodEnding | undefined;
  /** It was deleted, and the kubelet knows. */
  #told = false;
  #ending = false;
  /** Its containers and its sandbox are gone, and nobody wants its object to go. */
  #kept = false;
  #terminal = false;
  #failed: { readonly reason: string; readonly message: string } | undefined;
  #over = false;

  constructor(host: PodHost, pod: Pod) {
    this.host = host;
    this.#pod = pod;
    this.key = keyOf(pod);
    this.uid = pod.metadata.uid;
    this.#startTime = host.sim.clock.now;
    this.lazy = host.node.later.asleep && isPlain(pod);
    this.volumes = new PodVolumes(host.sim, host.store, host.files);
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
    this.#ends?.cancel();
    for (const killing of this.#killings?.values() ?? []) killing.cancel();
    for (const hook of this.#hooks?.values() ?? []) hook.cut();
    this.#killings = undefined;
    this.#hooks = undefined;
    if (this.#over) return;
    this.#sandbox.remove();
    for (const { container } of this.lives) container?.signal("SIGKILL");
    this.#lives.cancel();
  }

  /** The machine is on again: what should run begins anew, what was deleted meanwhile goes. */
  resume(): void {
    if (this.#over) return;
    const current = this.host.store.get("Pod", this.key);
    const deleted = current?.metadata.uid !== this.uid || current.metadata.deletionTimestamp !== undefined;
    if (deleted) this.terminate(leastGrace);
    this.#lives.kubeletRestarted();
    if (!this.#ending) this.#renewSandbox();
    else if (!this.#terminal) this.#stopped();
    else if (this.#told) this.#removeLater();
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
    const respecified = pod.metadata.generation !== this.#pod.metadata.generation;
    this.#pod = pod;
    if (pod.metadata.deletionTimestamp !== undefined) this.terminate(podGrace(pod));
    // Conditions that gates wait for are written by others.
    if (respecified && !this.#ending) this.#lives.respecified();
    if (respecified || pod.spec.readinessGates?.length) this.changed();
  }

  /** The network plugin is ready now. */
  networkReady(): void {
    this.#sandbox.networkReady();
  }

  // ── Hooks and kills while it lives ───────────────────────────────────────────────────────────────────────────────

  /**
   * Runs a container's postStart hook, if it has one: until `over` is called it is not told as running. A hook that fails
   * has its container killed; `over` is told why when that has ended.
   */
  postStart(life: Life, container: Container, over: (failure?: string) => void): void {
    if (!life.spec.lifecycle?.postStart) {
      over();
      return;
    }
    this.#hooks ??= new Map();
    const hook = runHook(this, life, container, "postStart", (failure) => {
      this.#hooks?.delete(life);
      if (!container.running) return;
      if (failure === undefined) over();
      else this.kill(life, { reason: "FailedPostStartHook", message: "FailedPostStartHook" }, () => over(failure));
    });
    this.#hooks.set(life, hook);
  }

  /** Kills one container of a pod that lives on: the event with its message, preStop, the stop signal, grace, SIGKILL. */
  kill(life: Life, why: KillOrder, ended: () => void = () => {}): void {
    const { container } = life;
    if (this.#ending || this.#over || !container?.running || this.#killings?.has(life)) return;
    this.#killings ??= new Map();
    const grace = why.grace ?? graceOf(this.#pod, life.spec, why.reason);
    const killing = new Killing(this, life, container, { grace, message: why.message }, () => {
      this.#killings?.delete(life);
      ended();
    });
    this.#killings.set(life, killing);
    killing.begin();
  }

  // ── Ending ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends its containers, whatever they do, within a grace period. A shorter one than before counts. */
  terminate(grace: Time): void {
    if (this.#over) return;
    const { sim, node } = this.host;
    if (!this.#told) {
      this.#told = true;
      const about = { of: "pod", pod: this.key, uid: this.uid, state: "told" } as const;
      tellLife(sim, `kubelet/${node.name}`, () => about);
    }
    if (this.#ends) this.#ends.shorten(grace);
    else if (!this.#ending) this.#beginEnd(grace);
    else if (this.#kept) this.#removeLater();
  }

  /** Ends its containers, and it stays to be looked at as failed: the kubelet itself has had enough of it. */
  fail(reason: string, message: string): void {
    if (this.#ending || this.#over) return;
    this.#failed = { reason, message };
    this.tell({ type: "Normal", reason, message });
    this.#beginEnd(podGrace(this.#pod));
  }

  /** SyncTerminatingPod (pkg/kubelet/kubelet.go): its worker does nothing else until all containers have stopped. */
  #beginEnd(grace: Time): void {
    this.#ending = true;
    this.#removal?.cancel();
    this.#sandbox.cancel();
    this.#lives.end();
    for (const hook of this.#hooks?.values() ?? []) hook.cut();
    const killings = [...(this.#killings?.values() ?? [])];
    this.#ends = new PodEnding(this, this.lives, grace, killings, () => this.#stopped());
  }

  /** No container runs any more: the sandbox goes, then the status says how they ended, then all else goes. */
  #stopped(): void {
    const { sim, figures } = this.host;
    this.#ends = undefined;
    this.#removal = sim.clock.after(figures.removeSandbox, () => {
      this.#sandbox.remove();
      this.#lives.finish();
      this.#terminal = true;
      this.changed();
      this.#kept = true;
      if (this.#told) this.#removeLater();
    });
  }

  /** SyncTerminatedPod: volumes and cgroups. */
  #removeLater(): void {
    this.#kept = false;
    const { sim, figures } = this.host;
    this.#removal = sim.clock.after(figures.cleanUp, () => this.#remove());
  }

  /** A container has ended for good. */
  done(): void {
    if (!this.#ending) this.#finishIfComplete();
  }

  /** All containers have ended for good, but for sidecars: they end too, and the pod stays to be looked at. */
  #finishIfComplete(): void {
    if (isComplete(this.lives)) this.#beginEnd(podGrace(this.#pod));
  }

  #remove(): void {
    const { store, sim, node } = this.host;
    if (this.host.isOff()) return;
    this.#over = true;
    this.#sandbox.remove();
    const about = { of: "pod", pod: this.key, uid: this.uid, state: "removed" } as const;
    tellLife(sim, `kubelet/${node.name}`, () => about);
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
      generation: this.#pod.metadata.generation,
      lives: this.lives,
      podIps: this.#looked ? this.podIps() : [],
      hostIps,
      sandboxReady: this.#looked && this.#sandbox.connected !== undefined,
      startTime: this.#startTime,
      now: sim.clock.now,
      terminal: this.#terminal,
      ...(this.#failed && { failed: this.#failed }),
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
