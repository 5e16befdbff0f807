/** Owns the scheduler's picture of the nodes: what each has to give and what is used of it, and which are looked at. */
import type { Kinds } from "../../api/kinds";
import type { Store } from "../../api/store";
import { allocatable, NodeUsage, type Sums, type Usage } from "./usage";

type Node = Kinds["Node"];
type Pod = Kinds["Pod"];

/** One node as it now is. */
export interface NodeInfo {
  readonly name: string;
  node: Node;
  room: Usage;
  /** No taints, and open for pods: only its room decides. */
  plain: boolean;
  readonly used: Sums;
  /** Pods of the kind that is being placed, while it is being placed. */
  siblings: number;
  /** What the node was worth to the last pod, as long as it is as it was; most pods ask for the same. */
  worth: Worth | undefined;
}

/** The marks for how full a node would be with a pod that asks for this. */
export interface Worth {
  readonly cpu: number;
  readonly memory: number;
  readonly room: Usage;
  readonly version: number;
  readonly marks: number;
}

export class SchedulerNodes {
  readonly #store: Store;
  readonly #usage = new NodeUsage();
  readonly #byName = new Map<string, NodeInfo>();
  #list: readonly NodeInfo[] | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** In the order of their creation. */
  all(): readonly NodeInfo[] {
    this.#list ??= this.#store.list("Node").flatMap((node) => this.#byName.get(node.metadata.name) ?? []);
    return this.#list;
  }

  get(name: string): NodeInfo | undefined {
    return this.#byName.get(name);
  }

  setSiblings(name: string, count: number): void {
    const info = this.#byName.get(name);
    if (info) info.siblings = count;
  }

  /** Follows every write of a node. */
  seeNode(name: string, now: Node | undefined): void {
    const known = this.#byName.get(name);
    if (!now) {
      this.#byName.delete(name);
      this.#list = undefined;
      return;
    }
    const { taints, unschedulable } = now.spec;
    const plain = !unschedulable && !taints?.length;
    if (known) {
      if (known.node.status !== now.status) known.room = allocatable(now);
      known.node = now;
      known.plain = plain;
      return;
    }
    const used = this.#usage.of(name);
    this.#byName.set(name, { name, node: now, room: allocatable(now), plain, used, siblings: 0, worth: undefined });
    this.#list = undefined;
  }

  /** Follows every write of a pod. */
  seePod(now: Pod | undefined, before: Pod | undefined): void {
    this.#usage.see(now, before);
  }
}

/**
 * How many nodes that fit are enough: all of them below a hundred, then a share that falls from 50 % to 5 %
 * (numFeasibleNodesToFind in pkg/scheduler/schedule_one.go).
 */
export function enoughOf(nodes: number): number {
  if (nodes < 100) return nodes;
  const percentage = Math.max(5, 50 - Math.floor(nodes / 125));
  return Math.max(100, Math.floor((nodes * percentage) / 100));
}
