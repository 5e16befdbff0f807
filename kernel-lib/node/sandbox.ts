/**
 * Owns a pod's sandbox: the pause process that holds the pod's namespaces open, the network namespace connected by the
 * network plugin, and another try when that fails.
 */
import type { Key } from "../api/meta";
import type { Ip } from "../net/address";
import type { Netns } from "../net/netns";
import type { Time } from "../sim/clock";
import { hexDigits } from "../sim/random";
import type { Sim } from "../sim/sim";
import { type Cni, CniError, type PodToConnect, type PortMapping } from "./cni/cni";
import type { NodeFigures } from "./figures";
import { hostNamespaces, type KernelNumbers, type Namespaces } from "./kernelnumbers";
import type { NodeNet } from "./node";

/** What a sandbox is made with. */
export interface SandboxParts {
  readonly sim: Sim;
  readonly node: NodeNet;
  readonly cni: Cni;
  readonly figures: NodeFigures;
  readonly key: Key;
  readonly uid: string;
  /** The pod lives in the node's own namespace. */
  readonly hostNetwork: boolean;
  /** What of it only shows when somebody looks may be put off. */
  readonly lazy: boolean;
  /** What its containers ask of the node's ports. */
  readonly portMappings: readonly PortMapping[];
  readonly numbers: KernelNumbers;
  /** How many sandboxes the pod had before. */
  readonly attempt: number;
  /** 64 hexadecimal digits for each try. */
  newId(): string;
  warn(reason: string, message: string): void;
  ready(): void;
}

export interface Connected {
  readonly netns: Netns;
  readonly ips: readonly Ip[];
}

/** The process that holds a pod's namespaces open, and its shim. */
export interface Pause {
  readonly pid: number;
  readonly shimPid: number;
  readonly namespaces: Namespaces;
  readonly started: Time;
}

const networkNotReady =
  "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";

export class Sandbox {
  readonly #parts: SandboxParts;
  #connected: Connected | undefined;
  #timer: { cancel(): void } | undefined;
  #pause: Pause | undefined;
  #held = false;
  #stopped: Time | undefined;
  #id: string | undefined;
  #tries = 0;
  #waitsForNetwork = false;

  /** @param delay until it is begun (admission, volumes) */
  constructor(parts: SandboxParts, delay: Time) {
    this.#parts = parts;
    this.#timer = parts.sim.clock.after(delay, () => this.#begin());
  }

  /** Its namespace and addresses, once it has them. */
  get connected(): Connected | undefined {
    return this.#connected;
  }

  /** Its pause process, from its first start on: also after it was stopped. */
  get pause(): Pause | undefined {
    if (this.#held && !this.#pause) this.#parts.node.later.look();
    return this.#pause;
  }

  /** Whether its pause process has ever run. */
  get begun(): boolean {
    return this.#held;
  }

  /** When it was taken down; undefined: it is not. */
  get stopped(): Time | undefined {
    return this.#stopped;
  }

  get attempt(): number {
    return this.#parts.attempt;
  }

  /** 64 hexadecimal digits, of its own random stream: who reads it moves nobody's dice. */
  get id(): string {
    const { sim, uid, attempt } = this.#parts;
    if (this.#id === undefined) {
      const random = sim.random.fork(`sandbox/${uid}/${attempt}`);
      this.#id = hexDigits(random, 64);
    }
    return this.#id;
  }

  /** The network plugin is ready now: a sandbox that waited for it goes on. */
  networkReady(): void {
    if (!this.#waitsForNetwork) return;
    this.#waitsForNetwork = false;
    this.#begin();
  }

  /** Stops trying. */
  cancel(): void {
    this.#timer?.cancel();
    this.#waitsForNetwork = false;
  }

  /** Takes namespace and addresses away. */
  remove(): void {
    this.cancel();
    const { cni, node, key, uid } = this.#parts;
    const connected = this.#connected;
    this.#connected = undefined;
    if (this.#held) this.#stopped ??= this.#parts.sim.clock.now;
    if (!connected || this.#parts.hostNetwork) return;
    node.later.look();
    cni.deletePod({ key, uid, id: this.id, netns: connected.netns }, node);
    node.network.deleteNetns(connected.netns);
  }

  #begin(): void {
    const { cni, node, sim, figures, hostNetwork, warn } = this.#parts;
    if (!hostNetwork && !cni.ready(node)) {
      this.#waitsForNetwork = true;
      if (this.#tries++ === 0) warn("NetworkNotReady", networkNotReady);
      return;
    }
    const again = this.#tries > 1 ? "background" : undefined;
    this.#timer = sim.clock.after(figures.sandbox, () => this.#connect(), again);
  }

  #connect(): void {
    const { cni, node, sim, figures, key, uid, hostNetwork, lazy, portMappings, newId, warn, ready } = this.#parts;
    if (!lazy) node.later.catchUp();
    if (hostNetwork) {
      this.#connected = {
        get netns() {
          return node.netns;
        },
        ips: node.ips,
      };
      this.#hold();
      ready();
      return;
    }
    // A pod of the same name may still be ending on another node.
    const taken = node.network.namespaces.has(key);
    const own = new OwnNetns(node, taken ? `${key}.${uid.slice(0, 8)}` : key, lazy);
    try {
      const ips = cni.addPod(new ConnectingPod(key, uid, this.id, lazy, portMappings, own), node);
      this.#connected = new ConnectedPod(own, ips);
    } catch (error) {
      own.delete();
      if (!(error instanceof CniError)) throw error;
      this.#tries++;
      const why = `failed to setup network for sandbox "${newId()}": ${error.message}`;
      warn("FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = ${why}`);
      this.#timer = sim.clock.after(figures.sandboxRetry, () => this.#begin(), "background");
      return;
    }
    this.#hold();
    ready();
  }

  /** The pause process starts: the namespaces that its pod's containers share are its own. */
  #hold(): void {
    this.#held = true;
    const { sim, node, lazy } = this.#parts;
    const started = sim.clock.now;
    if (lazy) node.later.add(() => this.#begun(started));
    else this.#begun(started);
  }

  #begun(started: Time): void {
    const { numbers, hostNetwork } = this.#parts;
    const own = (kind: keyof Namespaces): number => numbers.nextNamespace(kind);
    const namespaces = {
      ...hostNamespaces,
      ...(!hostNetwork && { uts: own("uts") }),
      ...{ ipc: own("ipc"), mnt: own("mnt"), pid: own("pid") },
      ...(!hostNetwork && { net: own("net") }),
    };
    this.#pause = { shimPid: numbers.nextPid(), pid: numbers.nextPid(), namespaces, started };
  }
}

/** What the network plugin is handed: the namespace is made when it asks for it. */
class ConnectingPod implements PodToConnect {
  constructor(
    readonly key: Key,
    readonly uid: string,
    readonly id: string,
    readonly lazy: boolean,
    readonly portMappings: readonly PortMapping[],
    readonly own: OwnNetns,
  ) {}

  get netns(): Netns {
    return this.own.netns;
  }
}

class ConnectedPod implements Connected {
  constructor(
    readonly own: OwnNetns,
    readonly ips: readonly Ip[],
  ) {}

  get netns(): Netns {
    return this.own.netns;
  }
}

/** The namespace of one pod: made at once, or when somebody first looks for it. */
class OwnNetns {
  #made: Netns | undefined;

  constructor(
    readonly node: NodeNet,
    readonly name: string,
    lazy: boolean,
  ) {
    const { namespaces } = node.network;
    if (lazy && node.later.asleep) namespaces.reserve(name, () => void this.netns);
    else this.#made = node.network.netns(name);
  }

  get netns(): Netns {
    if (!this.#made) this.node.later.look();
    this.#made ??= this.node.network.netns(this.name);
    return this.#made;
  }

  delete(): void {
    if (this.#made) this.node.network.deleteNetns(this.#made);
    else this.node.network.namespaces.delete(this.name);
  }
}
