/** Owns the figures of all nodes in columns: the scheduler looks at hundreds of them for each pod, and reads them in a row. */
import type { Kinds } from "../../api/kinds";
import { zoneLabel } from "../endpointslice/endpoint";
import type { Sums, Usage } from "./usage";

/** What the columns are filled from. */
export interface Row {
  readonly node: Kinds["Node"];
  readonly room: Usage;
  readonly plain: boolean;
  readonly used: Sums;
}

/** Not known yet, or no longer. */
const unknown = -1;

/** One place a node, in the order of the nodes. */
export class NodeColumns {
  /** 1: no taints, and open for pods; only its room decides. */
  readonly plain: Uint8Array;
  /** Pods of the kind that is being placed, while it is being placed. */
  readonly siblings: Int32Array;
  /** Whether any node is in a zone. */
  zoned = false;
  readonly #pods: Float64Array;
  readonly #cpu: Float64Array;
  readonly #memory: Float64Array;
  readonly #roomForPods: Float64Array;
  readonly #roomForCpu: Float64Array;
  readonly #roomForMemory: Float64Array;
  /** The marks that depend on what a pod asks for: kept for those that ask for what the last one asked for, as most do. */
  readonly #marks: Int32Array;
  #marksFor: Usage | undefined;

  constructor(rows: readonly Row[]) {
    const column = (): Float64Array => new Float64Array(rows.length);
    this.plain = new Uint8Array(rows.length);
    this.siblings = new Int32Array(rows.length);
    this.#marks = new Int32Array(rows.length);
    [this.#pods, this.#cpu, this.#memory] = [column(), column(), column()];
    [this.#roomForPods, this.#roomForCpu, this.#roomForMemory] = [column(), column(), column()];
    for (const [at, row] of rows.entries()) this.fill(at, row);
  }

  /** A node is no longer as it was. */
  fill(at: number, { node, room, plain, used: { asked } }: Row): void {
    this.plain[at] = plain ? 1 : 0;
    this.#pods[at] = asked.pods;
    this.#cpu[at] = asked.cpu;
    this.#memory[at] = asked.memory;
    this.#roomForPods[at] = room.pods;
    this.#roomForCpu[at] = room.cpu;
    this.#roomForMemory[at] = room.memory;
    this.#marks[at] = unknown;
    this.zoned ||= node.metadata.labels?.[zoneLabel] !== undefined;
  }

  /** NodeResourcesFit. */
  hasRoom(at: number, { cpu, memory }: Usage): boolean {
    if ((this.#pods[at] as number) + 1 > (this.#roomForPods[at] as number)) return false;
    if (cpu > 0 && (this.#cpu[at] as number) + cpu > (this.#roomForCpu[at] as number)) return false;
    return memory <= 0 || (this.#memory[at] as number) + memory <= (this.#roomForMemory[at] as number);
  }

  /** The marks of nodes for a pod that asks for this, as far as they are known: `make` makes those that are not. */
  marks(asked: Usage, make: (at: number) => number): (at: number) => number {
    const last = this.#marksFor;
    if (last?.cpu !== asked.cpu || last.memory !== asked.memory) this.#marks.fill(unknown);
    this.#marksFor = asked;
    return (at) => {
      const known = this.#marks[at] as number;
      if (known !== unknown) return known;
      const made = make(at);
      this.#marks[at] = made;
      return made;
    };
  }
}
