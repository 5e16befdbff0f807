/** Owns the scheduler's picture of the nodes: what each has to give and what is used of it, and which are looked at. */
import type { Kinds } from "../../api/kinds";
import type { Store } from "../../api/store";
import { NodeColumns } from "./columns";
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
  /** Its place among all. */
  at: number;
}

export class SchedulerNodes {
  readonly #store: Store;
  readonly #usage = new NodeUsage();
  readonly #byName = new Map<string, NodeInfo>();
  #list: readonly NodeInfo[] | undefined;
  #columns: NodeColumns | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** In the order of their creation. */
  all(): readonly NodeInfo[] {
    if (!this.#list) {
      this.#list = this.#store.list("Node").flatMap((node) => this.#byName.get(node.metadata.name) ?? []);
      for (const [at, info] of this.#list.entries()) info.at = at;
      this.#columns = undefined;
    }
    return this.#list;
  }

  /** The figures of all of them, each at its place. */
  columns(): NodeColumns {
    const all = this.all();
    this.#columns ??= new NodeColumns(all);
    return this.#columns;
  }

  get(name: string): NodeInfo | undefined {
    return this.#byName.get(name);
  }

  #changed(info: NodeInfo | undefined): void {
    if (info && this.#list) this.#columns?.fill(info.at, info);
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
      this.#changed(known);
      return;
    }
    const used = this.#usage.of(name);
    this.#byName.set(name, { name, node: now, room: allocatable(now), plain, used, at: 0 });
    this.#list = undefined;
  }

  /** Follows every write of a pod. */
  seePod(now: Pod | undefined, before: Pod | undefined): void {
    if (!this.#usage.see(now, before)) return;
    for (const pod of [now, before]) this.#changed(this.#byName.get(pod?.spec.nodeName ?? ""));
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
