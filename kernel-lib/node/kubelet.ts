/** Owns the kubelet of one node: which pods are its own, and what it says of the node. */

import { type Again, type Controller, defaultPace } from "../api/controller";
import type { Kinds } from "../api/kinds";
import type { Key } from "../api/meta";
import type { Store } from "../api/store";
import { parseTime } from "../api/time";
import type { ProcessRunner } from "../apps/app";
import type { Registry } from "../apps/image";
import { formatIp, tryParseCidr } from "../net/address";
import { second, type Time, type Timer } from "../sim/clock";
import type { Sim } from "../sim/sim";
import type { Cni } from "./cni/cni";
import { configFolder } from "./cni/netconf";
import { logReload } from "./cni/runtime";
import type { Container } from "./container";
import type { ExecIn } from "./exec";
import { defaultFigures, type NodeFigures } from "./figures";
import { NodeImages } from "./images";
import { KernelNumbers } from "./kernelnumbers";
import type { NodeNet, NodeOptions, PodNet } from "./node";
import { newNode, readyCondition } from "./nodeobject";
import { type PodHost, PodWorker } from "./pod";

/** What a kubelet is handed. */
export interface KubeletParts {
  readonly store: Store;
  readonly node: NodeNet;
  readonly cni: Cni;
  readonly registry: Registry;
  readonly runner: ProcessRunner;
  readonly exec: ExecIn;
  /** Default `cluster.local`. */
  readonly clusterDomain?: string;
  /** Default `10.96.0.10`. */
  readonly dnsIp?: string;
  readonly figures?: NodeFigures;
}

/** The key of "the cluster's nodes changed", beside pods' keys (which hold a slash). */
const nodesKey: Key = "nodes";

/** A controller: run it with `runController`. Keys are pods' keys, and `nodes`. */
export class Kubelet implements Controller {
  readonly name: string;
  readonly watches: Controller["watches"];
  readonly onlyNode: string | undefined;
  readonly images: NodeImages;
  readonly #sim: Sim;
  readonly #parts: KubeletParts;
  readonly #host: PodHost;
  /** By uid: a pod may still end while its successor of the same name begins. */
  readonly #workers = new Map<string, PodWorker>();
  readonly #byKey = new Map<Key, readonly PodWorker[]>();
  /** Of pods that may live only so long, by uid. */
  readonly #deadlines = new Map<string, Timer>();
  #wasReady = false;
  #checksNetwork = false;
  #hadNetwork = false;
  #knowsPeers = false;
  #tellsPeers = false;
  #off = false;

  constructor(sim: Sim, parts: KubeletParts) {
    const { node } = parts;
    const figures = parts.figures ?? defaultFigures;
    this.#sim = sim;
    this.#parts = parts;
    this.name = `kubelet/${node.name}`;
    this.images = new NodeImages(sim, parts.registry, figures);
    this.#host = {
      sim,
      store: parts.store,
      node,
      cni: parts.cni,
      runner: parts.runner,
      exec: parts.exec,
      asker: {
        sim,
        get netns() {
          return node.netns;
        },
        random: sim.random.fork(`${this.name}/probes`),
        files: node.files,
      },
      images: this.images,
      figures,
      random: sim.random.fork(this.name),
      clusterDomain: parts.clusterDomain ?? "cluster.local",
      dnsIp: parts.dnsIp ?? "10.96.0.10",
      hostIps: node.ips.map(formatIp),
      numbers: new KernelNumbers(() => node.later.catchUp()),
      files: node.files,
      isOff: () => this.#off,
      removed: (worker) => this.#removed(worker),
    };
    parts.cni.prepare?.(node);
    node.files.watch(configFolder, (path) => {
      logReload(node, path);
      this.#checkNetworkSoon();
    });
    this.watches = {
      Pod: (key, now, before) => ((now ?? before)?.spec.nodeName === node.name ? [key] : []),
      Node: (_key, now, before) => (sameForPeers(now, before) ? [] : [nodesKey]),
    };
    this.onlyNode = node.later.asleep ? node.name : undefined;
  }

  /** Makes the Node object, and keeps its heartbeat going (in the background). */
  register(options: NodeOptions): void {
    const { store, node } = this.#parts;
    store.create("Node", newNode(options, this.#sim.clock.now), this.name);
    this.#sim.clock.every(this.#host.figures.statusPeriod, () => {
      if (store.get("Node", node.name)) this.#reportReady(true);
    });
  }

  /** Whether its machine is off. */
  get off(): boolean {
    return this.#off;
  }

  /** The machine goes off: all containers are gone, and nothing is heard of this kubelet. */
  powerOff(): void {
    this.#parts.node.later.look();
    this.#off = true;
    for (const worker of [...this.#workers.values()]) worker.halt();
  }

  /** The machine is on again: the kubelet says so, and brings its pods to what they should be. */
  powerOn(): void {
    this.#off = false;
    this.#reportReady(true);
    for (const worker of [...this.#workers.values()]) worker.resume();
    for (const { metadata } of this.#parts.store.list("Pod", { node: this.#parts.node.name })) {
      this.reconcile(`${metadata.namespace}/${metadata.name}`);
    }
    this.#syncNodes();
  }

  reconcile(key: Key): Again | undefined {
    if (this.#off) return undefined;
    if (key === nodesKey) {
      this.#syncNodes();
      return undefined;
    }
    const { store, node } = this.#parts;
    const pod = store.get("Pod", key);
    for (const worker of this.#byKey.get(key) ?? []) {
      // Deleted without waiting for us: its containers still get a moment to stop.
      if (worker.uid !== pod?.metadata.uid) worker.terminate(this.#host.figures.orphanGrace);
    }
    if (pod?.spec.nodeName !== node.name) return undefined;
    const known = this.#workers.get(pod.metadata.uid);
    if (known) known.update(pod);
    else this.#begin(pod);
    if (pod.spec.activeDeadlineSeconds !== undefined) this.#setDeadline(pod, pod.spec.activeDeadlineSeconds * second);
    return undefined;
  }

  /** A pod that has lived so long is ended as failed (pkg/kubelet/active_deadline.go). */
  #setDeadline({ metadata, status }: Kinds["Pod"], span: Time): void {
    const worker = this.#workers.get(metadata.uid);
    this.#deadlines.get(metadata.uid)?.cancel();
    if (!worker) return;
    const { now } = this.#sim.clock;
    const left = Math.max(0, (parseTime(status.startTime ?? "") ?? now) + span - now);
    const fail = (): void => {
      if (!this.#off) worker.fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
    };
    this.#deadlines.set(metadata.uid, this.#sim.clock.after(left, fail, "background"));
  }

  /** The newest start of each container of a pod; none if it is not here. */
  containers(pod: Key): readonly Container[] {
    this.#parts.node.later.look();
    return this.#workerOf(pod)?.containers ?? [];
  }

  /** A container of a pod by name (default: the first that is no init container). */
  container(pod: Key, name?: string): Container | undefined {
    this.#parts.node.later.look();
    const lives = this.#workerOf(pod)?.lives ?? [];
    const life = name === undefined ? lives.find((one) => !one.init) : lives.find((one) => one.spec.name === name);
    // One that is made and not started yet has nothing to tell.
    const { container, previous } = life ?? {};
    return container?.started === undefined ? (previous ?? container) : container;
  }

  /** The start before the newest: `kubectl logs --previous`. */
  previousContainer(pod: Key, name?: string): Container | undefined {
    this.#parts.node.later.look();
    const lives = this.#workerOf(pod)?.lives ?? [];
    const life = name === undefined ? lives.find((one) => !one.init) : lives.find((one) => one.spec.name === name);
    return life?.container ? life.previous : undefined;
  }

  /** All pods that are here, also those that end, in the order in which they came. */
  get pods(): readonly PodWorker[] {
    this.#parts.node.later.look();
    return [...this.#workers.values()];
  }

  /** The network of a pod that is here. */
  podNet(pod: Key): PodNet | undefined {
    this.#parts.node.later.look();
    return this.#workerOf(pod)?.net;
  }

  #workerOf(pod: Key): PodWorker | undefined {
    const uid = this.#parts.store.get("Pod", pod)?.metadata.uid;
    return uid === undefined ? undefined : this.#workers.get(uid);
  }

  /** A pod of this name that still ends is waited for: names of namespaces and volumes are the same. */
  #begin(pod: Kinds["Pod"]): void {
    const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
    if (this.#byKey.has(key)) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#parts.store.delete("Pod", key, this.name, { grace: 0, uid: pod.metadata.uid });
      return;
    }
    if (pod.status.phase === "Succeeded" || pod.status.phase === "Failed") return;
    const worker = new PodWorker(this.#host, pod);
    this.#workers.set(worker.uid, worker);
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), worker]);
  }

  #removed(worker: PodWorker): void {
    this.#workers.delete(worker.uid);
    this.#deadlines.get(worker.uid)?.cancel();
    this.#deadlines.delete(worker.uid);
    const rest = (this.#byKey.get(worker.key) ?? []).filter((other) => other !== worker);
    if (rest.length > 0) this.#byKey.set(worker.key, rest);
    else this.#byKey.delete(worker.key);
    this.reconcile(worker.key);
  }

  #syncNodes(): void {
    const { store, node, cni } = this.#parts;
    const spec = store.get("Node", node.name)?.spec;
    const ranges = spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);
    node.podCidrs = ranges.flatMap((range) => tryParseCidr(range) ?? []);
    cni.syncPeers(() => this.#peers(), node);
    if (!this.#wasReady) this.#checkNetwork();
  }

  /** Whoever once needed to know the other nodes is told when they change; of thousands few ever need to. */
  #peers(): readonly Kinds["Node"][] {
    const { store, node } = this.#parts;
    if (this.onlyNode !== undefined && !this.#knowsPeers) {
      this.#knowsPeers = true;
      store.follow("Node", ({ key, type, object, before }) => {
        const now = type === "DELETED" ? undefined : object;
        if (key !== node.name && !sameForPeers(now, before)) this.#peersChanged();
      });
    }
    return store.list("Node");
  }

  #peersChanged(): void {
    if (this.#tellsPeers) return;
    this.#tellsPeers = true;
    this.#sim.clock.after(defaultPace.hear + defaultPace.work, () => {
      this.#tellsPeers = false;
      this.#syncNodes();
    });
  }

  /** Whether the runtime has a network: the Node's condition says so, and pods that waited for it go on. */
  #checkNetwork(): void {
    const { node, cni } = this.#parts;
    const ready = cni.ready(node);
    if (ready === this.#wasReady) return;
    this.#wasReady = ready;
    this.#hadNetwork ||= ready;
    this.#reportReady(true);
    if (ready) for (const worker of this.#workers.values()) worker.networkReady();
  }

  /** The runtime sees a changed configuration at once; the kubelet asks it every few seconds (updateRuntimeUp). */
  #checkNetworkSoon(): void {
    // At the start the daemon that writes it is this node's own, and syncNodes looks by itself.
    if (this.#checksNetwork || !this.#hadNetwork) return;
    this.#checksNetwork = true;
    this.#sim.clock.after(this.#host.figures.runtimeCheck, () => {
      this.#checksNetwork = false;
      this.#checkNetwork();
    });
  }

  #reportReady(heartbeat: boolean): void {
    const { store, node } = this.#parts;
    if (this.#off) return;
    const { now } = this.#sim.clock;
    const condition = readyCondition(this.#wasReady, now);
    store.update(
      "Node",
      node.name,
      (current) => {
        const conditions = (current.status.conditions ?? []).map((old) => {
          const lastHeartbeatTime = heartbeat ? condition.lastHeartbeatTime : old.lastHeartbeatTime;
          if (old.type !== "Ready") return { ...old, lastHeartbeatTime } as typeof old;
          const since = old.status === condition.status ? old.lastTransitionTime : condition.lastTransitionTime;
          return { ...condition, lastTransitionTime: since } as typeof old;
        });
        return { ...current, status: { ...current.status, conditions } };
      },
      this.name,
    );
  }
}

/** Whether a change of a Node means nothing for routes and tunnels (heartbeats do not). */
function sameForPeers(now: Kinds["Node"] | undefined, before: Kinds["Node"] | undefined): boolean {
  if (!now || !before) return false;
  return (
    now.spec.podCIDR === before.spec.podCIDR &&
    now.status.addresses === before.status.addresses &&
    now.metadata.annotations === before.metadata.annotations
  );
}
