/** Owns the power of the nodes' machines: one that is off is not heard of any more, by nobody. */
import { type RunningController, runController } from "../api/controller";
import type { Store } from "../api/store";
import { nodeLifecycleControllerOf } from "../control/nodelifecycle";
import type { Netns } from "../net/netns";
import type { Kubelet } from "../node/kubelet";
import { second, type Time } from "../sim/clock";
import type { Sim } from "../sim/sim";

/** What of a node is switched. */
export interface Powered {
  readonly name: string;
  readonly net: { readonly netns: Netns };
  readonly kubelet: Kubelet;
}

/** How often a kubelet renews its Lease. */
const leasePeriod = 10 * second;

export class Power {
  readonly #sim: Sim;
  readonly #store: Store;
  /** Since when those that are off are silent. */
  readonly #silent = new Map<string, Time>();
  #lifecycle: RunningController | undefined;

  constructor(sim: Sim, store: Store) {
    this.#sim = sim;
    this.#store = store;
  }

  isOff(node: string): boolean {
    return this.#silent.has(node);
  }

  /** Nothing runs there, and nothing is at the end of its cables. It is told to nobody: others find out. */
  off(node: Powered): void {
    if (this.isOff(node.name)) return;
    const { now } = this.#sim.clock;
    this.#silent.set(node.name, now - (now % leasePeriod));
    for (const port of portsOf(node)) port.cut = true;
    node.kubelet.powerOff();
    this.#watch().enqueue(node.name);
  }

  /** The machine starts again, and all that should run on it. */
  on(node: Powered): void {
    if (!this.#silent.delete(node.name)) return;
    for (const port of portsOf(node)) port.cut = false;
    this.#watch().enqueue(node.name);
    node.kubelet.powerOn();
  }

  /** The controller manager's look at nodes: as long as all are well it has nothing to do. */
  #watch(): RunningController {
    const heard = { silentSince: (node: string) => this.#silent.get(node) };
    const context = { sim: this.#sim, store: this.#store };
    this.#lifecycle ??= runController(this.#sim, this.#store, nodeLifecycleControllerOf(context, heard));
    return this.#lifecycle;
  }
}

function portsOf({ net }: Powered) {
  return [...net.netns.devices.values()].flatMap(({ link }) => (link.type === "physical" ? [link] : []));
}
