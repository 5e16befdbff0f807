/** Owns a pod's sandbox: its network namespace, connected by the network plugin, and tried again when that fails. */
import type { Key } from "../api/meta";
import type { Ip } from "../net/address";
import type { Netns } from "../net/netns";
import type { Time } from "../sim/clock";
import type { Sim } from "../sim/sim";
import { type Cni, CniError } from "./cni/cni";
import type { NodeFigures } from "./figures";
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
  /** 64 hexadecimal digits for each try. */
  newId(): string;
  warn(reason: string, message: string): void;
  ready(): void;
}

export interface Connected {
  readonly netns: Netns;
  readonly ips: readonly Ip[];
}

const networkNotReady =
  "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";

export class Sandbox {
  readonly #parts: SandboxParts;
  #connected: Connected | undefined;
  #timer: { cancel(): void } | undefined;
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
    if (!connected || connected.netns === node.netns) return;
    cni.deletePod({ key, uid }, node);
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
    const { cni, node, sim, figures, key, uid, hostNetwork, newId, warn, ready } = this.#parts;
    if (hostNetwork) {
      this.#connected = { netns: node.netns, ips: [node.ip] };
      ready();
      return;
    }
    // A pod of the same name may still be ending on another node.
    const taken = node.network.namespaces.has(key);
    const netns = node.network.netns(taken ? `${key}.${uid.slice(0, 8)}` : key);
    try {
      this.#connected = { netns, ips: cni.addPod({ key, uid, netns }, node) };
    } catch (error) {
      node.network.deleteNetns(netns);
      if (!(error instanceof CniError)) throw error;
      this.#tries++;
      const why = `failed to setup network for sandbox "${newId()}": plugin type="${error.plugin}" failed (add): ${error.message}`;
      warn("FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = ${why}`);
      this.#timer = sim.clock.after(figures.sandboxRetry, () => this.#begin(), "background");
      return;
    }
    ready();
  }
}
